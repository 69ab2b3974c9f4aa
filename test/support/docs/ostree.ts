/** What examples of libostree find in scope, made anew for each. */

import { cpSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { type Deployment, MutableTree, Repo, Sysroot, type Transaction, variant } from 'apt-ostree';
import { createGpgHome } from '../gpg.js';
import { bootableEdits, commitEdits } from '../ostree.js';
import { run } from '../run.js';
import { writePolicy } from '../se-policy.js';

/** The tables in docs/guide-ostree.md and docs/guide-sysroot.md say the same for readers. */
export interface OstreeScope {
  /** An empty directory but for `tree`, `tree.tar` and `labelled`. */
  directory: string;
  repo: Repo;
  /** The newest commit of `os/stable`. */
  commit: string;
  /** The repository behind the remote `origin`, of mode `archive`. */
  server: Repo;
  sysroot: Sysroot;
  deployment: Deployment;
  gpg: { home: string; key: string; publicKey: string };
  signal: AbortSignal;
  /** Open, of `repo`. */
  transaction: Transaction;
  tree: MutableTree;
}

export const kOstreeNames: readonly (keyof OstreeScope)[] = [
  'directory',
  'repo',
  'commit',
  'server',
  'sysroot',
  'deployment',
  'gpg',
  'signal',
  'transaction',
  'tree',
];

/** Takes what is to be done when an example is over. */
export type Drop = (end: () => unknown) => void;

/** A transaction that ends when the example is over. */
function openTransaction(repo: Repo, drop: Drop): Promise<Transaction> {
  return new Promise((resolve, reject) => {
    let finish = () => {};
    const finished = new Promise<void>((done) => {
      finish = done;
    });
    const all = repo.transaction((transaction) => {
      resolve(transaction);
      return finished;
    });
    all.catch(reject);
    drop(async () => {
      finish();
      await all;
    });
  });
}

export class OstreeStage {
  readonly #top: string;
  readonly #drop: Drop;
  #count = 0;
  #commit = '';
  #gpg: Promise<OstreeScope['gpg']> | undefined;

  private constructor(top: string, drop: Drop) {
    this.#top = top;
    this.#drop = drop;
  }

  /** @param drop for what outlives single examples. */
  static async prepare(top: string, drop: Drop): Promise<OstreeStage> {
    const stage = new OstreeStage(top, drop);
    await mkdir(top);
    const server = await Repo.create(`${top}/server`, 'archive');
    await server.writeConfig({ core: { fsync: 'false' } });
    await server.collections.setId('org.example.Os');
    for (const version of ['12.0', '12.1']) {
      const parent = await server.tryResolveRev('os/stable');
      stage.#commit = await commitEdits(
        server,
        'os/stable',
        [
          ...bootableEdits(version),
          { op: 'file', path: '/usr/bin/tool', content: `tool ${version}\n`, mode: 0o755 },
        ],
        {
          subject: `Version ${version}`,
          timestamp: new Date(Number(version) * 1e9),
          ...(parent !== undefined && { parent }),
          metadata: {
            version: variant('s', version),
            'ostree.ref-binding': variant('as', ['os/stable']),
            'ostree.collection-binding': variant('s', 'org.example.Os'),
          },
        },
      );
    }
    await server.summary.regenerate();
    server.close();
    const repo = await Repo.create(`${top}/repo`, 'bare');
    await repo.writeConfig({ core: { fsync: 'false' } });
    await repo.pullLocal(`${top}/server`, { refs: ['os/stable'], depth: -1 });
    repo.close();
    await mkdir(`${top}/directory/tree/etc`, { recursive: true });
    await mkdir(`${top}/directory/tree/usr/bin`, { recursive: true });
    await writeFile(`${top}/directory/tree/etc/hostname`, 'example\n');
    await writeFile(`${top}/directory/tree/usr/bin/hello`, '#!/bin/sh\necho hello\n');
    await writePolicy(`${top}/directory/labelled`, [
      '/.*\tsystem_u:object_r:default_t:s0',
      '/usr/bin(/.*)?\tsystem_u:object_r:bin_t:s0',
    ]);
    await run('tar', ['-cf', 'tree.tar', 'tree'], { cwd: `${top}/directory` });
    return stage;
  }

  #copy(name: string): string {
    this.#count += 1;
    const path = `${this.#top}/${name}-${this.#count}`;
    cpSync(`${this.#top}/${name}`, path, { recursive: true, verbatimSymlinks: true });
    return path;
  }

  #makeGpg(): Promise<OstreeScope['gpg']> {
    this.#gpg ??= (async () => {
      const { home, addKey, exportKey, ...rest } = await createGpgHome();
      this.#drop(() => rest[Symbol.asyncDispose]());
      const key = await addKey('Example <os@example.org>');
      const publicKey = `${this.#top}/os.gpg`;
      await writeFile(publicKey, await exportKey(key));
      return { home, key, publicKey };
    })();
    return this.#gpg;
  }

  async #makeSysroot(): Promise<Sysroot> {
    this.#count += 1;
    const path = `${this.#top}/sysroot-${this.#count}`;
    await mkdir(path);
    const sysroot = await Sysroot.initialize(path);
    await using repo = await sysroot.repo();
    await repo.writeConfig({ core: { fsync: 'false' } });
    await repo.remotes.add('origin', `file://${this.#top}/server`, { gpgVerify: false });
    await repo.pull('origin', { refs: ['os/stable'] });
    await sysroot.initStateroot('os');
    await sysroot.deploy({ stateroot: 'os', rev: 'origin:os/stable', refspec: 'origin:os/stable' });
    return sysroot;
  }

  /** What one example needs. */
  async set(names: readonly string[], drop: Drop): Promise<Partial<OstreeScope>> {
    const scope: Partial<OstreeScope> = {};
    const needs = (...any: string[]) => any.some((name) => names.includes(name));
    if (needs('directory')) scope.directory = this.#copy('directory');
    if (needs('commit')) scope.commit = this.#commit;
    if (needs('signal')) scope.signal = new AbortController().signal;
    if (needs('gpg')) scope.gpg = await this.#makeGpg();
    if (needs('tree')) {
      const tree = MutableTree.create();
      scope.tree = tree;
      drop(() => tree.close());
    }
    if (needs('repo', 'server', 'transaction')) {
      const server = await Repo.open(this.#copy('server'));
      const repo = await Repo.open(this.#copy('repo'));
      await repo.remotes.add('origin', `file://${server.path}`, {
        gpgVerify: false,
        collectionId: 'org.example.Os',
      });
      Object.assign(scope, { repo, server });
      drop(() => repo.close());
      drop(() => server.close());
      if (needs('transaction')) scope.transaction = await openTransaction(repo, drop);
    }
    if (needs('sysroot', 'deployment')) {
      const sysroot = await this.#makeSysroot();
      drop(() => sysroot.close());
      Object.assign(scope, { sysroot, deployment: sysroot.deployments[0] });
    }
    return scope;
  }
}
