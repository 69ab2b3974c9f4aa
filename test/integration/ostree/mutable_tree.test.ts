import { readdir, readlink } from 'node:fs/promises';
import { MutableTree, Repo, type TreeEdit } from 'apt-ostree/ostree';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commitEdits, someEdits } from '../../support/ostree.js';
import { temporaryDirectory } from '../../support/temp.js';
import { Turns, watchedBytes } from '../../support/turns.js';

const scratch = await temporaryDirectory('tree');
let repo: Repo;
let base: string;
beforeAll(async () => {
  repo = await Repo.create(scratch.join('repo'), 'bare-user');
  base = await commitEdits(repo, 'base', someEdits);
});
afterAll(async () => {
  repo.close();
  await scratch.remove();
});

/** Paths of a tree after edits of the base. */
async function edited(...edits: Parameters<MutableTree['apply']>[1]): Promise<string[]> {
  const { result } = await repo.transaction(async () => {
    const tree = await MutableTree.fromCommit(repo, base);
    await tree.apply(repo, edits);
    const entries = await tree.list(repo, '/', { recursive: true });
    return entries.map((entry) => entry.path).sort();
  });
  return result;
}

const all = [
  '/bin',
  '/etc',
  '/etc/empty',
  '/etc/hostname',
  '/srv',
  '/usr',
  '/usr/bin',
  '/usr/bin/tool',
  '/usr/share',
  '/usr/share/doc',
  '/usr/share/doc/ünï code',
];
const without = (...gone: string[]) => all.filter((path) => !gone.includes(path));

test('a tree of a commit lists like the commit, before and after a change', async () => {
  const tree = await MutableTree.fromCommit(repo, 'base');
  const listed = await repo.list('base', '/', { recursive: true });
  expect(await tree.list(repo, '/', { recursive: true })).toEqual(listed);
  await repo.transaction(() => tree.apply(repo, [{ op: 'mkdir', path: '/usr/share/doc/new' }]));
  const after = await tree.list(repo, '/', { recursive: true });
  expect(after.map((entry) => entry.path).sort()).toEqual([...all, '/usr/share/doc/new'].sort());
});

describe('edits', () => {
  test('remove', async () => {
    expect(await edited({ op: 'remove', path: '/etc' })).toEqual(
      without('/etc', '/etc/empty', '/etc/hostname'),
    );
    expect(await edited({ op: 'remove', path: '/x/y', allowMissing: true })).toEqual(all);
    await expect(edited({ op: 'remove', path: '/x/y' })).rejects.toMatchObject({
      code: 'ENOENT',
      path: '/x/y',
    });
  });

  test('move a directory, keeping its objects', async () => {
    expect(await edited({ op: 'move', from: '/usr/share', to: '/opt/share' })).toEqual(
      [
        ...without('/usr/share', '/usr/share/doc', '/usr/share/doc/ünï code'),
        '/opt',
        '/opt/share',
        '/opt/share/doc',
        '/opt/share/doc/ünï code',
      ].sort(),
    );
    const moved = await commitEdits(repo, 'moved', [{ op: 'move', from: '/srv', to: '/srv2' }], {
      base,
    });
    expect(await repo.stat(moved, '/srv2')).toEqual({
      ...(await repo.stat(base, '/srv')),
      path: '/srv2',
    });
  });

  test('move over what exists, onto a parent, not below itself', async () => {
    expect(await edited({ op: 'move', from: '/usr/bin', to: '/bin' })).toEqual(
      [...without('/usr/bin', '/usr/bin/tool'), '/bin/tool'].sort(),
    );
    expect(await edited({ op: 'move', from: '/usr/bin/tool', to: '/usr' })).toEqual(
      all.filter((path) => !path.startsWith('/usr/')),
    );
    expect(await edited({ op: 'move', from: '/usr/share/doc', to: '/usr' })).toEqual(
      [...all.filter((path) => !path.startsWith('/usr/')), '/usr/ünï code'].sort(),
    );
    expect(await edited({ op: 'move', from: '/usr', to: '/usr' })).toEqual(all);
    expect(await edited({ op: 'move', from: '/none', to: '/x', allowMissing: true })).toEqual(all);
    await expect(edited({ op: 'move', from: '/usr', to: '/usr/bin/x' })).rejects.toMatchObject({
      code: 'EINVAL',
    });
    await expect(
      edited({ op: 'move', from: '/usr/bin', to: '/etc/hostname/x' }),
    ).rejects.toMatchObject({ code: 'ENOTDIR' });
  });

  test('links and directories in each other’s place', async () => {
    expect(await edited({ op: 'symlink', path: '/usr/share', target: 'elsewhere' })).toEqual(
      without('/usr/share/doc', '/usr/share/doc/ünï code'),
    );
    await expect(edited({ op: 'file', path: '/usr', content: '' })).rejects.toMatchObject({
      code: 'EISDIR',
    });
    await expect(edited({ op: 'mkdir', path: '/bin' })).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(edited({ op: 'mkdir', path: '/bin/x' })).rejects.toMatchObject({
      code: 'ENOTDIR',
      path: '/bin',
    });
  });

  test('name an object that is there', async () => {
    const { checksum = '' } = await repo.stat(base, '/usr/bin/tool');
    const linked = await commitEdits(repo, 'linked', [{ op: 'link', path: '/t', checksum }], {
      base,
    });
    expect((await repo.readFile(linked, '/t')).toString()).toBe('#!/bin/sh\n');
    await expect(
      edited({ op: 'link', path: '/t', checksum: '0'.repeat(64) }),
    ).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test.each(['/../x', '..', '/a//b', '/a/', './a', '/a/./b', 'a\0b'])(
    'refuse the path %j',
    async (path) => {
      await expect(edited({ op: 'mkdir', path })).rejects.toMatchObject({
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_VALUE',
      });
    },
  );
});

test('a repository without owners refuses files that have one', async () => {
  await using plain = await Repo.create(scratch.join('plain'), 'bare-user-only');
  await expect(
    commitEdits(plain, 'test', [{ op: 'file', path: '/a', content: '', uid: 5 }]),
  ).rejects.toMatchObject({ code: 'EINVAL', path: '/a' });
  await commitEdits(plain, 'test', [{ op: 'file', path: '/a', content: 'a' }]);
  expect((await plain.fsck()).errors).toEqual([]);
});

test('a tree may be edited by several calls at once', async () => {
  const { result } = await repo.transaction(async (transaction) => {
    const tree = await MutableTree.fromCommit(repo, base);
    await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        tree.apply(repo, [{ op: 'file', path: `/data/${i % 5}/${i}`, content: `${i}` }]),
      ),
    );
    return transaction.writeTree(tree);
  });
  const tree = await MutableTree.fromChecksums(repo, result);
  expect(await tree.list(repo, '/data', { recursive: true })).toHaveLength(55);
});

describe('a lot at once', () => {
  const kMany = 5000;

  test('edits are taken over in parts, and before any is made', async () => {
    using turns = new Turns();
    const edits = Array.from({ length: kMany }, (_, i) => ({
      op: 'mkdir' as const,
      get path() {
        turns.note(1);
        return `/many/${i}`;
      },
    }));
    await repo.transaction(async () => {
      const tree = MutableTree.create();
      await expect(
        tree.apply(repo, [...edits, { op: 'mkdir', path: '/..' }]),
      ).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
      expect(await tree.list(repo)).toEqual([]);
      await tree.apply(repo, edits);
      expect(await tree.list(repo, '/many')).toHaveLength(kMany);
      await expect(
        tree.apply(repo, [...edits, { op: 'odd' } as unknown as TreeEdit]),
      ).rejects.toThrow(`edits[${kMany}].op`);
      const abort = new AbortController();
      const stopped = tree.apply(repo, edits, { signal: abort.signal });
      abort.abort('enough');
      await expect(stopped).rejects.toMatchObject({ name: 'AbortError', cause: 'enough' });
    });
    expect(turns.most).toBeGreaterThan(0);
    // Each is looked at several times.
    expect(turns.most).toBeLessThan(kMany);
  });

  test('so is large content', async () => {
    const bytes = Buffer.alloc((5 << 20) + 7, 'bytes');
    // Characters of four bytes, at odd places.
    const text = `x${'\u{1f600}'.repeat(1 << 20)}`;
    using turns = new Turns();
    const watched = watchedBytes(bytes, turns);
    const { result } = await repo.transaction(async (transaction) => {
      const tree = MutableTree.create();
      await tree.apply(repo, [
        { op: 'file', path: '/first', content: 'first' },
        { op: 'file', path: '/bytes', content: watched },
        { op: 'file', path: '/text', content: text },
        { op: 'symlink', path: '/last', target: 'first' },
      ]);
      return transaction.writeCommit({ tree: await transaction.writeTree(tree) });
    });
    expect(turns.most).toBe(1 << 20);
    expect((await repo.readFile(result, '/bytes')).equals(bytes)).toBe(true);
    expect((await repo.readFile(result, '/text')).toString()).toBe(text);
    expect(await repo.list(result, '/')).toHaveLength(4);
  });
});

test('a closed tree gives its repository up and refuses work', async () => {
  const other = await Repo.create(scratch.join('closed'), 'bare-user');
  const commit = await commitEdits(other, 'base', someEdits);
  const descriptors = async () => {
    const names = await readdir('/proc/self/fd');
    const targets = await Promise.all(
      names.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => '')),
    );
    return targets.filter((target) => target.startsWith(other.path)).length;
  };
  const tree = await MutableTree.fromCommit(other, commit);
  const listing = tree.list(other, '/', { recursive: true });
  other.close();
  tree.close();
  tree.close();
  await listing.catch(() => {});
  await expect.poll(descriptors).toBe(0);
  await expect(tree.list(repo, '/')).rejects.toMatchObject({ code: 'ERR_CLOSED' });
});
