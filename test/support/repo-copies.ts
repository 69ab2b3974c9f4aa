/** Equal repositories, one for the `ostree` command and one for the library. */

import { run } from './run.js';

/** `cp -a`, so that both start from the same bytes. */
export async function copyRepo(from: string, to: string): Promise<string> {
  await run('cp', ['-a', '--', from, to]);
  return to;
}

/** Everything in a repository that maintenance changes: objects, refs, deltas, states, config. */
export async function repoFiles(repo: string): Promise<string[]> {
  const { stdout } = await run(
    'find',
    ['objects', 'refs', 'deltas', 'state', 'config', '-type', 'f', '-printf', '%p %s\n'],
    { cwd: repo, anyStatus: true },
  );
  return stdout.split('\n').sort();
}

/** Exit status and output of the `ostree` command on a repository. */
export async function ostreeOn(repo: string, command: string, ...args: string[]) {
  return run('ostree', [...command.split(' '), `--repo=${repo}`, ...args], {
    anyStatus: true,
    env: { LC_ALL: 'C.UTF-8' },
  });
}
