/** A directory as text, to compare two of them. */

import { createHash } from 'node:crypto';
import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import path from 'node:path';

/**
 * One line for each path below `root`: type, mode, owner, size or target, content. Names are read
 * as Latin-1, so that any bytes work. Times are left out: OSTree does not keep them.
 */
export async function describeTree(
  root: string,
  skip: (relative: string) => boolean = () => false,
): Promise<string[]> {
  const lines: string[] = [];
  const inodes = new Map<number, string>();
  const visit = async (relative: string): Promise<void> => {
    const full = Buffer.from(path.join(root, relative), 'latin1');
    for (const name of (await readdir(full, 'latin1')).sort()) {
      const child = path.join(relative, name);
      if (skip(child)) continue;
      const file = Buffer.from(path.join(root, child), 'latin1');
      const info = await lstat(file);
      const mode = info.mode.toString(8);
      let what = '';
      if (info.isSymbolicLink()) what = `-> ${await readlink(file)}`;
      else if (info.isFile()) {
        const hash = createHash('sha256').update(await readFile(file));
        const first = inodes.get(info.ino);
        inodes.set(info.ino, first ?? child);
        what = `${info.size} ${hash.digest('hex')}${first ? ` = ${first}` : ''}`;
      }
      lines.push(`${child} ${mode} ${info.uid}:${info.gid} ${what}`);
      if (info.isDirectory()) await visit(child);
    }
  };
  await visit('');
  return lines;
}
