/** The sources file of a composed tree: apt can use it, and it tells nothing of this machine. */

import { writeFile } from 'node:fs/promises';
import { inspect } from 'node:util';
import { AptContext, Composer, Repo } from 'apt-ostree';
import { expect, test } from 'vitest';
import { aptGet } from '../../support/apt-get.js';
import { createAptRepository } from '../../support/apt-repository.js';
import { debianBase } from '../../support/debian-base.js';
import { temporaryDirectory } from '../../support/temp.js';

test('logins stay here and the key comes along', async () => {
  await using archive = await createAptRepository({ packages: await debianBase() });
  await using directory = await temporaryDirectory('sources');
  await using repo = await Repo.create(directory.join('repo'), 'bare');
  const secret = 'kr8d-hush-9x';
  const url = archive.url.replace('http://', `http://user:${secret}@`);
  const composer = new Composer({ repo, sources: archive.source.replace(archive.url, url) });
  const { commit } = await composer.compose({ ref: 'base' });
  const file = '/usr/etc/apt/sources.list.d/apt-ostree.sources';
  const text = (await repo.readFile(commit, file)).toString();
  expect(text).toContain(`URIs: ${archive.url}\n`);
  expect(text).not.toContain(secret);
  expect(text).not.toContain(archive.keyring);
  expect(inspect(await repo.loadCommit(commit), { depth: 20 })).not.toContain(secret);

  // As it stands, for the real apt-get.
  const state = directory.join('apt');
  await using context = await AptContext.create({ directory: state, sources: '' });
  await writeFile(`${context.directory}/etc/context.sources`, text);
  const update = await aptGet(state, ['update']);
  expect(update.status).toBe(0);
  expect(update.stderr).not.toMatch(/signed|GPG|^E:/m);
});
