/** Temporary directories that also go away when they hold an OSTree sysroot. */

import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { run } from './run.js';

export interface TemporaryDirectory extends AsyncDisposable {
  readonly path: string;
  /** A path inside. */
  join(...parts: string[]): string;
  /** Removes it now; disposing does the same. */
  remove(): Promise<void>;
}

/**
 * A new directory under TMPDIR or /var/tmp: /tmp may be a tmpfs, which has no user xattrs and
 * on some kernels is no upper layer for overlayfs.
 */
export async function temporaryDirectory(
  name = 'test',
  base = process.env.TMPDIR ?? '/var/tmp',
): Promise<TemporaryDirectory> {
  const directory = await mkdtemp(path.join(base, `apt-ostree-${name}-`));
  const remove = () => removeTree(directory);
  return {
    path: directory,
    join: (...parts) => path.join(directory, ...parts),
    remove,
    [Symbol.asyncDispose]: remove,
  };
}

/** Removes a tree with everything in it; deployment roots are immutable (chattr +i). */
export async function removeTree(directory: string): Promise<void> {
  try {
    await rm(directory, { recursive: true, force: true });
  } catch {
    // The code differs between Node releases: EPERM, or ENOTDIR from a second look.
    await run('chattr', ['-R', '-f', '-i', '--', directory], { anyStatus: true });
    await rm(directory, { recursive: true, force: true });
  }
}
