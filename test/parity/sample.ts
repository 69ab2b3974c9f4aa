/** Plans for random requests on the real archive, compared with apt-get's own answers. */

import { cp, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type AptCache, AptContext, hostRelease, readSources, sourcesForRelease } from 'apt-ostree';
import { simulate } from '../support/apt-get.js';
import { randomNumbers } from '../support/apt-universe.js';

export interface Difference {
  request: string;
  expected: string;
  actual: string;
}

export interface ParityResult {
  compared: number;
  /** How many of them apt-get refused, and so did we. */
  refused: number;
  differences: Difference[];
}

interface System {
  name: string;
  status?: string;
}

const kNothing = '(nothing)';

/** A status file of the packages that a minimal system consists of. */
async function minimalStatus(context: AptContext, target: string): Promise<string> {
  await using cache = await context.open();
  const base = [
    ...(await cache.list({ essential: true })),
    ...(await cache.list({ priorities: ['required', 'important'] })),
  ].map(({ name }) => name);
  const plan = await cache.solve({ install: [...new Set([...base, 'apt'])], recommends: false });
  const stanzas: string[] = [];
  for (const { name, architecture, version } of plan.packages) {
    const { fields } = await cache.record({ name, architecture, version });
    const { Package: own, Filename: _f, Size: _s, SHA256: _h, MD5sum: _m, ...rest } = fields;
    const lines = Object.entries(rest).map(([field, value]) => `${field}: ${value}\n`);
    stanzas.push(`Package: ${own}\nStatus: install ok installed\n${lines.join('')}\n`);
  }
  await writeFile(target, stanzas.join(''));
  return target;
}

async function answer(
  cache: AptCache,
  request: { install: string[]; remove: string[]; recommends: boolean },
): Promise<string> {
  try {
    // `apt-get -s` refuses none of these.
    const allowed = { allowRemoveEssential: true, allowDowngrade: true, allowChangeHeld: true };
    const { packages } = await cache.solve({ ...request, ...allowed });
    const changes = packages.map(({ name, version, action }) =>
      action === 'remove' || action === 'purge' ? `-${name}` : `${name}=${version}`,
    );
    return changes.sort().join(' ') || kNothing;
  } catch (error) {
    const { code } = error as { code?: string };
    if (code?.startsWith('ERR_APT_')) return 'error';
    throw error;
  }
}

async function expectedAnswer(
  directory: string,
  status: string | undefined,
  request: { install: string[]; remove: string[]; recommends: boolean },
): Promise<string> {
  // Only ever `-s`: with --assume-no apt-get does not ask where nothing but the named packages
  // changes, and then really installs them, on this machine.
  const result = await simulate(
    directory,
    [
      request.recommends ? '--install-recommends' : '--no-install-recommends',
      'install',
      ...request.install,
      ...request.remove.map((name) => `${name}-`),
    ],
    { status },
  );
  if (!result.ok) return 'error';
  const changes = result.changes.map((one) => one.replace(/^\+/, ''));
  return changes.sort().join(' ') || kNothing;
}

/** Compares `count` requests, spread over three systems, with and without recommends. */
export async function compareWithAptGet(
  directory: string,
  count: number,
  seed: number,
  report: (line: string) => void = () => {},
): Promise<ParityResult> {
  const sources = sourcesForRelease(readSources(), hostRelease() ?? 'stable');
  const state = path.join(directory, 'state');
  await mkdir(state, { recursive: true });
  let minimal: string;
  {
    await using context = await AptContext.create({ directory: state, sources });
    await context.update({ strict: true });
    minimal = await minimalStatus(context, path.join(directory, 'minimal'));
  }
  const full = path.join(directory, 'full');
  await cp('/var/lib/dpkg/status', full);
  const systems: System[] = [
    { name: 'empty' },
    { name: 'minimal', status: minimal },
    { name: 'full', status: full },
  ];
  const random = randomNumbers(seed);
  const result: ParityResult = { compared: 0, refused: 0, differences: [] };
  for (const [index, { name, status }] of systems.entries()) {
    await using context = await AptContext.create({
      directory: state,
      sources,
      dpkgStatus: status,
    });
    await using cache = await context.open();
    const all: string[] = [];
    const present: string[] = [];
    for await (const batch of cache.packages()) {
      all.push(...batch.map((one) => one.name));
      present.push(...batch.filter((one) => one.installed).map((one) => one.name));
    }
    all.sort();
    present.sort();
    const pick = (from: readonly string[]) => from[Math.floor(random() * from.length)] as string;
    const share = Math.floor((count + systems.length - 1 - index) / systems.length);
    for (let i = 0; i < share; i++) {
      const request = {
        install: Array.from({ length: 1 + Math.floor(random() * 3) }, () => pick(all)),
        remove: present.length > 0 && random() < 0.2 ? [pick(present)] : [],
        recommends: random() < 0.5,
      };
      const expected = await expectedAnswer(state, status, request);
      const actual = await answer(cache, request);
      result.compared += 1;
      if (expected === 'error' && actual === 'error') result.refused += 1;
      if (expected === actual) continue;
      const label = `${name}: ${JSON.stringify(request)}`;
      result.differences.push({ request: label, expected, actual });
      report(`${label}\n  apt-get:    ${expected}\n  apt-ostree: ${actual}`);
    }
    report(`${name} system: ${result.compared} compared, ${result.differences.length} differ`);
  }
  return result;
}
