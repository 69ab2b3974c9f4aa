/** A signed archive of real packages that both roads install from. */

import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type AptCache, AptContext, hostRelease, readSources, sourcesForRelease } from 'apt-ostree';
import {
  type AptRepository,
  createAptRepository,
  machineArchitecture,
} from '../support/apt-repository.js';
import { run } from '../support/run.js';

/** The packages of the base beside the minimal ones. */
export const kBasePackages = ['systemd', 'usr-is-merged', 'dbus'];

export interface DifferentialArchive extends AptRepository {
  /** A version that is not the newest, of each package of which a set wants one. */
  readonly older: ReadonlyMap<string, string>;
  /** Sets that cannot be installed, with the reason. */
  readonly impossible: ReadonlyMap<readonly string[], string>;
}

/**
 * Everything that the base and each set of `sets` need, resolved one set at a time, so that sets
 * may conflict with one another. `=name` stands for the newest version but one, or for a lower one
 * that is made of the newest where there is no other.
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
  for (const name of new Set(sets.flat().filter((token) => token.startsWith('=')))) {
    const wanted = await olderVersion(lists, name.slice(1));
    if (!wanted) continue;
    const [{ path: file } = { path: '' }] = await lists.fetch([wanted]);
    const made = wanted.other ? file : await lowered(file, wanted.version, cache);
    files.set(path.basename(made), made);
    older.set(wanted.name, wanted.other ? wanted.version : lower(wanted.version));
  }
  const architectures = [native, ...foreign];
  const archive = await createAptRepository({ codename, serve: 'file', architectures });
  const pool = path.join(archive.directory, 'pool');
  for (const [name, file] of files) await copyFile(file, path.join(pool, name));
  await archive.publish();
  return Object.assign(archive, { older, impossible });
}

async function olderVersion(lists: AptCache, name: string) {
  const known = await lists.package(name);
  const other = known?.versions.find(({ version }) => version !== known.candidate);
  const found = other ?? known?.versions[0];
  return found && { name, ...found, other: other !== undefined };
}

const lower = (version: string) => `${version}~lower`;

/** The package file with a lower version, and what it needs of its own version as well. */
async function lowered(file: string, version: string, cache: string): Promise<string> {
  const tree = path.join(cache, 'lowered');
  await rm(tree, { recursive: true, force: true });
  await run('dpkg-deb', ['-R', file, tree]);
  const control = path.join(tree, 'DEBIAN/control');
  const text = (await readFile(control, 'utf8'))
    .replace(`\nVersion: ${version}\n`, `\nVersion: ${lower(version)}\n`)
    .replaceAll(`(= ${version})`, `(= ${lower(version)})`);
  await writeFile(control, text);
  const made = path.join(cache, path.basename(file).replace(/_[^_]*$/, '~lower$&'));
  await run('dpkg-deb', ['-Znone', '-b', tree, made]);
  await rm(tree, { recursive: true });
  return made;
}
