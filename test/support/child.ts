/** Runs a program against the addon in a Node process of its own. */

import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type RunOptions, type RunResult, run } from './run.js';

/** The top of this project. */
export const projectRoot = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

/** Milliseconds; a sanitizer makes everything slower. */
const kTimeout = process.env.APT_OSTREE_SANITIZER ? 300_000 : 60_000;

export interface ChildOptions extends RunOptions {
  args?: readonly string[];
  /** Switches of node itself. */
  execArgv?: readonly string[];
}

/**
 * Runs `source`, an ES module that may import 'apt-ostree' and its subpaths (the TypeScript
 * sources, through tsx); `args` begin at `process.argv[1]`. Any exit is given back, not thrown; killed after a minute by default.
 */
export function runModule(source: string, options: ChildOptions = {}): Promise<RunResult> {
  const { args = [], execArgv = [], ...rest } = options;
  return run(
    process.execPath,
    ['--import', 'tsx', ...execArgv, '--input-type=module', '-e', source, '--', ...args],
    { cwd: projectRoot, timeout: kTimeout, anyStatus: true, ...rest },
  );
}
