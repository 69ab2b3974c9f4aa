/** How much of the disk a run uses. */

import { constants } from 'node:fs';
import { lstat, open, readdir, stat, statfs } from 'node:fs/promises';

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
  readonly #held: () => Promise<number>;
  #from: number;

  private constructor(directory: string, most: number, held: () => Promise<number>, used: number) {
    this.#directory = directory;
    this.#most = most;
    this.#held = held;
    this.#from = used;
  }

  /** @param held what has no name below the directory any more, and is in use */
  static async create(
    directory: string,
    most: number,
    held: () => Promise<number> = async () => 0,
  ): Promise<SpaceMeter> {
    return new SpaceMeter(directory, most, held, await usedSpace(directory));
  }

  async exceeded(): Promise<boolean> {
    // What cannot be asked any more is not what was measured.
    const used = await usedSpace(this.#directory).catch(() => undefined);
    if (used === undefined) return true;
    if (used - this.#from <= this.#most) return false;
    const ours = (await spaceOf(this.#directory)) + (await this.#held());
    if (ours > this.#most) return true;
    // As much as is left may be written before it is worth to count again.
    this.#from = used - ours;
    return false;
  }
}

/** In bytes, of the files on disk that processes hold open and nothing names any more. */
export async function heldSpace(proc: string): Promise<number> {
  let bytes = 0;
  const seen = new Set<string>();
  for (const pid of await readdir(proc).catch(() => [])) {
    if (!/^\d+$/.test(pid)) continue;
    for (const fd of await readdir(`${proc}/${pid}/fd`).catch(() => [])) {
      const file = `${proc}/${pid}/fd/${fd}`;
      try {
        const { dev, ino, nlink, blocks } = await stat(file);
        const inode = `${dev}:${ino}`;
        if (nlink > 0 || seen.has(inode)) continue;
        seen.add(inode);
        // Those are memory, which has a limit of its own.
        if ((await statfs(file)).type !== kTmpfs) bytes += blocks * 512;
      } catch {
        // Closed meanwhile.
      }
    }
  }
  return bytes;
}

/** As statfs(2) has it. */
const kTmpfs = 0x01021994;
/** Directories within each other that are followed; more of them are beyond any limit. */
const kDeepest = 1000;

/**
 * Of a tree that changes meanwhile, and whose writer may wish that it is not found: directories are
 * entered by descriptors, which no link and no length of a path leads astray, and names are bytes.
 */
async function spaceOf(
  directory: string | Buffer,
  seen = new Set<string>(),
  depth = 0,
): Promise<number> {
  if (depth > kDeepest) return Number.POSITIVE_INFINITY;
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  const handle = await open(directory, flags).catch(() => undefined);
  if (!handle) return 0;
  try {
    let bytes = 0;
    const here = `/proc/self/fd/${handle.fd}`;
    for (const name of await readdir(here, 'buffer').catch(() => [])) {
      const file = Buffer.concat([Buffer.from(`${here}/`), name]);
      const found = await lstat(file, { bigint: true }).catch(() => undefined);
      if (!found) continue;
      const inode = `${found.dev}:${found.ino}`;
      if (found.isDirectory()) bytes += await spaceOf(file, seen, depth + 1);
      else if (found.nlink > 1n && seen.has(inode)) continue;
      else if (found.nlink > 1n) seen.add(inode);
      bytes += Number(found.blocks) * 512;
    }
    return bytes;
  } finally {
    await handle.close();
  }
}
