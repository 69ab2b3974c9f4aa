/** Runs a program and collects what it says; the event loop stays free (servers keep serving). */

import { spawn } from 'node:child_process';

export interface RunOptions {
  cwd?: string;
  /** Added to this process's environment; undefined removes a variable. */
  env?: Record<string, string | undefined>;
  input?: string | Buffer;
  /** Give any exit status back instead of throwing. */
  anyStatus?: boolean;
  /** Milliseconds until the program is killed. */
  timeout?: number;
  /** Whether what the program has said so far, in whole chunks, is enough: it is then killed. */
  enough?: (chunk: string) => boolean;
}

export interface RunResult {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  /** Standard output as it came. */
  bytes: Buffer;
  /** Milliseconds it took. */
  elapsed: number;
}

export async function run(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const started = performance.now();
  const child = spawn(program, args, {
    cwd: options.cwd,
    // A sanitizer is preloaded for node; other programs hang or fail with it.
    env: {
      ...process.env,
      LD_PRELOAD: program === process.execPath ? process.env.APT_OSTREE_SANITIZER : undefined,
      ...options.env,
    },
    timeout: options.timeout,
    killSignal: 'SIGKILL',
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => {
    out.push(chunk);
    if (options.enough?.(chunk.toString())) child.kill('SIGKILL');
  });
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  // A program may end without reading its input.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input);
  const [status, signal] = await new Promise<[number | null, NodeJS.Signals | null]>(
    (resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, name) => resolve([code, name]));
    },
  );
  const bytes = Buffer.concat(out);
  const result: RunResult = {
    status,
    signal,
    stdout: bytes.toString(),
    stderr: Buffer.concat(err).toString(),
    bytes,
    elapsed: performance.now() - started,
  };
  if (status !== 0 && !options.anyStatus) {
    throw new Error(
      `${program} ${args.join(' ')}: ${signal ?? `exit status ${status}`}\n${result.stderr}`,
    );
  }
  return result;
}
