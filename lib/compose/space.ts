/** How much of the disk a run uses. */

import { lstat, readdir, statfs } from 'node:fs/promises';
import path from 'node:path';

/** Bytes in use on the file system of `directory`. */
async function usedSpace(directory: string): Promise<number> {
  const { blocks, bfree, bsize } = await statfs(directory);
  return (blocks - bfree) * bsize;
}

/**
 * What is written below a directory. To ask the file system costs nothing, but others write there
 * as well: only where all of them together have gone beyond the limit, the files are counted.
 */
export class SpaceMeter {
  readonly #directory: string;
  readonly #most: number;
  #from: number;

  private constructor(directory: string, most: number, used: number) {
    this.#directory = directory;
    this.#most = most;
    this.#from = used;
  }

  static async create(directory: string, most: number): Promise<SpaceMeter> {
    return new SpaceMeter(directory, most, await usedSpace(directory));
  }

  async exceeded(): Promise<boolean> {
    // What cannot be asked any more is not what was measured.
    const used = await usedSpace(this.#directory).catch(() => undefined);
    if (used === undefined) return true;
    if (used - this.#from <= this.#most) return false;
    const ours = await spaceOf(this.#directory);
    if (ours > this.#most) return true;
    // As much as is left may be written before it is worth to count again.
    this.#from = used - ours;
    return false;
  }
}

/** Of a tree that changes meanwhile. */
async function spaceOf(directory: string): Promise<number> {
  let bytes = 0;
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const file = path.join(directory, entry.name);
    if (entry.isDirectory()) bytes += await spaceOf(file);
    else bytes += ((await lstat(file).catch(() => undefined))?.blocks ?? 0) * 512;
  }
  return bytes;
}
