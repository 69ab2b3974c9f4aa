/**
 * Scratch space beside the objects of a repository, on the same file system, so that files can
 * be hardlinks to objects. Each composition has a directory named after its process; what dead
 * processes left is removed by the next one.
 */

import { mkdir, mkdtemp, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { removeTree } from '../files.js';
import type { Repo } from '../ostree/repo.js';
import { makeDirectory } from './files.js';

/** libostree reserves `extensions/` for programs that keep data in a repository. */
export function stateDirectory(repo: Repo): string {
  return path.join(repo.path, 'extensions', 'apt-ostree');
}

export class Workspace {
  readonly path: string;
  #counter = 0;

  private constructor(directory: string) {
    this.path = directory;
  }

  static async create(repo: Repo): Promise<Workspace> {
    const parent = path.join(stateDirectory(repo), 'work');
    await mkdir(parent, { recursive: true, mode: 0o700 });
    await removeAbandoned(parent);
    const owner = `${process.pid}.${await startTime(process.pid)}.`;
    return new Workspace(await mkdtemp(path.join(parent, owner)));
  }

  /** A new empty directory whose name starts with `label`. */
  async directory(label: string): Promise<string> {
    this.#counter += 1;
    const directory = path.join(this.path, `${label}-${this.#counter}`);
    await makeDirectory(directory);
    return directory;
  }

  async remove(): Promise<void> {
    await removeTree(this.path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove();
  }
}

async function removeAbandoned(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const [pid, started] = name.split('.');
    if ((await startTime(Number(pid))) !== started) await removeTree(path.join(parent, name));
  }
}

/** A process id comes again; with its start time it does not (proc(5), field 22 of stat). */
async function startTime(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
