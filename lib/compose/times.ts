/**
 * Times that programs go by. A commit has none, and all files of a checkout are as old as one
 * another: what keeps an index would then make all of it anew, which no real system would.
 */

import { chmod, chown, copyFile, lstat, readdir, utimes } from 'node:fs/promises';
import path from 'node:path';
import { makeDirectory } from './files.js';

/** Directories with indexes that are newer than what they index, and the names of these. */
const kIndexes: readonly { directory: string; name: string; reason: string }[] = [
  {
    directory: 'var/cache/man',
    name: 'index.db',
    reason: 'mandb reads every page of the system where its index is of no time at all',
  },
];

/** Just later than everything in a checkout, which is of 0. */
const kNewer = 1;

/**
 * Copies the indexes of a checkout into `layer`, to be seen in their place.
 *
 * @param root which nobody changes meanwhile; links in it are not followed
 */
export async function writeTimes(root: string, layer: string): Promise<void> {
  for (const { directory, name } of kIndexes) {
    const parts = directory.split('/');
    const parents = parts.map((_, index) => parts.slice(0, index + 1).join('/'));
    const present = await Promise.all(parents.map((parent) => isDirectory(root, parent)));
    if (present.every(Boolean)) await copyIndexes(root, layer, parents, name);
  }
}

async function isDirectory(root: string, relative: string): Promise<boolean> {
  const found = await lstat(path.join(root, relative)).catch(() => undefined);
  return found?.isDirectory() ?? false;
}

async function copyIndexes(
  root: string,
  layer: string,
  parents: readonly string[],
  name: string,
): Promise<void> {
  const directory = parents.at(-1) as string;
  const entries = await readdir(path.join(root, directory), { withFileTypes: true });
  for (const entry of entries) {
    const inner = `${directory}/${entry.name}`;
    if (entry.isDirectory()) await copyIndexes(root, layer, [...parents, inner], name);
    if (!entry.isFile() || entry.name !== name) continue;
    for (const parent of parents) await copyDirectory(root, layer, parent);
    const copy = path.join(layer, inner);
    await copyFile(path.join(root, inner), copy);
    await copyOwner(path.join(root, inner), copy);
    await utimes(copy, kNewer, kNewer);
  }
}

/** The topmost of several layers says what a directory is like. */
async function copyDirectory(root: string, layer: string, relative: string): Promise<void> {
  try {
    await makeDirectory(path.join(layer, relative));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return;
  }
  await copyOwner(path.join(root, relative), path.join(layer, relative));
}

async function copyOwner(from: string, to: string): Promise<void> {
  const { mode, uid, gid } = await lstat(from);
  await chown(to, uid, gid);
  await chmod(to, mode & 0o7777);
}
