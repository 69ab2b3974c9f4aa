/** Checkout with every option, beside the ostree command. */

import { linkSync, rmSync } from 'node:fs';
import {
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  stat,
  writeFile,
} from 'node:fs/promises';
import { AbortError } from 'apt-ostree';
import {
  type CheckoutOptions,
  DevinoCache,
  MutableTree,
  ostreeFeatures,
  type Repo,
  type RepoMode,
  type TreeEdit,
} from 'apt-ostree/ostree';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeDiskTree } from '../../support/disk-tree.js';
import { commitEdits, ostree } from '../../support/ostree.js';
import { createRepo } from '../../support/repo.js';
import { temporaryDirectory } from '../../support/temp.js';
import { describeTree } from '../../support/tree.js';

const scratch = await temporaryDirectory('checkout');
afterAll(() => scratch.remove());
const source = scratch.join('source');
let count = 0;
const fresh = (name = 'out') => scratch.join(`${name}-${++count}`);
let repo: Repo;

const layer: TreeEdit[] = [
  { op: 'mkdir', path: '/' },
  { op: 'file', path: '/etc/hostname', content: 'layered\n' },
  { op: 'file', path: '/etc/.wh.zero', content: '' },
  { op: 'file', path: '/usr/.wh.bin', content: '' },
  { op: 'file', path: '/opt/new', content: 'new' },
];

beforeAll(async () => {
  await makeDiskTree(source);
  repo = await createRepo(scratch.join('repo'), 'bare-user');
  await ostree('commit', `--repo=${repo.path}`, '--branch=base', `--tree=dir=${source}`);
  await commitEdits(repo, 'layer', layer);
});
afterAll(() => repo.close());

/** Whether each file is a link to its object, and each directory of the time of all, besides what is in it. */
async function describeCheckout(root: string): Promise<string[]> {
  const links: string[] = [];
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const file = `${entry.parentPath}/${entry.name}`;
    const info = await lstat(file);
    const fact = info.isDirectory() ? info.mtimeMs === 0 : info.nlink > 1;
    links.push(`${file.slice(root.length)} ${fact}`);
  }
  return [...(await describeTree(root)), ...links.sort()];
}

/** Checks the same out by both, over copies of the same destination, and compares. */
async function compare(
  from: Repo,
  rev: string,
  options: CheckoutOptions,
  flags: readonly string[],
  over?: string,
): Promise<string> {
  const [ours, theirs] = [fresh('ours'), fresh('theirs')];
  const at = `--repo=${from.path}`;
  if (over !== undefined) {
    for (const directory of [ours, theirs]) await ostree('checkout', at, '-U', over, directory);
  }
  await from.checkout(rev, ours, options);
  await ostree('checkout', at, ...flags, rev, theirs);
  expect(await describeCheckout(ours)).toEqual(await describeCheckout(theirs));
  return ours;
}

describe('is what the command makes', () => {
  const modes: RepoMode[] = ['bare', 'bare-user', 'bare-user-only', 'archive'];
  test.each(modes)('of a repository in mode %s', async (mode) => {
    await using other = await createRepo(scratch.join(`repo-${mode}`), mode);
    const flags = mode === 'bare-user-only' ? ['--canonical-permissions', '--no-xattrs'] : [];
    const at = `--repo=${other.path}`;
    await ostree('commit', at, '--branch=base', `--tree=dir=${source}`, ...flags);
    // Not with the command's deprecated cache of uncompressed objects.
    const cache = mode === 'archive' ? ['--disable-cache'] : [];
    await compare(other, 'base', { mode: 'user' }, ['-U', ...cache]);
    await compare(other, 'base', { mode: 'user', forceCopy: true }, ['-U', '-C']);
    if (mode !== 'bare-user-only') await compare(other, 'base', {}, cache);
  });

  test.each<[string, CheckoutOptions, string[]]>([
    ['copies', { forceCopy: true }, ['-C']],
    ['only links', { hardlinksOnly: true }, ['-H']],
    ['copies of empty files', { forceCopyZeroSized: true }, ['-z']],
    ['canonical directories', { canonicalDirectories: true }, ['-M']],
    ['a directory', { subpath: '/usr/share' }, ['--subpath=/usr/share']],
    ['a file', { subpath: '/etc/hostname' }, ['--subpath=/etc/hostname']],
    ['written through', { fsync: true }, ['--fsync=true']],
  ])('with %s', async (_, options, flags) => {
    await compare(repo, 'base', { mode: 'user', ...options }, ['-U', ...flags]);
  });

  test.each<[string, CheckoutOptions, string[]]>([
    ['union-files', { overwrite: 'union-files' }, ['--union']],
    ['add-files', { overwrite: 'add-files' }, ['--union-add']],
    ['whiteouts', { overwrite: 'union-files', whiteouts: true }, ['--union', '--whiteouts']],
  ])('over another tree, with %s', async (_, options, flags) => {
    const out = await compare(
      repo,
      'layer',
      { mode: 'user', ...options },
      ['-U', ...flags],
      'base',
    );
    const names = await readdir(`${out}/etc`);
    expect(names.includes('zero')).toBe(!options.whiteouts);
  });

  test('over an identical tree, which a different one is not', async () => {
    const options = { mode: 'user', overwrite: 'union-identical', hardlinksOnly: true } as const;
    await compare(repo, 'base', options, ['-U', '-H', '--union-identical'], 'base');
    const out = fresh();
    await repo.checkout('base', out, { mode: 'user' });
    await expect(repo.checkout('layer', out, options)).rejects.toMatchObject({
      code: expect.stringMatching(/EEXIST|ERR_OSTREE_FAILED/),
    });
  });

  test('without what is skipped', async () => {
    const skip = ['/usr/bin', '/etc/hostname', '/bin', '/not/there'];
    const list = scratch.join('skip-list');
    // The command wants a slash after directories.
    await writeFile(list, skip.map((path) => `${path}\n${path}/\n`).join(''));
    const out = await compare(repo, 'base', { mode: 'user', skip }, ['-U', `--skip-list=${list}`]);
    expect(await readdir(out)).not.toContain('bin');
    expect(await readdir(`${out}/usr`)).toEqual(['share']);
  });

  test('with overlayfs whiteouts', async () => {
    await commitEdits(repo, 'overlay', [
      { op: 'mkdir', path: '/' },
      { op: 'file', path: '/etc/.ostree-wh.gone', content: '' },
    ]);
    const [ours, theirs] = [fresh(), fresh()];
    await repo.checkout('overlay', ours, { passthroughWhiteouts: true, mode: 'user' });
    const at = `--repo=${repo.path}`;
    await ostree('checkout', at, '-U', '--process-passthrough-whiteouts', 'overlay', theirs);
    const [a, b] = await Promise.all([ours, theirs].map((at) => lstat(`${at}/etc/gone`)));
    expect(a?.isCharacterDevice()).toBe(true);
    expect([a?.mode, a?.rdev]).toEqual([b?.mode, b?.rdev]);
  });

  test('of several commits into one directory, in order', async () => {
    const list = scratch.join('from-file');
    const sources = [
      { rev: 'base', subpath: '/etc' },
      { rev: 'layer', subpath: '/etc' },
      { rev: 'base', subpath: '/usr/share' },
    ];
    await writeFile(list, sources.map(({ rev, subpath }) => `${rev}\0${subpath}\0`).join(''));
    const [ours, theirs] = [fresh('ours'), fresh('theirs')];
    await repo.checkout(sources, ours, { mode: 'user', overwrite: 'union-files' });
    const flags = ['-U', '--union', `--from-file=${list}`];
    await ostree('checkout', `--repo=${repo.path}`, ...flags, theirs);
    expect(await describeCheckout(ours)).toEqual(await describeCheckout(theirs));
    expect(await readFile(`${ours}/hostname`, 'utf8')).toBe('layered\n');
  });

  test('or nothing, where a missing part is fine', async () => {
    const out = fresh();
    await repo.checkout('base', out, { subpath: '/no/thing', allowMissing: true });
    await expect(stat(out)).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(repo.checkout('base', out, { subpath: '/no/thing' })).rejects.toMatchObject({
      code: 'ENOENT',
    });
    await repo.checkout('base', out, { mode: 'user', subpath: '/etc', allowMissing: true });
    expect(await readdir(out)).toContain('hostname');
  });
});

describe('a devino cache', () => {
  test('makes a commit of the checkout read nothing, as the command’s does', async () => {
    const [out, theirs] = [fresh(), fresh()];
    const devinoCache = new DevinoCache();
    await repo.checkout('base', out, { mode: 'user', hardlinksOnly: true, devinoCache });
    const { result, stats } = await repo.transaction(async (transaction) => {
      const tree = MutableTree.create();
      await transaction.writeDirectory(out, tree, { devinoCache, devinoCanonical: true });
      return transaction.writeCommit({ tree: await transaction.writeTree(tree) });
    });
    const files = (await repo.list('base', '/', { recursive: true })).filter(
      ({ type, size }) => type === 'file' && size > 0,
    );
    expect(stats.devinoCacheHits).toBeGreaterThanOrEqual(files.length);
    expect(stats.contentObjectsWritten).toBe(0);
    const at = `--repo=${repo.path}`;
    await ostree('checkout', at, '-U', '-H', 'base', theirs);
    const commit = ['commit', at, '-I', '--orphan', `--tree=dir=${theirs}`, '--no-bindings'];
    const command = await ostree(...commit);
    const contents = async (rev: string) =>
      (await repo.list(rev, '/', { recursive: true }))
        .filter(({ type }) => type === 'file')
        .map(({ path, checksum }) => [path, checksum]);
    expect(await contents(result)).toEqual(await contents(command));
  });
});

describe('differences from a directory', () => {
  const lines = ({ modified, removed, added }: Awaited<ReturnType<Repo['diff']>>) =>
    [
      ...modified.map((path) => `M    ${path}`),
      ...removed.map((path) => `D    ${path}`),
      ...added.map((path) => `A    ${path}`),
    ].sort();

  test.each([
    ['as they are', {}, []],
    ['owned by others', { uid: 7, gid: 8 }, ['--owner-uid=7', '--owner-gid=8']],
    ['without extended attributes', { ignoreXattrs: true }, ['--no-xattrs']],
  ])('%s are those of the command', async (_, options, flags) => {
    const out = fresh();
    await repo.checkout('base', out, { forceCopy: true });
    await writeFile(`${out}/etc/hostname`, 'changed');
    await mkdir(`${out}/extra`);
    for (const sides of [
      ['base', out],
      [out, 'base'],
    ] as const) {
      const [a, b] = sides.map((side) => (side === out ? { directory: out } : side));
      const ours = await repo.diff(a ?? '', b ?? '', options);
      const theirs = await ostree('diff', `--repo=${repo.path}`, ...flags, ...sides);
      // The command prints paths on disk without the slash.
      const absolute = theirs.replace(/^(. {4})(?!\/)/gm, '$1/');
      expect(lines(ours)).toEqual(absolute.split('\n').filter(Boolean).sort());
    }
  });
});

describe('by hard links', () => {
  const file = '/usr/bin/big';
  let bare: Repo;
  let object: string;
  beforeAll(async () => {
    bare = await createRepo(scratch.join('linked'), 'bare');
    await ostree('commit', `--repo=${bare.path}`, '--branch=base', `--tree=dir=${source}`);
    const { checksum = '' } = await bare.stat('base', file);
    object = `${bare.path}/objects/${checksum.slice(0, 2)}/${checksum.slice(2)}.file`;
  });
  afterAll(() => bare.close());

  test('copies a file that has as many as there may be', async () => {
    let links = 0;
    const full = () => {
      try {
        linkSync(object, scratch.join(`link-${links}`));
        return false;
      } catch {
        return true;
      }
    };
    // Not every file system has a limit that can be reached.
    while (links < 66_000 && !full()) links++;
    const out = await compare(bare, 'base', {}, []);
    const info = await stat(`${out}${file}`);
    expect(info.size).toBe(700_001);
    if (links < 66_000) expect(info.nlink).toBe(1);
    for (let i = 0; i < links; i++) rmSync(scratch.join(`link-${i}`));
  });

  test('copies all on another file system', async () => {
    await using memory = await temporaryDirectory('checkout', '/dev/shm');
    const out = memory.join('out');
    await bare.checkout('base', out);
    expect(await describeTree(out)).toEqual(
      await describeTree(await compare(bare, 'base', {}, [])),
    );
    await expect(
      bare.checkout('base', memory.join('links'), { hardlinksOnly: true }),
    ).rejects.toMatchObject({ code: expect.stringMatching(/EXDEV|ERR_OSTREE_FAILED/) });
  });

  test('tells what is missing, and does not touch what exists', async () => {
    await rename(object, `${object}.away`);
    await expect(bare.checkout('base', fresh())).rejects.toMatchObject({ code: 'ENOENT' });
    await rename(`${object}.away`, object);
    const out = fresh();
    await mkdir(out);
    await expect(bare.checkout('base', out)).rejects.toMatchObject({ code: 'EEXIST' });
    expect(await readdir(out)).toEqual([]);
    const below = `${fresh()}/below`;
    await expect(bare.checkout('base', below)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('refuses', () => {
  test.each<[string, CheckoutOptions]>([
    ['copies that are links', { forceCopy: true, hardlinksOnly: true }],
    ['identical files that may be copies', { overwrite: 'union-identical' }],
    ['a policy for links', { selinuxPolicy: '/' }],
    ['a prefix without a policy', { selinuxPrefix: '/x' }],
    ['paths that are not absolute', { skip: ['usr'] }],
    ['a part outside', { subpath: '../..' }],
    ['an unknown mode', { mode: 'other' as 'user' }],
    ['an unknown way to overwrite', { overwrite: 'all' as 'none' }],
  ])('%s', async (_, options) => {
    await expect(repo.checkout('base', fresh(), options)).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
    });
  });

  test('a policy where there is none', async () => {
    await expect(
      repo.checkout('base', fresh(), { forceCopy: true, selinuxPolicy: source }),
    ).rejects.toMatchObject({ code: 'ERR_OSTREE_NOT_SUPPORTED' });
    await expect(
      repo.checkout('base', fresh(), { forceCopy: true, selinuxPolicy: `${source}/no` }),
    ).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('what exists, links into archives, one part for several sources', async () => {
    const out = fresh();
    await mkdir(out);
    await expect(repo.checkout('base', out)).rejects.toMatchObject({ code: 'EEXIST' });
    await using archive = await createRepo(scratch.join('archive'), 'archive');
    await archive.pullLocal(repo.path, { refs: ['base'] });
    await expect(archive.checkout('base', fresh(), { hardlinksOnly: true })).rejects.toThrow();
    await expect(
      repo.checkout([{ rev: 'base' }], fresh(), { subpath: '/etc' }),
    ).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
    await expect(repo.checkout([{ rev: 'nothing' }], fresh())).rejects.toMatchObject({
      code: 'ENOENT',
    });
  });
});

test('keeps unpacked files of an archive where it is told to, as the command does', async () => {
  const [archive, other] = [
    await createRepo(fresh(), 'archive'),
    await createRepo(fresh(), 'archive'),
  ];
  await using _archive = archive;
  await using _other = other;
  for (const each of [archive, other]) await each.pullLocal(repo.path, { refs: ['base'] });
  const cache = (each: Repo) => `${each.path}/uncompressed-objects-cache`;
  await archive.checkout('base', fresh(), { mode: 'user' });
  await expect(stat(cache(archive))).rejects.toMatchObject({ code: 'ENOENT' });
  const out = fresh();
  await archive.checkout('base', out, { mode: 'user', uncompressedCache: true });
  await ostree('checkout', `--repo=${other.path}`, '--user-mode', 'base', fresh());
  const kept = async (each: Repo) => (await readdir(cache(each), { recursive: true })).sort();
  expect(await kept(archive)).toEqual(await kept(other));
  expect((await kept(archive)).length).toBeGreaterThan(0);
  expect((await stat(`${out}/etc/hostname`)).nlink).toBeGreaterThan(1);
});

test('of a composefs image works, or says that this libostree cannot', async () => {
  const image = fresh();
  const done = repo.checkoutComposefs('base', image, { verity: 'none' });
  if (ostreeFeatures().functions.ostree_repo_checkout_composefs) {
    const outcome = await done.then(
      () => 'done',
      (error) => error.code,
    );
    expect(['done', 'ERR_OSTREE_NOT_SUPPORTED']).toContain(outcome);
  } else {
    await expect(done).rejects.toMatchObject({ code: 'ERR_OSTREE_NOT_SUPPORTED' });
  }
  await expect(
    repo.checkoutComposefs('base', image, { verity: 'some' as 'none' }),
  ).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
});

test('can be aborted', async () => {
  const edits = Array.from({ length: 3000 }, (_, i) => ({
    op: 'file' as const,
    path: `/d${i % 30}/f${i}`,
    content: `${i}`,
  }));
  await commitEdits(repo, 'many', edits);
  const abort = new AbortController();
  const done = repo.checkout('many', fresh(), { forceCopy: true, signal: abort.signal });
  setTimeout(() => abort.abort(), 5);
  await expect(done).rejects.toBeInstanceOf(AbortError);
});

test('symbolic links and owners are in a checkout of mode none', async () => {
  const out = fresh();
  await repo.checkout('base', out);
  expect(await readlink(`${out}/usr/share/dangling`)).toBe('nowhere/ün');
  if (process.getuid?.() === 0) {
    expect(await stat(`${out}/etc/hostname`)).toMatchObject({ uid: 1, gid: 2 });
    expect((await stat(`${out}/usr/bin/tool`)).mode & 0o7777).toBe(0o4755);
  }
});
