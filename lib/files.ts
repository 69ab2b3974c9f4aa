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
  const path = checkPath(directory, 'directory');
  return runJob('ostree', () => binding().removeTree(path), options);
}
