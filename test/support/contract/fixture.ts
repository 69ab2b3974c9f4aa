/** Objects of every public class, in every state, on repositories and sysroots that may break. */

import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import {
  type AptCache,
  AptContext,
  type AptMarks,
  BootConfig,
  Composer,
  Deb822,
  DebFile,
  DevinoCache,
  KernelArguments,
  MutableTree,
  OstreeError,
  Repo,
  SePolicy,
  Sysroot,
  type Transaction,
  variant,
} from 'apt-ostree';
import { buildDeb } from '../deb.js';
import { bootableEdits, commitEdits } from '../ostree.js';
import { run } from '../run.js';
import { writePolicy } from '../se-policy.js';
import type { Words } from './values.js';

/** Instances that a call is tried on, and how they came to be. */
export interface Subject {
  state: string;
  value: object;
}

const kArchive = `Package: alpha
Version: 1.0
Architecture: all
Maintainer: T <t@example.com>
Provides: virtual (= 2)
Filename: ./alpha.deb
Size: 10
SHA256: ${'a'.repeat(64)}
Description: first
 text

`;

/** Everything below one directory. */
export class Fixture {
  readonly #top: string;
  #count = 0;
  commit = '';
  contents = '';
  metadata = '';
  deployment = '';
  /** A small package. */
  #deb = '';
  #special: Record<string, unknown> = {};

  constructor(top: string) {
    this.#top = top;
  }

  #at(...parts: string[]): string {
    return path.join(this.#top, ...parts);
  }

  async prepare(): Promise<void> {
    mkdirSync(this.#top, { recursive: true });
    writeFileSync(this.#at('file'), '0123456789');
    mkdirSync(this.#at('directory'));
    await writePolicy(this.#at('labelled'), ['/.*\tsystem_u:object_r:default_t:s0']);
    symlinkSync('nowhere', this.#at('dangling'));
    symlinkSync('loop', this.#at('loop'));
    await run('mkfifo', [this.#at('fifo')]);
    await run('tar', ['-cf', this.#at('file.tar'), '-C', this.#top, 'file']);
    mkdirSync(this.#at('archive'));
    writeFileSync(this.#at('archive/Packages'), kArchive);
    writeFileSync(this.#at('archive/alpha.deb'), '0123456789');
    this.#deb = await buildDeb({ name: 'alpha', files: { '/usr/bin/a': 'a' } }, this.#at('.'));
    const quick = { core: { fsync: 'false' } };

    const served = await Repo.create(this.#at('served'), 'archive');
    await served.writeConfig(quick);
    await served.collections.setId('org.example.Served');
    this.commit = await commitEdits(served, 'test', bootableEdits('1'), {
      metadata: {
        'ostree.ref-binding': variant('as', ['test']),
        'ostree.collection-binding': variant('s', 'org.example.Served'),
      },
    });
    await served.deltas.generate(this.commit, {});
    await served.deltas.generate(this.commit, { file: this.#at('delta'), inlineParts: true });
    await served.summary.regenerate();
    const object = `objects/${this.commit.slice(0, 2)}/${this.commit.slice(2)}.commit`;
    this.#special = {
      found: await served.collections.findRemotes(
        [{ collectionId: 'org.example.Served', ref: 'test' }],
        { config: false, mount: false, uris: [`file://${this.#at('served')}`] },
      ),
      verifier: { engine: 'ed25519', publicKeys: [Buffer.alloc(32, 7).toString('base64')] },
      'checksumFromBytes.bytes': Buffer.alloc(32),
      'parseObject.bytes': readFileSync(this.#at('served', object)),
      'parseSummary.bytes': await served.summary.readBytes(),
      'parseObjectName.text': `${this.commit}.commit`,
      'Repo.pruneFromReachable.keep': [`${this.commit}.commit`],
      'DebFile.open.file': this.#deb,
    };
    served.close();

    const repo = await Repo.create(this.#at('template'), 'bare');
    await repo.writeConfig(quick);
    const url = `file://${this.#at('served')}`;
    await repo.remotes.add('origin', url, { gpgVerify: false });
    await repo.pull('origin', { refs: ['test'] });
    await repo.setRef('test', this.commit);
    await repo.transaction(async (transaction) => {
      const tree = await transaction.writeTree(await MutableTree.fromCommit(repo, 'test'));
      this.contents = tree.contents;
      this.metadata = tree.metadata;
    });
    repo.close();
  }

  #next(): string {
    this.#count += 1;
    return this.#at(`copy-${this.#count}`);
  }

  async repo(): Promise<Repo> {
    const copy = this.#next();
    cpSync(this.#at('template'), copy, { recursive: true, verbatimSymlinks: true });
    return await Repo.open(copy);
  }

  async sysroot(): Promise<Sysroot> {
    const top = this.#next();
    mkdirSync(top);
    const sysroot = await Sysroot.initialize(top);
    const repo = await sysroot.repo();
    await repo.writeConfig({ core: { fsync: 'false' } });
    await repo.pullLocal(this.#at('template'), { refs: ['test'] });
    repo.close();
    await sysroot.initStateroot('debian');
    const { id } = await sysroot.deploy({ stateroot: 'debian', rev: 'test' });
    this.deployment = id;
    return sysroot;
  }

  async #context(): Promise<AptContext> {
    const context = await AptContext.create({
      directory: this.#next(),
      sources: `Types: deb\nURIs: file:${this.#at('archive')}\nSuites: ./\nTrusted: yes\n`,
    });
    await context.update();
    return context;
  }

  async #cache(drop: (end: () => unknown) => void): Promise<AptCache> {
    const context = await this.#context();
    const cache = await context.open();
    drop(() => {
      cache.close();
      context.close();
    });
    return cache;
  }

  /** Marks whose cache is closed, and marks whose package lists have been replaced. */
  async #marksWithout(drop: (end: () => unknown) => void): Promise<[AptMarks, AptMarks]> {
    const closed = await this.#cache(drop);
    const orphan = await closed.marks();
    closed.close();
    const context = await this.#context();
    const cache = await context.open();
    const stale = await cache.marks();
    await context.update();
    drop(() => {
      orphan.close();
      stale.close();
      cache.close();
      context.close();
    });
    return [orphan, stale];
  }

  async #transaction(): Promise<{ transaction: Transaction; end: () => Promise<void> }> {
    const repo = await this.repo();
    return new Promise((resolve, reject) => {
      let finish = () => {};
      const finished = new Promise<void>((done) => {
        finish = done;
      });
      const all = repo.transaction((transaction) => {
        resolve({
          transaction,
          end: async () => {
            finish();
            await all.catch(() => {});
            repo.close();
          },
        });
        return finished;
      });
      all.catch(reject);
    });
  }

  /**
   * Fresh instances of a class, the usable one first.
   *
   * @param drop takes what is to be done when they are not needed any more.
   */
  async subjects(owner: string, drop: (end: () => unknown) => void): Promise<Subject[]> {
    const repo = async () => {
      const value = await this.repo();
      drop(() => value.close());
      return value;
    };
    const closedRepo = async () => {
      const value = await this.repo();
      value.close();
      return value;
    };
    const busyRepo = async () => {
      const value = await this.repo();
      let finish = () => {};
      const finished = new Promise<void>((done) => {
        finish = done;
      });
      await new Promise<void>((begun) => {
        const all = value.transaction(() => {
          begun();
          return finished;
        });
        drop(async () => {
          finish();
          await all.catch(() => {});
          value.close();
        });
      });
      return value;
    };
    const ofRepo = async (part: (value: Repo) => object): Promise<Subject[]> => [
      { state: 'open', value: part(await repo()) },
      { state: 'closed', value: part(await closedRepo()) },
      { state: 'in a transaction', value: part(await busyRepo()) },
    ];
    switch (owner) {
      case 'Repo':
        return ofRepo((value) => value);
      case 'Remotes':
        return ofRepo((value) => value.remotes);
      case 'Signatures':
        return ofRepo((value) => value.signatures);
      case 'RepoSummary':
        return ofRepo((value) => value.summary);
      case 'Deltas':
        return ofRepo((value) => value.deltas);
      case 'Collections':
        return ofRepo((value) => value.collections);
      case 'RepoConfig':
        return ofRepo((value) => value.config);
      case 'Objects':
        return ofRepo((value) => value.objects);
      case 'RepoLock': {
        const [held, released] = [
          await (await repo()).lock('shared'),
          await (await repo()).lock('shared'),
        ];
        await released.release();
        const value = await this.repo();
        const orphan = await value.lock('shared');
        value.close();
        return [
          { state: 'held', value: held },
          { state: 'released', value: released },
          { state: 'of a closed repository', value: orphan },
        ];
      }
      case 'BootConfig': {
        const some = BootConfig.create();
        some.set('initrd', '/boot/initrd');
        return [
          { state: 'with an initrd', value: some },
          { state: 'empty', value: BootConfig.create() },
        ];
      }
      case 'DebFile':
        return [{ state: 'open', value: await DebFile.open(this.#deb) }];
      case 'Deb822':
        return [
          { state: 'some', value: Deb822.parse('# c\nkey: x\n\nother: y\n') },
          { state: 'empty', value: Deb822.from([]) },
        ];
      case 'Deb822Stanza': {
        const document = Deb822.parse('key: x\n y\n\nother: y\n');
        const [first, second] = document.stanzas;
        if (!first || !second) throw new Error('a document without stanzas');
        document.remove(second);
        return [
          { state: 'of a document', value: first },
          { state: 'removed', value: second },
        ];
      }
      case 'AptMarks': {
        const cache = await this.#cache(drop);
        const [open, closed] = [await cache.marks(), await cache.marks()];
        closed.close();
        const [orphan, stale] = await this.#marksWithout(drop);
        drop(() => open.close());
        return [
          { state: 'open', value: open },
          { state: 'closed', value: closed },
          { state: 'of a closed cache', value: orphan },
          { state: 'stale', value: stale },
        ];
      }
      case 'AptMarksSnapshot': {
        const marks = await (await this.#cache(drop)).marks();
        const [open, closed] = [await marks.snapshot(), await marks.snapshot()];
        closed.close();
        drop(() => {
          open.close();
          marks.close();
        });
        return [
          { state: 'open', value: open },
          { state: 'closed', value: closed },
        ];
      }
      case 'MutableTree': {
        const closed = MutableTree.create();
        closed.close();
        return [
          { state: 'of a commit', value: await MutableTree.fromCommit(await repo(), 'test') },
          { state: 'empty', value: MutableTree.create() },
          { state: 'closed', value: closed },
        ];
      }
      case 'Transaction': {
        const [open, ended] = [await this.#transaction(), await this.#transaction()];
        drop(open.end);
        await ended.end();
        return [
          { state: 'open', value: open.transaction },
          { state: 'ended', value: ended.transaction },
        ];
      }
      case 'SePolicy':
        return [{ state: 'read', value: await SePolicy.fromDirectory(this.#at('labelled')) }];
      case 'DevinoCache':
        return [{ state: 'new', value: new DevinoCache() }];
      case 'KernelArguments':
        return [{ state: 'some', value: KernelArguments.parse('a=b quiet a=c') }];
      case 'Sysroot': {
        const closed = await this.sysroot();
        await closed.close();
        const locked = await this.sysroot();
        await locked.lock();
        const open = await this.sysroot();
        drop(() => locked.close());
        drop(() => open.close());
        return [
          { state: 'open', value: open },
          { state: 'locked', value: locked },
          { state: 'closed', value: closed },
        ];
      }
      case 'SysrootLock': {
        const sysroot = await this.sysroot();
        const released = await sysroot.lock();
        await released.release();
        // After that: a second one would wait for the first.
        const held = await sysroot.lock();
        drop(() => sysroot.close());
        return [
          { state: 'held', value: held },
          { state: 'released', value: released },
        ];
      }
      case 'AptContext': {
        const [open, closed] = [await this.#context(), await this.#context()];
        closed.close();
        drop(() => open.close());
        return [
          { state: 'open', value: open },
          { state: 'closed', value: closed },
        ];
      }
      case 'AptCache': {
        const context = await this.#context();
        const [open, closed] = [await context.open(), await context.open()];
        const other = await this.#context();
        const stale = await other.open();
        await other.update();
        closed.close();
        drop(() => {
          open.close();
          stale.close();
          context.close();
          other.close();
        });
        return [
          { state: 'open', value: open },
          { state: 'closed', value: closed },
          { state: 'stale', value: stale },
        ];
      }
      case 'AptVersion': {
        const context = await this.#context();
        const cache = await context.open();
        const [version] = await cache.versionsOf('alpha');
        drop(() => {
          cache.close();
          context.close();
        });
        if (!version) throw new Error('no package in the archive');
        return [{ state: 'of an open cache', value: version }];
      }
      case 'Composer':
        return [
          {
            state: 'without sources',
            value: new Composer({ repo: await repo(), sources: [] }),
          },
        ];
      default:
        if (owner.endsWith('Error')) return [{ state: 'new', value: new OstreeError('EIO', 'x') }];
        throw new Error(
          `no case for class ${owner}: say in test/support/contract/fixture.ts how to make one`,
        );
    }
  }

  /** Good values for what a member takes. `shared`: objects to hand in as arguments. */
  words(member: string, shared: ReadonlyMap<string, unknown>): Words {
    return {
      text: (name) => this.#text(member, name),
      path: (name) => this.#path(member, name),
      special: (name) => this.#special[`${member}.${name}`] ?? this.#special[name],
      instance: (name) => {
        if (name === 'AbortSignal') return AbortSignal.timeout(2000);
        if (name === 'Date') return new Date(0);
        if (name === 'Uint8Array' || name === 'Buffer') return Buffer.from('x');
        if (name === 'Iterable') return ['quiet'];
        if (name === 'Error') return new Error('x');
        if (name === 'URL') return new URL('file:///nowhere');
        const value = shared.get(name);
        if (value === undefined) throw new Error(`no case for an argument of class ${name}`);
        return value;
      },
    };
  }

  #text(member: string, name: string): string {
    const special = kTexts[`${member}.${name}`];
    if (special !== undefined) return special;
    switch (name) {
      case 'contents':
        return this.contents;
      case 'metadata':
        return this.metadata;
      case 'commit':
      case 'checksum':
      case 'parent':
      case 'to':
        return this.commit;
      case 'id':
      case 'ids':
        return member.startsWith('Sysroot') ? this.deployment : 'org.example.Served';
      case 'url':
      case 'uris':
        return `file://${this.#at('served')}`;
      default:
        return kTexts[name] ?? 'x';
    }
  }

  #path(member: string, name: string): string {
    if (name.startsWith('*')) return this.#at(name.slice(1));
    switch (`${member}.${name}`) {
      case 'Repo.open.path':
      case 'Repo.pullLocal.source':
        return this.#at('template');
      case 'Sysroot.initialize.path':
      case 'Transaction.writeDirectory.path':
        return this.#at('directory');
      case 'Transaction.writeArchive.source':
        return this.#at('file.tar');
      default:
        if (/^Deltas/.test(member)) return this.#at('delta');
        if (/^(destination|directory)$/.test(name) || /create/.test(member)) return this.#next();
        return this.#at('file');
    }
  }
}

/** By parameter, or by member and parameter. */
const kTexts: Record<string, string> = {
  rev: 'test',
  ref: 'test',
  from: 'test',
  base: 'test',
  remote: 'origin',
  collectionId: 'org.example.Served',
  stateroot: 'debian',
  path: '/usr/etc/hostname',
  architecture: 'amd64',
  version: '1.0',
  text: 'a b=c',
  pattern: '?name(alpha)',
  engine: 'ed25519',
  type: 's',
  upstream: '1.0',
  'Signatures.signGpg.keys': '0'.repeat(40),
  'Signatures.signDataGpg.keys': '0'.repeat(40),
  'variantFromBytes.type': 'y',
  'variantFromText.text': "'x'",
  'parseVersion.text': '1.0',
  'parseDepends.text': 'a (>= 1)',
  'parseStatOverrides.text': '+2048 /usr/bin/su',
  'checksumFromBase64.text': 'A'.repeat(43),
  'AptCache.package.name': 'alpha',
  'Repo.list.path': '/usr',
  'Repo.diff.to': 'test',
  'Remotes.add.name': 'added',
  'Remotes.url.name': 'origin',
  'Remotes.get.name': 'origin',
};
