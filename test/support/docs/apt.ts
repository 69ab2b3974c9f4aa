/** What examples of libapt-pkg find in scope, made anew for each. */

import { cpSync } from 'node:fs';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { type AptCache, AptContext, type AptMarks, type DebFile } from 'apt-ostree';
import { DebFile as Deb } from 'apt-ostree/apt';
import { createAptRepository } from '../apt-repository.js';
import { formatStanzas, installed, record } from '../apt-universe.js';
import type { Drop } from './ostree.js';

/** The table in docs/guide-apt.md says the same for readers. */
export interface AptScope {
  directory: string;
  root: string;
  sources: string;
  context: AptContext;
  cache: AptCache;
  marks: AptMarks;
  file: string;
  deb: DebFile;
  signal: AbortSignal;
}

export const kAptNames: readonly (keyof AptScope)[] = [
  'directory',
  'root',
  'sources',
  'context',
  'cache',
  'marks',
  'file',
  'deb',
  'signal',
];

const kChangelog = 'hello (2.0) stable; urgency=low\n\n  * New.\n';

const kStatus = formatStanzas([
  installed(record('libgreet1', '0.9')),
  installed(record('leftover', '1.0', { Depends: 'libgreet1' })),
]);

export class AptStage {
  readonly #top: string;
  readonly #sources: string;
  readonly #deb: string;
  #count = 0;

  private constructor(top: string, sources: string, deb: string) {
    this.#top = top;
    this.#sources = sources;
    this.#deb = deb;
  }

  /** @param drop for what outlives single examples. */
  static async prepare(top: string, drop: Drop): Promise<AptStage> {
    const archive = await createAptRepository({
      serve: 'file',
      architectures: ['amd64'],
      packages: [
        {
          name: 'hello',
          version: '2.0',
          depends: 'libgreet1 (>= 1.0)',
          recommends: 'hello-doc',
          provides: 'greeter',
          description: 'friendly greetings',
          files: {
            '/usr/bin/hello': { content: '#!/bin/sh\necho hello\n', mode: 0o755 },
            '/etc/hello.conf': 'language=en\n',
            '/usr/share/doc/hello/changelog.Debian.gz': { content: gzipSync(kChangelog) },
          },
          symlinks: { '/usr/bin/hi': 'hello' },
          conffiles: ['/etc/hello.conf'],
          scripts: { postinst: 'echo configured' },
          triggers: 'activate-noawait hello-files\n',
        },
        { name: 'hello-doc', version: '2.0' },
        { name: 'libgreet1', version: '1.0' },
        { name: 'broken', depends: 'not-there' },
      ],
      sources: [
        {
          name: 'hello',
          version: '2.0',
          binaries: ['hello'],
          fields: { 'Build-Depends': 'libgreet1 (>= 1.0)' },
        },
      ],
    });
    drop(() => archive.stop());
    const root = `${top}/root`;
    await mkdir(`${root}/etc/apt/sources.list.d`, { recursive: true });
    await mkdir(`${root}/var/lib/dpkg`, { recursive: true });
    await mkdir(`${root}/var/lib/apt`, { recursive: true });
    await mkdir(`${root}/usr/share/doc/libgreet1`, { recursive: true });
    await writeFile(`${root}/etc/os-release`, 'ID=debian\nVERSION_CODENAME=test\n');
    await mkdir(`${root}/etc/apt/keyrings`);
    await copyFile(archive.keyring, `${root}/etc/apt/keyrings/test.gpg`);
    await writeFile(
      `${root}/etc/apt/sources.list.d/test.sources`,
      archive.source.replace(archive.keyring, '/etc/apt/keyrings/test.gpg'),
    );
    await writeFile(`${root}/var/lib/dpkg/status`, kStatus);
    await writeFile(
      `${root}/var/lib/apt/extended_states`,
      'Package: leftover\nArchitecture: amd64\nAuto-Installed: 1\n',
    );
    const notes = gzipSync('libgreet1 (0.9) stable; urgency=low\n');
    await writeFile(`${root}/usr/share/doc/libgreet1/changelog.Debian.gz`, notes);
    return new AptStage(top, archive.source, archive.deb('hello'));
  }

  #next(name: string): string {
    this.#count += 1;
    return `${this.#top}/${name}-${this.#count}`;
  }

  /** What one example needs. */
  async set(names: readonly string[], drop: Drop): Promise<Partial<AptScope>> {
    const scope: Partial<AptScope> = {};
    const needs = (...any: string[]) => any.some((name) => names.includes(name));
    if (needs('signal')) scope.signal = new AbortController().signal;
    if (needs('sources')) scope.sources = this.#sources;
    if (needs('file')) scope.file = this.#deb;
    if (needs('deb')) scope.deb = await Deb.open(this.#deb);
    if (needs('directory')) {
      scope.directory = this.#next('directory');
      await mkdir(scope.directory);
    }
    const root = this.#next('root');
    if (needs('root', 'context', 'cache', 'marks')) {
      cpSync(`${this.#top}/root`, root, { recursive: true });
      scope.root = root;
    }
    if (!needs('context', 'cache', 'marks')) return scope;
    const context = await AptContext.create({
      directory: this.#next('apt'),
      architecture: 'amd64',
      dpkgStatus: `${root}/var/lib/dpkg/status`,
      extendedStates: `${root}/var/lib/apt/extended_states`,
      sources: this.#sources,
    });
    drop(() => context.close());
    await context.update();
    const cache = await context.open();
    drop(() => cache.close());
    Object.assign(scope, { context, cache });
    if (needs('marks')) {
      const marks = await cache.marks();
      drop(() => marks.close());
      scope.marks = marks;
    }
    return scope;
  }
}
