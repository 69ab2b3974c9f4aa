/** Pulls from a server on the loopback interface, faults included. */

import path from 'node:path';
import { MutableTree, type PullOptions, type PullProgress, Repo } from 'apt-ostree/ostree';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { pullOptions } from '../../../lib/ostree/pull.js';
import { type FileServer, serveDirectory } from '../../support/file-server.js';
import { commitEdits, ostree, someEdits } from '../../support/ostree.js';
import { temporaryDirectory } from '../../support/temp.js';

const scratch = await temporaryDirectory('pull');
let source: Repo;
let server: FileServer;
let first: string;
let second: string;
let count = 0;

beforeAll(async () => {
  source = await Repo.create(scratch.join('source'), 'archive');

  first = await commitEdits(source, 'os', someEdits, { subject: '1', timestamp: new Date(1000) });
  second = await commitEdits(source, 'os', [{ op: 'file', path: '/opt/new', content: 'new' }], {
    base: first,
    parent: first,
    subject: '2',
    timestamp: new Date(2_000_000),
  });
  await source.setRef('other', first);
  await ostree('summary', '-u', `--repo=${source.path}`);
  server = await serveDirectory(source.path);
});
beforeEach(() => {
  server.faults = [];
  server.requests.length = 0;
});
afterAll(async () => {
  await server.stop();
  await scratch.remove();
});

async function target(): Promise<Repo> {
  const repo = await Repo.create(scratch.join(`target-${++count}`), 'bare-user');
  await repo.remotes.add('origin', server.url, { gpgVerify: false });
  return repo;
}
const at = (repo: Repo) => `--repo=${repo.path}`;

describe('Repo.pull', () => {
  test('fetches as the ostree command does', async () => {
    await using mine = await target();
    await using theirs = await target();
    const events: PullProgress[] = [];
    const result = await mine.pull('origin', {
      refs: ['os'],
      onProgress: (event) => events.push(event),
    });
    await ostree('pull', at(theirs), 'origin', 'os');
    expect(await mine.listRefs()).toEqual(await theirs.listRefs());
    expect(await mine.listRefs()).toEqual({ 'origin:os': second });
    await ostree('fsck', at(mine));
    expect(result).toMatchObject({ caughtError: false, outstandingFetches: 0 });
    expect(result.fetched).toBeGreaterThan(5);
    expect(result.bytesTransferred).toBeGreaterThan(500);
    expect(events.length).toBeGreaterThan(0);
    expect(events.at(-1)?.fetched).toBeLessThanOrEqual(result.fetched);
  });

  test('takes parents, parts, single commits and all refs', async () => {
    await using deep = await target();
    await deep.pull('origin', { refs: ['os'], depth: -1 });
    expect(await deep.hasObject('commit', first)).toBe(true);

    await using mirror = await Repo.create(scratch.join('mirror'), 'archive');
    await mirror.remotes.add('origin', server.url, { gpgVerify: false });
    await mirror.pull('origin', { mirror: true });
    expect(await mirror.listRefs()).toEqual({ os: second, other: first });

    await using part = await target();
    await part.pull('origin', { refs: ['os'], subdirs: ['/usr/bin', '/opt'] });
    expect(await part.loadCommit('origin:os')).toMatchObject({ partial: true });
    expect((await part.list('origin:os', '/opt')).map(({ path }) => path)).toEqual(['/opt/new']);
    expect(await part.fsck()).toMatchObject({ partialCommits: 1 });

    await using bare = await target();
    await bare.pull('origin', { refs: ['os'], commitOnly: true });
    expect(await bare.loadCommit('origin:os')).toMatchObject({ partial: true, subject: '2' });

    await using old = await target();
    await old.pull('origin', { refs: ['os'], overrideCommits: [first], remote: 'origin' });
    expect(await old.listRefs()).toEqual({ 'origin:os': first });
    await expect(
      old.pull('origin', { refs: ['os'], timestampCheckFromRev: first }),
    ).resolves.toBeTruthy();
    await expect(
      old.pull('origin', { refs: ['other'], timestampCheckFromRev: second }),
    ).rejects.toMatchObject({ code: 'ERR_OSTREE_FAILED', remote: 'origin' });
    await using alias = await target();
    await alias.pull('origin', { refs: ['os'], remote: 'elsewhere' });
    expect(await alias.listRefs()).toEqual({ 'elsewhere:os': second });
  });

  test('finds caches where they were when it was called', async () => {
    // Jobs run later, and the working directory may be another one then.
    expect(pullOptions({ localCacheRepos: ['x', '/y/../z'] })).toEqual({
      localCacheRepos: [path.resolve('x'), '/z'],
    });
    await using repo = await target();
    await expect(
      repo.pull('origin', { refs: ['os'], localCacheRepos: [''] }),
    ).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
  });

  test('takes another URL, headers, and objects from a cache of this machine', async () => {
    await using cache = await target();
    await cache.pull('origin', { refs: ['os'] });
    await using repo = await Repo.create(scratch.join('cached'), 'bare-user');
    await repo.remotes.add('origin', 'http://127.0.0.1:9/', { gpgVerify: false });
    server.requests.length = 0;
    const { contentFetchedLocalCache } = await repo.pull('origin', {
      refs: ['os'],
      overrideUrl: server.url,
      localCacheRepos: [cache.path],
      httpHeaders: [['X-Test', 'yes']],
      appendUserAgent: 'mine/1',
      networkRetries: 0,
    });
    expect(contentFetchedLocalCache).toBeGreaterThan(3);
    expect(server.requests.filter((request) => request.includes('.filez'))).toEqual([]);
    expect(await repo.fsck()).toMatchObject({ errors: [] });
  });

  test('is part of a transaction that is open', async () => {
    await using repo = await target();
    await expect(
      repo.pull('origin', { refs: ['os'], inheritTransaction: true }),
    ).rejects.toMatchObject({ code: 'ERR_INVALID_STATE' });
    await repo.transaction(async (transaction) => {
      await expect(repo.pull('origin', { refs: ['os'] })).rejects.toMatchObject({
        code: 'ERR_BUSY',
      });
      await repo.pull('origin', { refs: ['os'], inheritTransaction: true });
      expect(await repo.listRefs()).toEqual({});
      await transaction.writeTree(MutableTree.create());
    });
    expect(await repo.listRefs()).toEqual({ 'origin:os': second });
  });

  test('does not trust a remote without signatures', async () => {
    await using repo = await Repo.create(scratch.join('strict'), 'bare-user');
    await repo.remotes.add('origin', server.url);
    await expect(repo.pull('origin', { refs: ['os'] })).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_OSTREE_/),
      remote: 'origin',
    });
    expect(await repo.listRefs()).toEqual({});
    await expect(repo.pull('other', {})).rejects.toMatchObject({ code: 'ENOENT', remote: 'other' });
  });
});

describe('faults', () => {
  test('a request that fails now and then is tried again', async () => {
    await using repo = await target();
    const fault = { match: /\.filez$/, status: 500, times: 20 };
    server.faults = [fault];
    await repo.pull('origin', { refs: ['os'], networkRetries: 25 });
    expect(fault.times).toBe(0);
    expect(await repo.fsck()).toMatchObject({ errors: [], partialCommits: 0 });
  });

  test('an object that is missing or cut ends the pull, and the next one completes it', async () => {
    await using repo = await target();
    server.faults = [{ match: /\.filez$/, status: 404 }];
    await expect(repo.pull('origin', { refs: ['os'] })).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await repo.listRefs()).toEqual({});
    server.faults = [{ match: /\.filez$/, cutAfter: 5 }];
    await expect(repo.pull('origin', { refs: ['os'], networkRetries: 1 })).rejects.toMatchObject({
      code: expect.stringMatching(/^E/),
    });
    server.faults = [];
    await repo.pull('origin', { refs: ['os'] });
    expect(await repo.fsck()).toMatchObject({ errors: [], partialCommits: 0 });
  });

  test('damage is found', async () => {
    await using repo = await target();
    const bad = await serveDirectory(scratch.path);
    await expect(
      repo.pull('origin', { refs: ['os'], overrideUrl: bad.url, networkRetries: 0 }),
    ).rejects.toMatchObject({ code: 'ENOENT' });
    await bad.stop();
    await expect(
      repo.pull('origin', { refs: ['os'], overrideUrl: bad.url, networkRetries: 0 }),
    ).rejects.toMatchObject({ code: expect.stringMatching(/^E/) });
  });

  test.each([
    ['the summary', /summary/],
    ['the configuration', /config$/],
    ['a commit', /\.commit$/],
    ['file content', /\.filez$/],
  ])('a server that hangs on %s does not hold an abort up', async (_name, match) => {
    await using repo = await target();
    server.faults = [{ match, hang: true }];
    const controller = new AbortController();
    const pull = repo.pull('origin', { refs: ['os'], signal: controller.signal });
    const outcome = pull.then(
      () => 'done',
      (error: unknown) => error,
    );
    await expect.poll(() => server.requests.some((r) => match.test(r))).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const started = performance.now();
    controller.abort('enough');
    expect(await outcome).toMatchObject({ name: 'AbortError', cause: 'enough' });
    expect(performance.now() - started).toBeLessThan(500);
    server.faults = [];
    await repo.pull('origin', { refs: ['os'] });
    expect(await repo.fsck()).toMatchObject({ errors: [], partialCommits: 0 });
  });

  test('an abort of one pull leaves others alone', async () => {
    const repos = await Promise.all(Array.from({ length: 4 }, target));
    server.faults = [{ match: /\.filez$/, delay: 300 }];
    const controller = new AbortController();
    const results = repos.map((repo, index) =>
      repo.pull('origin', { refs: ['os'], ...(index % 2 && { signal: controller.signal }) }).then(
        () => 'done',
        (error: Error) => error.name,
      ),
    );
    setTimeout(() => controller.abort(), 150);
    expect(await Promise.all(results)).toEqual(['done', 'AbortError', 'done', 'AbortError']);
    for (const repo of repos) repo.close();
  });
});

describe('options', () => {
  const wrong: [string, object][] = [
    ['an unknown one', { odd: true }],
    ['a wrong type', { mirror: 1 }],
    ['a ref', { refs: ['../x'] }],
    ['refs of no list', { refs: 'os' }],
    ['a depth', { depth: -2 }],
    ['a fraction', { networkRetries: 0.5 }],
    ['a check of times with parents', { timestampCheck: true, depth: 1 }],
    ['refs and refs of collections', { refs: ['os'], collectionRefs: [] }],
    ['commits without refs', { overrideCommits: [''] }],
    ['a commit', { refs: ['os'], overrideCommits: ['abc'] }],
    ['both kinds of deltas', { disableStaticDeltas: true, requireStaticDeltas: true }],
    ['a dry run without deltas', { dryRun: true }],
    ['half of a summary', { summaryBytes: Buffer.alloc(1) }],
    ['a directory', { subdirs: ['/a/../b'] }],
    ['a header', { httpHeaders: [['X: y', 'z']] }],
    ['a line in a header', { httpHeaders: [['X', 'a\r\nY: b']] }],
    ['a remote', { remote: '../x' }],
    ['a collection', { collectionRefs: [{ collectionId: 'x', ref: 'os' }] }],
    ['a frequency', { updateFrequency: 0 }],
  ];
  test.each(wrong)('%s: refused', async (_name, options) => {
    await using repo = await target();
    await expect(repo.pull('origin', options as PullOptions)).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_(INVALID_ARG_(TYPE|VALUE)|OUT_OF_RANGE)$/),
    });
  });

  test('newer than the library: not supported', async () => {
    await using repo = await target();
    const version = await ostree('--version');
    const [year = 0, release = 0] = (/Version: '(\d+)\.(\d+)/.exec(version) ?? [])
      .slice(1)
      .map(Number);
    const pull = repo.pull('origin', { refs: ['os'], retryAllNetworkErrors: true });
    if (year > 2023 || (year === 2023 && release >= 7)) await pull;
    else await expect(pull).rejects.toMatchObject({ code: 'ERR_OSTREE_NOT_SUPPORTED' });
  });

  test('pullLocal takes the same', async () => {
    await using repo = await Repo.create(scratch.join('local'), 'bare-user');
    await repo.pullLocal(source.path, { refs: ['os'], depth: 1, untrusted: true, remote: 'o' });
    expect(await repo.listRefs()).toEqual({ 'o:os': second });
    expect(await repo.hasObject('commit', first)).toBe(true);
    await expect(
      repo.pullLocal(source.path, { gpgVerify: true, remote: 'origin' }),
    ).rejects.toMatchObject({ code: expect.stringMatching(/^E/) });
    await expect(repo.pullLocal(source.path, { odd: 1 } as PullOptions)).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
    });
  });
});
