// Reading a cache, searching it, marks with branches and rollbacks, settings that are refused.
import { writeFile } from 'node:fs/promises';
import { AptContext } from 'apt-ostree/apt';
import { formatStanzas, randomUniverse, writeFlatArchive } from '../support/apt-universe.js';
import { temporaryDirectory } from '../support/temp.js';

const ignore = () => {};

await using directory = await temporaryDirectory('leak');
const { packages, status, names } = randomUniverse(3, 40);
await writeFile(directory.join('status'), formatStanzas(status));
const options = {
  directory: directory.join('state'),
  architecture: 'amd64',
  dpkgStatus: directory.join('status'),
  sources: await writeFlatArchive(directory.join('archive'), packages),
};
await using context = await AptContext.create(options);
await context.update();
for (let round = 0; round < 10; round += 1) {
  await using cache = await context.open();
  for await (const batch of cache.versions({ batchSize: 7 })) void batch;
  for await (const batch of cache.packages({ batchSize: 7 })) if (batch.length > 3) break;
  await cache.search('package');
  await cache.search('p[12]', { kind: 'regex', in: 'both' });
  await cache.search('p[', { kind: 'regex' }).catch(ignore);
  await cache.match('?or(?depends(?name(p1)), ?installed)');
  await cache.match('?and(').catch(ignore);
  for (const name of names.slice(0, 5)) {
    for (const version of await cache.versionsOf(name)) {
      await cache.dependencies(version);
      await cache.provides(version);
      await cache.origins(version);
      await cache.record(version);
    }
    await cache.reverseDependencies(name);
    await cache.policy(name);
    await cache.solve({ install: [name], order: true }).catch(ignore);
  }
  await using marks = await cache.marks();
  await using branch = await marks.branch();
  using snapshot = await marks.snapshot();
  for (const name of names.slice(0, 3)) {
    await marks.edit({ kind: 'install', package: name }).catch(ignore);
    await marks.of(name);
    await marks.why(name);
  }
  await marks.resolve().catch(ignore);
  await marks.changes();
  await marks.unmet();
  await marks.unneeded();
  await marks.plan({ order: true }).catch(ignore);
  await marks.rollback(snapshot);
  await branch.counts();
}
for (let round = 0; round < 5; round += 1) {
  const other = { ...options, directory: directory.join('other') };
  const refused = await AptContext.create({ ...other, preferences: 'Pin: x\n' }).catch(ignore);
  await refused?.open().then((cache) => cache.close(), ignore);
  refused?.close();
}
