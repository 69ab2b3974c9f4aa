/** Random package universes, described as Packages and status files: no .deb is built. */

import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { AptContext, type AptContextOptions } from 'apt-ostree/apt';

/** Small and repeatable; good enough to vary tests. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export type Stanza = Record<string, string>;

export function formatStanzas(stanzas: readonly Stanza[]): string {
  const lines = (stanza: Stanza) =>
    Object.entries(stanza).map(([name, value]) => `${name}: ${value}\n`);
  return stanzas.map((stanza) => `${lines(stanza).join('')}\n`).join('');
}

/** Fields that every record of an archive has. */
export function record(name: string, version: string, fields: Stanza = {}): Stanza {
  return {
    Package: name,
    Version: version,
    Architecture: 'amd64',
    Priority: 'optional',
    Section: 'misc',
    Maintainer: 'Tests <tests@example.com>',
    'Installed-Size': '10',
    ...fields,
    Filename: `./${name}_${version}.deb`,
    Size: '1000',
    SHA256: 'a'.repeat(64),
    Description: `package ${name}`,
  };
}

/** Fields of a package in a status file. */
export function installed(stanza: Stanza): Stanza {
  const { Filename: _file, Size: _size, SHA256: _sum, ...rest } = stanza;
  return { Status: 'install ok installed', ...rest };
}

export interface Universe {
  packages: Stanza[];
  status: Stanza[];
  names: string[];
}

/** Packages with dependencies of every kind, some of which cannot be met. */
export function randomUniverse(seed: number, count: number): Universe {
  const random = randomNumbers(seed);
  const pick = (below: number) => Math.floor(random() * below);
  const names = Array.from({ length: count }, (_, i) => `p${i}`);
  const name = () => (random() < 0.08 ? `virtual${pick(6)}` : `p${pick(count)}`);
  const relation = () => (random() < 0.25 ? `${name()} (>= ${1 + pick(3)})` : name());
  const group = () => (random() < 0.3 ? `${relation()} | ${relation()}` : relation());
  const list = (most: number) => Array.from({ length: pick(most + 1) }, group).join(', ');
  const packages: Stanza[] = [];
  const status: Stanza[] = [];
  for (const own of names) {
    const first = 1 + pick(3);
    const versions = random() < 0.25 ? [`${first}`, `${first + 1}`] : [`${first}`];
    const make = (version: string) => {
      const fields: Stanza = {};
      const add = (field: string, chance: number, value: () => string) => {
        const text = random() < chance ? value() : '';
        if (text !== '') fields[field] = text;
      };
      add('Depends', 0.7, () => list(3));
      add('Pre-Depends', 0.08, relation);
      add('Recommends', 0.2, () => list(2));
      add('Conflicts', 0.07, name);
      add('Breaks', 0.07, () => `${name()} (<< 2)`);
      add('Replaces', 0.05, name);
      add('Provides', 0.15, () => `virtual${pick(6)}`);
      add('Essential', 0.02, () => 'yes');
      return record(own, version, fields);
    };
    const records = versions.map(make);
    packages.push(...records);
    const current = records[0];
    if (current && random() < 0.3) status.push(installed(current));
  }
  return { packages, status, names };
}

/** A flat archive that holds only an index, and the source that trusts it. */
export async function writeFlatArchive(
  directory: string,
  packages: readonly Stanza[] | string,
): Promise<string> {
  const text = typeof packages === 'string' ? packages : formatStanzas(packages);
  await mkdir(directory, { recursive: true });
  await writeFile(path.join(directory, 'Packages'), text);
  return `Types: deb\nURIs: file:${directory}\nSuites: ./\nTrusted: yes\n`;
}

export interface FlatContextOptions extends Partial<AptContextOptions> {
  /** What is installed, written to `${directory}-status`. */
  status?: readonly Stanza[];
  /** Which of that is so for others' sake, written to `${directory}-states`. */
  automatic?: readonly string[];
}

/** A context of its own directory for an archive of these packages alone; not updated yet. */
export async function flatContext(
  directory: string,
  packages: readonly Stanza[] | string,
  { status, automatic, ...options }: FlatContextOptions = {},
): Promise<AptContext> {
  const sources = await writeFlatArchive(`${directory}-archive`, packages);
  const states = automatic?.map((Package) => ({
    Package,
    Architecture: 'amd64',
    'Auto-Installed': '1',
  }));
  if (status) await writeFile(`${directory}-status`, formatStanzas(status));
  if (states) await writeFile(`${directory}-states`, formatStanzas(states));
  return AptContext.create({
    directory,
    architecture: 'amd64',
    sources,
    ...(status && { dpkgStatus: `${directory}-status` }),
    ...(states && { extendedStates: `${directory}-states` }),
    ...options,
  });
}
