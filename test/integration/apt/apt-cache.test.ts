/** What a cache says about packages is what apt-cache says. */

import { writeFile } from 'node:fs/promises';
import { type AptCache, AptContext, type AptDependency } from 'apt-ostree/apt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { aptEnvironment } from '../../support/apt-get.js';
import {
  formatStanzas,
  installed,
  randomNumbers,
  randomUniverse,
  record,
  type Stanza,
  writeFlatArchive,
} from '../../support/apt-universe.js';
import { run } from '../../support/run.js';
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temp.js';

const kArchitectures = ['amd64', 'i386'];
const kPreferences = [
  'Package: p1\nPin: version *\nPin-Priority: 700',
  'Package: p2\nPin: version 1\nPin-Priority: 1001',
  'Package: p3\nPin: origin ""\nPin-Priority: -1',
  'Package: *\nPin: version 3\nPin-Priority: 300',
].join('\n\n');

let work: TemporaryDirectory;
let context: AptContext;
let cache: AptCache;
let env: Record<string, string | undefined>;
/** Names as apt prints them: `p1`, `p1:i386`. */
let names: string[];

/** A random archive in which packages of two architectures go together in every way. */
function universe(): { packages: Stanza[]; status: Stanza[] } {
  const { packages, status } = randomUniverse(11, 70);
  const random = randomNumbers(12);
  const kinds = ['same', 'foreign', 'allowed'];
  const kindOf = new Map<string | undefined, string | undefined>();
  const mixed = packages.flatMap((one) => {
    if (!kindOf.has(one.Package)) {
      kindOf.set(one.Package, random() < 0.6 ? kinds[Math.floor(random() * 3)] : undefined);
    }
    const kind = kindOf.get(one.Package);
    const own: Stanza = kind ? { ...one, 'Multi-Arch': kind } : one;
    return random() < 0.4 ? [own, { ...own, Architecture: 'i386' }] : [own];
  });
  const special = [
    record('depends-any', '1', { Depends: 'p1:any, p2:i386', Enhances: 'p4', Suggests: 'p5' }),
    record('many', '1', { Provides: 'p1 (= 7), virtual0, only-virtual (= 2)', Replaces: 'p6' }),
    record('phased', '1', { 'Phased-Update-Percentage': '20', Essential: 'yes' }),
  ];
  return { packages: [...mixed, ...special], status: status.map(installed) };
}

beforeAll(async () => {
  work = await temporaryDirectory('apt-cache');
  const { packages, status } = universe();
  await writeFile(work.join('status'), formatStanzas(status));
  await writeFile(work.join('preferences'), kPreferences);
  context = await AptContext.create({
    directory: work.join('state'),
    architecture: 'amd64',
    architectures: kArchitectures,
    sources: await writeFlatArchive(work.join('archive'), packages),
    dpkgStatus: work.join('status'),
    preferences: kPreferences,
  });
  await context.update();
  cache = await context.open();
  env = await aptEnvironment(context.directory, {
    status: work.join('status'),
    architectures: kArchitectures,
    preferences: work.join('preferences'),
  });
  names = [];
  for await (const batch of cache.packages()) {
    names.push(...batch.map(({ name, architecture }) => shown(name, architecture)));
  }
});

afterAll(async () => {
  cache.close();
  context.close();
  await work.remove();
});

const shown = (name: string, architecture: string) =>
  // What asks for another architecture has it in its name.
  architecture === 'amd64' || architecture === 'any' ? name : `${name}:${architecture}`;
const split = (text: string): [string, string] => {
  const [name = '', architecture = 'amd64'] = text.split(':');
  return [name, architecture];
};
const sorted = (list: Iterable<string>) => [...new Set(list)].sort();

async function aptCache(...args: string[]): Promise<string> {
  return (await run('apt-cache', args, { env })).stdout;
}

/** The blocks of an answer about many packages, by the name in their first line. */
function blocks(text: string, heading: RegExp): Map<string, string[]> {
  const found = new Map<string, string[]>();
  let lines: string[] = [];
  for (const line of text.split('\n')) {
    const name = heading.exec(line)?.[1];
    if (name !== undefined) {
      lines = [];
      found.set(name, lines);
    } else {
      lines.push(line);
    }
  }
  return found;
}

test('names', async () => {
  const all = (await aptCache('pkgnames')).trim().split('\n');
  expect(sorted(names.map((name) => split(name)[0]))).toEqual(sorted(all));
});

test('policy: candidates and priorities', async () => {
  const answers = blocks(await aptCache('policy', ...names), /^(\S+):$/);
  expect(sorted(answers.keys())).toEqual(sorted(names));
  for (const name of names) {
    const lines = answers.get(name) ?? [];
    const field = (label: string) => {
      const value = new RegExp(`^  ${label}: (.*)$`).exec(
        lines.find((line) => line.startsWith(`  ${label}:`)) ?? '',
      )?.[1];
      return value === '(none)' ? undefined : value;
    };
    const ours = await cache.policy(...split(name));
    expect(ours?.installed, name).toBe(field('Installed'));
    expect(ours?.candidate, name).toBe(field('Candidate'));
    const table = lines
      .map((line) => /^ (?:\*\*\*| {3}) (\S+) +(-?\d+)/.exec(line))
      .filter((match) => match !== null)
      .map(([, version, priority]) => `${version} ${priority}`);
    expect(
      ours?.versions.map(({ version, priority }) => `${version} ${priority}`),
      lines.join('\n'),
    ).toEqual(table);
  }
});

/** `Type: target` of each alternative, in order, as `apt-cache depends` prints it. */
function dependencyLines(dependencies: readonly AptDependency[]): string[] {
  return dependencies
    .filter(({ implied }) => !implied)
    .flatMap(({ type, alternatives }) =>
      alternatives.map(({ name, architecture }, index) => {
        const mark = index + 1 < alternatives.length ? '|' : ' ';
        return `${mark}${type}: ${shown(name, architecture)}`;
      }),
    );
}

test('depends', async () => {
  const answers = blocks(await aptCache('depends', '--no-implicit', ...names), /^(\S+)$/);
  for (const name of names) {
    const policy = await cache.policy(...split(name));
    const row = policy?.versions.find((one) => one.version === policy.candidate);
    // Without a candidate apt-cache has nothing to say.
    if (!row) continue;
    const expected = (answers.get(name) ?? [])
      .map((line) => /^ ([ |]\w+: )<?([^<>]+?)>?$/.exec(line))
      .filter((match) => match !== null)
      .map(([, start, target]) => `${start}${target}`);
    expect(sorted(dependencyLines(await cache.dependencies(row))), name).toEqual(sorted(expected));
  }
});

test('depends --recurse', async () => {
  const start = names.find((name) => name === 'depends-any') ?? '';
  const text = await aptCache('depends', '--recurse', '--important', '--no-implicit', start);
  const expected = sorted(
    [...text.matchAll(/^<?([a-z][^\s<>]*)>?$/gm)].map(([, name]) => name ?? ''),
  );
  const reached = new Set<string>();
  const queue = [start];
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    if (reached.has(name)) continue;
    reached.add(name);
    const policy = await cache.policy(...split(name));
    const version = policy?.versions.find((one) => one.version === policy.candidate);
    if (!version) continue;
    for (const { type, implied, alternatives } of await cache.dependencies(version)) {
      if (implied || !/^(Pre)?Depends$/.test(type)) continue;
      for (const one of alternatives) {
        queue.push(shown(one.name, one.architecture));
        for (const target of one.targets) queue.push(shown(target.name, target.architecture));
      }
    }
  }
  expect(expected.filter((name) => !reached.has(name))).toEqual([]);
  expect(reached.size).toBeGreaterThan(5);
});

test('rdepends', async () => {
  for (const name of names.slice(0, 60)) {
    const text = await aptCache('rdepends', '--no-implicit', name);
    // Without a candidate apt-cache has nothing to say.
    if ((await cache.policy(...split(name)))?.candidate === undefined) continue;
    const [, listed = ''] = text.split('Reverse Depends:\n');
    const expected = listed
      .split('\n')
      .filter((line) => /^ [ |]\S/.test(line))
      .map((line) => line.slice(2));
    const ours = await cache.reverseDependencies(...split(name));
    expect(sorted(ours.map((one) => shown(one.name, one.architecture))), name).toEqual(
      sorted(expected),
    );
  }
});

test('showpkg: what provides a name, and what a version provides', async () => {
  for (const name of [...names.slice(0, 25), 'only-virtual', 'virtual0', 'many']) {
    const text = await aptCache('showpkg', name);
    const [, reverse = ''] = text.split('Reverse Provides: \n');
    const [plain] = split(name);
    const expected = reverse
      .trim()
      .split('\n')
      .map((line) => line.split(' ').slice(0, 2).join(' '))
      .filter((line) => line !== '');
    const ours = (await cache.whatProvides(plain))
      .filter((one) => one.name !== plain)
      .map((one) => `${shown(one.name, one.architecture)} ${one.version}`);
    for (const line of expected.filter((one) => split(one.replace(' ', ':'))[0] !== plain)) {
      // apt-cache answers for one architecture, this for all.
      expect(
        ours.map((one) => one.replace(':i386', '')),
        name,
      ).toContain(line.replace(':i386', ''));
    }
  }
  const [many] = await cache.versionsOf('many');
  if (!many) throw new Error('no package "many"');
  const provided = await cache.provides(many);
  expect(provided.map((one) => [one.name, one.version])).toEqual(
    expect.arrayContaining([
      ['p1', '7'],
      ['only-virtual', '2'],
      ['virtual0', undefined],
    ]),
  );
});

test('show: records, and how packages go with other architectures', async () => {
  for (const name of names.slice(0, 40)) {
    const text = await aptCache('show', '--no-all-versions', name);
    const field = (label: string) => new RegExp(`^${label}: (.*)$`, 'm').exec(text)?.[1];
    const versions = await cache.versionsOf(...split(name));
    const own = versions.find(({ version }) => version === field('Version'));
    if (field('Version') === undefined) continue;
    if (!own) throw new Error(`no version ${field('Version')} of ${name}`);
    const { fields } = await cache.record(own);
    for (const label of ['Package', 'Version', 'Architecture', 'Depends', 'Provides', 'Section']) {
      expect(fields[label], `${label} of ${name}`).toBe(field(label));
    }
    expect(own.multiArch, name).toBe(field('Multi-Arch') ?? 'no');
    expect(own.essential || field('Essential') !== 'yes', name).toBe(true);
  }
  const [phased] = await cache.versionsOf('phased');
  expect(phased).toMatchObject({ phasedPercentage: 20, essential: true, protected: false });
});

test('search', async () => {
  const lines = (await aptCache('search', '--names-only', '^p2')).trim().split('\n');
  const ours = await cache.search('^p2', { kind: 'regex', in: 'names' });
  expect(sorted(ours.map(({ name }) => name))).toEqual(
    sorted(lines.map((line) => line.split(' ')[0] ?? '')),
  );
});
