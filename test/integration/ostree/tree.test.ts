/** Reading trees: walks, single entries, streams and archives, beside the ostree command. */

import { createWriteStream } from 'node:fs';
import { mkdir, open, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { AbortError } from 'apt-ostree';
import { Repo, type RepoMode, type TreeEdit, type TreeEntry } from 'apt-ostree/ostree';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeDiskTree } from '../../support/disk-tree.js';
import { listingLine } from '../../support/entries.js';
import { commitEdits, ostree } from '../../support/ostree.js';
import { createRepo } from '../../support/repo.js';
import { run } from '../../support/run.js';
import { temporaryDirectory } from '../../support/temp.js';

const scratch = await temporaryDirectory('tree');
afterAll(() => scratch.remove());
const source = scratch.join('source');
let repo: Repo;
beforeAll(async () => {
  await makeDiskTree(source);
  repo = await createRepo(scratch.join('repo'), 'bare-user');
  await ostree('commit', `--repo=${repo.path}`, '--branch=test', `--tree=dir=${source}`);
});
afterAll(() => repo.close());

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}
const bytesOf = async (stream: AsyncIterable<Buffer>) => Buffer.concat(await all(stream));
const openDescriptors = async () => (await readdir('/proc/self/fd')).length;

describe('walk and list', () => {
  test.each<RepoMode>(['bare', 'bare-user', 'bare-user-only', 'archive'])(
    'give what `ostree ls` prints of a repository in mode %s',
    async (mode) => {
      await using other = await createRepo(scratch.join(`ls-${mode}`), mode);
      const at = `--repo=${other.path}`;
      const flags = mode === 'bare-user-only' ? ['--no-xattrs', '--canonical-permissions'] : [];
      await ostree('commit', at, '--branch=test', `--tree=dir=${source}`, ...flags);
      const theirs = await ostree('ls', at, '-R', '-C', '-X', 'test', '/');
      const entries = await all(other.walk('test', { self: true, xattrs: true }));
      expect(entries.map((entry) => listingLine(entry, { checksums: true }))).toEqual(
        theirs.split('\n'),
      );
      const plain = await other.list('test', '/usr', { recursive: true });
      const names = await ostree('ls', at, '-R', '--nul-filenames-only', 'test', '/usr');
      expect(['/usr', ...plain.map(({ path }) => path), '']).toEqual(names.split('\0'));
      const flat = await other.list('test', '/usr/share');
      const theirFlat = await ostree('ls', at, 'test', '/usr/share');
      expect(flat.map((entry) => listingLine(entry))).toEqual(theirFlat.split('\n').slice(1));
      const self = await other.stat('test', '/usr', { xattrs: true });
      expect(listingLine(self)).toBe(await ostree('ls', at, '-d', '-X', 'test', '/usr'));
    },
  );

  test('extended attributes are bytes', async () => {
    const entry = await repo.stat('test', '/etc/hostname', { xattrs: true });
    const found = new Map(entry.xattrs?.map(({ name, value }) => [name, value]));
    expect(found.get('user.text')).toEqual(Buffer.from('value'));
    expect(found.get('user.bytes')).toEqual(Buffer.from([0, 255, 10]));
    expect((await repo.stat('test', '/etc/hostname')).xattrs).toBeUndefined();
  });

  test('begin at a path, or are about one file', async () => {
    const below = await all(repo.walk('test', { path: 'usr/bin', checksums: false }));
    expect(below.map(({ path, checksum }) => [path, checksum])).toEqual([
      ['/usr/bin/big', undefined],
      ['/usr/bin/tool', undefined],
    ]);
    expect(await all(repo.walk('test', { path: '/bin' }))).toMatchObject([
      { path: '/bin', type: 'symlink', target: 'usr/bin' },
    ]);
  });

  test('large directories come in pieces, in order, and may be left early', async () => {
    const edits = Array.from({ length: 2500 }, (_, i) => ({
      op: 'file' as const,
      path: `/flat/${String(i).padStart(4, '0')}`,
      content: 'same',
    }));
    await commitEdits(repo, 'large', [{ op: 'mkdir', path: '/' }, ...edits]);
    const entries = await all(repo.walk('large'));
    expect(entries.map(({ path }) => path)).toEqual(['/flat', ...edits.map(({ path }) => path)]);
    const before = await openDescriptors();
    for (let i = 0; i < 20; i++) {
      for await (const entry of repo.walk('large')) if (entry.path.endsWith('/0003')) break;
    }
    expect(await openDescriptors()).toBeLessThanOrEqual(before + 5);
  });

  test('stop when aborted, and when the repository is closed', async () => {
    const abort = new AbortController();
    const walk = async () => {
      for await (const _ of repo.walk('large', { signal: abort.signal })) abort.abort('enough');
    };
    await expect(walk()).rejects.toBeInstanceOf(AbortError);
    const other = await Repo.open(repo.path);
    const entries = other.walk('large');
    await entries.next();
    other.close();
    await expect(all(entries)).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  });

  test.each([
    ['/nothing', 'ENOENT'],
    ['/etc/hostname/x', 'ENOTDIR'],
    ['/etc/../etc', 'ERR_INVALID_ARG_VALUE'],
    ['/a\0b', 'ERR_INVALID_ARG_VALUE'],
  ])('%j is %s', async (path, code) => {
    await expect(repo.list('test', path)).rejects.toMatchObject({ code });
    await expect(repo.stat('test', path)).rejects.toMatchObject({ code });
    const walk = async () => all(repo.walk('test', { path }));
    await expect(walk()).rejects.toMatchObject({ code });
  });
});

describe('a stream of a file', () => {
  const big = Buffer.alloc(700_001, 'abcdefg');

  test.each<RepoMode>(['bare-user', 'archive'])('gives any range, in mode %s', async (mode) => {
    await using other = await createRepo(scratch.join(`ranges-${mode}`), mode);
    await ostree('commit', `--repo=${other.path}`, '--branch=test', `--tree=dir=${source}`);
    for (const range of [
      {},
      { start: 0, end: 0 },
      { start: 5 },
      { start: 699_999, end: 800_000 },
      { start: 700_001 },
      { start: 900_000 },
      { start: 300_000, end: 299_999 },
      { end: 262_143 },
      { start: 262_144, highWaterMark: 1 << 20 },
    ]) {
      const bytes = await bytesOf(other.createReadStream('test', '/usr/bin/big', range));
      const { start = 0, end = big.length } = range;
      expect(bytes.equals(big.subarray(start, Math.max(start, end + 1)))).toBe(true);
    }
    expect(await bytesOf(other.createReadStream('test', '/etc/empty'))).toHaveLength(0);
  });

  test('reads only what is wanted', async () => {
    const stream = repo.createReadStream('test', '/usr/bin/big', { highWaterMark: 1000 });
    const [first] = (await stream.take(1).toArray()) as Buffer[];
    expect(first).toHaveLength(1000);
    expect(stream.destroyed).toBe(true);
  });

  test('closes its file before it says so, however it ends', async () => {
    const before = await openDescriptors();
    const closed = (stream: Writable | AsyncIterable<unknown>) =>
      new Promise((resolve) => (stream as Writable).once('close', resolve));
    for (let i = 0; i < 10; i++) {
      const stream = repo.createReadStream('test', '/usr/bin/big', { highWaterMark: 100 });
      const end = closed(stream);
      if (i % 2) await new Promise((resolve) => stream.once('data', resolve));
      else stream.read();
      stream.destroy();
      await end;
      expect(await openDescriptors()).toBeLessThanOrEqual(before + 1);
    }
  });

  test('ends with an AbortError when aborted', async () => {
    const abort = new AbortController();
    const stream = repo.createReadStream('test', '/usr/bin/big', {
      highWaterMark: 100,
      signal: abort.signal,
    });
    const reading = (async () => {
      for await (const _ of stream) abort.abort('enough');
    })();
    await expect(reading).rejects.toMatchObject({ code: 'ABORT_ERR', cause: 'enough' });
    const late = repo.createReadStream('test', '/usr/bin/big', { signal: abort.signal });
    await expect(bytesOf(late)).rejects.toMatchObject({ code: 'ABORT_ERR' });
  });

  test.each([
    ['/nothing', 'ENOENT'],
    ['/usr', 'EISDIR'],
    ['/bin', 'ELOOP'],
    ['/etc/hostname/x', 'ENOTDIR'],
  ])('%s fails with %s', async (path, code) => {
    await expect(bytesOf(repo.createReadStream('test', path))).rejects.toMatchObject({ code });
    await expect(repo.readFile('test', path)).rejects.toMatchObject({ code });
  });

  test('refuses ranges that are none', async () => {
    for (const range of [{ start: -1 }, { start: 1.5 }, { end: Number.NaN }]) {
      const stream = repo.createReadStream('test', '/etc/empty', range);
      await expect(bytesOf(stream)).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
    }
  });
});

describe('an archive', () => {
  test.each([
    ['everything', {}, []],
    ['a part', { subpath: '/usr/share' }, ['--subpath=usr/share']],
    ['a prefix', { prefix: 'root/' }, ['--prefix=root/']],
    ['no extended attributes', { noXattrs: true }, ['--no-xattrs']],
  ])('of %s is byte for byte the command’s', async (name, options, flags) => {
    const [theirs, ours] = [scratch.join(`${name}.theirs`), scratch.join(`${name}.ours`)];
    await ostree('export', `--repo=${repo.path}`, ...flags, `--output=${theirs}`, 'test');
    await repo.exportArchive('test', ours, options);
    expect((await readFile(ours)).equals(await readFile(theirs))).toBe(true);
  });

  test('goes into a stream, which is ended, and into a descriptor, which is not', async () => {
    const theirs = await run('ostree', ['export', `--repo=${repo.path}`, 'test']);
    const file = scratch.join('streamed.tar');
    const stream = createWriteStream(file, { highWaterMark: 100 });
    await repo.exportArchive('test', stream);
    expect(stream.writableFinished).toBe(true);
    expect((await readFile(file)).equals(theirs.bytes)).toBe(true);
    const handle = await open(scratch.join('descriptor.tar'), 'w');
    await repo.exportArchive('test', handle.fd);
    await handle.write('more');
    await handle.close();
    const listed = await run('tar', ['-tf', scratch.join('descriptor.tar')], { anyStatus: true });
    expect(listed.stdout).toContain('usr/bin/tool');
  });

  test('goes through a pipe into a tree, to the end of its padding', async () => {
    await using few = await createRepo(scratch.join('few-thousand'), 'bare-user');
    const edits = [...Array(3000).keys()].map(
      (i): TreeEdit => ({ op: 'file', path: `/${i % 50}/${i}`, content: 'x'.repeat(i % 700) }),
    );
    await commitEdits(few, 'test', [{ op: 'mkdir', path: '/' }, ...edits]);
    const { contents } = await few.loadCommit('test');
    for (let i = 0; i < 5; i++) {
      const pipe = new PassThrough();
      const [, { tree }] = await Promise.all([
        few.exportArchive('test', pipe),
        few.commit({ trees: [{ archive: pipe }] }),
      ]);
      expect(tree.contents).toBe(contents);
    }
  });

  test('in format pax keeps extended attributes', async () => {
    const file = scratch.join('attributes.tar');
    await repo.exportArchive('test', file, { format: 'pax' });
    const listed = await run('tar', ['--xattrs', '-tvvf', file]);
    expect(listed.stdout).toContain('user.text');
    const part = scratch.join('without.tar');
    await repo.exportArchive('test', part, { format: 'pax', noXattrs: true });
    expect((await readFile(part)).includes('user.text')).toBe(false);
  });

  test('reports what its target reports', async () => {
    await expect(repo.exportArchive('test', '/dev/full')).rejects.toMatchObject({ code: 'ENOSPC' });
    const problem = new Error('no');
    const broken = new Writable({ write: (_chunk, _encoding, done) => done(problem) });
    await expect(repo.exportArchive('test', broken)).rejects.toBe(problem);
    await expect(repo.exportArchive('test', 999_999)).rejects.toMatchObject({ code: 'EBADF' });
    const target = scratch.join('no-directory/x.tar');
    await expect(repo.exportArchive('test', target)).rejects.toMatchObject({ code: 'ENOENT' });
    const subpath = '/etc/hostname';
    await expect(
      repo.exportArchive('test', scratch.join('x.tar'), { subpath }),
    ).rejects.toMatchObject({ code: 'ENOTDIR' });
  });

  test('never fills up what a damaged file says that it has', async () => {
    await using archive = await createRepo(scratch.join('lying'), 'archive');
    await commitEdits(archive, 'test', [{ op: 'file', path: '/file', content: 'short' }]);
    const objects = path.join(archive.path, 'objects');
    const name = (await readdir(objects, { recursive: true })).find((x) => x.endsWith('.filez'));
    await using object = await open(path.join(objects, name ?? ''), 'r+');
    // The first eight bytes of the header that four bytes of length and four of nothing precede.
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(2n ** 40n);
    await object.write(length, 0, length.length, 8);
    const target = scratch.join('lying.tar');
    await expect(archive.exportArchive('test', target)).rejects.toMatchObject({
      code: 'ERR_OSTREE_FAILED',
    });
  });

  test('can be aborted while nobody reads it', async () => {
    const abort = new AbortController();
    const stuck = new Writable({ highWaterMark: 10, write: () => abort.abort('enough') });
    const exported = repo.exportArchive('test', stuck, { signal: abort.signal });
    await expect(exported).rejects.toMatchObject({ code: 'ABORT_ERR' });
    expect(stuck.destroyed).toBe(true);
  });
});

test('what a walk says is what a checkout has', async () => {
  const directory = scratch.join('checked-out');
  await repo.checkout('test', directory, { mode: 'user' });
  const entries = await all(repo.walk('test'));
  const found = (await run('find', [directory, '-mindepth', '1', '-printf', '/%P %y %s\\n']))
    .stdout;
  const line = ({ path, type, size }: TreeEntry) => `${path} ${type[0]} ${size}`;
  const withoutSizes = (text: string) => text.replace(/ ([ds]) .*/, ' $1');
  expect(entries.map((entry) => withoutSizes(line(entry).replace(' s ', ' l '))).sort()).toEqual(
    found.trimEnd().split('\n').map(withoutSizes).sort(),
  );
  await mkdir(`${directory}/new`);
  await writeFile(`${directory}/new/file`, '');
});
