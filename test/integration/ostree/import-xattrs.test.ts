/** Rules for extended attributes give what the `ostree` command makes of a tree that has them. */

import { chmod, chown, lchown, mkdir, symlink, writeFile } from 'node:fs/promises';
import {
  type ImportOptions,
  type ImportResult,
  MutableTree,
  Repo,
  type RepoMode,
  type Transaction,
  type WriteDirectoryOptions,
  type XattrRule,
} from 'apt-ostree/ostree';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { setAttributes } from '../../support/nasty-tree.js';
import { ostree } from '../../support/ostree.js';
import { createRepo } from '../../support/repo.js';
import { run } from '../../support/run.js';
import { temporaryDirectory } from '../../support/temp.js';

const scratch = await temporaryDirectory('import-xattrs');
const source = scratch.join('source');
const changed = scratch.join('changed');
const bare = scratch.join('bare');
const added = scratch.join('added');
const archive = scratch.join('source.tar');
let count = 0;
const fresh = (mode: RepoMode = 'bare') => createRepo(scratch.join(`repo-${++count}`), mode);
afterAll(() => scratch.remove());

type Attribute = readonly [path: string, name: string, value: string];

/** The same files each time, but for their attributes. */
async function tree(root: string, attributes: readonly Attribute[]): Promise<void> {
  await mkdir(`${root}/usr/bin`, { recursive: true });
  await mkdir(`${root}/var/empty`, { recursive: true });
  await writeFile(`${root}/usr/bin/tool`, '#!/bin/sh\n');
  await writeFile(`${root}/usr/bin/other`, 'other');
  await writeFile(`${root}/usr/large`, Buffer.alloc(2_000_000, 'large '));
  await writeFile(`${root}/var/tagged`, 'tagged');
  await symlink('tool', `${root}/usr/bin/link`);
  await chown(`${root}/usr/bin/tool`, 3, 4);
  await chmod(`${root}/usr/bin/tool`, 0o755);
  await lchown(`${root}/usr/bin/link`, 5, 6);
  await setAttributes(root, attributes);
}

const kept: Attribute[] = [
  ['var/tagged', 'user.zz', 'last'],
  ['var/empty', 'trusted.kept', 'k'],
  ['usr/bin/other', 'trusted.other', 'o'],
];
const dropped: Attribute[] = [
  ['var/tagged', 'user.aa', 'first'],
  ['var/empty', 'user.gone', 'g'],
  ['usr/large', 'user.large', 'l'],
  ['usr/large', 'trusted.large', 'l'],
  ['usr/bin/link', 'trusted.link', 'on a link'],
  ['.', 'user.gone', 'g'],
];
const set: Attribute[] = [
  ['.', 'user.root', 'r'],
  ['usr', 'user.usr', 'u'],
  ['usr/large', 'user.new', 'n'],
  ['usr/bin/tool', 'user.tool', 'second'],
  ['usr/bin/tool', 'user.both', '2'],
  ['usr/bin/other', 'user.tool', 'first'],
];
const value = (text: string) => Buffer.from(text);
const rules: XattrRule[] = [
  {
    path: '/usr/bin/*',
    set: [
      { name: 'user.tool', value: value('first') },
      { name: 'user.temporary', value: value('t') },
    ],
  },
  { path: '/**', drop: ['user.aa', '*.gone', 'user.temp*'] },
  { path: 'large', drop: ['*'], set: [{ name: 'user.new', value: value('n') }] },
  { path: '/', set: [{ name: 'user.root', value: value('r') }] },
  { path: '/usr', types: ['directory'], set: [{ name: 'user.usr', value: value('u') }] },
  { path: '/usr', types: ['file', 'symlink'], drop: ['*'] },
  { path: 'link', drop: ['*'], set: [{ name: 'user.never', value: value('on a link') }] },
  { path: '/usr/bin/**', types: ['symlink'], drop: ['trusted.*'] },
  {
    path: 'bin/t?ol',
    set: [
      { name: 'user.tool', value: value('second') },
      { name: 'user.both', value: value('2') },
    ],
  },
];
const unmatched = ['link'];

beforeAll(async () => {
  await tree(source, [...kept, ...dropped]);
  await tree(changed, [...kept, ...set]);
  await tree(bare, []);
  await tree(added, set);
  await run('tar', ['-cf', archive, '-C', source, '.']);
});

const theirs = (repo: Repo, from: string, ...options: string[]) =>
  ostree(
    'commit',
    `--repo=${repo.path}`,
    '--orphan',
    '--no-bindings',
    '--timestamp=@0',
    ...options,
    `--tree=dir=${from}`,
  );

async function ours(
  repo: Repo,
  fill: (transaction: Transaction, tree: MutableTree) => Promise<ImportResult>,
) {
  const { result } = await repo.transaction(async (transaction) => {
    using mutable = MutableTree.create();
    const imported = await fill(transaction, mutable);
    const commit = await transaction.writeCommit({
      tree: await transaction.writeTree(mutable),
      timestamp: new Date(0),
    });
    return { ...imported, commit };
  });
  return result;
}

const directory = (repo: Repo, options: WriteDirectoryOptions, from = source) =>
  ours(repo, (transaction, mutable) => transaction.writeDirectory(from, mutable, options));

describe('the same commit as of a tree with these attributes', () => {
  test.each<RepoMode>(['bare', 'bare-user', 'archive'])('in mode %s', async (mode) => {
    await using repo = await fresh(mode);
    const result = await directory(repo, { xattrs: rules });
    expect(result.unmatched).toEqual(unmatched);
    expect(result.commit).toBe(await theirs(repo, changed));
    await ostree('fsck', `--repo=${repo.path}`);
    const { xattrs } = await repo.stat(result.commit, '/usr/bin/tool', { xattrs: true });
    expect(xattrs).toEqual([
      { name: 'user.both', value: value('2') },
      { name: 'user.tool', value: value('second') },
    ]);
  });

  test.each([1, 5])('with %i threads', async (threads) => {
    await using repo = await fresh();
    const { commit } = await directory(repo, { xattrs: rules, threads });
    expect(commit).toBe(await theirs(repo, changed));
  });

  test('where libostree imports', async () => {
    await using repo = await fresh('archive');
    const result = await directory(repo, { xattrs: rules, generateSizes: true });
    expect(result.unmatched).toEqual(unmatched);
    expect(result.commit).toBe(await theirs(repo, changed, '--generate-sizes'));
  });

  test('consumed', async () => {
    const copy = scratch.join('consumed');
    await run('cp', ['-a', source, copy]);
    await using repo = await fresh();
    const { commit } = await directory(repo, { xattrs: rules, consume: true }, copy);
    expect(commit).toBe(await theirs(repo, changed));
    await ostree('fsck', `--repo=${repo.path}`);
  });

  test.each<RepoMode>(['bare', 'bare-user'])('of links of objects in mode %s', async (mode) => {
    await using repo = await fresh(mode);
    const from = await theirs(repo, source);
    const checkout = scratch.join(`linked-${mode}`);
    await repo.checkout(from, checkout, {
      hardlinksOnly: true,
      mode: mode === 'bare' ? 'none' : 'user',
    });
    const options = { xattrs: rules, linkCheckoutSpeedup: true };
    const imported = await directory(repo, options, checkout);
    // Links and directories of a checkout for users belong to the user.
    const files = async (commit: string) =>
      (await repo.list(commit, '/', { recursive: true, xattrs: true })).filter(
        ({ type }) => type === 'file',
      );
    expect(await files(imported.commit)).toEqual(await files(await theirs(repo, changed)));
    // What no rule changes needs no reading: a rule that finds nothing to do counts as one.
    const few = await directory(repo, { xattrs: [], linkCheckoutSpeedup: true }, checkout);
    expect(few.known).toBeGreaterThan(imported.known);
  });

  test('of another commit', async () => {
    await using repo = await fresh('bare-user');
    const from = await theirs(repo, source);
    const result = await ours(repo, (transaction, mutable) =>
      transaction.writeCommitTree(from, mutable, { xattrs: rules }),
    );
    expect(result.unmatched).toEqual(unmatched);
    expect(result.commit).toBe(await theirs(repo, changed));
    const part = await ours(repo, (transaction, mutable) =>
      transaction.writeCommitTree(from, mutable, {
        subpath: '/var',
        xattrs: [{ path: '/tagged', drop: ['user.aa'] }],
      }),
    );
    expect(await repo.stat(part.commit, '/tagged', { xattrs: true })).toMatchObject({
      xattrs: [{ name: 'user.zz', value: value('last') }],
    });
  });

  test('of an archive, which brings none', async () => {
    await using repo = await fresh();
    const result = await ours(repo, (transaction, mutable) =>
      transaction.writeArchive(archive, mutable, { xattrs: rules }),
    );
    expect(result.unmatched).toEqual(unmatched);
    expect(result.commit).toBe(await theirs(repo, added));
    const below = await ours(repo, (transaction, mutable) =>
      transaction.writeArchive(archive, mutable, { prefix: '/opt/here', xattrs: rules }),
    );
    expect(await repo.stat(below.commit, '/opt/here/usr', { xattrs: true })).toMatchObject({
      xattrs: [{ name: 'user.usr', value: value('u') }],
    });
    expect(await repo.stat(below.commit, '/opt', { xattrs: true })).toMatchObject({ xattrs: [] });
  });

  test('after those of the source are left out', async () => {
    await using repo = await fresh();
    const { commit } = await directory(repo, { xattrs: rules, skipXattrs: true });
    expect(commit).toBe(await theirs(repo, added));
    const sizes = await directory(repo, { xattrs: rules, skipXattrs: true, generateSizes: true });
    expect(await repo.diff(commit, sizes.commit)).toMatchObject({ modified: [] });
  });
});

test('a repository that keeps no attributes gets none', async () => {
  await using userOnly = await fresh('bare-user-only');
  const result = await directory(userOnly, { xattrs: rules });
  expect(result.unmatched).toEqual(unmatched);
  expect(result.commit).toBe(await theirs(userOnly, bare));
  const path = scratch.join('disabled');
  await (await createRepo(path, 'archive')).close();
  await ostree('config', `--repo=${path}`, 'set', 'core.disable-xattrs', 'true');
  await using disabled = await Repo.open(path);
  for (const generateSizes of [false, true]) {
    const { commit } = await directory(disabled, { xattrs: rules, generateSizes });
    const sizes = generateSizes ? ['--generate-sizes'] : [];
    expect(commit).toBe(await theirs(disabled, bare, ...sizes));
  }
});

test('values of any bytes, as large as Linux takes them', async () => {
  await using repo = await fresh('archive');
  const large = Buffer.alloc(65_536, '\0\xff');
  const xattrs = [{ path: '/usr/bin/tool', set: [{ name: 'user.large', value: large }] }];
  const { commit } = await directory(repo, { xattrs });
  expect(await repo.stat(commit, '/usr/bin/tool', { xattrs: true })).toMatchObject({
    xattrs: [{ name: 'user.large', value: large }],
  });
});

describe('refused', () => {
  const entry = (name: string, bytes: unknown = value('x')) => [
    { path: '/x', set: [{ name, value: bytes }] },
  ];
  const odd: [string, unknown, string?][] = [
    ['a name that is empty', entry('')],
    ['a name with NUL', entry('user.a\0b')],
    ['a name that is too long', entry(`user.${'n'.repeat(251)}`)],
    ['a value that is too long', entry('user.x', new Uint8Array(65_537))],
    ['a value that is empty', entry('user.x', new Uint8Array())],
    ['a value that is text', entry('user.x', 'text'), 'ERR_INVALID_ARG_TYPE'],
    [
      'a name twice',
      [
        {
          path: '/x',
          set: [...(entry('user.x')[0]?.set ?? []), ...(entry('user.x')[0]?.set ?? [])],
        },
      ],
    ],
    ['an unknown type', [{ path: '/x', types: ['fifo'] }]],
    ['a misspelt member', [{ path: '/x', sets: [] }]],
    ['no path', [{ set: [] }], 'ERR_INVALID_ARG_TYPE'],
    ['a pattern that is no string', [{ path: '/x', drop: [1] }], 'ERR_INVALID_ARG_TYPE'],
    ['a rule that is none', [null], 'ERR_INVALID_ARG_TYPE'],
    ['no array', { path: '/x' }, 'ERR_INVALID_ARG_TYPE'],
  ];
  test.each(odd)('%s', async (_name, xattrs, code = 'ERR_INVALID_ARG_VALUE') => {
    await using repo = await fresh();
    const options = { xattrs } as ImportOptions;
    await expect(directory(repo, options)).rejects.toMatchObject({ code });
  });

  const rule: XattrRule[] = [
    { path: '/x', set: [{ name: 'security.selinux', value: value('x') }] },
  ];
  const contradictions: WriteDirectoryOptions[] = [
    { canonicalPermissions: true },
    { selinuxPolicy: true },
    { selinuxPolicy: '/' },
  ];
  test.each(contradictions)('with %o', async (options) => {
    await using repo = await fresh();
    const refused = { code: 'ERR_INVALID_ARG_VALUE', message: expect.stringContaining('xattrs') };
    await expect(directory(repo, { ...options, xattrs: rule })).rejects.toMatchObject(refused);
  });
});
