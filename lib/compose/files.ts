/** Files put into a layer by hand; their directories end up in the tree, so modes are exact. */

import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, type FileHandle, mkdir, open, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { AbortError, ComposeError } from '../errors.js';

/** Makes one directory with exactly this mode, whatever the umask. */
export async function makeDirectory(directory: string, mode = 0o755): Promise<void> {
  await mkdir(directory);
  await chmod(directory, mode);
}

/** Makes `relative` and its parents below `root` as 0755, whatever the umask. */
export async function placeDirectory(root: string, relative: string, mode = 0o755): Promise<void> {
  let directory = root;
  for (const name of relative.split('/')) {
    directory = path.join(directory, name);
    try {
      await makeDirectory(directory);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  if (mode !== 0o755) await chmod(directory, mode);
}

export async function placeFile(
  root: string,
  relative: string,
  content: string | Uint8Array,
  mode = 0o644,
): Promise<void> {
  await placeDirectory(root, path.dirname(relative));
  const file = path.join(root, relative);
  await writeFile(file, content);
  await chmod(file, mode);
}

/** Opens what may be anything: not through a link, and without waiting for another end. */
export function openUntrusted(file: string): Promise<FileHandle> {
  return open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
}

/**
 * Copies a package's file, which others may write to.
 *
 * @throws `ERR_DEB_DAMAGED` where what was copied has another SHA-256.
 */
export async function copyChecked(
  source: string,
  destination: string,
  sha256: string,
  signal?: AbortSignal,
): Promise<void> {
  await using from = await open(source, constants.O_RDONLY | constants.O_NONBLOCK);
  const hash = createHash('sha256');
  if ((await from.stat()).isFile()) {
    await using to = await open(destination, 'wx', 0o644);
    const chunk = Buffer.allocUnsafe(1 << 20);
    while (true) {
      if (signal?.aborted) throw new AbortError(signal.reason);
      const { bytesRead } = await from.read(chunk, 0, chunk.length);
      if (bytesRead === 0) break;
      const part = chunk.subarray(0, bytesRead);
      hash.update(part);
      await to.appendFile(part);
    }
  }
  const is = hash.digest('hex');
  if (is === sha256) return;
  throw new ComposeError('ERR_DEB_DAMAGED', `The SHA-256 of ${source} is ${is}, not ${sha256}`, {
    path: source,
  });
}
