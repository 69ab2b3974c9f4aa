/** What examples of composing find in scope, made anew for each. */

import { mkdir, readdir, rm } from 'node:fs/promises';
import { Composer, Repo } from 'apt-ostree';
import { createAptRepository } from '../apt-repository.js';
import { debianBase, kernelPackage } from '../debian-base.js';
import { run } from '../run.js';
import type { Drop } from './ostree.js';

/** The table in docs/guide-compose.md says the same for readers. */
export interface ComposeScope {
  directory: string;
  sources: string;
  repo: Repo;
  composer: Composer;
  file: string;
  signal: AbortSignal;
}

export const kComposeNames: readonly (keyof ComposeScope)[] = [
  'directory',
  'sources',
  'repo',
  'composer',
  'file',
  'signal',
];

export class ComposeStage {
  readonly #top: string;
  readonly #sources: string;
  readonly #file: string;
  #count = 0;

  private constructor(top: string, sources: string, file: string) {
    this.#top = top;
    this.#sources = sources;
    this.#file = file;
  }

  /** @param drop for what outlives single examples. */
  static async prepare(top: string, drop: Drop): Promise<ComposeStage> {
    await mkdir(top);
    const archive = await createAptRepository({
      serve: 'file',
      packages: [
        ...(await debianBase()),
        kernelPackage(),
        { name: 'tool', files: { '/usr/bin/tool': 'one' } },
        { name: 'extra', files: { '/usr/share/extra': 'extra' } },
        { name: 'libgreet1', files: { '/usr/share/greet': 'hello' } },
        {
          name: 'hello',
          version: '2.0',
          depends: 'libgreet1',
          files: { '/usr/bin/hello': 'hello' },
          scripts: { postinst: 'echo hello is configured' },
        },
      ],
    });
    drop(() => archive.stop());
    const repo = await Repo.create(`${top}/repo`, 'bare');
    await repo.writeConfig({ core: { fsync: 'false' } });
    const packages = ['linux-image-6.1.0-test', 'tool', 'extra'];
    const composer = new Composer({ repo, sources: archive.source });
    await composer.compose({ packages, ref: 'debian/base', version: '12.1' });
    repo.close();
    // What layers may replace the tool of the base by.
    await archive.addPackage({ name: 'tool', version: '2.0', files: { '/usr/bin/tool': 'two' } });
    await archive.publish();
    return new ComposeStage(top, archive.source, archive.deb('hello'));
  }

  #next(name: string): string {
    this.#count += 1;
    return `${this.#top}/${name}-${this.#count}`;
  }

  /** Objects are never changed, and so can be shared. */
  async #copy(): Promise<Repo> {
    const path = this.#next('repo');
    await mkdir(path);
    for (const name of await readdir(`${this.#top}/repo`)) {
      const how = name === 'objects' ? '-al' : '-a';
      await run('cp', [how, `${this.#top}/repo/${name}`, `${path}/${name}`]);
    }
    // Made of links to the objects.
    await rm(`${path}/extensions/apt-ostree/base`, { recursive: true, force: true });
    return Repo.open(path);
  }

  /** What one example needs. */
  async set(names: readonly string[], drop: Drop): Promise<Partial<ComposeScope>> {
    const scope: Partial<ComposeScope> = {};
    const needs = (...any: string[]) => any.some((name) => names.includes(name));
    if (needs('signal')) scope.signal = new AbortController().signal;
    if (needs('sources')) scope.sources = this.#sources;
    if (needs('file')) scope.file = this.#file;
    if (needs('directory')) {
      scope.directory = this.#next('directory');
      await mkdir(scope.directory);
    }
    if (needs('repo', 'composer')) {
      const repo = await this.#copy();
      drop(() => repo.close());
      scope.repo = repo;
      scope.composer = new Composer({ repo, sources: this.#sources });
    }
    return scope;
  }
}
