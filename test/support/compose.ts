/** A hermetic archive, a repository with a base tree from it, and what must hold after anything. */

import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import {
  type ComposeOptions,
  type ComposeResult,
  Composer,
  type ComposerOptions,
  type LayerOptions,
  Repo,
} from 'apt-ostree';
import { expect } from 'vitest';
import { type AptRepository, createAptRepository, type PackageSpec } from './apt-repository.js';
import { debianBase } from './debian-base.js';
import { complaintsAbout, deployTree } from './deployed.js';
import { run } from './run.js';
import { removeTree, type TemporaryDirectory, temporaryDirectory } from './temp.js';

export interface ComposeFixture extends AsyncDisposable {
  archive: AptRepository;
  directory: TemporaryDirectory;
  repo: Repo;
  composer: WatchedComposer;
  /** Commit of the ref `base`. */
  base: string;
}

/** Remembers every tree that it made. */
export class WatchedComposer extends Composer {
  readonly #repo: Repo;
  readonly #made = new Set<string>();

  constructor(options: ComposerOptions) {
    super(options);
    this.#repo = options.repo;
  }

  override async compose(options?: ComposeOptions): Promise<ComposeResult> {
    return this.#remember(await super.compose(options));
  }

  override async layer(options: LayerOptions): Promise<ComposeResult> {
    return this.#remember(await super.layer(options));
  }

  #remember(result: ComposeResult): ComposeResult {
    this.#made.add(result.commit);
    return result;
  }

  /**
   * What dpkg and apt find wrong with the trees that were made, as a machine would have them.
   *
   * @param but subjects of trees whose scripts changed files of packages
   */
  async expectSoundTrees(but?: RegExp): Promise<void> {
    await using directory = await temporaryDirectory('trees');
    const found: Record<string, string[]> = {};
    for (const commit of this.#made) {
      const loaded = await this.#repo.loadCommit(commit).catch(() => undefined);
      // Pruned by the test, or not sound on purpose.
      if (!loaded || but?.test(loaded.subject)) continue;
      const root = directory.join(commit);
      await deployTree(this.#repo, commit, root);
      const complaints = await complaintsAbout(root);
      if (complaints.length > 0) found[loaded.subject] = complaints;
      await removeTree(root);
    }
    expect(found).toEqual({});
  }
}

/**
 * Composes a base tree from an archive with the minimal Debian and `packages`. When it is disposed
 * of, every tree that its composer made must be sound.
 *
 * @param unsound subjects of trees whose scripts changed files of packages
 */
export async function composeFixture(
  packages: readonly PackageSpec[],
  { unsound }: { unsound?: RegExp } = {},
): Promise<ComposeFixture> {
  const archive = await createAptRepository({ packages: [...(await debianBase()), ...packages] });
  const directory = await temporaryDirectory('compose');
  const repo = await Repo.create(directory.join('repo'), 'bare');
  const composer = new WatchedComposer({ repo, sources: archive.source });
  const { commit: base } = await composer.compose({ ref: 'base' });
  return {
    archive,
    directory,
    repo,
    composer,
    base,
    async [Symbol.asyncDispose]() {
      try {
        await composer.expectSoundTrees(unsound);
      } finally {
        repo.close();
        await directory.remove();
        await archive.stop();
      }
    },
  };
}

/** Refs but those of the import cache, which may grow by sound packages. */
export async function refsOf(repo: Repo): Promise<Record<string, string>> {
  const refs = Object.entries(await repo.listRefs());
  return Object.fromEntries(refs.filter(([name]) => !name.startsWith('apt-ostree/pkg/')));
}

/** The work directories of compositions that have not ended. */
export async function workDirectories(repo: Repo): Promise<string[]> {
  return readdir(path.join(repo.path, 'extensions/apt-ostree/work')).catch(() => []);
}

/** Processes with something below `directory` mounted, other than this one's, as `pid: command`. */
export async function processesWithMounts(directory: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    try {
      const mounts = await readFile(`/proc/${pid}/mountinfo`, 'utf8');
      if (!mounts.includes(`${directory}/`)) continue;
      found.push(
        `${pid}: ${(await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ')}`,
      );
    } catch {
      // It has ended.
    }
  }
  return found;
}

/** How many processes have `text` in their arguments. */
export async function processesWith(text: string): Promise<number> {
  let count = 0;
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (command.replaceAll('\0', ' ').includes(text)) count += 1;
  }
  return count;
}

/** No damaged object, no scratch space, no mount, no process. */
export async function expectSound(repo: Repo): Promise<void> {
  await run('ostree', [`--repo=${repo.path}`, 'fsck', '-q']);
  expect(await workDirectories(repo)).toEqual([]);
  expect(await processesWithMounts(repo.path)).toEqual([]);
}
