/** Damaged repositories: objects, refs, config, detached metadata. */

import { mkdir, readFile, rm, unlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { variant, variantToBytes } from 'apt-ostree';
import { MutableTree, parseObject, Repo, type RepoMode } from 'apt-ostree/ostree';
import { commitOf, deepTrees, directoryWith, objectFile, storeCommit } from '../deep-trees.js';
import { commitEdits, someEdits } from '../ostree.js';
import { binaryDamage, textDamage } from './mutate.js';
import type { Probe } from './probe.js';
import type { FuzzInput, FuzzTarget } from './target.js';

export interface SampleRepo {
  repo: Repo;
  /** Of the ref `os/main` and its parent. */
  commit: string;
  parent: string;
}

/** A repository of two commits that never waits for the disk. */
export async function sampleRepo(directory: string, mode: 'archive' | 'bare-user' = 'archive') {
  await mkdir(path.dirname(directory), { recursive: true });
  const repo = await Repo.create(directory, mode);
  await repo.config.write({ core: { fsync: 'false' } });
  const xattrs = [{ name: 'user.test', value: Buffer.from('value') }];
  const parent = await commitEdits(repo, 'os/main', [
    ...someEdits,
    { op: 'file', path: '/usr/lib/big', content: Buffer.alloc(30_000, 'abc') },
  ]);
  const { result: commit } = await repo.transaction(async (transaction) => {
    const tree = await MutableTree.fromCommit(repo, parent);
    const contents = await transaction.writeRegularFile(Buffer.alloc(20_000, 'xyz'), { xattrs });
    void contents;
    await tree.apply(repo, [
      { op: 'file', path: '/usr/lib/big', content: Buffer.alloc(31_000, 'abd') },
    ]);
    const checksum = await transaction.writeCommit({
      tree: await transaction.writeTree(tree),
      parent,
      subject: 'second',
      body: 'with a body',
      timestamp: new Date(86_400_000),
      metadata: {
        version: variant('s', '2'),
        'ostree.ref-binding': variant('as', ['os/main']),
        'test.nested': variant('a{sv}', { a: variant('(ay)', [Buffer.from('bytes')]) }),
      },
    });
    await transaction.setRef('os/main', checksum);
    return checksum;
  });
  return { repo, commit, parent } satisfies SampleRepo;
}

export async function drain(stream: Readable): Promise<void> {
  for await (const chunk of stream) void chunk;
}

export async function exhaust(items: AsyncIterable<unknown>): Promise<void> {
  for await (const item of items) void item;
}

/** An empty repository, made anew for each use. */
export async function withFresh(
  directory: string,
  use: (repo: Repo) => Promise<void>,
  mode: RepoMode = 'archive',
) {
  await using fresh = await Repo.create(directory, mode);
  try {
    await fresh.config.write({ core: { fsync: 'false', 'min-free-space-percent': '0' } });
    await use(fresh);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Every way to read a commit. */
async function readCommit(repo: Repo, rev: string, scratch: string, probe: Probe): Promise<void> {
  await probe.call('loadCommit', () => repo.loadCommit(rev));
  await probe.call('log', () => exhaust(repo.log(rev)));
  await probe.call('list', () => repo.list(rev, '/', { recursive: true, xattrs: true }));
  await probe.call('walk', () => exhaust(repo.walk(rev)));
  await probe.call('stat', () => repo.stat(rev, '/etc/hostname', { xattrs: true }));
  await probe.call('readFile', () => repo.readFile(rev, '/usr/lib/big'));
  await probe.call('createReadStream', () => drain(repo.createReadStream(rev, '/etc/hostname')));
  await probe.call('fromCommit', async () => {
    using tree = await MutableTree.fromCommit(repo, rev);
    await tree.list(repo, '/', { recursive: true });
    await tree.apply(repo, [
      { op: 'file', path: '/usr/lib/new', content: 'new' },
      { op: 'remove', path: '/etc/hostname' },
    ]);
  });
  await probe.call('exportArchive', () =>
    repo.exportArchive(rev, path.join(scratch, 'export.tar')),
  );
  await probe.call('checkout', () =>
    repo.checkout(rev, path.join(scratch, 'tree'), { mode: 'user' }),
  );
  await rm(path.join(scratch, 'tree'), { recursive: true, force: true });
  await probe.call('commitSizes', () => repo.objects.commitSizes(rev));
  await probe.call('reachable', () =>
    exhaust(repo.objects.reachable({ from: rev, commits: true })),
  );
  await probe.call('compare', () => repo.objects.compare(`${rev}^`, rev));
  await probe.call('diff', () => repo.diff(`${rev}^`, rev));
}

async function readRepo(repo: Repo, sample: SampleRepo, scratch: string, probe: Probe) {
  await readCommit(repo, sample.commit, scratch, probe);
  await probe.call('listRefs', () => repo.listRefs());
  await probe.call('objects.list', () => exhaust(repo.objects.list()));
  await probe.call('fsck', () =>
    repo.fsck({ all: true, verifyBindings: true, verifyBackRefs: true }),
  );
  await probe.call('prune', () => repo.prune({ dryRun: true }));
  await probe.call('verify', () => repo.verify('os/main', { remote: 'none' }));
  await probe.call('pullLocal', () =>
    withFresh(path.join(scratch, 'pulled'), async (fresh) => {
      await probe.call('pullLocal, trusted', () =>
        fresh.pullLocal(repo.path, { refs: ['os/main'] }),
      );
      await probe.call('pullLocal, untrusted', () =>
        fresh.pullLocal(repo.path, { refs: ['os/main'], untrusted: true }),
      );
    }),
  );
  await probe.call('summary.regenerate', () => repo.summary.regenerate());
  await probe.call('deltas.generate', () => repo.deltas.generate(sample.commit));
  await probe.call('commit over it', () =>
    repo.transaction(async (transaction) => {
      const tree = MutableTree.create();
      await transaction.writeCommitTree(sample.commit, tree);
      await transaction.writeTree(tree);
    }),
  );
}

/** Puts damaged bytes in the place of a file while they are read. */
async function inPlace(file: string, bytes: Buffer, read: () => Promise<void>): Promise<void> {
  const original = await readFile(file).catch(() => undefined);
  await unlink(file).catch(() => {});
  await writeFile(file, bytes);
  try {
    await read();
  } finally {
    await unlink(file);
    if (original) await writeFile(file, original);
  }
}

const kMetadata = ['commit', 'dirtree', 'dirmeta'] as const;
const kTypes = [...kMetadata, 'file'] as const;

/** An object of each type. */
async function namesOf({
  repo,
  commit,
}: SampleRepo): Promise<Record<(typeof kTypes)[number], string>> {
  const root = await repo.loadCommit(commit);
  return {
    commit,
    dirtree: root.contents,
    dirmeta: root.metadataChecksum,
    file: (await repo.stat(commit, '/usr/lib/big')).checksum ?? '',
  };
}

export const objects: FuzzTarget = {
  runs: 60,
  async prepare(directory) {
    const sample = await sampleRepo(path.join(directory, 'repo'));
    const names = await namesOf(sample);
    return Promise.all(
      kTypes.map(async (type): Promise<FuzzInput> => {
        const name = names[type];
        const extension = type === 'file' ? 'filez' : type;
        const file = path.join(
          sample.repo.path,
          'objects',
          name.slice(0, 2),
          `${name.slice(2)}.${extension}`,
        );
        return {
          name: type,
          bytes: await readFile(file),
          damage: binaryDamage(),
          read: (bytes, probe) =>
            inPlace(file, bytes, async () => {
              await using repo = await Repo.open(sample.repo.path);
              await probe.call('objects.load', () => repo.objects.load(type, name));
              await probe.call('objects.createReadStream', () =>
                drain(repo.objects.createReadStream(type, name)),
              );
              await readRepo(repo, sample, directory, probe);
            }),
        };
      }),
    );
  },
};

/** Trees of any depth, and such that hold themselves; the bytes say which. */
export const trees: FuzzTarget = {
  runs: 40,
  async prepare(directory) {
    const sample = await sampleRepo(path.join(directory, 'repo'));
    const { repo } = sample;
    const { contents, metadata } = await deepTrees(repo, 10_000);
    const at = (bytes: Buffer, offset: number) =>
      contents[(bytes.readUInt16LE(offset) || 0) % contents.length] ?? '';
    const sound = Buffer.alloc(6);
    sound.writeUInt16LE(3);
    const read = async (given: Buffer, probe: Probe) => {
      const bytes = Buffer.concat([given, sound]);
      const commit = await storeCommit(repo, commitOf(at(bytes, 0), metadata, sample.commit));
      await repo.setRef('os/main', commit);
      // One directory of them gets another child, which may be above it.
      const file = objectFile(repo, 'dirtree', at(bytes, 2));
      const damage = variantToBytes(directoryWith(at(bytes, 4), metadata));
      const kept = bytes.readUInt32LE(2) === 0 ? await readFile(file) : damage;
      await inPlace(file, kept, () => readRepo(repo, { ...sample, commit }, directory, probe));
      await probe.call('delete', () => repo.objects.delete('commit', commit));
    };
    return [{ name: 'levels', bytes: sound, damage: binaryDamage(), read }];
  },
};

/** The bytes alone, which is a hundred times quicker. */
export const parsing: FuzzTarget = {
  runs: 3000,
  async prepare(directory) {
    const sample = await sampleRepo(path.join(directory, 'repo'));
    const names = await namesOf(sample);
    return Promise.all(
      kMetadata.map(async (type): Promise<FuzzInput> => {
        const chunks: Buffer[] = [];
        for await (const chunk of sample.repo.objects.createReadStream(type, names[type])) {
          chunks.push(chunk as Buffer);
        }
        return {
          name: type,
          bytes: Buffer.concat(chunks),
          damage: binaryDamage(),
          async read(bytes, probe) {
            await probe.call('parseObject', () => parseObject(type as 'commit', bytes));
          },
        };
      }),
    );
  },
};

/** What is written into a repository as it came. */
export const writing: FuzzTarget = {
  runs: 150,
  async prepare(directory) {
    const sample = await sampleRepo(path.join(directory, 'repo'), 'bare-user');
    const root = await sample.repo.loadCommit(sample.commit);
    const read = async (type: 'commit' | 'dirtree' | 'dirmeta', name: string) => {
      const chunks: Buffer[] = [];
      for await (const chunk of sample.repo.objects.createReadStream(type, name)) {
        chunks.push(chunk as Buffer);
      }
      const input: FuzzInput = {
        name: type,
        bytes: Buffer.concat(chunks),
        damage: binaryDamage(),
        async read(bytes, probe) {
          const checksum = await probe.call('writeMetadata', async () => {
            const { result } = await sample.repo.transaction((transaction) =>
              transaction.writeMetadata(type, bytes),
            );
            return result;
          });
          if (!checksum) return;
          await probe.call('load', () => sample.repo.objects.load(type, checksum));
          if (type === 'commit') await readCommit(sample.repo, checksum, directory, probe);
          await probe.call('delete', () => sample.repo.objects.delete(type, checksum));
          const list: [typeof type, string][] = [
            ['commit', sample.commit],
            ['dirtree', root.contents],
            ['dirmeta', root.metadataChecksum],
          ];
          // It may have been the sound one.
          if (!list.some(([, sound]) => sound === checksum)) return;
          await sample.repo.transaction((transaction) =>
            transaction.writeMetadata(type, input.bytes),
          );
        },
      };
      return input;
    };
    return [
      await read('commit', sample.commit),
      await read('dirtree', root.contents),
      await read('dirmeta', root.metadataChecksum),
    ];
  },
};

export const refs: FuzzTarget = {
  runs: 200,
  async prepare(directory) {
    const sample = await sampleRepo(path.join(directory, 'repo'));
    const place = path.join(sample.repo.path, 'refs/heads');
    const look = async (repo: Repo, name: string, probe: Probe) => {
      await probe.call('listRefs', () => repo.listRefs());
      await probe.call('resolveRev', () => repo.resolveRev(name));
      await probe.call('resolveRev, parent', () => repo.resolveRev(`${name}^`));
      await probe.call('loadCommit', () => repo.loadCommit(name));
      await probe.call('listRefs, prefix', () => repo.listRefs({ prefix: name }));
      await probe.call('setRef', () => repo.setRef(name, sample.parent));
      await probe.call('setAlias', () => repo.setAlias(`alias/${name}`, name));
      await probe.call('setRef, none', () => repo.setRef(name, null));
      await probe.call('fsck', () => repo.fsck({ verifyBackRefs: true }));
      await probe.call('prune', () => repo.prune({ refsOnly: true, dryRun: true }));
      await probe.call('summary', () => repo.summary.regenerate());
    };
    return [
      {
        name: 'content',
        bytes: Buffer.from(`${sample.commit}\n`),
        damage: textDamage(),
        async read(bytes, probe) {
          await inPlace(path.join(place, 'os/main'), bytes, async () => {
            await using repo = await Repo.open(sample.repo.path);
            await look(repo, 'os/main', probe);
            await writeFile(path.join(place, 'os/main'), '');
          });
        },
      },
      {
        name: 'name',
        bytes: Buffer.from('remote:os/debian/amd64'),
        damage: textDamage(['^', 'a:b:c', 'HEAD', 'refs/heads/os/main', '.hidden']),
        async read(bytes, probe) {
          const name = bytes.toString();
          await look(sample.repo, name, probe);
          await sample.repo.setRef('os/main', sample.commit);
        },
      },
      {
        name: 'file',
        bytes: Buffer.from('debian'),
        damage: textDamage(['^', ':', '.lock', '-x']),
        async read(bytes, probe) {
          const file = path.join(
            place,
            bytes.toString('latin1').replace(/[/\0]/g, '_').slice(0, 200),
          );
          if (/\/\.{0,2}$|heads$/.test(file) || file === path.join(place, 'os')) return;
          await writeFile(file, `${sample.commit}\n`);
          await using repo = await Repo.open(sample.repo.path);
          await look(repo, path.basename(file), probe);
          await rm(file, { force: true });
          await rm(path.join(place, 'alias'), { recursive: true, force: true });
          await sample.repo.setRef('os/main', sample.commit);
        },
      },
    ];
  },
};

export const config: FuzzTarget = {
  runs: 150,
  async prepare(directory) {
    const sample = await sampleRepo(path.join(directory, 'repo'));
    const file = path.join(sample.repo.path, 'config');
    const text = `[core]
repo_version=1
mode=archive
fsync=false
min-free-space-size=1MB
tmp-expiry-secs=86400
locking=true
lock-timeout-secs=5
add-remotes-config-dir=true
payload-link-threshold=1
collection-id=org.example.Os
default-repo-finders=config;mount
auto-update-summary=true
commit-update-summary=false
parent=${path.join(directory, 'none')}

[archive]
zlib-level=6

[fsverity]
required=no

[ex-integrity]
composefs=no

[remote "origin"]
url=file://${directory}/repo
gpg-verify=false
sign-verify=ed25519
verification-ed25519-key=AAAA
branches=os/main;os/other;
`.replace(/^parent.*\n/m, '');
    return [
      {
        name: 'config',
        bytes: Buffer.from(text),
        damage: textDamage([
          'bare',
          'bare-split-xattrs',
          'archive-z2',
          '10%',
          '5GB',
          '/',
          '[remote ""]',
          '[remote "a/b"]',
          '[core]',
          'parent=/',
        ]),
        read: (bytes, probe) =>
          inPlace(file, bytes, async () => {
            const repo = await probe.call('open', () => Repo.open(sample.repo.path));
            if (!repo) return;
            await probe.call('mode', () => repo.mode);
            await probe.call('read', () => repo.config.read());
            await probe.call('text', () => repo.config.text());
            await probe.call('remotes', async () => {
              for (const name of await repo.remotes.list()) {
                await probe.call('remotes.get', () => repo.remotes.get(name));
                await probe.call('gpgVerification', () => repo.remotes.gpgVerification(name));
                await probe.call('keys', () => repo.remotes.keys(name));
                await probe.call('pull', () =>
                  repo.pull(name, { refs: ['os/main'], networkRetries: 0 }),
                );
                await probe.call('verify', () => repo.verify('os/main', { remote: name }));
              }
            });
            await probe.call('getId', () => repo.collections.getId());
            await probe.call('loadCommit', () => repo.loadCommit('os/main'));
            await probe.call('lock', () =>
              repo.withLock('shared', { timeout: 50 }, async () => {}),
            );
            await probe.call('write', () =>
              repo.config.write({ core: { 'tmp-expiry-secs': '1' } }),
            );
            await probe.call('reload', () => repo.config.reload());
            await probe.call('transaction', () =>
              repo.transaction((t) => t.writeRegularFile(Buffer.from('content'))),
            );
            await probe.call('prune', () => repo.prune({ dryRun: true, timeout: 50 }));
            await probe.call('summary', () => repo.summary.regenerate());
            await probe.call('deltas', () => repo.deltas.generate(sample.commit));
            repo.close();
          }),
      },
    ];
  },
};

export const detached: FuzzTarget = {
  runs: 150,
  async prepare(directory) {
    const sample = await sampleRepo(path.join(directory, 'repo'));
    const { repo, commit } = sample;
    await repo.remotes.add('origin', 'file:///nowhere', { gpgVerify: true });
    await repo.writeDetachedMetadata(commit, {
      'ostree.gpgsigs': variant('aay', [Buffer.from('not a signature'), Buffer.alloc(0)]),
      'ostree.sign.ed25519': variant('aay', [Buffer.alloc(64, 7)]),
      'test.other': variant('(sa{sv})', ['x', { y: variant('u', 7) }]),
    });
    const file = path.join(
      repo.path,
      'objects',
      commit.slice(0, 2),
      `${commit.slice(2)}.commitmeta`,
    );
    const publicKeys = [Buffer.alloc(32, 9).toString('base64')];
    return [
      {
        name: 'commitmeta',
        bytes: await readFile(file),
        damage: binaryDamage(['aay', 'ay', 's', 'ostree.gpgsigs', 'ostree.sign.ed25519', 'a{sv}']),
        read: (bytes, probe) =>
          inPlace(file, bytes, async () => {
            await probe.call('read', () => repo.readDetachedMetadata(commit));
            await probe.call('verifyGpg', () => repo.signatures.verifyGpg(commit));
            await probe.call('removeGpg', () =>
              repo.signatures.removeGpg(commit, ['A'.repeat(40)]),
            );
            await probe.call('verify', () =>
              repo.signatures.verify(commit, { engine: 'ed25519', publicKeys }),
            );
            await probe.call('remove', () =>
              repo.signatures.remove(commit, { engine: 'ed25519', publicKeys }),
            );
            await probe.call('accepted', () => repo.verify(commit, { remote: 'origin' }));
            await probe.call('pullLocal', () =>
              withFresh(path.join(directory, 'pulled'), async (fresh) => {
                await fresh.pullLocal(repo.path, { refs: ['os/main'] });
              }),
            );
            await probe.call('append', () =>
              repo.signatures.appendGpg(commit, bytes.subarray(0, 50)),
            );
            await probe.call('fsck', () => repo.fsck());
          }),
      },
      {
        name: 'key',
        bytes: Buffer.concat([Buffer.from([0x99, 0x01, 0x0d, 0x04]), Buffer.alloc(120, 5)]),
        damage: binaryDamage(['-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n']),
        async read(bytes, probe) {
          await probe.call('importKeys', () => repo.remotes.importKeys('origin', bytes));
          await probe.call('verifyDataGpg', () =>
            repo.signatures.verifyDataGpg(Buffer.from('data'), bytes, { remote: 'origin' }),
          );
        },
      },
    ];
  },
};
