/** What a repository object knows of itself, and its switches. */

import { mkdir, readdir } from 'node:fs/promises';
import { Repo, Sysroot } from 'apt-ostree/ostree';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runModule } from '../../support/child.js';
import { type FileServer, serveDirectory } from '../../support/file-server.js';
import { createGpgHome } from '../../support/gpg.js';
import { commitEdits, ostree, someEdits } from '../../support/ostree.js';
import { temporaryDirectory } from '../../support/temp.js';

const scratch = await temporaryDirectory('repo-facts');
let repo: Repo;
let server: FileServer;
beforeAll(async () => {
  repo = await Repo.create(scratch.join('repo'), 'archive');
  await commitEdits(repo, 'test', someEdits);
  await repo.summary.regenerate();
  // Only summaries with signatures are kept, and only those from servers.
  await using gpg = await createGpgHome();
  await repo.summary.signGpg({ keys: [await gpg.addKey('Test <t@example.org>')], home: gpg.home });
  server = await serveDirectory(repo.path);
});
afterAll(async () => {
  await server.stop();
  await scratch.remove();
});

test('facts follow the configuration', async () => {
  const { minFreeSpaceBytes, ...facts } = await repo.facts();
  expect(facts).toEqual({
    writable: true,
    system: false,
    bootloader: 'auto',
    finders: ['config', 'mount'],
  });
  expect(minFreeSpaceBytes).toBeGreaterThan(0);
  await using child = await Repo.create(scratch.join('child'), 'bare-user');
  await child.writeConfig({
    core: {
      parent: repo.path,
      'min-free-space-size': '3MB',
      'min-free-space-percent': '0',
      'default-repo-finders': 'mount',
    },
    sysroot: { bootloader: 'none' },
  });
  // libostree reads the parent when it opens a repository.
  await using again = await Repo.open(child.path);
  expect(await again.facts()).toMatchObject({
    bootloader: 'none',
    finders: ['mount'],
    minFreeSpaceBytes: 3 * 2 ** 20,
    parent: repo.path,
  });
});

test('objects of one repository are equal', async () => {
  await using again = await Repo.open(`${repo.path}/../repo`);
  await using other = await Repo.create(scratch.join('other'), 'archive');
  expect(repo.equals(again)).toBe(true);
  expect(repo.equals(other)).toBe(false);
  other.close();
  expect(() => repo.equals(other)).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
  expect(() => repo.equals({} as Repo)).toThrow(TypeError);
});

test('fsync belongs to the object', async () => {
  await using again = await Repo.open(repo.path);
  expect(again.fsync).toBe(true);
  await again.setFsync(false);
  expect([again.fsync, repo.fsync]).toEqual([false, true]);
  await again.transaction(async () => {
    await expect(again.setFsync(true)).rejects.toMatchObject({ code: 'ERR_BUSY' });
  });
  await again.config.set('core', 'fsync', 'false');
  await using off = await Repo.open(repo.path);
  expect(off.fsync).toBe(false);
  await again.config.unset('core', 'fsync');
});

test('a cache directory gets what pull --cache-dir puts there', async () => {
  const pull = async (name: string, run: (target: Repo, cache: string) => Promise<unknown>) => {
    await using target = await Repo.create(scratch.join(name), 'bare-user');
    await target.remotes.add('origin', server.url, { gpgVerify: false });
    const cache = scratch.join(`${name}-cache`);
    await mkdir(cache);
    await run(target, cache);
    return (await readdir(cache, { recursive: true })).sort();
  };
  const ours = await pull('ours', async (target, cache) => {
    await target.setCacheDirectory(cache);
    await target.pull('origin', { refs: ['test'] });
  });
  const theirs = await pull('theirs', (target, cache) =>
    ostree('pull', `--repo=${target.path}`, `--cache-dir=${cache}`, 'origin', 'test'),
  );
  expect(ours).toEqual(theirs);
  expect(ours).toContain('summaries/origin');
  await expect(repo.setCacheDirectory(scratch.join('none'))).rejects.toMatchObject({
    code: 'ENOENT',
  });
});

test('a repository is made with a collection id', async () => {
  const collectionId = 'org.example.New';
  await using made = await Repo.create(scratch.join('made'), 'archive', { collectionId });
  expect(await made.collections.getId()).toBe(collectionId);
  await ostree(
    'init',
    `--repo=${scratch.join('init')}`,
    '--mode=archive',
    `--collection-id=${collectionId}`,
  );
  await using init = await Repo.open(scratch.join('init'));
  expect(await made.readConfig()).toEqual(await init.readConfig());
  const bad = Repo.create(scratch.join('bad'), 'archive', { collectionId: 'x' });
  await expect(bad).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
});

test('a transaction sets refs of collections when it ends', async () => {
  await using others = await Repo.open(repo.path);
  const ref = { collectionId: 'org.example.Other', ref: 'os/there' };
  const checksum = await repo.resolveRev('test');
  await repo.transaction(async (transaction) => {
    await transaction.setCollectionRef(ref, checksum);
    expect(await others.collections.resolve(ref)).toBeUndefined();
    const missing = transaction.setCollectionRef(ref, '0'.repeat(64));
    await expect(missing).rejects.toMatchObject({ code: 'ENOENT' });
  });
  expect(await ostree('refs', `--repo=${repo.path}`, '--collections')).toContain(
    '(org.example.Other, os/there)',
  );
  await repo.transaction((transaction) => transaction.setCollectionRef(ref, null));
  expect(await repo.collections.resolve(ref)).toBeUndefined();
});

test('the default ones are those of the command', async () => {
  await using sysroot = await Sysroot.initialize(scratch.join('sysroot'));
  const source = `
    import { Repo, Sysroot } from './lib/ostree.ts';
    const sysroot = await Sysroot.loadDefault();
    const named = await Repo.openDefault();
    process.chdir(${JSON.stringify(repo.path)});
    const here = await Repo.openDefault();
    console.log(JSON.stringify([sysroot.path, named.path, here.path]));
  `;
  const named = `${sysroot.path}/ostree/repo`;
  const env = { OSTREE_SYSROOT: sysroot.path, OSTREE_REPO: named };
  const child = await runModule(source, { env });
  expect(child, child.stderr).toMatchObject({ status: 0 });
  expect(JSON.parse(child.stdout)).toEqual([sysroot.path, named, repo.path]);
});
