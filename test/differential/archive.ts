/** A signed archive of real packages that both roads install from. */

import { copyFile, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { type AptCache, AptContext, hostRelease, readSources, sourcesForRelease } from 'apt-ostree';
import {
  type AptRepository,
  createAptRepository,
  machineArchitecture,
} from '../support/apt-repository.js';

/** The packages of the base beside the minimal ones. */
export const kBasePackages = ['systemd', 'usr-is-merged', 'dbus'];

export interface DifferentialArchive extends AptRepository {
  /** A version that is not the newest, of those packages of which the archive has one. */
  readonly older: ReadonlyMap<string, string>;
  /** Sets that cannot be installed, with the reason. */
  readonly impossible: ReadonlyMap<readonly string[], string>;
}

/**
 * Everything that the base and each set of `sets` need, resolved one set at a time, so that sets
 * may conflict with one another. `=name` stands for the newest version but one.
 *
 * @param cache kept from run to run: package lists and files
 */
export async function archiveOf(
  sets: readonly (readonly string[])[],
  foreign: readonly string[],
  cache: string,
): Promise<DifferentialArchive> {
  const codename = hostRelease() ?? 'stable';
  const sources = sourcesForRelease(readSources(), codename);
  const native = await machineArchitecture();
  await mkdir(cache, { recursive: true });
  await using context = await AptContext.create({
    directory: cache,
    sources,
    architectures: [native, ...foreign],
  });
  await context.update();
  await using lists = await context.open();
  const base = [
    ...(await lists.list({ essential: true })),
    ...(await lists.list({ priorities: ['required'] })),
  ]
    .filter((entry) => entry.architecture === native || entry.architecture === 'all')
    .map(({ name }) => name);
  const files = new Map<string, string>();
  const older = new Map<string, string>();
  const impossible = new Map<readonly string[], string>();
  for (const set of [[], ...sets]) {
    const install = [...new Set([...base, 'apt', ...kBasePackages])];
    for (const name of set.filter((token) => token.startsWith('='))) {
      const version = await olderVersion(lists, name.slice(1));
      if (version !== undefined) older.set(name.slice(1), version);
    }
    install.push(...set.filter((token) => !token.startsWith('=')));
    try {
      const { packages } = await lists.solve({ install, recommends: false });
      for (const { path: file } of await lists.fetch(packages)) {
        files.set(path.basename(file), file);
      }
    } catch (error) {
      impossible.set(set, (error as Error).message);
    }
  }
  const replaced = [...older].map(([name, version]) => ({ name, version, architecture: native }));
  for (const wanted of replaced) {
    const all = await lists.package(wanted.name);
    const found = all?.versions.find(({ version }) => version === wanted.version);
    const architecture = found?.architecture ?? native;
    for (const { path: file } of await lists.fetch([{ ...wanted, architecture }])) {
      files.set(path.basename(file), file);
    }
  }
  const architectures = [native, ...foreign];
  const archive = await createAptRepository({ codename, serve: 'file', architectures });
  const pool = path.join(archive.directory, 'pool');
  for (const [name, file] of files) await copyFile(file, path.join(pool, name));
  await archive.publish();
  return Object.assign(archive, { older, impossible });
}

async function olderVersion(lists: AptCache, name: string): Promise<string | undefined> {
  const known = await lists.package(name);
  return known?.versions.find(({ version }) => version !== known.candidate)?.version;
}
