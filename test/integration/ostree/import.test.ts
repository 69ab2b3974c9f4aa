/** Imports give the very objects that the `ostree` command makes. */

import { mkdir, rm, writeFile } from 'node:fs/promises';
import {
  type ImportOptions,
  type ImportResult,
  MutableTree,
  parseStatOverrides,
  type Repo,
  type RepoMode,
  type Transaction,
  type WriteDirectoryOptions,
} from 'apt-ostree/ostree';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nastyTree } from '../../support/nasty-tree.js';
import { ostree } from '../../support/ostree.js';
import { createRepo } from '../../support/repo.js';
import { run } from '../../support/run.js';
import { temporaryDirectory } from '../../support/temp.js';

const scratch = await temporaryDirectory('import');
const source = scratch.join('source');
let count = 0;
const fresh = (mode: RepoMode = 'bare-user') => createRepo(scratch.join(`repo-${++count}`), mode);
beforeAll(() => nastyTree(source));
afterAll(() => scratch.remove());

/** Imports and commits, with no parent and no time; gives the commit too. */
async function commitTree(
  repo: Repo,
  fill: (transaction: Transaction, tree: MutableTree) => Promise<ImportResult>,
) {
  const { result, stats } = await repo.transaction(async (transaction) => {
    const tree = MutableTree.create();
    const imported = await fill(transaction, tree);
    const commit = await transaction.writeCommit({
      tree: await transaction.writeTree(tree),
      timestamp: new Date(0),
    });
    return { ...imported, commit };
  });
  return { ...result, stats };
}

const ours = (repo: Repo, options: WriteDirectoryOptions = {}, from = source) =>
  commitTree(repo, (transaction, tree) => transaction.writeDirectory(from, tree, options));

const theirs = (repo: Repo, options: readonly string[] = [], from = `dir=${source}`) =>
  ostree(
    'commit',
    `--repo=${repo.path}`,
    '--orphan',
    '--no-bindings',
    '--timestamp=@0',
    ...options,
    `--tree=${from}`,
  );

async function list(name: string, text: string): Promise<string> {
  const file = scratch.join(name);
  await writeFile(file, text);
  return file;
}

describe('the same objects as ostree commit', () => {
  const modes: RepoMode[] = ['bare', 'bare-user', 'bare-user-only', 'archive'];
  test.each(modes)('in mode %s', async (mode) => {
    await using repo = await fresh(mode);
    const imported = await ours(repo);
    await ostree('fsck', `--repo=${repo.path}`);
    await using other = await fresh(mode);
    expect(imported.commit).toBe(await theirs(other));
    await ostree('fsck', `--repo=${other.path}`);
    const objects = (r: Repo) =>
      run('sh', ['-c', `cd ${r.path}/objects && find . -type f -o -type l | sort`]);
    // What was written, and not only what its names are.
    expect((await objects(repo)).stdout).toBe((await objects(other)).stdout);
    expect(imported).toMatchObject({ known: 0, unmatched: [] });
    expect(imported.files).toBeGreaterThan(160);
    expect(imported.bytes).toBeGreaterThan(2 * 5_000_001 + 9_000_000);
  });

  test.each([1, 2, 7])('with %i threads', async (threads) => {
    await using repo = await fresh();
    expect((await ours(repo, { threads })).commit).toBe(await theirs(repo));
  });

  const options: [string, WriteDirectoryOptions, readonly string[]][] = [
    ['owner', { owner: { uid: 0, gid: 12 } }, ['--owner-uid=0', '--owner-gid=12']],
    ['skipXattrs', { skipXattrs: true }, ['--no-xattrs']],
    ['canonicalPermissions', { canonicalPermissions: true }, ['--canonical-permissions']],
    ['readOnlyExecutables', { readOnlyExecutables: true }, ['--mode-ro-executables']],
    ['generateSizes', { generateSizes: true }, ['--generate-sizes']],
    ['linkCheckoutSpeedup', { linkCheckoutSpeedup: true }, ['--link-checkout-speedup']],
  ];
  test.each(options)('with %s', async (_name, settings, args) => {
    await using repo = await fresh('archive');
    expect((await ours(repo, settings)).commit).toBe(await theirs(repo, args));
  });

  test('with a skip list and statoverrides', async () => {
    const skips = ['/dir', '/many/7', '/owned/link', '/not/there'];
    const overrides = '+2048 /usr/bin/writable\n=384 /owned/file\n64 /zero\n=0x1ff /missing\n';
    await using repo = await fresh();
    const skipList = await list('skips', `${skips.join('\n')}\n`);
    const overrideList = await list('overrides', overrides);
    const result = await ours(repo, { skip: skips, statOverrides: parseStatOverrides(overrides) });
    expect(result.unmatched).toEqual(['/missing', '/not/there']);
    const commit = result.commit;
    const their = await run(
      'ostree',
      [
        'commit',
        `--repo=${repo.path}`,
        '--orphan',
        '--no-bindings',
        '--timestamp=@0',
        `--skip-list=${skipList}`,
        `--statoverride=${overrideList}`,
        source,
      ],
      { anyStatus: true },
    );
    // The command fails where something is left over; this library leaves that to the caller.
    expect(their.status).toBe(1);
    await writeFile(skipList, '/dir\n/many/7\n/owned/link\n');
    await writeFile(overrideList, overrides.replace(/.*missing\n/, ''));
    const args = [`--skip-list=${skipList}`, `--statoverride=${overrideList}`];
    expect(commit).toBe(await theirs(repo, args));
    expect(await repo.stat(commit, '/usr/bin/writable')).toMatchObject({ mode: 0o4775 });
    expect(await repo.stat(commit, '/owned/file')).toMatchObject({ mode: 0o600 });
  });

  test('consumed', async () => {
    const copy = scratch.join('consumed');
    await run('cp', ['-a', source, copy]);
    await using repo = await fresh('bare');
    const expected = await theirs(repo);
    await using other = await fresh('bare');
    expect((await ours(other, { consume: true }, copy)).commit).toBe(expected);
    // As the command: the directory itself stays or goes with its content.
    expect(
      (await run('sh', ['-c', `find ${copy} -type f 2>/dev/null | wc -l`])).stdout.trim(),
    ).toBe('0');
    await ostree('fsck', `--repo=${other.path}`);
  });

  test('of files that are links of objects', async () => {
    await using repo = await fresh('bare');
    const first = await ours(repo);
    const checkout = scratch.join('linked');
    await repo.checkout(first.commit, checkout, { hardlinksOnly: true });
    const again = await ours(repo, { linkCheckoutSpeedup: true }, checkout);
    expect(again.commit).toBe(first.commit);
    // A checkout copies empty files and links only what has content.
    expect(again.known).toBeGreaterThan(150);
    expect(again.hashed).toBeLessThan(5);
    await rm(`${checkout}/dir/open`);
    await writeFile(`${checkout}/dir/open`, 'changed');
    const changed = await ours(repo, { linkCheckoutSpeedup: true }, checkout);
    expect(changed.commit).toBe(await theirs(repo, [], `dir=${checkout}`));
    const owned = await ours(repo, { linkCheckoutSpeedup: true, owner: { uid: 5 } }, checkout);
    expect(owned.commit).toBe(await theirs(repo, ['--owner-uid=5'], `dir=${checkout}`));
  });

  test('over a tree that has something already', async () => {
    const over = scratch.join('over');
    await mkdir(`${over}/dir`, { recursive: true });
    await writeFile(`${over}/dir/open`, 'over it');
    await writeFile(`${over}/dir/new`, 'new');
    await using repo = await fresh();
    const { commit } = await commitTree(repo, async (transaction, tree) => {
      await transaction.writeDirectory(source, tree);
      return transaction.writeDirectory(over, tree);
    });
    expect(commit).toBe(await theirs(repo, [`--tree=dir=${source}`], `dir=${over}`));
  });
});

test('device nodes, sockets and such are refused, or skipped', async () => {
  const special = scratch.join('special');
  await mkdir(special);
  await run('mkfifo', [`${special}/fifo`]);
  await using repo = await fresh();
  const refused = { code: 'ERR_OSTREE_FAILED', path: '/fifo' };
  await expect(ours(repo, {}, special)).rejects.toMatchObject(refused);
  expect(await ours(repo, { skip: ['/fifo'] }, special)).toMatchObject({ files: 0 });
});

describe('rules', () => {
  const paths = async (repo: Repo, commit: string) =>
    (await repo.list(commit, '/', { recursive: true })).map((entry) => entry.path);

  test('patterns', async () => {
    const root = scratch.join('patterns');
    for (const name of ['a/b/c', 'a/x.d', 'usr/lib/x'])
      await mkdir(`${root}/${name}`, { recursive: true });
    for (const name of [
      'a/1.pyc',
      'a/b/2.pyc',
      'a/b/2.py',
      'a/b/c/é1',
      'a/b/c/22',
      'usr/lib/x/[1]',
    ]) {
      await writeFile(`${root}/${name}`, name);
    }
    await using repo = await fresh();
    const left = async (...skipPatterns: string[]) => {
      const { commit, unmatched } = await ours(repo, { skipPatterns }, root);
      return [(await paths(repo, commit)).join(' '), unmatched];
    };
    const head = '/ /a';
    expect(await left('*.pyc', '/usr', '*.d')).toEqual([
      `${head} /a/b /a/b/2.py /a/b/c /a/b/c/22 /a/b/c/é1`.replace(/^\/ /, ''),
      [],
    ]);
    expect(await left('/a/*.py', '/a/**', '[12].nothing')).toEqual([
      '/a /usr /usr/lib /usr/lib/x /usr/lib/x/[1]',
      ['/a/*.py', '[12].nothing'],
    ]);
    expect((await left('/**/?1', '/a/**/2.*', '\\[1\\]'))[0]).toBe(
      '/a /a/1.pyc /a/b /a/b/c /a/b/c/22 /a/x.d /usr /usr/lib /usr/lib/x /usr/lib/x/[1]',
    );
    expect((await left('[!2-9][!1]', '[[]1]', 'b/[0-9].py*'))[0]).toBe(
      '/a /a/1.pyc /a/b /a/b/c /a/b/c/22 /a/b/c/é1 /a/x.d /usr /usr/lib /usr/lib/x',
    );
  });

  test('modes and prefix', async () => {
    await using repo = await fresh();
    const { commit } = await ours(repo, {
      prefix: '/opt/there',
      modes: { files: { clear: 0o222, set: 0o1000 }, directories: { clear: 0o7777, set: 0o511 } },
    });
    expect(await repo.stat(commit, '/opt')).toMatchObject({ mode: 0o755, uid: 0 });
    expect(await repo.stat(commit, '/opt/there/owned')).toMatchObject({ mode: 0o511, uid: 1000 });
    expect(await repo.stat(commit, '/opt/there/usr/bin/writable')).toMatchObject({ mode: 0o1555 });
    expect(await repo.stat(commit, '/opt/there/link')).toMatchObject({ type: 'symlink' });
  });

  test('statoverride files', () => {
    expect(parseStatOverrides('+2048 /a b\n\n=0x80 /c\n7 /d')).toEqual([
      { path: '/a b', mode: 0o4000 },
      { path: '/c', mode: 0x80, replace: true },
      { path: '/d', mode: 7 },
    ]);
    for (const text of ['x /a', '12', '+99999 /a', '12 ']) {
      expect(() => parseStatOverrides(text)).toThrow(/no mode and path/);
    }
  });
});

describe('a filter function', () => {
  // Each import has another path into JavaScript: ours, libostree's, a commit, an archive.
  const imports: [
    string,
    (t: Transaction, tree: MutableTree, o: ImportOptions) => Promise<ImportResult>,
  ][] = [
    ['writeDirectory', (t, tree, o) => t.writeDirectory(source, tree, o)],
    [
      'writeDirectory of libostree',
      (t, tree, o) => t.writeDirectory(source, tree, { ...o, generateSizes: true }),
    ],
  ];

  test.each(imports)('%s: skips and changes', async (_name, run) => {
    await using repo = await fresh();
    const met: string[] = [];
    const { commit } = await commitTree(repo, (transaction, tree) =>
      run(transaction, tree, {
        skip: ['/usr'],
        owner: { uid: 3 },
        filter: ({ path, type, uid, gid, mode, size }) => {
          met.push(path);
          if (path === '/dir' || path === '/many/3') return 'skip';
          if (path === '/large')
            expect([type, uid, mode, size]).toEqual(['file', 3, 0o640, 5_000_001]);
          if (path === '/owned/link') expect([type, uid, gid]).toEqual(['symlink', 3, 8]);
          if (path === '/zero') return { uid: 4_294_967_295, gid: 6, mode: 0o4711 };
          if (type === 'directory') return { mode: 0o700 };
          return undefined;
        },
      }),
    );
    expect(new Set(met).size).toBe(met.length);
    expect(met).toContain('/many/3');
    expect(met).toContain('/');
    expect(met).not.toContain('/usr');
    expect(met.some((path) => path.startsWith('/dir/'))).toBe(false);
    expect(await repo.stat(commit, '/zero')).toMatchObject({
      uid: 4_294_967_295,
      gid: 6,
      mode: 0o4711,
    });
    expect(await repo.stat(commit, '/many')).toMatchObject({ uid: 3, mode: 0o700 });
    expect(await repo.stat(commit, '/')).toMatchObject({ mode: 0o700 });
    for (const gone of ['/dir', '/many/3', '/usr']) {
      await expect(repo.stat(commit, gone)).rejects.toMatchObject({ code: 'ENOENT' });
    }
  });

  test.each(imports)('%s: what it throws is the failure', async (_name, run) => {
    await using repo = await fresh();
    const failure = new Error('no');
    let calls = 0;
    await expect(
      commitTree(repo, (transaction, tree) =>
        run(transaction, tree, {
          filter: () => {
            if (++calls === 4) throw failure;
            return undefined;
          },
        }),
      ),
    ).rejects.toBe(failure);
    expect(calls).toBe(4);
    const odd: unknown[] = [
      { mode: 0o10000 },
      { uid: -1 },
      { gid: 1.5 },
      'skipp',
      null,
      Promise.resolve(),
    ];
    for (const decision of odd) {
      await expect(
        commitTree(repo, (transaction, tree) =>
          run(transaction, tree, { filter: () => decision as undefined }),
        ),
      ).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
    }
    // The repository is as usable as before.
    expect((await ours(repo)).commit).toBe(await theirs(repo));
  });

  test('may abort the import that asks it', async () => {
    await using repo = await fresh();
    const abort = new AbortController();
    await expect(
      ours(repo, {
        signal: abort.signal,
        filter: () => {
          abort.abort('enough');
          return undefined;
        },
      }),
    ).rejects.toMatchObject({ name: 'AbortError', cause: 'enough' });
  });
});

test('progress, and the event loop stays free', async () => {
  await using repo = await fresh('archive');
  let last = { directories: 0, files: 0, bytes: 0 };
  const result = await ours(repo, {
    onProgress: (progress) => {
      expect(progress.files).toBeGreaterThanOrEqual(last.files);
      last = progress;
    },
  });
  expect(last).toEqual({
    directories: result.directories,
    files: result.files,
    bytes: result.bytes,
  });
});

test('SELinux policies that are not there', async () => {
  await using repo = await fresh();
  for (const selinuxPolicy of [true, source] as const) {
    await expect(ours(repo, { selinuxPolicy })).rejects.toMatchObject({
      code: 'ERR_OSTREE_NOT_SUPPORTED',
    });
  }
  await expect(ours(repo, { selinuxPolicy: '/no/such' })).rejects.toMatchObject({ code: 'ENOENT' });
});
