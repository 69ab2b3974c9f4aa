/** `ostree fsck` and `repo.fsck` on copies of one damaged repository: the same verdict and state. */

import { rm, writeFile } from 'node:fs/promises';
import { type FsckOptions, Repo } from 'apt-ostree/ostree';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commitEdits, someEdits } from '../../support/ostree.js';
import { createRepo } from '../../support/repo.js';
import { copyRepo, ostreeOn, repoFiles } from '../../support/repo-copies.js';
import { temporaryDirectory } from '../../support/temp.js';

const scratch = await temporaryDirectory('fsck');
afterAll(() => scratch.remove());
let count = 0;
const masters: Record<string, string> = {};
let one: string;
let two: string;
let file: string;
let directory: string;

const bound = (...refs: string[]) => ({ 'ostree.ref-binding': { type: 'as', value: refs } });

beforeAll(async () => {
  for (const mode of ['bare-user', 'archive']) {
    const path = scratch.join(mode);
    masters[mode] = path;
    await using repo = await createRepo(path, mode);
    const edits = [...someEdits, { op: 'file', path: '/srv/data/file', content: 'data' }] as const;
    one = await commitEdits(repo, 'main', edits, { metadata: bound('main') });
    two = await commitEdits(repo, 'main', [{ op: 'file', path: '/new', content: 'new' }], {
      base: one,
      parent: one,
      metadata: bound('main'),
    });
    file = (await repo.stat(one, '/etc/hostname')).checksum ?? '';
    directory = (await repo.stat(one, '/srv/data')).checksum ?? '';
  }
});

const object = (repo: string, checksum: string, type: string) =>
  `${repo}/objects/${checksum.slice(0, 2)}/${checksum.slice(2)}.${type}`;

/** Damages both copies alike, checks them both, and compares what is left. */
async function both(
  mode: string,
  damage: (repo: string) => Promise<unknown>,
  args: string[],
  options: FsckOptions,
) {
  const theirs = await copyRepo(masters[mode] ?? '', scratch.join(`theirs-${++count}`));
  const ours = await copyRepo(masters[mode] ?? '', scratch.join(`ours-${count}`));
  await damage(theirs);
  await damage(ours);
  const command = await ostreeOn(theirs, 'fsck', ...args);
  await using repo = await Repo.open(ours);
  const result = await repo.fsck(options);
  expect(result.ok, command.stdout + command.stderr).toBe(command.status === 0);
  expect(await repoFiles(ours)).toEqual(await repoFiles(theirs));
  // And once more, with what is left.
  const again = await ostreeOn(ours, 'fsck', '--all');
  expect((await repo.fsck()).ok).toBe(again.status === 0);
  return { result, command, repo: ours };
}

describe.each(['bare-user', 'archive'])('%s', (mode) => {
  const suffix = mode === 'archive' ? 'filez' : 'file';
  // An archive's content begins with the size of its header: garbage there is no object at all.
  const spoil = async (repo: string) => {
    const path = object(repo, file, suffix);
    if (mode === 'archive') {
      const other = await copyRepo(path, `${repo}/spare`);
      await rm(path);
      await ostreeOn(repo, 'ls', 'main');
      const { stdout } = await ostreeOn(repo, 'ls -C', 'main', '/usr/bin/tool');
      const another = stdout.split(/\s+/).find((word) => /^[0-9a-f]{64}$/.test(word)) ?? '';
      await rm(other);
      await copyRepo(object(repo, another, suffix), path);
    } else {
      await writeFile(path, 'other\n');
    }
  };

  test('a whole repository', async () => {
    const { result } = await both(mode, async () => {}, [], {});
    expect(result).toMatchObject({ commits: 2, errors: [], partial: [], markedPartial: [] });
  });

  test('a damaged file, kept', async () => {
    const { result } = await both(mode, spoil, ['--all'], {});
    expect(result.errors).toEqual([
      {
        kind: 'corrupt',
        object: `${file}.file`,
        message: expect.any(String),
        commits: expect.arrayContaining([one, two]),
        deleted: false,
      },
    ]);
    expect(result.markedPartial).toEqual([]);
  });

  test('a damaged file, removed', async () => {
    const { result, command } = await both(mode, spoil, ['--delete', '--all'], { delete: true });
    expect(result.errors).toMatchObject([{ kind: 'corrupt', deleted: true }]);
    expect(result.markedPartial.sort()).toEqual([one, two].sort());
    expect(command.stderr).toContain('Marking commit as partial');
  });

  test('a missing file', async () => {
    const remove = (repo: string) => rm(object(repo, file, suffix));
    const { result, repo: path } = await both(mode, remove, [], {});
    expect(result.errors).toMatchObject([{ kind: 'missing', object: `${file}.file` }]);
    await using repo = await Repo.open(path);
    expect(await repo.fsck()).toMatchObject({
      ok: false,
      errors: [],
      partialCommits: 2,
      partial: expect.arrayContaining([{ commit: one, reason: 'fsck' }]),
    });
    expect(await repo.loadCommit(one)).toMatchObject({ partial: true, partialReason: 'fsck' });
    await repo.markCommitPartial(one, false);
    await repo.markCommitPartial(two, false);
    expect(await repo.loadCommit(one)).toMatchObject({ partial: false });
    await repo.markCommitPartial(two);
    expect(await repo.loadCommit(two)).toMatchObject({ partialReason: 'incomplete' });
    await expect(repo.markCommitPartial('0'.repeat(64))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('a missing parent: tombstones', async () => {
    const remove = (repo: string) => rm(object(repo, one, 'commit'));
    const { result } = await both(mode, remove, ['--add-tombstones'], { addTombstones: true });
    expect(result.tombstones).toEqual([two]);
  });
});

test('missing directories are found too, where the command gives up', async () => {
  const copy = await copyRepo(masters.archive ?? '', scratch.join('directories'));
  await rm(object(copy, directory, 'dirtree'));
  expect((await ostreeOn(copy, 'fsck')).status).not.toBe(0);
  await using repo = await Repo.open(copy);
  const { errors, markedPartial } = await repo.fsck();
  expect(errors).toMatchObject([{ kind: 'missing', object: `${directory}.dirtree` }]);
  expect(markedPartial.sort()).toEqual([one, two].sort());
});

test('refs and what commits are bound to', async () => {
  const rename = (repo: string) => ostreeOn(repo, 'refs', `--create=other`, 'main');
  const { result } = await both('archive', rename, ['--verify-bindings'], {
    verifyBindings: true,
  });
  expect(result.errors).toMatchObject([{ kind: 'binding', ref: 'other' }]);
  expect((await both('archive', rename, [], {})).result.ok).toBe(true);

  const back = await both('archive', async () => {}, ['--verify-back-refs'], {
    verifyBackRefs: true,
  });
  // The first commit is bound to the ref that names the second by now.
  expect(back.result.errors).toMatchObject([{ kind: 'back-ref', ref: 'main' }]);
  const mirror = (repo: string) =>
    ostreeOn(repo, 'refs', '--collections', '--create=org.example.Os:main', 'main');
  const collection = await both('archive', mirror, ['--verify-bindings'], { verifyBindings: true });
  expect(collection.result.errors).toMatchObject([
    { kind: 'binding', ref: 'main', collectionId: 'org.example.Os' },
  ]);
  const bad = await both(
    'archive',
    (repo) => writeFile(`${repo}/refs/heads/bad`, `${'0'.repeat(64)}\n`),
    ['--all'],
    {},
  );
  expect(bad.result.errors).toMatchObject([{ kind: 'missing', ref: 'bad' }]);
});

test.each<[string, (repo: string) => Promise<unknown>, FsckOptions]>([
  [
    'a wrong binding',
    (repo) => ostreeOn(repo, 'refs', '--create=other', 'main'),
    { verifyBindings: true },
  ],
  ['a binding without its ref', async () => {}, { verifyBackRefs: true }],
  ['a missing commit', (repo) => writeFile(`${repo}/refs/heads/bad`, `${'0'.repeat(64)}\n`), {}],
])('%s and a missing file: all is told, nothing changed', async (_name, damage, options) => {
  const { result } = await both(
    'archive',
    async (repo) => {
      await damage(repo);
      await rm(object(repo, file, 'filez'));
    },
    [
      '--all',
      '--delete',
      ...(options.verifyBindings ? ['--verify-bindings'] : []),
      ...(options.verifyBackRefs ? ['--verify-back-refs'] : []),
    ],
    { ...options, delete: true },
  );
  expect(result.errors).toHaveLength(2);
  expect(result.errors[1]).toMatchObject({ kind: 'missing', object: `${file}.file` });
  expect(result.markedPartial).toEqual([]);
});

test('objects beside commits, an early end, an abort', async () => {
  const copy = await copyRepo(masters['bare-user'] ?? '', scratch.join('beside'));
  await using repo = await Repo.open(copy);
  await commitEdits(repo, 'lone', [{ op: 'file', path: '/lone', content: 'lone' }]);
  const lone = (await repo.stat('lone', '/lone')).checksum ?? '';
  await rm(object(copy, await repo.resolveRev('lone'), 'commit'));
  await repo.setRef('lone', null);
  await writeFile(object(copy, lone, 'file'), 'spoilt');
  expect(await repo.fsck()).toMatchObject({ ok: true });
  expect((await repo.fsck({ unreachable: true })).errors).toMatchObject([
    { object: `${lone}.file`, commits: [] },
  ]);
  await writeFile(object(copy, file, 'file'), 'spoilt');
  expect((await repo.fsck({ all: false, unreachable: true })).errorCount).toBeGreaterThan(0);
  await expect(repo.fsck({ signal: AbortSignal.abort('no') })).rejects.toMatchObject({
    name: 'AbortError',
  });
  await repo.transaction(async () => {
    expect((await repo.fsck()).errorCount).toBe(1);
    await expect(repo.fsck({ delete: true })).rejects.toMatchObject({ code: 'ERR_BUSY' });
  });
});
