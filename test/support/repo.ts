/** Repositories for tests. */

import { Repo } from 'apt-ostree';
import { run } from './run.js';

/** A new repository that never waits for the disk. */
export async function createRepo(directory: string, mode = 'bare'): Promise<Repo> {
  const ostree = ['ostree', `--repo=${directory}`];
  await run('sh', [
    '-ec',
    `${ostree.join(' ')} init --mode=${mode} && ${ostree.join(' ')} config set core.fsync false`,
  ]);
  return Repo.open(directory);
}
