/** The real packages that all sides of a comparison use: fetched once, served on loopback. */

import { copyFile, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { AptContext, hostRelease, readSources, sourcesForRelease } from 'apt-ostree';
import { type AptRepository, createAptRepository } from '../test/support/apt-repository.js';

export interface BenchArchive extends AsyncDisposable {
  repository: AptRepository;
  codename: string;
  /** What a Debian system has beyond the minimal base unless somebody says otherwise. */
  standard: readonly string[];
}

/** A signed archive on loopback with a standard system, `extra` packages and what they need. */
export async function benchArchive(
  directory: string,
  extra: readonly string[],
): Promise<BenchArchive> {
  const codename = hostRelease() ?? 'stable';
  const sources = sourcesForRelease(readSources(), codename);
  const state = path.join(directory, 'archive-apt');
  await using context = await AptContext.create({ directory: state, sources });
  await context.update();
  await using cache = await context.open();
  const base = [
    ...(await cache.list({ essential: true })),
    ...(await cache.list({ priorities: ['required'] })),
  ].map(({ name }) => name);
  const standard = (await cache.list({ priorities: ['important', 'standard'] })).map(
    ({ name }) => name,
  );
  const install = [...new Set([...base, 'apt', 'usr-is-merged', ...standard, ...extra])];
  const { packages } = await cache.solve({ install, recommends: false });
  const files = await cache.fetch(packages);
  const repository = await createAptRepository({ codename });
  const pool = path.join(repository.directory, 'pool');
  await mkdir(pool, { recursive: true });
  for (const file of files) await copyFile(file.path, path.join(pool, path.basename(file.path)));
  await repository.publish();
  process.stdout.write(`${files.length} real packages of ${codename}, the same for all sides\n`);
  return { repository, codename, standard, [Symbol.asyncDispose]: () => repository.stop() };
}
