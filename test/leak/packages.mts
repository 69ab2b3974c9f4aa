// Apt contexts, updates, solving, fetching and importing packages; failures and aborts too.
import { writeFile } from 'node:fs/promises';
import { AptContext, Repo } from 'apt-ostree';
import { importDebs, writeHollowDebs } from '../../lib/compose/import.js';
import { createAptRepository } from '../support/apt-repository.js';
import { temporaryDirectory } from '../support/temp.js';

const ignore = () => {};

await using directory = await temporaryDirectory('leak');
// Over file:, so that the JavaScript thread is idle while libapt-pkg forks (see .ci/asan).
await using archive = await createAptRepository({
  serve: 'file',
  packages: [
    { name: 'alpha', depends: 'beta', files: { '/usr/share/alpha': 'a'.repeat(100_000) } },
    { name: 'beta', symlinks: { '/usr/share/b': 'alpha' }, scripts: { postinst: 'true' } },
    { name: 'broken', depends: 'nothing-has-this' },
  ],
});
await using repo = await Repo.create(directory.join('repo'), 'bare-user');

for (let round = 0; round < 10; round += 1) {
  const context = await AptContext.create({
    directory: directory.join(`apt${round % 2}`),
    sources: archive.source,
  });
  await context.update({ onProgress: ignore });
  const cache = await context.open();
  await cache.list();
  await cache.package('alpha');
  await cache.package('absent').catch(ignore);
  const plan = await cache.solve({ install: ['alpha'] });
  await cache.solve({ install: ['broken'] }).catch(ignore);
  await cache.fetch(plan.packages, { onProgress: ignore });
  await context.update({ signal: AbortSignal.timeout(5) }).catch(ignore);
  await archive.publish('wrong-key');
  await context.update().catch(ignore);
  await archive.publish();
  await cache[Symbol.asyncDispose]();
  await context[Symbol.asyncDispose]();
}
await AptContext.create({ directory: directory.join('bad'), sources: 'Types: x\n' }).catch(ignore);

for (let round = 0; round < 10; round += 1) {
  const identity = { version: '1.0', architecture: 'all' };
  const debs = ['alpha', 'beta'].map((name) => ({ name, ...identity, path: archive.deb(name) }));
  const imported = await importDebs(repo, debs);
  await writeHollowDebs(
    repo,
    imported.map(({ commit }, i) => ({ commit, destination: directory.join(`${i}.deb`) })),
  );
  await writeFile(directory.join('damaged.deb'), `!<arch>\n${round}`);
  const damaged = { name: 'damaged', ...identity, path: directory.join('damaged.deb') };
  await importDebs(repo, [damaged]).catch(ignore);
  for (const { ref } of imported) await repo.setRef(ref, null);
}
