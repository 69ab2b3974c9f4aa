/** Summaries, and collections, which need them. */

import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { variant, variantToBytes } from 'apt-ostree';
import { parseSummary, Repo } from 'apt-ostree/ostree';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FileServer, serveDirectory } from '../../support/file-server.js';
import { commitEdits, ostree, someEdits } from '../../support/ostree.js';
import { temporaryDirectory } from '../../support/temp.js';

const scratch = await temporaryDirectory('summary');
let repo: Repo;
let server: FileServer;
let checksum: string;
const at = () => `--repo=${repo.path}`;
beforeAll(async () => {
  repo = await Repo.create(scratch.join('repo'), 'archive');
  checksum = await commitEdits(repo, 'os/main', someEdits, {
    timestamp: new Date('2026-01-02T03:04:05Z'),
    metadata: {
      version: variant('s', '12.1'),
      'ostree.ref-binding': variant('as', ['os/main']),
      'ostree.collection-binding': variant('s', 'org.example.Main'),
    },
  });
  server = await serveDirectory(repo.path);
});
afterAll(async () => {
  await server.stop();
  await scratch.remove();
});

describe('summary', () => {
  test('is written though a commit is not the one that its ref names, as by the command', async () => {
    await using damaged = await Repo.create(scratch.join('damaged'), 'archive');
    const [one, two] = [
      await commitEdits(damaged, 'one', someEdits),
      await commitEdits(damaged, 'two', someEdits, { subject: 'two' }),
    ];
    const file = (commit: string) =>
      `${damaged.path}/objects/${commit.slice(0, 2)}/${commit.slice(2)}.commit`;
    await copyFile(file(two), file(one));
    await ostree('summary', '--update', `--repo=${damaged.path}`);
    await damaged.summary.regenerateMetadata();
    expect((await damaged.summary.read())?.refs).toMatchObject([
      { ref: 'one', checksum: one },
      { ref: 'two', checksum: two },
    ]);
    await writeFile(file(one), 'no commit at all');
    await expect(damaged.summary.regenerate()).rejects.toMatchObject({ code: 'ERR_OSTREE_FAILED' });
  });

  test('is written, read, fetched and shown the same', async () => {
    await using target = await Repo.create(scratch.join('target'), 'bare-user');
    await target.remotes.add('origin', server.url, { gpgVerify: false });
    expect(await repo.summary.read()).toBeUndefined();
    expect(await target.remotes.fetchSummary('origin')).toBeUndefined();
    await expect(target.remotes.listRefs('origin')).rejects.toMatchObject({
      name: 'OstreeError',
      remote: 'origin',
    });

    await repo.summary.regenerate({ metadata: { 'my.key': variant('u', 7) } });
    const expected = {
      refs: [
        {
          ref: 'os/main',
          checksum,
          commitSize: expect.any(Number),
          timestamp: new Date('2026-01-02T03:04:05Z'),
        },
      ],
      collections: [],
      deltas: [],
      lastModified: expect.any(Date),
      metadata: expect.objectContaining({ 'my.key': 7, 'ostree.summary.mode': 'archive-z2' }),
    };
    expect(await repo.summary.read()).toMatchObject(expected);
    const fetched = await target.remotes.fetchSummary('origin', {
      httpHeaders: [['X-Test', '1']],
      networkRetries: 0,
    });
    expect(fetched?.summary).toEqual(await repo.summary.read());
    expect(fetched).not.toHaveProperty('signatureBytes');
    expect(await target.remotes.listRefs('origin')).toEqual({ 'os/main': checksum });
    expect(await ostree('remote', 'refs', `--repo=${target.path}`, 'origin')).toBe(
      'origin:os/main',
    );
    expect(await ostree('summary', at(), '--view')).toContain(checksum);

    await ostree('summary', at(), '--update', '--add-metadata=other.key="text"');
    expect((await repo.summary.read())?.metadata).toMatchObject({ 'other.key': 'text' });
    await expect(target.remotes.fetchSummary('nobody')).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('a server that says nothing does not hold an abort up', async () => {
    await using target = await Repo.create(scratch.join('hanging'), 'bare-user');
    await target.remotes.add('origin', server.url, { gpgVerify: false });
    server.faults = [{ match: /summary/, hang: true }];
    const started = performance.now();
    const signal = AbortSignal.timeout(100);
    await expect(target.remotes.fetchSummary('origin', { signal })).rejects.toMatchObject({
      name: 'AbortError',
    });
    expect(performance.now() - started).toBeLessThan(600);
    server.faults = [];
  });

  test('names and bytes that a server made up are no refs', async () => {
    const directory = scratch.join('hostile');
    await mkdir(directory);
    await using hostile = await serveDirectory(directory);
    await using target = await Repo.create(scratch.join('hostile-target'), 'bare-user');
    await target.remotes.add('origin', hostile.url, { gpgVerify: false });
    const summaryOf = (ref: string, digest = Buffer.from(checksum, 'hex')) =>
      variantToBytes(
        variant('(a(s(taya{sv}))a{sv})', [[[ref, [0n, digest, {}]]], { x: variant('s', 'y') }]),
      );
    const offer = (bytes: Buffer) => writeFile(`${directory}/summary`, bytes);
    await offer(summaryOf('os/main'));
    expect(await target.remotes.listRefs('origin')).toEqual({ 'os/main': checksum });
    for (const bytes of [
      ...['', '../../../evil', 'a/../b', 'os/main\n', 'r:x'].map((ref) => summaryOf(ref)),
      summaryOf('os/main', Buffer.from('short')),
      Buffer.alloc(0),
      Buffer.from('hello'),
      Buffer.alloc(1000, 0xff),
    ]) {
      await offer(bytes);
      await expect(target.remotes.listRefs('origin')).rejects.toMatchObject({
        code: 'ERR_OSTREE_FAILED',
      });
    }
  });

  test('is not read once the repository is closed, nor where it is no file', async () => {
    const other = await Repo.create(scratch.join('closed'), 'archive');
    await mkdir(`${other.path}/summary`);
    await expect(other.summary.read()).rejects.toMatchObject({
      name: 'OstreeError',
      code: 'EISDIR',
      path: `${other.path}/summary`,
    });
    other.close();
    for (const call of [() => other.summary.read(), () => other.summary.readBytes()]) {
      await expect(call()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    }
  });

  test('anything else is refused', async () => {
    const bytes = (await repo.summary.readBytes()) ?? Buffer.alloc(0);
    await expect(parseSummary(Buffer.alloc(0))).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
    });
    await expect(parseSummary('x' as unknown as Buffer)).rejects.toBeInstanceOf(TypeError);
    // Damaged ones give a summary or an error, never more.
    for (let round = 0; round < 300; round++) {
      const damaged = round % 3 === 0 ? randomBytes(round) : Buffer.from(bytes);
      for (let i = 0; i < 3; i++) {
        if (damaged.length) damaged[Math.floor(Math.random() * damaged.length)] = round & 0xff;
      }
      await parseSummary(damaged.subarray(0, damaged.length - (round % 2))).catch((error) => {
        expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
      });
    }
  });

  test('regenerateMetadata writes what ostree summary --update does', async () => {
    const collectionId = 'org.example.Main';
    const made = async (name: string, update: (target: Repo) => Promise<unknown>) => {
      await using target = await Repo.create(scratch.join(name), 'archive', { collectionId });
      await target.pullLocal(repo.path);
      await update(target);
      await update(target);
      const commit = await target.loadCommit('ostree-metadata');
      const parent = await target.loadCommit(commit.parent ?? '');
      const { metadata, refs, collections } = (await target.summary.read()) ?? {};
      const read = await target.list('ostree-metadata', '/', { recursive: true });
      return {
        commits: [commit, parent].map(
          ({ contents, metadataChecksum, metadata: said, subject }) => ({
            contents,
            metadataChecksum,
            said,
            subject,
          }),
        ),
        root: parent.parent,
        refs: await target.listRefs().then(Object.keys),
        listed: refs?.map(({ ref }) => ref),
        metadata,
        collections,
        read,
      };
    };
    const ours = await made('ours', (target) =>
      target.summary.regenerateMetadata({ metadata: { 'my.key': variant('u', 8) } }),
    );
    const theirs = await made('theirs', (target) =>
      ostree('summary', `--repo=${target.path}`, '--update', '--add-metadata=my.key=uint32 8'),
    );
    expect(ours).toEqual(theirs);
    expect(ours.commits[0]?.said).toMatchObject({ 'my.key': 8 });

    // Without a collection there is nothing for such a commit to belong to.
    await repo.summary.regenerateMetadata();
    expect(Object.keys(await repo.listRefs())).toEqual(['os/main']);
  });
});

describe('collections', () => {
  const collectionId = 'org.example.Main';

  test('an id, refs, and what a remote offers', async () => {
    expect(await repo.collections.getId()).toBeUndefined();
    await repo.collections.setId(collectionId);
    expect(await repo.collections.getId()).toBe(collectionId);
    expect(await ostree('config', at(), 'get', 'core.collection-id')).toBe(collectionId);
    const ref = { collectionId, ref: 'os/main' };
    const own = [{ ...ref, checksum }];
    expect(await repo.collections.listRefs()).toEqual(own);
    expect(await repo.collections.listRefs({ collectionId: 'org.other.X' })).toEqual([]);
    expect(await repo.collections.resolve(ref)).toBe(checksum);
    expect(await repo.collections.resolve({ ...ref, ref: 'nothing' })).toBeUndefined();
    const mirrored = { collectionId: 'org.other.X', ref: 'there' };
    await repo.collections.setRef(mirrored, checksum);
    expect(await repo.collections.listRefs()).toContainEqual({ ...mirrored, checksum });
    expect((await ostree('refs', at(), '--collections')).split('\n').sort()).toEqual([
      '(org.example.Main, os/main)',
      '(org.other.X, there)',
    ]);
    await repo.collections.setRef(mirrored, null);
    expect(await repo.collections.listRefs()).toEqual(own);

    await repo.summary.regenerate();
    await using target = await Repo.create(scratch.join('collections'), 'bare-user');
    await target.remotes.add('origin', server.url, { gpgVerify: false, collectionId });
    expect(await target.remotes.listCollectionRefs('origin')).toEqual(own);
    await target.pull('origin', { collectionRefs: [ref] });
    expect(await target.collections.listRefs()).toEqual(own);
    expect(await target.collections.listRefs({ excludeRemotes: true })).toEqual([]);
    await repo.collections.setId(null);
    expect(await repo.collections.getId()).toBeUndefined();
  });

  const wrong: [string, (r: Repo) => Promise<unknown>][] = [
    ['an id', (r) => r.collections.setId('x')],
    ['an id to list', (r) => r.collections.listRefs({ collectionId: '../x' })],
    ['an id of a ref', (r) => r.collections.resolve({ collectionId: 'x', ref: 'a' })],
    ['a ref', (r) => r.collections.resolve({ collectionId, ref: '../x' })],
    ['a checksum', (r) => r.collections.setRef({ collectionId, ref: 'a' }, 'x')],
    ['no ref', (r) => r.collections.resolve(undefined as unknown as never)],
    ['a remote', (r) => r.remotes.listCollectionRefs('../x')],
    ['an option of pulls', (r) => r.remotes.fetchSummary('x', { depth: 1 } as object)],
  ];
  test.each(wrong)('%s: a TypeError', async (_name, call) => {
    await expect(call(repo)).rejects.toMatchObject({
      name: 'TypeError',
      code: expect.stringMatching(/^ERR_INVALID_ARG_(TYPE|VALUE)$/),
    });
  });
});
