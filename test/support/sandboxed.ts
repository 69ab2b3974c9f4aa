/** A TypeScript program in a process that may die, and that can write to one directory only. */

import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { projectRoot } from './child.js';

export interface SandboxedOptions {
  /** Milliseconds until it is killed. */
  timeout: number;
  /** More arguments for bwrap. */
  bwrap?: readonly string[];
  env?: Readonly<Record<string, string>>;
}

export interface SandboxedResult {
  /** The signal that ended it, or its status. */
  end: string;
  stdout: string;
  stderr: string;
}

/**
 * Runs `program`, a path in the project, with one argument. Below `sandbox` it has a home and what
 * it sees as /tmp and /var/tmp.
 */
export async function runSandboxed(
  sandbox: string,
  program: string,
  argument: string,
  { timeout, bwrap = [], env }: SandboxedOptions,
): Promise<SandboxedResult> {
  for (const name of ['tmp', 'var-tmp', 'home']) {
    mkdirSync(path.join(sandbox, name), { recursive: true });
  }
  const stderr = path.join(sandbox, 'stderr');
  const log = openSync(stderr, 'w');
  const sanitizer = process.env.APT_OSTREE_SANITIZER;
  const child = spawn(
    'bwrap',
    [
      ...'--ro-bind / / --dev /dev --proc /proc --unshare-pid --unshare-net'.split(' '),
      '--die-with-parent',
      ...bwrap,
      ...['--bind', path.join(sandbox, 'tmp'), '/tmp'],
      ...['--bind', path.join(sandbox, 'var-tmp'), '/var/tmp'],
      ...['--bind', sandbox, sandbox],
      ...['--chdir', projectRoot],
      ...(sanitizer ? ['--setenv', 'LD_PRELOAD', sanitizer] : []),
      ...[process.execPath, '--import', 'tsx', path.join(projectRoot, program), argument],
    ],
    {
      stdio: ['ignore', 'pipe', log],
      env: {
        ...process.env,
        LD_PRELOAD: undefined,
        HOME: path.join(sandbox, 'home'),
        TMPDIR: '/tmp',
        OSTREE_SYSROOT_DEBUG: 'mutable-deployments',
        ...env,
      },
      timeout,
      killSignal: 'SIGKILL',
    },
  );
  closeSync(log);
  const chunks: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
  const end = await new Promise<string>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(String(signal ?? code)));
  });
  return { end, stdout: Buffer.concat(chunks).toString(), stderr: readFileSync(stderr, 'utf8') };
}
