/** Whole commits, against `ostree commit`; archives, trees of commits and single objects. */

import { createReadStream } from 'node:fs';
import { mkdir, open, readFile, symlink, writeFile } from 'node:fs/promises';
import { PassThrough, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { variant } from 'apt-ostree';
import {
  type CommitTreesOptions,
  MutableTree,
  Repo,
  type Transaction,
  type WriteArchiveOptions,
} from 'apt-ostree/ostree';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { binding } from '../../../lib/binding.js';
import { bootableEdits, commitEdits, ostree, someEdits } from '../../support/ostree.js';
import { createRepo } from '../../support/repo.js';
import { run } from '../../support/run.js';
import { temporaryDirectory } from '../../support/temp.js';

const scratch = await temporaryDirectory('write-commit');
const source = scratch.join('source');
const archive = scratch.join('tree.tar.gz');
let count = 0;
const fresh = (mode = 'bare-user') => createRepo(scratch.join(`repo-${++count}`), mode);
const epoch = new Date(0);
const kZeros = '0'.repeat(64);

beforeAll(async () => {
  await mkdir(`${source}/etc/conf.d`, { recursive: true });
  await mkdir(`${source}/usr/bin`, { recursive: true });
  await writeFile(`${source}/etc/conf.d/a`, 'a', { mode: 0o640 });
  await writeFile(`${source}/usr/bin/tool`, 'x'.repeat(300_000), { mode: 0o755 });
  await symlink('tool', `${source}/usr/bin/link`);
  await run('tar', ['-czf', archive, '--owner=3', '--group=4', '-C', source, 'etc', 'usr']);
});
afterAll(() => scratch.remove());

/** `ostree commit` at the start of time. */
const theirs = (repo: Repo, ...args: string[]) =>
  ostree('commit', `--repo=${repo.path}`, '--timestamp=@0', ...args);

describe('a commit has the checksum that ostree commit gives it', () => {
  const cases: [string, Partial<CommitTreesOptions>, readonly string[]][] = [
    ['subject and body', { subject: 'One', body: 'Body' }, ['--subject=One', '--body=Body']],
    ['no bindings', { bindings: false }, ['--no-bindings']],
    ['more bindings', { bindRefs: ['zz', 'a/b'] }, ['--bind-ref=zz', '--bind-ref=a/b']],
    [
      'metadata',
      { metadata: { version: '1', 'x.list': variant('as', ['a', 'b']) } },
      ['--add-metadata-string=version=1', "--add-metadata=x.list=['a', 'b']"],
    ],
    ['parent', { parent: null }, ['--parent=none']],
  ];
  test.each(cases)('%s', async (_name, options, args) => {
    await using repo = await fresh();
    await using other = await fresh();
    const trees = [{ directory: source }];
    for (const ref of ['test', undefined]) {
      const expected = await theirs(other, ref ? `--branch=${ref}` : '--orphan', ...args, source);
      const made = await repo.commit({ ref, trees, timestamp: epoch, ...options });
      expect(made).toMatchObject({ checksum: expected, changed: true });
      expect(await repo.tryResolveRev('test')).toBe(await other.tryResolveRev('test'));
    }
    // The second on a ref has the first for its parent.
    const again = await repo.commit({ ref: 'test', trees, timestamp: epoch, ...options });
    expect(again.checksum).toBe(await theirs(other, '--branch=test', ...args, source));
    expect(again.stats.contentObjectsWritten).toBe(0);
  });

  test('times before 1970', async () => {
    await using repo = await fresh();
    for (const [time, seconds] of [
      ['1969-12-31T23:59:59.500Z', -1],
      ['1955-11-05T00:00:00Z', -446_774_400],
    ] as const) {
      const expected = await ostree(
        'commit',
        `--repo=${repo.path}`,
        '--orphan',
        `--timestamp=@${seconds}`,
        source,
      );
      const trees = [{ directory: source }];
      const { checksum } = await repo.commit({
        ref: 'old',
        trees,
        timestamp: new Date(time),
        parent: null,
      });
      expect((await repo.loadCommit(checksum)).timestamp).toEqual(new Date(seconds * 1000));
      expect((await repo.loadCommit(expected)).timestamp).toEqual(new Date(seconds * 1000));
      await repo.summary.regenerate();
      const summary = await repo.summary.read();
      expect(summary?.refs[0]?.timestamp).toEqual(new Date(seconds * 1000));
    }
  });

  test('collections, kept metadata, bootable trees', async () => {
    await using repo = await fresh();
    await using other = await fresh();
    const root = scratch.join('bootable');
    for (const each of [repo, other]) {
      await each.collections.setId('org.example.Test');
      await commitEdits(each, 'os', bootableEdits('1'));
    }
    await repo.checkout('os', root, { mode: 'user' });
    const first = {
      ref: 'os',
      trees: [{ directory: root, owner: { uid: 0, gid: 0 } }],
      timestamp: epoch,
      bootable: true,
      metadata: { version: '1', other: 'x' },
    };
    const args = ['-b', 'os', '--owner-uid=0', '--owner-gid=0', '--bootable', `--tree=dir=${root}`];
    const versions = ['--add-metadata-string=version=1', '--add-metadata-string=other=x'];
    const { checksum } = await repo.commit(first);
    expect(checksum).toBe(await theirs(other, ...args, ...versions));
    const { metadata } = await repo.loadCommit(checksum);
    expect(metadata).toMatchObject({
      'ostree.bootable': true,
      'ostree.linux': '6.1.0',
      'ostree.collection-binding': 'org.example.Test',
      'ostree.ref-binding': ['os'],
    });
    const kept = await repo.commit({
      ...first,
      metadata: { other: 'y' },
      bootable: false,
      keepMetadata: ['version', 'other'],
    });
    expect((await repo.loadCommit(kept.checksum)).metadata).toMatchObject({
      version: '1',
      other: 'y',
    });
    await expect(repo.commit({ ...first, keepMetadata: ['no.such'] })).rejects.toMatchObject({
      code: 'ENOENT',
    });
    await expect(
      repo.commit({ trees: [{ directory: source }], bootable: true }),
    ).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('layers in order, over a base', async () => {
    await using repo = await fresh();
    const base = await commitEdits(repo, 'base', someEdits);
    const layer = await commitEdits(repo, 'layer', [
      { op: 'mkdir', path: '/etc', uid: 9, mode: 0o700 },
      { op: 'file', path: '/etc/hostname', content: 'other' },
      { op: 'file', path: '/new/sub/file', content: 'new' },
    ]);
    const { checksum, imports } = await repo.commit({
      base: 'base',
      trees: [{ directory: source }, { commit: 'layer' }, { archive }],
      timestamp: epoch,
    });
    expect(imports).toHaveLength(3);
    const expected = await theirs(
      repo,
      '--orphan',
      `--base=${base}`,
      `--tree=dir=${source}`,
      `--tree=ref=${layer}`,
      `--tree=tar=${archive}`,
      '--tar-autocreate-parents',
    );
    expect(checksum).toBe(expected);
  });

  test('detached metadata; nothing where nothing changed', async () => {
    await using repo = await fresh();
    const options = { ref: 'test', trees: [{ directory: source }], skipIfUnchanged: true };
    const first = await repo.commit({ ...options, detachedMetadata: { note: 'beside' } });
    expect(first.changed).toBe(true);
    expect(await repo.readDetachedMetadata(first.checksum)).toMatchObject({ note: 'beside' });
    const second = await repo.commit(options);
    expect(second).toMatchObject({ checksum: first.checksum, changed: false });
    const third = await repo.commit({ ...options, trees: [{ commit: 'test', subpath: '/usr' }] });
    expect(third).toMatchObject({ changed: true, parent: first.checksum });
    expect(await repo.resolveRev('test')).toBe(third.checksum);
  });
});

describe('trees of other commits', () => {
  test('whole, from a subpath, to a prefix, with rules', async () => {
    await using repo = await fresh();
    await commitEdits(repo, 'test', someEdits);
    const listed = async (rev: string, path?: string) =>
      (await repo.list(rev, path, { recursive: true })).map((entry) => ({ ...entry }));
    const whole = await repo.commit({ trees: [{ commit: 'test' }] });
    expect(await listed(whole.checksum)).toEqual(await listed('test'));
    const { checksum } = await repo.commit({
      trees: [{ commit: 'test', subpath: '/usr', prefix: '/opt/usr' }],
    });
    expect(await repo.list(checksum, '/opt/usr/bin')).toEqual(
      (await repo.list('test', '/usr/bin')).map((e) => ({ ...e, path: `/opt${e.path}` })),
    );
    const met: string[] = [];
    const changed = await repo.commit({
      trees: [
        {
          commit: 'test',
          subpath: '/etc',
          owner: { uid: 5 },
          skip: ['/empty', '/nothing'],
          filter: ({ path }) => {
            met.push(path);
            return undefined;
          },
        },
      ],
    });
    expect(changed.imports[0]?.unmatched).toEqual(['/nothing']);
    expect(met.sort()).toEqual(['/', '/hostname']);
    expect(await repo.list(changed.checksum)).toMatchObject([
      { path: '/hostname', uid: 5, gid: 2 },
    ]);
    const file = { commit: 'test', subpath: '/etc/hostname' };
    await expect(repo.commit({ trees: [file] })).rejects.toMatchObject({ code: 'ENOTDIR' });
    const missing = { commit: 'test', subpath: '/no/such' };
    await expect(repo.commit({ trees: [missing] })).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('archives', () => {
  const paths = async (repo: Repo, options: WriteArchiveOptions, file = archive) => {
    const { checksum } = await repo.commit({ trees: [{ archive: file, ...options }] });
    const entries = await repo.list(checksum, '/', { recursive: true });
    return entries.filter(({ type }) => type !== 'directory').map(({ path }) => path);
  };

  test('from a path, a descriptor and a stream', async () => {
    await using repo = await fresh();
    await using file = await open(archive);
    const bytes = await readFile(archive);
    const checksums = [];
    for (const each of [archive, file.fd, createReadStream(archive), Readable.from([bytes])]) {
      const { tree } = await repo.commit({ trees: [{ archive: each }] });
      checksums.push(tree.contents);
    }
    expect(new Set(checksums).size).toBe(1);
    // Who fills the stream may go on to the end of the padding, and succeeds.
    const padded = new PassThrough();
    const filled = pipeline(
      Readable.from([bytes, ...Array(20).fill(Buffer.alloc(50_000))]),
      padded,
    );
    expect((await repo.commit({ trees: [{ archive: padded }] })).tree.contents).toBe(checksums[0]);
    await filled;
    // What follows the archive is no matter.
    const endless = (async function* () {
      yield bytes;
      for (;;) yield Buffer.alloc(65_536);
    })();
    const { tree } = await repo.commit({ trees: [{ archive: endless }] });
    expect(tree.contents).toBe(checksums[0]);
  });

  test('moves and rewriting', async () => {
    await using repo = await fresh();
    expect(await paths(repo, { usrEtc: true })).toEqual([
      '/usr/bin/link',
      '/usr/bin/tool',
      '/usr/etc/conf.d/a',
    ]);
    expect(await paths(repo, { moves: { 'usr/bin': 'bin', etc: 'usr/etc' } })).toEqual([
      '/bin/link',
      '/bin/tool',
      '/usr/etc/conf.d/a',
    ]);
    const rewrite = { pattern: '^(usr|etc)/', replacement: 'x/\\1-y/' };
    const ours = await repo.commit({ trees: [{ archive, rewrite }], timestamp: epoch });
    const expected = await theirs(
      repo,
      '--orphan',
      '--tar-autocreate-parents',
      '--tar-pathname-filter=^(usr|etc)/,x/\\1-y/',
      `--tree=tar=${archive}`,
    );
    expect(ours.checksum).toBe(expected);
    expect(await paths(repo, { skip: ['/etc'], prefix: '/p' })).toEqual([
      '/p/usr/bin/link',
      '/p/usr/bin/tool',
    ]);
    await expect(paths(repo, { rewrite: { pattern: '(', replacement: '' } })).rejects.toMatchObject(
      { code: 'ERR_INVALID_ARG_VALUE' },
    );
  });

  test.each(['pax', 'gnu'])('names of any language, in format %s', async (format) => {
    const names = scratch.join(`names-${format}`);
    await mkdir(`${names}/ünï`, { recursive: true });
    await writeFile(`${names}/ünï/日本`, 'x');
    await symlink('日本', `${names}/ünï/lïnk`);
    const tar = scratch.join(`names-${format}.tar`);
    await run('tar', [`--format=${format}`, '-cf', tar, '-C', names, 'ünï']);
    await using repo = await fresh();
    expect(await paths(repo, {}, tar)).toEqual(['/ünï/lïnk', '/ünï/日本']);
    const ours = await repo.commit({ trees: [{ archive: tar }], timestamp: epoch });
    const args = ['--orphan', '--tar-autocreate-parents', `--tree=tar=${tar}`];
    expect(ours.checksum).toBe(await theirs(repo, ...args));
  });

  test('device nodes, and parents that are not there', async () => {
    const special = scratch.join('special');
    await mkdir(`${special}/dev/sub`, { recursive: true });
    await run('mkfifo', [`${special}/dev/fifo`]);
    await writeFile(`${special}/dev/sub/file`, 'x');
    const tar = scratch.join('special.tar');
    await run('tar', ['-cf', tar, '-C', special, 'dev/fifo', 'dev/sub/file']);
    await using repo = await fresh();
    await expect(paths(repo, {}, tar)).rejects.toMatchObject({ code: 'ERR_OSTREE_FAILED' });
    expect(await paths(repo, { skipDevices: true }, tar)).toEqual(['/dev/sub/file']);
    await expect(
      paths(repo, { skipDevices: true, createParents: false }, tar),
    ).rejects.toMatchObject({ code: expect.stringMatching(/^(ENOENT|ERR_OSTREE_FAILED)$/) });
  });

  test('what fails, fails with its own error', async () => {
    await using repo = await fresh();
    const commit = (each: AsyncIterable<Uint8Array>, signal?: AbortSignal) =>
      repo.commit({ trees: [{ archive: each }], signal });
    const failure = new Error('no more');
    const bytes = await readFile(archive);
    const broken = (async function* () {
      yield bytes.subarray(0, 200);
      throw failure;
    })();
    await expect(commit(broken)).rejects.toBe(failure);
    await expect(commit(Readable.from([Buffer.from('no archive')]))).rejects.toMatchObject({
      code: 'ERR_OSTREE_FAILED',
    });
    await expect(
      repo.commit({ trees: [{ archive: scratch.join('missing') }] }),
    ).rejects.toMatchObject({ code: 'ENOENT', path: scratch.join('missing') });
    // A source that never says anything.
    const silent = new Readable({ read() {} });
    const abort = new AbortController();
    const stopped = commit(silent, abort.signal);
    setTimeout(() => abort.abort('late'), 50);
    await expect(stopped).rejects.toMatchObject({ name: 'AbortError', cause: 'late' });
    expect(silent.destroyed).toBe(true);
    // Nor does this one, after the archive; nor may it break off there.
    const unended = (end: () => Promise<void>) =>
      (async function* () {
        yield bytes;
        yield Buffer.alloc(100_000);
        await end();
      })();
    const later = new AbortController();
    const waiting = commit(
      unended(
        () =>
          new Promise((_, reject) => {
            later.signal.addEventListener('abort', reject);
            setTimeout(() => later.abort('later'), 50);
          }),
      ),
      later.signal,
    );
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError', cause: 'later' });
    await expect(commit(unended(() => Promise.reject(failure)))).rejects.toBe(failure);
  });
});

describe('single objects', () => {
  const write = <T>(repo: Repo, work: (transaction: Transaction) => Promise<T>) =>
    repo.transaction(work).then(({ result }) => result);
  const xattrs = [
    { name: 'user.z', value: Buffer.from('last') },
    { name: 'user.a', value: Buffer.from([0, 255]) },
  ];

  test.each(['bare', 'bare-user', 'archive'])('files and links in mode %s', async (mode) => {
    await using repo = await fresh(mode);
    const content = Buffer.alloc(6_000_000, 'content ');
    const { result } = await repo.transaction(async (transaction) => {
      const options = { uid: 1, gid: 2, mode: 0o4711, xattrs };
      // Large content goes piece by piece: no copy holds up the event loop.
      const pipes = vi.spyOn(binding(), 'createPipe');
      const memory = await transaction.writeRegularFile(content, options);
      expect(pipes).toHaveBeenCalledTimes(1);
      pipes.mockRestore();
      const stream = await transaction.writeRegularFile(Readable.from([content]), options);
      const writer = transaction.fileWriter(options);
      await pipeline(Readable.from([content.subarray(0, 10), content.subarray(10)]), writer.stream);
      expect(stream).toBe(memory);
      expect(await writer.checksum).toBe(memory);
      const empty = await transaction.writeRegularFile('');
      const link = await transaction.writeSymlink('some/where', { uid: 3 });
      const tree = MutableTree.create();
      await tree.apply(repo, [
        { op: 'link', path: '/big', checksum: memory },
        { op: 'link', path: '/empty', checksum: empty },
        { op: 'link', path: '/link', checksum: link },
      ]);
      return transaction.writeCommit({ tree: await transaction.writeTree(tree) });
    });
    await ostree('fsck', `--repo=${repo.path}`);
    expect(await repo.stat(result, '/big', { xattrs: true })).toMatchObject({
      uid: 1,
      gid: 2,
      mode: 0o4711,
      size: content.length,
      xattrs: [
        { name: 'user.a', value: Buffer.from([0, 255]) },
        { name: 'user.z', value: Buffer.from('last') },
      ],
    });
    expect(await repo.stat(result, '/empty')).toMatchObject({ mode: 0o644, size: 0 });
    expect(await repo.stat(result, '/link')).toMatchObject({ uid: 3, target: 'some/where' });
  });

  test('metadata, copied from another repository', async () => {
    await using repo = await fresh();
    const checksum = await commitEdits(repo, 'test', someEdits);
    await using other = await fresh();
    const bytes = async (name: string, type: string) =>
      readFile(`${repo.path}/objects/${name.slice(0, 2)}/${name.slice(2)}.${type}`);
    const { contents, metadataChecksum } = await repo.loadCommit(checksum);
    const commit = await bytes(checksum, 'commit');
    const dirtree = await bytes(contents, 'dirtree');
    const dirmeta = await bytes(metadataChecksum, 'dirmeta');
    await write(other, async (transaction) => {
      expect(await transaction.writeMetadata('commit', commit)).toBe(checksum);
      expect(await transaction.writeMetadata('dirtree', dirtree, { checksum: contents })).toBe(
        contents,
      );
      expect(await transaction.writeMetadata('dirmeta', dirmeta)).toBe(metadataChecksum);
      const failed = { code: 'ERR_OSTREE_FAILED' };
      await expect(
        transaction.writeMetadata('dirmeta', dirmeta, { checksum: kZeros }),
      ).rejects.toMatchObject(failed);
      for (const wrong of [Buffer.alloc(0), Buffer.from('x'), dirtree.subarray(1), dirtree]) {
        await expect(transaction.writeMetadata('dirmeta', wrong)).rejects.toMatchObject(failed);
        await expect(transaction.writeMetadata('commit', wrong)).rejects.toMatchObject(failed);
      }
    });
    expect(await other.hasObject('dirmeta', metadataChecksum)).toBe(true);
  });

  test('what a repository cannot keep', async () => {
    await using repo = await fresh('bare-user-only');
    await write(repo, async (transaction) => {
      const refused = { code: 'EINVAL' };
      for (const options of [{ uid: 1 }, { gid: 1 }, { mode: 0o4755 }, { xattrs }]) {
        await expect(transaction.writeRegularFile('x', options)).rejects.toMatchObject(refused);
      }
      await expect(transaction.writeSymlink('x', { uid: 1 })).rejects.toMatchObject(refused);
      await transaction.writeRegularFile('x', { mode: 0o755 });
    });
    await ostree('fsck', `--repo=${repo.path}`, '--all');
  });

  test('a writer that is given up', async () => {
    await using repo = await fresh();
    await write(repo, async (transaction) => {
      const writer = transaction.fileWriter();
      writer.stream.write('some');
      const failure = new Error('given up');
      writer.stream.on('error', () => {});
      writer.stream.destroy(failure);
      await expect(writer.checksum).rejects.toBe(failure);
    });
  });
});

describe('misuse', () => {
  test('wrong arguments', async () => {
    await using repo = await fresh();
    const invalid = { code: expect.stringMatching(/^ERR_(INVALID_ARG_|OUT_OF_RANGE)/) };
    const trees = [{ directory: source }];
    const odd = (value: unknown) => value as never;
    const wrong: Partial<CommitTreesOptions>[] = [
      { trees: odd(undefined) },
      { trees: [odd({})] },
      { trees: [odd(null)] },
      { trees: [odd({ directory: source, commit: 'x' })] },
      { trees: [odd({ directory: 3 })] },
      { trees: [{ commit: '../x' }] },
      { trees: [{ commit: 'x', subpath: '/../y' }] },
      { trees: [{ archive: -1 }] },
      { trees: [{ archive: odd({}) }] },
      { trees: [{ directory: source, skip: odd('x') }] },
      { trees: [{ directory: source, skip: ['a\0b'] }] },
      { trees: [{ directory: source, statOverrides: [{ path: '/x', mode: 0o70000 }] }] },
      { trees: [{ directory: source, prefix: '/a/../b' }] },
      { trees: [{ directory: source, owner: { uid: -1 } }] },
      { trees: [{ directory: source, filter: odd(3) }] },
      { trees: [{ directory: source, devinoCache: odd({}) }] },
      { trees: [{ directory: source, threads: 1000 }] },
      { trees: [{ directory: source, canonicalPermissions: true, owner: { uid: 1 } }] },
      { parent: 'abc' },
      { bindings: false, bindRefs: ['x'] },
      { keepMetadata: ['x'] },
      { ref: '../x' },
    ];
    for (const options of wrong) {
      await expect(
        repo.commit({ trees, ...options }),
        JSON.stringify(options),
      ).rejects.toMatchObject(invalid);
    }
    await repo.transaction(async (transaction) => {
      const calls = [
        transaction.writeRegularFile(odd(3)),
        transaction.writeRegularFile('x', { mode: 0o200000 }),
        transaction.writeRegularFile('x', { xattrs: odd('x') }),
        transaction.writeRegularFile('x', { xattrs: [{ name: '', value: Buffer.from('') }] }),
        transaction.writeRegularFile('x', { xattrs: [odd({ name: 'user.a', value: 'x' })] }),
        // An object of mode bare would lose it, and its checksum with it.
        transaction.writeRegularFile('x', { xattrs: [{ name: 'user.a', value: Buffer.of() }] }),
        transaction.writeRegularFile('x', {
          xattrs: ['user.a', 'user.a'].map((name) => ({ name, value: Buffer.from('x') })),
        }),
        transaction.writeSymlink('a\0b'),
        transaction.writeSymlink(''),
        transaction.writeMetadata(odd('file'), Buffer.from('')),
        transaction.writeMetadata('dirmeta', odd('x')),
        transaction.writeMetadata('dirmeta', Buffer.from(''), { checksum: '../..' }),
      ];
      for (const call of calls) await expect(call).rejects.toMatchObject(invalid);
    });
    // Nothing of all that did harm.
    await repo.commit({ trees });
    await ostree('fsck', `--repo=${repo.path}`);
  });

  test('outside of a transaction, inside of another, after close', async () => {
    const repo = await fresh();
    let left: Transaction | undefined;
    await repo.transaction(async (transaction) => {
      left = transaction;
      await expect(repo.commit({ trees: [] })).rejects.toMatchObject({ code: 'ERR_BUSY' });
    });
    const ended = { code: 'ERR_INVALID_STATE' };
    await expect(left?.writeRegularFile('x')).rejects.toMatchObject(ended);
    await expect(left?.writeSymlink('x')).rejects.toMatchObject(ended);
    await expect(left?.writeMetadata('dirmeta', Buffer.from(''))).rejects.toMatchObject(ended);
    await expect(left?.writeCommitTree('x', MutableTree.create())).rejects.toMatchObject(ended);
    repo.close();
    await expect(repo.commit({ trees: [] })).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    await using missing = await Repo.open(repo.path);
    await expect(
      missing.commit({ trees: [{ directory: scratch.join('missing') }] }),
    ).rejects.toMatchObject({ code: 'ENOENT', path: scratch.join('missing') });
  });
});
