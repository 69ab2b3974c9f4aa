/** Single objects: listing, loading, reachability, sizes, copies and names. */

import { createHash } from 'node:crypto';
import { link, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import {
  breakHardlink,
  checksumFile,
  checksumFromBase64,
  checksumFromBytes,
  checksumToBase64,
  checksumToBytes,
  formatObjectName,
  type ObjectName,
  parseObject,
  parseObjectName,
  Repo,
  type RepoMode,
} from 'apt-ostree/ostree';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeDiskTree } from '../../support/disk-tree.js';
import { commitEdits, ostree, someEdits } from '../../support/ostree.js';
import { createRepo } from '../../support/repo.js';
import { run } from '../../support/run.js';
import { temporaryDirectory } from '../../support/temp.js';

const scratch = await temporaryDirectory('objects');
afterAll(() => scratch.remove());
const source = scratch.join('source');
let count = 0;
const fresh = (mode: RepoMode = 'bare-user') => createRepo(scratch.join(`repo-${++count}`), mode);
beforeAll(() => makeDiskTree(source));

/** A repository with two commits of the command. */
async function filled(mode: RepoMode): Promise<{ repo: Repo; first: string; second: string }> {
  const repo = await fresh(mode);
  const commit = (...flags: string[]) =>
    ostree('commit', `--repo=${repo.path}`, '--branch=test', `--tree=dir=${source}`, ...flags);
  const first = await commit();
  const second = await commit('--owner-uid=5', '--generate-sizes', '--subject=Second');
  return { repo, first, second };
}

async function names(objects: AsyncIterable<ObjectName>): Promise<string[]> {
  const list: string[] = [];
  for await (const name of objects) list.push(formatObjectName(name));
  return list;
}

/** Names of the files below `objects`. */
async function stored(repo: Repo): Promise<string[]> {
  const files: string[] = [];
  for (const start of await readdir(`${repo.path}/objects`)) {
    for (const rest of await readdir(`${repo.path}/objects/${start}`)) files.push(start + rest);
  }
  return files.map((name) => name.replace(/\.filez$/, '.file')).sort();
}

describe.each<RepoMode>(['bare-user', 'archive'])('in mode %s', (mode) => {
  test('every stored object is listed, all or by type and prefix', async () => {
    const { repo, first, second } = await filled(mode);
    await using _ = repo;
    const files = await stored(repo);
    const all = await names(repo.objects.list());
    expect(all).toEqual(files.filter((name) => !name.endsWith('.commitmeta')));
    const commits = await names(repo.objects.list({ types: ['commit'] }));
    expect(commits).toEqual([`${first}.commit`, `${second}.commit`].sort());
    for (const prefix of ['', first[0], first.slice(0, 5), first] as string[]) {
      const found = await names(repo.objects.list({ types: ['commit', 'file'], prefix }));
      expect(found).toEqual(
        all.filter((name) => name.startsWith(prefix) && /commit|file/.test(name)),
      );
    }
  });

  test('what commits reach is what fsck and prune count', async () => {
    const { repo, first, second } = await filled(mode);
    await using _ = repo;
    const reached = await names(repo.objects.reachable({ depth: -1 }));
    expect([...reached].sort()).toEqual(await names(repo.objects.list()));
    expect((await repo.fsck()).objects).toBe(reached.length);
    const ofFirst = await names(repo.objects.reachable({ from: first }));
    expect(ofFirst).toContain(`${first}.commit`);
    expect(ofFirst).not.toContain(`${second}.commit`);
    const history = repo.objects.reachable({ from: ['test'], depth: 1, commitOnly: true });
    expect((await names(history)).sort()).toEqual([`${first}.commit`, `${second}.commit`].sort());
    const entry = await repo.stat(first, '/etc/hostname');
    for await (const object of repo.objects.reachable({ depth: -1, commits: true })) {
      if (object.checksum === entry.checksum) expect(object.commits).toEqual([first]);
      if (object.type === 'commit') expect(object.commits).toEqual([object.checksum]);
      const name = formatObjectName(object);
      expect(object.commits?.includes(first)).toBe(ofFirst.includes(name));
      if (!ofFirst.includes(name)) expect(object.commits).toEqual([second]);
    }
  });

  test('statistics are those of `ostree diff --stats`', async () => {
    const { repo, first, second } = await filled(mode);
    await using _ = repo;
    const theirs = await ostree('diff', `--repo=${repo.path}`, '--stats', first, second);
    const { from, to, common } = await repo.objects.compare(first, second);
    expect(theirs).toMatch(new RegExp(`^\\[A\\] Object Count: ${from}$`, 'm'));
    expect(theirs).toMatch(new RegExp(`^\\[B\\] Object Count: ${to}$`, 'm'));
    expect(theirs).toMatch(new RegExp(`^Common Object Count: ${common}$`, 'm'));
    const same = await repo.objects.compare(first, first);
    expect(same).toEqual({ from, to: from, common: from, newBytes: 0 });
  });

  test('the bytes of every object have its checksum', async () => {
    const { repo } = await filled(mode);
    await using _ = repo;
    for await (const { type, checksum } of repo.objects.list()) {
      const hash = createHash('sha256');
      const stream = repo.objects.createReadStream(type as 'file', checksum);
      for await (const chunk of stream) hash.update(chunk);
      expect(hash.digest('hex')).toBe(checksum);
      const suffix = type === 'file' && mode === 'archive' ? 'filez' : type;
      const path = `${repo.path}/objects/${checksum.slice(0, 2)}/${checksum.slice(2)}.${suffix}`;
      expect(await repo.objects.storageSize(type, checksum)).toBe((await stat(path)).size);
    }
  });

  test('objects say what the tree says', async () => {
    const { repo, second } = await filled(mode);
    await using _ = repo;
    const commit = await repo.objects.load('commit', second);
    const { checksum: _checksum, partial: _partial, ...same } = await repo.loadCommit(second);
    expect(commit).toEqual(same);
    const root = await repo.objects.load('dirtree', commit.contents);
    const entries = await repo.list(second, '/', { xattrs: true });
    expect([...root.files, ...root.directories].map(({ name }) => `/${name}`)).toEqual(
      entries.map(({ path }) => path),
    );
    const usr = entries.find(({ path }) => path === '/usr');
    const { uid, gid, mode: bits, xattrs } = usr as NonNullable<typeof usr>;
    const metadata = root.directories.find(({ name }) => name === 'usr')?.metadataChecksum ?? '';
    expect(await repo.objects.load('dirmeta', metadata)).toEqual({ uid, gid, mode: bits, xattrs });
    const bin = entries.find(({ path }) => path === '/bin');
    expect(await repo.objects.load('file', bin?.checksum ?? '')).toMatchObject({
      type: 'symlink',
      target: 'usr/bin',
      uid: 5,
    });
    const path = `${repo.path}/objects/${second.slice(0, 2)}/${second.slice(2)}.commit`;
    expect(parseObject('commit', await readFile(path))).toEqual(commit);
  });
});

test('sizes that a commit was made with', async () => {
  const { repo, first, second } = await filled('archive');
  await using _ = repo;
  expect(await repo.objects.commitSizes(first)).toBeUndefined();
  const sizes = (await repo.objects.commitSizes(second)) ?? [];
  const reached = await names(repo.objects.reachable({ from: second }));
  expect(sizes.map(formatObjectName).sort()).toEqual(
    reached.filter((name) => !name.endsWith('.commit')).sort(),
  );
  const theirs = await ostree('show', `--repo=${repo.path}`, '--print-sizes', second);
  expect(theirs).toContain(`(needed/total): 0/${sizes.length}`);
  const big = await repo.stat(second, '/usr/bin/big');
  const entry = sizes.find(({ checksum }) => checksum === big.checksum);
  expect(entry?.unpacked).toBe(700_001);
  expect(entry?.archived).toBe(await repo.objects.storageSize('file', big.checksum ?? ''));
});

test('parent repositories are listed unless one does not want them', async () => {
  await using parent = await fresh();
  const commit = await commitEdits(parent, 'test', someEdits);
  await using child = await fresh();
  await ostree('config', `--repo=${child.path}`, 'set', 'core.parent', parent.path);
  await using repo = await Repo.open(child.path);
  expect(await names(repo.objects.list())).toEqual(await names(parent.objects.list()));
  expect(await names(repo.objects.list({ parents: false }))).toEqual([]);
  expect(await repo.objects.has('commit', commit)).toBe(true);
});

describe('copies', () => {
  test('of objects make a commit that the command accepts', async () => {
    const { repo: from, second } = await filled('bare-user');
    await using _ = from;
    await using to = await fresh('archive');
    const copy = async (trusted: boolean) => {
      for await (const { type, checksum } of from.objects.reachable({ from: second })) {
        await to.objects.importFrom(from, type as 'file', checksum, { trusted });
      }
    };
    await expect(copy(false)).rejects.toMatchObject({ code: 'ERR_INVALID_STATE' });
    await to.transaction(async (transaction) => {
      await copy(false);
      await transaction.setRef('copied', second);
    });
    await ostree('fsck', `--repo=${to.path}`);
    expect(await to.list('copied', '/', { recursive: true })).toEqual(
      await from.list('test', '/', { recursive: true }),
    );
  });

  test('are checked unless they are trusted', async () => {
    await using from = await fresh();
    await using to = await fresh();
    await commitEdits(from, 'test', someEdits);
    const { checksum = '' } = await from.stat('test', '/etc/hostname');
    const object = `objects/${checksum.slice(0, 2)}/${checksum.slice(2)}.file`;
    await writeFile(`${from.path}/${object}`, 'damaged');
    await to.transaction(async () => {
      await expect(to.objects.importFrom(from, 'file', checksum)).rejects.toMatchObject({
        code: 'ERR_OSTREE_FAILED',
      });
      await to.objects.importFrom(from, 'file', checksum, { trusted: true });
    });
    expect((await stat(`${to.path}/${object}`)).ino).toBe(
      (await stat(`${from.path}/${object}`)).ino,
    );
    const missing = 'a'.repeat(64);
    await to.transaction(() =>
      expect(to.objects.importFrom(from, 'file', missing)).rejects.toMatchObject({
        code: 'ENOENT',
      }),
    );
  });
});

test('deleted objects are gone; a commit can leave a tombstone', async () => {
  await using repo = await fresh();
  const commit = await commitEdits(repo, 'test', someEdits);
  await repo.setRef('test', null);
  await repo.writeConfig({ core: { 'tombstone-commits': 'true' } });
  await using again = await Repo.open(repo.path);
  await again.objects.delete('commit', commit);
  expect(await again.objects.has('commit', commit)).toBe(false);
  expect(await names(again.objects.list({ types: ['tombstone-commit'] }))).toEqual([
    `${commit}.tombstone-commit`,
  ]);
  await expect(again.objects.delete('commit', commit)).rejects.toMatchObject({ code: 'ENOENT' });
  await expect(again.objects.load('commit', commit)).rejects.toMatchObject({ code: 'ENOENT' });
});

describe('bytes that are no object', () => {
  test('are refused', () => {
    // Two empty lists: the only short dirtree there is.
    expect(parseObject('dirtree', new Uint8Array())).toEqual({ files: [], directories: [] });
    fc.assert(
      fc.property(
        fc.constantFrom('commit', 'dirtree', 'dirmeta'),
        fc.uint8Array({ minLength: 3, maxLength: 300 }),
        (type, bytes) => {
          expect(() => parseObject(type, bytes)).toThrow(
            expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }),
          );
        },
      ),
    );
  });

  test('a commit with single bytes changed is read or refused', async () => {
    const { repo, second } = await filled('bare-user');
    await using _ = repo;
    const path = `${repo.path}/objects/${second.slice(0, 2)}/${second.slice(2)}.commit`;
    const good = await readFile(path);
    for (let i = 0; i < good.length; i++) {
      const bad = Buffer.from(good);
      bad[i] = (good[i] as number) ^ (1 << (i % 8));
      try {
        expect(parseObject('commit', bad).contents).toHaveLength(64);
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
      }
    }
  });
});

describe('names', () => {
  const checksum = fc
    .uint8Array({ minLength: 32, maxLength: 32 })
    .map((bytes) => Buffer.from(bytes).toString('hex'));

  test('survive every form', () => {
    fc.assert(
      fc.property(checksum, (sum) => {
        expect(checksumFromBytes(checksumToBytes(sum))).toBe(sum);
        expect(checksumToBase64(sum)).toMatch(/^[A-Za-z0-9+_]{43}$/);
        expect(checksumFromBase64(checksumToBase64(sum))).toBe(sum);
        const name = { checksum: sum, type: 'dirtree' } as const;
        expect(parseObjectName(formatObjectName(name))).toEqual(name);
      }),
    );
  });

  test.each([
    'abc.commit',
    `${'a'.repeat(64)}`,
    `${'a'.repeat(64)}.`,
    `${'a'.repeat(64)}.nothing`,
    `${'a'.repeat(64)}/commit`,
    `${'A'.repeat(64)}.commit`,
    `../../${'a'.repeat(58)}.commit`,
  ])('%s is none', (text) => {
    expect(() => parseObjectName(text)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }),
    );
  });

  test('that are none are refused everywhere', async () => {
    await using repo = await fresh();
    const bad = '../../../../etc/passwd';
    const invalid = { code: 'ERR_INVALID_ARG_VALUE' };
    await expect(repo.objects.has('file', bad)).rejects.toMatchObject(invalid);
    await expect(repo.objects.delete('file', bad)).rejects.toMatchObject(invalid);
    await expect(repo.objects.load('commit', bad)).rejects.toMatchObject(invalid);
    await expect(repo.objects.storageSize('file', bad)).rejects.toMatchObject(invalid);
    expect(() => repo.objects.createReadStream('file', bad)).toThrow(
      expect.objectContaining(invalid),
    );
    expect(() => repo.objects.list({ prefix: '../' })).toThrow(expect.objectContaining(invalid));
    const reached = async () => names(repo.objects.reachable({ from: '../x' }));
    await expect(reached()).rejects.toMatchObject(invalid);
  });
});

describe('files on disk', () => {
  test('have the checksum that the command and a commit give them', async () => {
    await using repo = await fresh();
    await ostree('commit', `--repo=${repo.path}`, '--branch=test', `--tree=dir=${source}`);
    for (const path of ['/etc/hostname', '/usr/bin/tool', '/bin', '/etc/empty', '/usr', '/etc']) {
      const ours = await checksumFile(source + path);
      const { type, checksum, metadataChecksum } = await repo.stat('test', path);
      expect(ours).toBe(type === 'directory' ? metadataChecksum : checksum);
      expect(ours).toBe(await ostree('checksum', source + path));
    }
    const file = `${source}/etc/hostname`;
    expect(await checksumFile(file, { ignoreXattrs: true })).toBe(
      await ostree('checksum', '--ignore-xattrs', file),
    );
    await using canonical = await fresh('bare-user-only');
    const big = `${source}/usr/bin/big`;
    const flags = ['--canonical-permissions', '--no-xattrs', '--branch=test'];
    await ostree('commit', `--repo=${canonical.path}`, ...flags, `--tree=dir=${source}`);
    expect(await checksumFile(big, { canonicalPermissions: true, ignoreXattrs: true })).toBe(
      (await canonical.stat('test', '/usr/bin/big')).checksum,
    );
  });

  test('of other kinds are refused without being opened', async () => {
    const pipe = scratch.join('pipe');
    await run('mkfifo', [pipe]);
    const unsupported = { code: 'ERR_OSTREE_NOT_SUPPORTED' };
    await expect(checksumFile(pipe)).rejects.toMatchObject(unsupported);
    await expect(breakHardlink(pipe)).rejects.toMatchObject(unsupported);
    await expect(checksumFile(scratch.join('no'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('get their own copy', async () => {
    await mkdir(scratch.join('links'));
    const [a, b] = [scratch.join('links/a'), scratch.join('links/b')];
    await writeFile(a, 'content', { mode: 0o640 });
    await link(a, b);
    await breakHardlink(b);
    expect((await stat(a)).nlink).toBe(1);
    await writeFile(b, 'changed');
    expect(await readFile(a, 'utf8')).toBe('content');
    expect((await stat(b)).mode & 0o777).toBe(0o640);
    await symlink('a', scratch.join('links/c'));
    await link(scratch.join('links/c'), scratch.join('links/d'));
    await breakHardlink(scratch.join('links/d'));
    expect((await stat(scratch.join('links/c'))).ino).toBe((await stat(a)).ino);
  });
});
