import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { binding } from './binding.js';
import { checkPath, type PathLike } from './checks.js';
import { type JobOptions, runJob } from './job.js';

/**
 * Removes a directory with all below it, off the JavaScript thread. Unlike `fs.rm` it also
 * removes deployments, whose roots carry the immutable flag, and it never crosses into a mount.
 * A missing path is fine.
 *
 * @throws `EXDEV` where something is mounted below; `EACCES`, `EPERM`.
 */
export function removeTree(directory: PathLike, options?: JobOptions): Promise<void> {
  const absolute = checkPath(directory, 'directory');
  return runJob('ostree', () => binding().removeTree(absolute), options);
}

/**
 * @internal Makes a directory and those that it is in. Node's own `recursive` never comes back from
 * file systems that refuse new names, such as /proc.
 */
export async function makeDirectories(directory: string): Promise<void> {
  if (await madeDirectory(directory)) return;
  await makeDirectories(path.dirname(directory));
  await mkdir(directory).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
}

/** Whether it is there now; false where the directory for it is missing. */
async function madeDirectory(directory: string): Promise<boolean> {
  try {
    await mkdir(directory);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && path.dirname(directory) !== directory) return false;
    if (code === 'EEXIST' && (await stat(directory)).isDirectory()) return true;
    throw error;
  }
}
