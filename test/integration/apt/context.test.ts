/** Contexts of commits, and what they say of their sources. */

import { rename } from 'node:fs/promises';
import { AptContext } from 'apt-ostree/apt';
import { Repo } from 'apt-ostree/ostree';
import { expect, test } from 'vitest';
import { createAptRepository } from '../../support/apt-repository.js';
import { formatStanzas, installed, record } from '../../support/apt-universe.js';
import { commitEdits } from '../../support/ostree.js';
import { temporaryDirectory } from '../../support/temp.js';

const status = (version: string) => formatStanzas([installed(record('tool', version))]);
const kStates = 'Package: tool\nArchitecture: amd64\nAuto-Installed: 1\n\n';

test('packages of a commit, read without a checkout', async () => {
  await using work = await temporaryDirectory('context');
  const repo = await Repo.create(work.join('repo'), 'bare-user');
  const sysimage = '/usr/lib/sysimage';
  await commitEdits(repo, 'image', [
    { op: 'file', path: `${sysimage}/dpkg/status`, content: status('1') },
    { op: 'file', path: `${sysimage}/apt/extended_states`, content: kStates },
    { op: 'symlink', path: '/var', target: 'sysroot/var' },
  ]);
  await commitEdits(repo, 'plain', [
    { op: 'file', path: '/var/lib/dpkg/status', content: status('2') },
  ]);
  await commitEdits(repo, 'neither', [{ op: 'file', path: '/etc/hostname', content: 'x' }]);
  const look = async (commit: string) => {
    await using context = await AptContext.create({
      directory: work.join('state'),
      architecture: 'amd64',
      sources: [],
      dpkgStatus: { repo, commit },
    });
    await using cache = await context.open();
    const found = await cache.package('tool');
    return [found?.installed, found?.auto];
  };
  expect(await look('image')).toEqual(['1', true]);
  expect(await look('plain')).toEqual(['2', false]);
  expect(await look('image')).toEqual(['1', true]);
  for (const commit of ['neither', 'nothing-of-that-name']) {
    await expect(look(commit)).rejects.toMatchObject({ code: 'ENOENT' });
  }
  await expect(
    AptContext.create({
      directory: work.join('state'),
      sources: [],
      dpkgStatus: { repo: {}, commit: 'image' } as never,
    }),
  ).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  repo.close();
});

test('sources with what vouches for them and what is there of them', async () => {
  await using work = await temporaryDirectory('context');
  await using archive = await createAptRepository({
    serve: 'file',
    architectures: ['amd64'],
    packages: [{ name: 'alpha' }],
    release: { 'Valid-Until': 'Sat, 01 Jan 2050 00:00:00 UTC' },
  });
  await using context = await AptContext.create({
    directory: work.join('state'),
    architecture: 'amd64',
    architectures: ['amd64', 'i386'],
    sources: `${archive.source}\nTypes: deb\nURIs: file:/nowhere\nSuites: ./\nTrusted: yes\n`,
    config: { 'Acquire::Languages': ['de', 'none'] },
  });
  const [fresh] = await context.sourceList();
  expect(fresh).toMatchObject({ type: 'deb', suite: 'test', signedBy: archive.keyring });
  expect(fresh?.release).toBeUndefined();
  expect(fresh?.targets.some(({ path }) => path !== undefined)).toBe(false);

  await context.update();
  const [first, second] = await context.sourceList();
  expect(first).toMatchObject({
    uri: `file:${archive.directory}/`,
    components: ['main'],
    trusted: true,
    release: { codename: 'test', suite: 'stable', validUntil: new Date('2050-01-01T00:00:00Z') },
  });
  expect(first?.release?.date).toBeInstanceOf(Date);
  expect(first).not.toHaveProperty('markedTrusted');
  const there = first?.targets.filter(({ path }) => path !== undefined) ?? [];
  expect(there.map(({ name, architecture }) => [name, architecture])).toEqual([
    ['Packages', 'amd64'],
  ]);
  expect(first?.targets.map(({ name }) => name)).toContain('Translation-de');
  expect(second).toMatchObject({ uri: 'file:/nowhere/', suite: './', markedTrusted: true });
  expect(second?.release).toBeUndefined();
  const path = there[0]?.path ?? '';
  await rename(path, `${path}.away`);
  const [gone] = await context.sourceList();
  expect(gone?.targets.every((target) => target.path === undefined)).toBe(true);
});
