/**
 * Scratch space beside the objects of a repository, on the same file system, so that files can
 * be hardlinks to objects. Each composition holds a lock on its directory; what has no holder any
 * more was left by a dead process and is removed by the next one. Process ids would not do:
 * machines and containers that share a repository count them on their own.
 */

import { type FileHandle, lstat, mkdir, mkdtemp, open, readdir, rename } from 'node:fs/promises';
import path from 'node:path';
import { binding } from '../binding.js';
import { removeTree } from '../files.js';
import { callNative } from '../job.js';
import type { Repo } from '../ostree/repo.js';
import { makeDirectory } from './files.js';

/** libostree reserves `extensions/` for programs that keep data in a repository. */
export function stateDirectory(repo: Repo): string {
  return path.join(repo.path, 'extensions', 'apt-ostree');
}

export class Workspace {
  readonly path: string;
  /** Where it is afterwards, if it is kept. */
  readonly kept: string | undefined;
  readonly #lock: FileHandle;
  readonly #held: FileHandle[] = [];
  readonly #taken: string[] = [];
  #counter = 0;

  private constructor(directory: string, lock: FileHandle, kept?: string) {
    this.path = directory;
    this.kept = kept;
    this.#lock = lock;
  }

  /** @param options.keep for somebody who wants to look at it, and removes it then */
  static async create(repo: Repo, { keep = false } = {}): Promise<Workspace> {
    const place = path.join(stateDirectory(repo), 'kept');
    if (keep) await mkdir(place, { recursive: true, mode: 0o700 });
    const parent = path.join(stateDirectory(repo), 'work');
    await mkdir(parent, { recursive: true, mode: 0o700 });
    // libostree keeps what it writes in a directory of tmp/ until it is stored.
    spread(path.join(repo.path, 'tmp'));
    spread(parent);
    await removeAbandoned(parent);
    while (true) {
      const directory = await mkdtemp(path.join(parent, 'compose.'));
      const lock = await lockDirectory(directory);
      // Otherwise another composition took it for abandoned before it was locked.
      if (!lock) continue;
      // Filling a layer frees the stubs in it.
      spread(directory);
      return new Workspace(
        directory,
        lock,
        keep ? path.join(place, path.basename(directory)) : undefined,
      );
    }
  }

  /** A new empty directory whose name starts with `label`. */
  async directory(label: string): Promise<string> {
    this.#counter += 1;
    const directory = path.join(this.path, `${label}-${this.#counter}`);
    await makeDirectory(directory);
    return directory;
  }

  /**
   * Keeps a directory of the repository's state from {@link takeAway} of others as long as this is
   * there. False where it is gone, or going.
   */
  async hold(directory: string): Promise<boolean> {
    const handle = await lockDirectory(directory, 'shared');
    if (handle) this.#held.push(handle);
    return handle !== undefined;
  }

  /** Moves such a directory here, to be removed with all else; not where somebody holds it. */
  async takeAway(directory: string): Promise<void> {
    const lock = await lockDirectory(directory);
    if (!lock) return;
    try {
      const place = await this.directory('old');
      this.#taken.push(place);
      await rename(directory, path.join(place, path.basename(directory)));
    } finally {
      await lock.close();
    }
  }

  async remove(): Promise<void> {
    try {
      const going = this.kept === undefined ? [this.path] : this.#taken;
      for (const directory of going) await removeTree(directory);
      if (this.kept !== undefined) await rename(this.path, this.kept);
    } finally {
      for (const handle of [this.#lock, ...this.#held]) await handle.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove();
  }
}

/** Has directories made in this one be apart on the disk. */
function spread(directory: string): void {
  callNative('compose', () => binding().spreadDirectories(directory));
}

async function removeAbandoned(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const directory = path.join(parent, name);
    const lock = await lockDirectory(directory);
    if (!lock) continue;
    try {
      await removeTree(directory);
    } finally {
      await lock.close();
    }
  }
}

/** The lock, unless somebody has one that keeps it out, or the directory is gone. */
async function lockDirectory(
  directory: string,
  kind: 'exclusive' | 'shared' = 'exclusive',
): Promise<FileHandle | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(directory, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  let held = false;
  try {
    // It may have been removed between the two calls.
    const locked = binding().tryLock(handle.fd, kind === 'exclusive');
    held = locked && (await isSame(handle, directory));
  } finally {
    if (!held) await handle.close();
  }
  return held ? handle : undefined;
}

async function isSame(handle: FileHandle, directory: string): Promise<boolean> {
  try {
    const [opened, named] = await Promise.all([handle.stat(), lstat(directory)]);
    return opened.ino === named.ino && opened.dev === named.dev;
  } catch {
    return false;
  }
}
