import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { AbortError, variant } from 'apt-ostree';
import { DevinoCache, MutableTree, Repo, type RepoMode } from 'apt-ostree/ostree';
import { afterAll, describe, expect, test } from 'vitest';
import { commitEdits, ostree, someEdits } from '../../support/ostree.js';
import { run } from '../../support/run.js';
import { temporaryDirectory } from '../../support/temp.js';

const scratch = await temporaryDirectory('repo');
afterAll(() => scratch.remove());
let count = 0;
const fresh = (mode: RepoMode = 'bare-user') => Repo.create(scratch.join(`repo-${++count}`), mode);

describe('what this library writes, the ostree command reads', () => {
  test.each<RepoMode>(['bare', 'bare-user', 'archive'])('in mode %s', async (mode) => {
    await using repo = await fresh(mode);
    expect(repo.mode).toBe(mode);
    const checksum = await commitEdits(repo, 'test/one', someEdits, {
      subject: 'One',
      body: 'Body',
      metadata: { version: variant('s', '12'), list: variant('as', ['a', 'b']) },
    });
    const at = `--repo=${repo.path}`;
    expect(await ostree('rev-parse', at, 'test/one')).toBe(checksum);
    expect((await ostree('ls', at, '-R', 'test/one')).split('\n')).toEqual([
      'd00755 0 0      0 /',
      'l00777 0 0      0 /bin -> usr/bin',
      'd00755 0 0      0 /etc',
      '-00644 0 0      0 /etc/empty',
      '-00600 1 2      7 /etc/hostname',
      'd02750 7 8      0 /srv',
      'd00755 0 0      0 /usr',
      'd00755 0 0      0 /usr/bin',
      '-04755 0 0     10 /usr/bin/tool',
      'd00755 0 0      0 /usr/share',
      'd00755 0 0      0 /usr/share/doc',
      '-00644 0 0      4 /usr/share/doc/ünï code',
    ]);
    expect(await ostree('cat', at, 'test/one', '/etc/hostname')).toBe('debian');
    expect(await ostree('show', at, '--print-metadata-key=version', checksum)).toBe("'12'");
    expect(await ostree('log', at, checksum)).toMatch(/Version: 12\s+One\s+Body/);
    await ostree('fsck', at);
    expect(await repo.fsck()).toMatchObject({ errors: [], partialCommits: 0 });
  });

  test('the same directory gives the same commit', async () => {
    const source = scratch.join('source');
    await mkdir(`${source}/a/b`, { recursive: true });
    await writeFile(`${source}/a/b/file`, 'content', { mode: 0o640 });
    await writeFile(`${source}/skipped`, '');
    await symlink('a/b', `${source}/link`);
    await using repo = await fresh();
    const { result, stats } = await repo.transaction(async (transaction) => {
      const tree = MutableTree.create();
      await transaction.writeDirectory(source, tree, {
        owner: { uid: 0, gid: 5 },
        skip: ['/skipped'],
        skipXattrs: true,
      });
      return transaction.writeCommit({
        tree: await transaction.writeTree(tree),
        subject: 'import',
        timestamp: new Date('2026-01-01T00:00:00Z'),
      });
    });
    expect(stats).toMatchObject({ contentObjectsWritten: 2, contentBytesWritten: 7 });
    await writeFile(scratch.join('skip-list'), '/skipped\n');
    const theirs = await ostree(
      'commit',
      `--repo=${repo.path}`,
      '--orphan',
      '--no-bindings',
      `--tree=dir=${source}`,
      '--owner-uid=0',
      '--owner-gid=5',
      '--no-xattrs',
      `--skip-list=${scratch.join('skip-list')}`,
      '--subject=import',
      '--timestamp=@1767225600',
    );
    expect(result).toBe(theirs);
  });

  test('the same archive gives the same tree', async () => {
    const source = scratch.join('archived');
    await mkdir(`${source}/usr/bin`, { recursive: true });
    await writeFile(`${source}/usr/bin/tool`, 'x'.repeat(10_000), { mode: 0o755 });
    const archive = scratch.join('tree.tar.gz');
    await run('tar', ['-czf', archive, '--owner=3', '--group=4', '-C', source, 'usr']);
    await using repo = await fresh();
    const { result } = await repo.transaction(async (transaction) => {
      const tree = MutableTree.create();
      await transaction.writeArchive(archive, tree);
      return transaction.writeCommit({ tree: await transaction.writeTree(tree) });
    });
    expect(await repo.stat(result, '/usr/bin/tool')).toMatchObject({
      uid: 3,
      gid: 4,
      size: 10_000,
    });
    const theirs = await ostree(
      'commit',
      `--repo=${repo.path}`,
      '--orphan',
      '--tar-autocreate-parents',
      `--tree=tar=${archive}`,
    );
    expect(await repo.diff(result, theirs)).toEqual({ modified: [], removed: [], added: [] });
  });
});

describe('what the ostree command writes, this library reads', () => {
  test('listing, stat, content, metadata, refs', async () => {
    const source = scratch.join('theirs');
    await mkdir(`${source}/dir`, { recursive: true });
    await writeFile(`${source}/dir/data`, Buffer.alloc(100_000, 'ab'), { mode: 0o640 });
    await writeFile(`${source}/script`, '#!/bin/sh\n', { mode: 0o755 });
    await symlink('dir/data', `${source}/link`);
    await using repo = await fresh('archive');
    const at = `--repo=${repo.path}`;
    const commit = (branch: string) =>
      ostree(
        'commit',
        at,
        `--branch=${branch}`,
        `--tree=dir=${source}`,
        '--owner-uid=1000',
        '--owner-gid=100',
        '--subject=Theirs',
        '--add-metadata-string=version=7',
        '--add-metadata=big=uint64 18446744073709551615',
      );
    const first = await commit('their/branch');
    await writeFile(`${source}/more`, 'more');
    const second = await commit('their/branch');
    expect(await repo.listRefs()).toEqual({ 'their/branch': second });
    expect(await repo.listRefs({ prefix: 'their' })).toEqual({ 'their/branch': second });
    expect(await repo.resolveRev('their/branch^')).toBe(first);
    expect(await repo.resolveRev(second.slice(0, 10))).toBe(second);
    const entries = await repo.list('their/branch', '/', { recursive: true });
    expect(
      entries.map(({ path, type, mode, uid, gid, size, target }) => [
        path,
        type,
        mode,
        uid,
        gid,
        size,
        target,
      ]),
    ).toEqual([
      ['/link', 'symlink', 0o777, 1000, 100, 8, 'dir/data'],
      ['/more', 'file', 0o644, 1000, 100, 4, undefined],
      ['/script', 'file', 0o755, 1000, 100, 10, undefined],
      ['/dir', 'directory', 0o755, 1000, 100, 0, undefined],
      ['/dir/data', 'file', 0o640, 1000, 100, 100_000, undefined],
    ]);
    expect(await repo.readFile(second, '/dir/data')).toEqual(await readFile(`${source}/dir/data`));
    expect(await repo.list(second, '/script')).toHaveLength(1);
    const loaded = await repo.loadCommit(second);
    expect(loaded).toMatchObject({
      checksum: second,
      parent: first,
      subject: 'Theirs',
      partial: false,
      metadata: {
        version: '7',
        big: 18446744073709551615n,
        'ostree.ref-binding': ['their/branch'],
      },
    });
    expect(Math.abs(loaded.timestamp.getTime() - Date.now())).toBeLessThan(60_000);
    const history: string[] = [];
    for await (const { checksum } of repo.log('their/branch')) history.push(checksum);
    expect(history).toEqual([second, first]);
  });

  test('the same differences', async () => {
    await using repo = await fresh();
    const one = await commitEdits(repo, 'one', someEdits);
    const two = await commitEdits(
      repo,
      'two',
      [
        { op: 'file', path: '/etc/empty', content: 'no more' },
        { op: 'remove', path: '/usr/share' },
        { op: 'mkdir', path: '/srv', mode: 0o700 },
        { op: 'file', path: '/opt/new/file', content: 'x' },
        { op: 'symlink', path: '/usr/bin', target: 'sbin' },
      ],
      { base: one },
    );
    const ours = await repo.diff(one, two);
    const list = [
      ...ours.modified.map((path) => `M    ${path}`),
      ...ours.removed.map((path) => `D    ${path}`),
      ...ours.added.map((path) => `A    ${path}`),
    ];
    const theirs = await ostree('diff', `--repo=${repo.path}`, one, two);
    expect(list.sort()).toEqual(theirs.split('\n').sort());

    const directory = scratch.join('diffed');
    await repo.checkout(two, directory, { forceCopy: true, mode: 'none' });
    await writeFile(`${directory}/extra`, '');
    expect(await repo.diff(two, { directory })).toEqual({
      modified: [],
      removed: [],
      added: ['/extra'],
    });
  });
});

describe('checkout', () => {
  test('is what the command makes, and refuses what exists', async () => {
    await using repo = await fresh();
    await commitEdits(repo, 'test', someEdits);
    const [ours, theirs] = [scratch.join('ours'), scratch.join('their-checkout')];
    await repo.checkout('test', ours, { mode: 'user' });
    await ostree('checkout', `--repo=${repo.path}`, '-U', 'test', theirs);
    expect((await run('diff', ['-r', '--no-dereference', ours, theirs])).stdout).toBe('');
    expect((await stat(`${ours}/usr/bin/tool`)).nlink).toBeGreaterThan(1);
    await expect(repo.checkout('test', ours, { mode: 'user' })).rejects.toMatchObject({
      code: 'EEXIST',
    });
    await repo.checkout('test', ours, { mode: 'user', overwrite: 'union-files' });
    const part = scratch.join('part');
    await repo.checkout('test', part, { mode: 'user', subpath: '/etc' });
    expect((await readdir(part)).sort()).toEqual(['empty', 'hostname']);
    await expect(
      repo.checkout('test', part, { forceCopy: true, hardlinksOnly: true }),
    ).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
    await expect(
      repo.checkout('test', part, { overwrite: 'union-identical' }),
    ).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
  });

  test('with a devino cache a commit of it reads nothing', async () => {
    await using repo = await fresh();
    const first = await commitEdits(repo, 'test', someEdits);
    const devinoCache = new DevinoCache();
    const directory = scratch.join('devino');
    await repo.checkout('test', directory, { mode: 'user', devinoCache });
    const { result, stats } = await repo.transaction(async (transaction) => {
      const tree = MutableTree.create();
      await transaction.writeDirectory(directory, tree, { devinoCache, devinoCanonical: true });
      return transaction.writeTree(tree);
    });
    expect(stats.devinoCacheHits).toBeGreaterThanOrEqual(3);
    const etc = await (await MutableTree.fromChecksums(repo, result)).list(repo, '/etc');
    expect(etc).toEqual(await repo.list(first, '/etc'));
  });
});

describe('transactions', () => {
  test('are dropped when their function throws or the signal aborts', async () => {
    await using repo = await fresh();
    const failure = new Error('no');
    let written = '';
    await expect(
      repo.transaction(async (transaction) => {
        const tree = MutableTree.create();
        await tree.apply(repo, someEdits);
        written = await transaction.writeCommit({ tree: await transaction.writeTree(tree) });
        await transaction.setRef('gone', written);
        throw failure;
      }),
    ).rejects.toBe(failure);
    expect(await repo.listRefs()).toEqual({});
    expect(await repo.hasObject('commit', written)).toBe(false);
    const abort = new AbortController();
    await expect(
      repo.transaction(() => abort.abort('enough'), { signal: abort.signal }),
    ).rejects.toBeInstanceOf(AbortError);
    await commitEdits(repo, 'works', someEdits);
  });

  test('one at a time on one object, several on several; writers run in parallel', async () => {
    await using repo = await fresh();
    await using second = await Repo.open(repo.path);
    await repo.transaction(async (transaction) => {
      await expect(repo.transaction(() => {})).rejects.toMatchObject({ code: 'ERR_BUSY' });
      await expect(repo.prune()).rejects.toMatchObject({ code: 'ERR_BUSY' });
      await commitEdits(second, 'beside', someEdits);
      await Promise.all(
        Array.from({ length: 20 }, async (_, i) => {
          const tree = MutableTree.create();
          await tree.apply(repo, [{ op: 'file', path: `/${i}`, content: `${i}` }]);
          const commit = await transaction.writeCommit({ tree: await transaction.writeTree(tree) });
          await transaction.setRef(`parallel/${i}`, commit);
        }),
      );
    });
    expect(Object.keys(await repo.listRefs())).toHaveLength(21);
    expect((await repo.fsck()).errors).toEqual([]);
  });

  test('objects cannot be written outside', async () => {
    await using repo = await fresh();
    const tree = MutableTree.create();
    await expect(tree.apply(repo, [{ op: 'mkdir', path: '/a' }])).rejects.toMatchObject({
      code: 'ERR_INVALID_STATE',
    });
    const { result } = await repo.transaction((transaction) => transaction);
    await expect(result.writeTree(tree)).rejects.toMatchObject({ code: 'ERR_INVALID_STATE' });
  });
});

describe('upkeep', () => {
  test('fsck finds damage and missing objects', async () => {
    await using repo = await fresh();
    await commitEdits(repo, 'test', someEdits);
    const { checksum = '' } = await repo.stat('test', '/etc/hostname');
    const object = `${repo.path}/objects/${checksum.slice(0, 2)}/${checksum.slice(2)}.file`;
    await writeFile(object, 'changed');
    let progress = { done: 0, total: 0 };
    const result = await repo.fsck({
      onProgress: (event) => {
        progress = event;
      },
    });
    expect(result.errors).toEqual([
      {
        kind: 'corrupt',
        object: `${checksum}.file`,
        message: expect.stringContaining('checksum'),
        commits: [await repo.resolveRev('test')],
        deleted: false,
      },
    ]);
    expect(progress.total).toBe(result.objects - result.commits);
  });

  test('prune removes what no ref reaches', async () => {
    await using repo = await fresh();
    const commit = await commitEdits(repo, 'test', someEdits);
    await repo.setRef('test', null);
    const dry = await repo.prune({ refsOnly: true, dryRun: true });
    expect(dry.pruned).toBeGreaterThan(5);
    expect(await repo.hasObject('commit', commit)).toBe(true);
    expect(await repo.prune({ refsOnly: true })).toMatchObject({ pruned: dry.pruned });
    expect(await repo.hasObject('commit', commit)).toBe(false);
  });

  test('pull from a repository of this machine', async () => {
    // libostree takes a URL, where these characters mean something.
    await using source = await Repo.create(scratch.join('odd %20 #näme'), 'bare-user');
    await using target = await fresh('archive');
    const one = await commitEdits(source, 'one', someEdits);
    await commitEdits(source, 'two', [{ op: 'mkdir', path: '/x' }]);
    await target.pullLocal(source.path, { refs: ['one'] });
    expect(await target.listRefs()).toEqual({ one });
    await target.pullLocal(source.path, { remote: 'origin' });
    expect(Object.keys(await target.listRefs())).toEqual(['one', 'origin:one', 'origin:two']);
    const ofOrigin = await target.listRefs({ prefix: 'origin:' });
    expect(Object.keys(ofOrigin)).toEqual(['origin:one', 'origin:two']);
    expect((await target.fsck({ unreachable: true })).objects).toBe((await target.fsck()).objects);
    expect((await target.fsck()).errors).toEqual([]);
    await expect(target.pullLocal('/etc')).rejects.toMatchObject({
      code: 'ERR_OSTREE_NOT_A_REPOSITORY',
    });
  });

  test('the configuration keeps what is not named', async () => {
    await using repo = await fresh();
    await repo.writeConfig({ core: { fsync: 'false' }, mine: { key: 'value' } });
    expect(await repo.readConfig()).toMatchObject({
      core: { mode: 'bare-user', repo_version: '1', fsync: 'false' },
      mine: { key: 'value' },
    });
    expect(await ostree('config', `--repo=${repo.path}`, 'get', 'core.fsync')).toBe('false');
    await repo.writeConfig({ core: { fsync: null } });
    expect((await repo.readConfig()).core).not.toHaveProperty('fsync');
  });
});
