/** Refs of collections, found and pulled from where they are; and what the library can do. */

import { variant } from 'apt-ostree';
import { ostreeFeatures, Repo } from 'apt-ostree/ostree';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FileServer, serveDirectory } from '../../support/file-server.js';
import { createGpgHome, type GpgHome } from '../../support/gpg.js';
import { commitEdits, ostree, someEdits } from '../../support/ostree.js';
import { temporaryDirectory } from '../../support/temp.js';

const scratch = await temporaryDirectory('finders');
const collectionId = 'org.example.Main';
const ref = { collectionId, ref: 'os' };
let gpg: GpgHome;
let key: string;
let source: Repo;
let server: FileServer;
let checksum: string;
let count = 0;

beforeAll(async () => {
  gpg = await createGpgHome();
  key = await gpg.addKey('Signer <signer@example.com>');
  source = await Repo.create(scratch.join('source'), 'archive');
  await source.collections.setId(collectionId);
  checksum = await commitEdits(source, 'os', someEdits, {
    timestamp: new Date(1_000_000),
    metadata: {
      'ostree.ref-binding': variant('as', ['os']),
      'ostree.collection-binding': variant('s', collectionId),
    },
  });
  await source.signatures.signGpg(checksum, { keys: [key], home: gpg.home });
  await source.summary.regenerate();
  await source.summary.signGpg({ keys: [key], home: gpg.home });
  server = await serveDirectory(source.path);
});
afterAll(async () => {
  await server.stop();
  await gpg[Symbol.asyncDispose]();
  await scratch.remove();
});

async function target(url = server.url): Promise<Repo> {
  const repo = await Repo.create(scratch.join(`target-${++count}`), 'bare-user');
  await repo.remotes.add('origin', url, { collectionId });
  await repo.remotes.importKeys('origin', await gpg.exportKey(key));
  return repo;
}

describe('finders', () => {
  test('find what a configured remote has, and pull it', async () => {
    await using repo = await target();
    expect(await repo.collections.keyringRemote(collectionId)).toBe('origin');
    const found = await repo.collections.findRemotes([ref]);
    expect(found).toEqual([
      {
        name: 'origin',
        url: server.url,
        priority: expect.any(Number),
        lastModified: expect.any(Date),
        refs: [{ ...ref, checksum, timestamp: new Date(1_000_000) }],
      },
    ]);
    const result = await repo.collections.pullFromRemotes(found, { networkRetries: 1 });
    expect(result.fetched).toBeGreaterThan(3);
    expect(await repo.collections.resolve(ref)).toBe(checksum);
    expect(await repo.fsck()).toMatchObject({ errors: [], partialCommits: 0 });
    await using theirs = await target();
    await ostree('find-remotes', `--repo=${theirs.path}`, '--pull', collectionId, 'os');
    expect(await theirs.listRefs()).toEqual(await repo.listRefs());
  });

  test('find it at another place, by the keys of the collection', async () => {
    await using repo = await target('http://127.0.0.1:9/nothing');
    const found = await repo.collections.findRemotes([ref], {
      config: false,
      mount: false,
      uris: [server.url],
      networkRetries: 0,
    });
    expect(found).toMatchObject([{ url: server.url, refs: [{ ...ref, checksum }] }]);
    await repo.collections.pullFromRemotes(found);
    expect(await repo.collections.resolve(ref)).toBe(checksum);
  });

  test('nothing found, nothing pulled', async () => {
    await using repo = await target();
    const found = await repo.collections.findRemotes([{ collectionId, ref: 'other' }]);
    expect(found).toEqual([]);
    await expect(repo.collections.pullFromRemotes(found)).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(repo.collections.keyringRemote('org.example.Other')).rejects.toMatchObject({
      name: 'OstreeError',
    });
  });

  test('a server that says nothing does not hold an abort up', async () => {
    await using repo = await target();
    server.faults = [{ match: /summary/, hang: true }];
    const started = performance.now();
    const signal = AbortSignal.timeout(100);
    await expect(repo.collections.findRemotes([ref], { signal })).rejects.toMatchObject({
      name: 'AbortError',
    });
    expect(performance.now() - started).toBeLessThan(600);
    server.faults = [];
  });

  const wrong: [string, (r: Repo) => Promise<unknown>][] = [
    ['no refs', (r) => r.collections.findRemotes([])],
    ['an id', (r) => r.collections.findRemotes([{ collectionId: 'x', ref: 'a' }])],
    ['no finder', (r) => r.collections.findRemotes([ref], { config: false, mount: false })],
    ['an option', (r) => r.collections.findRemotes([ref], { depth: 1 } as object)],
    ['what was not found', (r) => r.collections.pullFromRemotes([])],
    ['an id of keys', (r) => r.collections.keyringRemote('../x')],
  ];
  test.each(wrong)('%s: a TypeError', async (_name, call) => {
    await expect(call(source)).rejects.toMatchObject({
      name: 'TypeError',
      code: expect.stringMatching(/^ERR_INVALID_ARG_(TYPE|VALUE)$/),
    });
  });
});

test('features', async () => {
  const features = ostreeFeatures();
  const version = await ostree('--version');
  expect(version).toContain(`Version: '${features.version}'`);
  expect(features.built).toContain('gpgme');
  const [year = 0] = features.version.split('.').map(Number);
  expect(features.functions.ostree_repo_regenerate_metadata).toBe(year >= 2023);
  expect(features.signEngines).not.toContain('dummy');
});
