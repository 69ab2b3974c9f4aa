import { binding } from '../binding.js';
import { checkMembers, checkPath, type Members, type PathLike } from '../checks.js';
import { type JobOptions, kJobOptions, runJob } from '../job.js';

export interface ChecksumFileOptions extends JobOptions {
  /** @default false */
  ignoreXattrs?: boolean;
  /** As if it belonged to root; only of regular files. @default false */
  canonicalPermissions?: boolean;
}

/**
 * The checksum of the object that a file or symbolic link on disk would be in a repository; of a
 * directory that of its dirmeta object, which knows nothing of what is in it.
 *
 * @throws `ENOENT`; `ERR_OSTREE_NOT_SUPPORTED` for other kinds of files.
 * @see `ostree_checksum_file_at`
 * @example
 * const { checksum } = await repo.stat('os/stable', '/usr/bin/tool');
 * const changed = (await checksumFile(`${directory}/tree/usr/bin/hello`)) !== checksum;
 * assert(changed);
 */
export async function checksumFile(
  path: PathLike,
  options: ChecksumFileOptions = {},
): Promise<string> {
  checkMembers(options, {
    ...kJobOptions,
    ignoreXattrs: true,
    canonicalPermissions: true,
  } satisfies Members<typeof options>);
  const absolute = checkPath(path, 'path');
  const { signal, ...flags } = options;
  return runJob('ostree', () => binding().checksumFile(absolute, flags), { signal });
}

/**
 * Replaces a file that has several names, as those of a checkout have, by a copy of its own, so
 * that it can be changed in place. A file with one name stays as it is.
 *
 * @throws `ENOENT`, `EISDIR`; `ERR_OSTREE_NOT_SUPPORTED` for other kinds of files.
 * @see `ostree_break_hardlink`
 */
export async function breakHardlink(
  path: PathLike,
  options: JobOptions & {
    /** Leave extended attributes behind. @default false */
    skipXattrs?: boolean;
  } = {},
): Promise<void> {
  checkMembers(options, { ...kJobOptions, skipXattrs: true } satisfies Members<typeof options>);
  const absolute = checkPath(path, 'path');
  const { skipXattrs = false, signal } = options;
  await runJob('ostree', () => binding().breakHardlink(absolute, skipXattrs), { signal });
}
