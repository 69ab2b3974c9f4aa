/** The package database inside a commit, read without a checkout. */

import { checkFunction } from '../checks.js';
import { ComposeError } from '../errors.js';
import { Repo } from '../ostree/repo.js';
import { arrayOf, aString, objectOf } from '../shapes.js';
import { kDatabase } from './layout.js';

/** A package that a tree has, configured. */
export interface InstalledPackage {
  name: string;
  version: string;
  architecture: string;
}

/** What differs between the packages of two trees (`rpm-ostree db diff`). */
export interface PackageDiff {
  added: InstalledPackage[];
  removed: InstalledPackage[];
  upgraded: PackageChange[];
  downgraded: PackageChange[];
}

export interface PackageChange {
  name: string;
  architecture: string;
  from: string;
  to: string;
}

/** dpkg's status file of a commit made by a composition. */
export async function readStatus(repo: Repo, rev: string): Promise<Buffer> {
  return repo.readFile(rev, `${kDatabase}/status`);
}

/**
 * The packages of a commit, by name.
 *
 * @throws `ENOENT` where the commit has no package database.
 */
export async function packagesOf(repo: Repo, rev: string): Promise<InstalledPackage[]> {
  Repo.native(repo);
  return parseStatus((await readStatus(repo, rev)).toString('utf8'));
}

/** Installed packages of a dpkg status file. */
export function parseStatus(text: string): InstalledPackage[] {
  const packages: InstalledPackage[] = [];
  for (const stanza of text.split('\n\n')) {
    if (!/^Status: \S+ \S+ installed$/m.test(stanza)) continue;
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(stanza)?.[1] ?? '';
    packages.push({
      name: field('Package'),
      version: field('Version'),
      architecture: field('Architecture'),
    });
  }
  return packages.sort((a, b) =>
    a.name === b.name ? compareText(a.architecture, b.architecture) : compareText(a.name, b.name),
  );
}

/**
 * Makes sure that dpkg has finished with every package.
 *
 * @throws `ERR_COMPOSE_DPKG` with the package that is half installed, unpacked or waiting.
 */
export function requireConfigured(status: string): void {
  for (const stanza of status.split('\n\n')) {
    const state = /^Status: \S+ (\S+) (\S+)$/m.exec(stanza);
    if (!state) continue;
    const [, flag, name = ''] = state;
    if (flag === 'ok' && kFinalStates.has(name)) continue;
    const owner = /^Package: (.*)$/m.exec(stanza)?.[1] ?? '';
    throw new ComposeError(
      'ERR_COMPOSE_DPKG',
      `dpkg left ${owner} in the state '${flag} ${name}'`,
      {
        package: owner,
      },
    );
  }
}

const kFinalStates = new Set(['installed', 'config-files', 'not-installed']);

const checkPackages = arrayOf(objectOf({ name: aString, version: aString, architecture: aString }));

/**
 * What differs between the packages of two trees. Synchronous.
 *
 * @param compare orders versions (`compareVersions` of libapt-pkg)
 * @throws what `compare` throws.
 */
export function diffPackages(
  from: readonly InstalledPackage[],
  to: readonly InstalledPackage[],
  compare: (a: string, b: string) => number,
): PackageDiff {
  checkPackages(from, 'from');
  checkPackages(to, 'to');
  checkFunction(compare, 'compare');
  const key = ({ name, architecture }: InstalledPackage) => `${name}:${architecture}`;
  const before = new Map(from.map((entry) => [key(entry), entry]));
  const after = new Map(to.map((entry) => [key(entry), entry]));
  const diff: PackageDiff = { added: [], removed: [], upgraded: [], downgraded: [] };
  for (const [id, entry] of after) {
    const old = before.get(id);
    if (!old) {
      diff.added.push(entry);
    } else if (old.version !== entry.version) {
      const { name, architecture } = entry;
      const change = { name, architecture, from: old.version, to: entry.version };
      diff[compare(old.version, entry.version) < 0 ? 'upgraded' : 'downgraded'].push(change);
    }
  }
  for (const [id, entry] of before) if (!after.has(id)) diff.removed.push(entry);
  return diff;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
