/** Repositories that a disk has damaged or somebody has made: deep trees, and such without an end. */

import { writeFile } from 'node:fs/promises';
import { variantToBytes } from 'apt-ostree';
import { MutableTree, type Repo, type TreeEdit } from 'apt-ostree/ostree';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  commitOf,
  type DeepTrees,
  deepTrees,
  directoryWith,
  objectFile,
  storeCommit,
} from '../../support/deep-trees.js';
import { commitEdits, ostree } from '../../support/ostree.js';
import { createRepo } from '../../support/repo.js';
import { run } from '../../support/run.js';
import { temporaryDirectory } from '../../support/temp.js';

const scratch = await temporaryDirectory('hostile');
afterAll(() => scratch.remove());
let count = 0;
const fresh = () => createRepo(scratch.join(`repo-${++count}`), 'archive');
const kTooDeep = { code: 'ERR_OSTREE_FAILED', message: expect.stringMatching(/nested more than/) };
const kDamaged = { code: 'ERR_OSTREE_FAILED', message: expect.stringMatching(/damaged/) };

async function exhaust(items: AsyncIterable<unknown>): Promise<void> {
  for await (const item of items) void item;
}

/** Everything that goes through a whole tree. */
const walks: [string, (repo: Repo, rev: string) => Promise<unknown>][] = [
  ['list', (repo, rev) => repo.list(rev, '/', { recursive: true })],
  ['walk', (repo, rev) => exhaust(repo.walk(rev))],
  ['checkout', (repo, rev) => repo.checkout(rev, scratch.join(`out-${++count}`), { mode: 'user' })],
  ['exportArchive', (repo, rev) => repo.exportArchive(rev, scratch.join('out.tar'))],
  ['prune', (repo) => repo.prune({ dryRun: true })],
  ['reachable', (repo) => exhaust(repo.objects.reachable())],
  ['compare', (repo, rev) => repo.objects.compare(rev, rev)],
  ['diff', (repo, rev) => repo.diff('sound', rev)],
  ['diff with a directory', (repo, rev) => repo.diff(rev, { directory: scratch.path })],
  ['deltas.generate', (repo, rev) => repo.deltas.generate(rev)],
  ['commit of a layer', (repo, rev) => repo.commit({ trees: [{ commit: rev }] })],
  [
    'commit of a changed layer',
    (repo, rev) => repo.commit({ trees: [{ commit: rev, skip: ['/x'] }] }),
  ],
  [
    'fromCommit',
    async (repo, rev) => {
      using tree = await MutableTree.fromCommit(repo, rev);
      await tree.list(repo, '/', { recursive: true });
    },
  ],
  [
    'pullLocal',
    async (repo) => {
      await using target = await fresh();
      await target.pullLocal(repo.path, { refs: ['bad'] });
    },
  ],
];

describe('a tree that is deeper than a stack', () => {
  let repo: Repo;
  let trees: DeepTrees;
  let rev: string;
  beforeAll(async () => {
    repo = await fresh();
    await commitEdits(repo, 'sound', [{ op: 'file', path: '/file', content: '' }]);
    trees = await deepTrees(repo, 10_000);
    rev = await storeCommit(repo, commitOf(trees.contents.at(-1) ?? '', trees.metadata));
    await repo.setRef('bad', rev);
    return () => repo.close();
  });

  test.each(walks)('%s', async (_name, walk) => {
    await expect(walk(repo, rev)).rejects.toMatchObject(kTooDeep);
  });

  test('fsck has no complaint', async () => {
    expect(await repo.fsck()).toMatchObject({ ok: true });
  });
});

test('a tree that is as deep as may be', async () => {
  await using repo = await fresh();
  await commitEdits(repo, 'sound', [{ op: 'file', path: '/file', content: '' }]);
  const { contents, metadata } = await deepTrees(repo, 501);
  const rev = await storeCommit(repo, commitOf(contents[500] ?? '', metadata));
  await repo.setRef('bad', rev);
  for (const [, walk] of walks) await walk(repo, rev);
  const names = await run('tar', ['-tf', scratch.join('out.tar')]);
  expect(names.stdout.trimEnd().split('\n')).toHaveLength(501);
  const deeper = await storeCommit(repo, commitOf(contents[501] ?? '', metadata));
  await expect(repo.exportArchive(deeper, scratch.join('out.tar'))).rejects.toMatchObject(kTooDeep);
});

describe('directories that would be too deep are refused', () => {
  const deep = (levels: number) => '/d'.repeat(levels);
  let repo: Repo;
  beforeAll(async () => {
    repo = await fresh();
    return () => repo.close();
  });

  test.each<[string, TreeEdit]>([
    ['mkdir', { op: 'mkdir', path: deep(501) }],
    ['mkdir', { op: 'mkdir', path: deep(60_000) }],
    ['mkdir', { op: 'mkdir', path: `/${'n'.repeat(4096)}` }],
    ['file', { op: 'file', path: deep(60_000), content: '' }],
    ['symlink', { op: 'symlink', path: deep(60_000), target: 'x' }],
    ['move', { op: 'move', from: '/a', to: deep(60_000) }],
  ])('%s: a TypeError', async (_name, edit) => {
    await expect(commitEdits(repo, 'x', [edit])).rejects.toMatchObject({
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_VALUE',
    });
  });

  test('by moving, too', async () => {
    await expect(
      commitEdits(repo, 'x', [
        { op: 'mkdir', path: `/a${deep(300)}` },
        { op: 'move', from: '/a', to: `/b${deep(300)}` },
      ]),
    ).rejects.toMatchObject(kTooDeep);
    await commitEdits(repo, 'x', [
      { op: 'mkdir', path: `/a${deep(200)}` },
      { op: 'move', from: '/a', to: `/b${deep(299)}` },
    ]);
    expect(await repo.list('x', '/', { recursive: true })).toHaveLength(500);
  });

  test('as prefix, and below one', async () => {
    await commitEdits(repo, 'layer', [{ op: 'mkdir', path: deep(300) }]);
    await run('sh', ['-ec', `mkdir -p ${scratch.join('disk')}${deep(300)}`]);
    await run('tar', ['-cf', scratch.join('disk.tar'), '-C', scratch.join('disk'), '.']);
    const sources = [
      { commit: 'layer' },
      { commit: 'layer', skip: ['/x'] },
      { directory: scratch.join('disk') },
      // By libostree.
      { directory: scratch.join('disk'), generateSizes: true },
      { archive: scratch.join('disk.tar') },
    ];
    for (const source of sources) {
      const commit = (prefix: string) => repo.commit({ trees: [{ ...source, prefix }] });
      await commit(deep(200));
      await expect(commit(deep(201))).rejects.toMatchObject(kTooDeep);
      await expect(commit(deep(60_000))).rejects.toBeInstanceOf(TypeError);
    }
  });

  test('in archives', async () => {
    const python = `
import io, sys, tarfile
with tarfile.open(sys.argv[1], 'w', format=tarfile.PAX_FORMAT) as tar:
  entry = tarfile.TarInfo('d/' * 1500 + 'file')
  tar.addfile(entry, io.BytesIO())`;
    await run('python3', ['-c', python, scratch.join('deep.tar')]);
    await expect(
      repo.commit({ trees: [{ archive: scratch.join('deep.tar') }] }),
    ).rejects.toMatchObject(kTooDeep);
  });
});

describe('a directory that holds itself', () => {
  let repo: Repo;
  let rev: string;
  beforeAll(async () => {
    repo = await fresh();
    await commitEdits(repo, 'sound', [{ op: 'file', path: '/file', content: '' }]);
    const { contents, metadata } = await deepTrees(repo, 2);
    const [, , root = ''] = contents;
    rev = await storeCommit(repo, commitOf(root, metadata));
    await repo.setRef('bad', rev);
    // Of the directory at the bottom, which is then its own grandparent.
    const [bottom = ''] = contents;
    await writeFile(
      objectFile(repo, 'dirtree', bottom),
      variantToBytes(directoryWith(root, metadata)),
    );
    return () => repo.close();
  });

  test.each(walks)('%s', async (_name, walk) => {
    await expect(walk(repo, rev)).rejects.toMatchObject(kDamaged);
  });

  test('fsck finds it, as the command does', async () => {
    expect(await repo.fsck()).toMatchObject({ ok: false });
    await expect(ostree('fsck', `--repo=${repo.path}`)).rejects.toThrow();
  });
});

test('a commit that is its own parent', async () => {
  await using repo = await fresh();
  const checksum = await commitEdits(repo, 'x', [{ op: 'mkdir', path: '/a' }]);
  const { contents, metadataChecksum } = await repo.loadCommit('x');
  await writeFile(
    objectFile(repo, 'commit', checksum),
    variantToBytes(commitOf(contents, metadataChecksum, checksum)),
  );
  for (const call of [
    () => exhaust(repo.log('x')),
    () => repo.prune({ keepYoungerThan: new Date(1) }),
    () => repo.prune({ refsOnly: true, depth: -1 }),
    () => repo.prune({ retainBranchDepth: { x: -1 } }),
    () => exhaust(repo.objects.reachable({ depth: -1 })),
  ]) {
    await expect(call()).rejects.toMatchObject(kDamaged);
  }
});
