/** Fuzzes a target in a process that can harm nothing and may die. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { runSandboxed } from '../sandboxed.js';
import { temporaryDirectory } from '../temp.js';
import type { FuzzReport, FuzzRun } from './child.js';

export interface FuzzOptions {
  seed?: number;
  /** Times the usual number of runs. */
  factor?: number;
  /** Milliseconds after which no further run begins. */
  limit?: number;
}

/** Everything is slower by this under a sanitizer. */
const kPatience = process.env.APT_OSTREE_SANITIZER ? 5 : 1;

/** Gives what went wrong, with all that is needed to see it again; undefined when nothing did. */
export async function fuzz(target: string, options: FuzzOptions = {}): Promise<FuzzReport> {
  const { seed = 20_260, factor = 1, limit = 2000 } = options;
  await using directory = await temporaryDirectory('fuzz');
  const sandbox = directory.path;
  mkdirSync(directory.join('work'));
  const run: FuzzRun = { target, seed, factor, limit, hang: 30_000 * kPatience, sandbox };
  const file = directory.join('run.json');
  writeFileSync(file, JSON.stringify(run));
  const timeout = limit + 120_000 * kPatience;
  const child = 'test/support/fuzz/child.ts';
  const { end, stdout, stderr } = await runSandboxed(sandbox, child, file, { timeout });
  const again = `npm run test:fuzz -- --target ${target} --seed ${seed}`;
  if (end === '0') {
    const report: FuzzReport = JSON.parse(stdout);
    return report.problem ? { ...report, problem: `${report.problem}\n${again}` } : report;
  }
  const noted = readOr(directory.join('progress')).slice(0, 4000);
  // A sanitizer's report is long, and its beginning says most.
  const said = `${readOr(directory.join('stderr')).slice(0, 6000)}${stderr.slice(-3000)}`;
  return { runs: 0, problem: `ended with ${end} in ${noted}\n${said}\n${again}` };
}

function readOr(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
