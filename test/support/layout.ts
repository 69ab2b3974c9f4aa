/** The two forms of a tree, on disk. For checkouts that a test made itself: links are followed. */

import { lstat, readdir, rename, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import type { TreeEdit } from 'apt-ostree';
import { placeDirectory } from '../../lib/compose/files.js';
import { removeTree } from './temp.js';

/** Applies edits to a private checkout: only names and directories change, never file content. */
export async function applyToDirectory(root: string, edits: readonly TreeEdit[]): Promise<void> {
  for (const edit of edits) {
    switch (edit.op) {
      case 'move': {
        const from = path.join(root, edit.from);
        const to = path.join(root, edit.to);
        if (edit.allowMissing && !(await exists(from))) break;
        await placeDirectory(root, path.dirname(edit.to));
        if (await isDirectory(to)) await removeTree(to);
        await rename(from, to);
        break;
      }
      case 'mkdir':
        await placeDirectory(root, edit.path, edit.mode);
        break;
      case 'remove':
        await removeTree(path.join(root, edit.path));
        break;
      case 'symlink':
        await rm(path.join(root, edit.path), { force: true });
        await symlink(edit.target, path.join(root, edit.path));
        break;
      default:
        throw new TypeError(`A checkout cannot take the edit '${edit.op}'`);
    }
  }
}

/** Versions of the kernels whose modules a directory in either form has. */
export async function kernelVersions(root: string): Promise<string[]> {
  try {
    return (await readdir(path.join(root, 'usr/lib/modules'))).sort();
  } catch {
    return [];
  }
}

async function exists(file: string): Promise<boolean> {
  return lstat(file).then(
    () => true,
    () => false,
  );
}

async function isDirectory(file: string): Promise<boolean> {
  return lstat(file).then(
    (info) => info.isDirectory(),
    () => false,
  );
}
