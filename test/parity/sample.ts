/** Plans for random requests on the real archive, compared with apt-get's own answers. */

import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import {
  type AptCache,
  AptContext,
  hostRelease,
  readSources,
  type SolveRequest,
  sourcesForRelease,
} from 'apt-ostree';
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
  /** Packages that changed in all plans together. */
  changes: number;
  /** Plans whose order was compared too. */
  ordered: number;
  differences: Difference[];
}

interface System {
  name: string;
  status?: string;
  extendedStates?: string;
  architectures: readonly string[];
}

const kNothing = '(nothing)';
/** Of every so many requests one has its order compared too, if so few packages change. */
const kOrderedEvery = 4;
const kOrderedMost = 60;

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

interface Answer {
  changes: string;
  /** Empty where it is not known. */
  steps: string[];
}

/** The native architecture goes without saying, as in what apt-get prints. */
function displayName(name: string, architecture: string, native: string): string {
  return architecture === native || architecture === 'all' ? name : `${name}:${architecture}`;
}

/** What apt-get leaves to `dpkg --configure --pending` comes last and in no order. */
function sortedTail(steps: readonly string[]): string[] {
  const tail = steps.findLastIndex((step) => !step.startsWith('configure ')) + 1;
  return [...steps.slice(0, tail), ...steps.slice(tail).sort()];
}

async function ourAnswer(cache: AptCache, request: SolveRequest, native: string): Promise<Answer> {
  try {
    // `apt-get -s` refuses none of these.
    const allowed = { allowRemoveEssential: true, allowDowngrade: true, allowChangeHeld: true };
    const { packages, operations } = await cache.solve({ ...request, ...allowed });
    const changes = packages.map(({ name, architecture, version, action }) => {
      const shown = displayName(name, architecture, native);
      return action === 'remove' || action === 'purge' ? `-${shown}` : `+${shown}=${version}`;
    });
    const steps = operations.map(
      ({ action, name, architecture }) => `${action} ${displayName(name, architecture, native)}`,
    );
    return { changes: changes.sort().join(' ') || kNothing, steps: sortedTail(steps) };
  } catch (error) {
    const { code } = error as { code?: string };
    if (code?.startsWith('ERR_APT_')) return { changes: 'error', steps: [] };
    throw error;
  }
}

async function aptGetAnswer(
  directory: string,
  system: System,
  request: SolveRequest,
  patience: number,
): Promise<Answer> {
  const verbs = {
    none: 'install',
    upgrade: 'upgrade',
    'with-new': 'upgrade',
    full: 'dist-upgrade',
  };
  const { install = [], remove = [], satisfy = [], upgrade = 'none' } = request;
  const only = remove.length > 0 && install.length === 0 && upgrade === 'none';
  const verb = satisfy.length > 0 ? 'satisfy' : only ? 'remove' : verbs[upgrade];
  // Only ever `-s`: with --assume-no apt-get does not ask where nothing but the named packages
  // changes, and then really installs them, on this machine.
  const result = await simulate(
    directory,
    [
      request.recommends ? '--install-recommends' : '--no-install-recommends',
      ...(request.autoremove ? ['-o', 'APT::Get::AutomaticRemove=true'] : []),
      ...(request.reinstall ? ['--reinstall'] : []),
      ...(request.fixBroken ? ['-f'] : []),
      ...(request.purge ? ['--purge'] : []),
      ...(upgrade === 'with-new' ? ['--with-new-pkgs'] : []),
      verb,
      ...satisfy,
      ...install,
      ...remove.map((name) => (only ? name : `${name}-`)),
    ],
    // `satisfy` does not know the flag with which the waiting can be cut short.
    satisfy.length > 0 ? system : { ...system, patience },
  );
  if (!result.ok) return { changes: 'error', steps: [] };
  return { changes: result.changes.join(' ') || kNothing, steps: sortedTail(result.steps) };
}

/** Requests of every kind that apt-get has words for. */
async function* randomRequests(
  cache: AptCache,
  system: System,
  random: () => number,
): AsyncGenerator<SolveRequest, never, void> {
  const all: { name: string; candidate?: string }[] = [];
  const present: string[] = [];
  const [native] = system.architectures;
  for await (const batch of cache.packages()) {
    for (const { name: own, architecture, installed, candidate } of batch) {
      const name = architecture === native ? own : `${own}:${architecture}`;
      all.push({ name, ...(candidate && { candidate }) });
      if (installed) present.push(name);
    }
  }
  all.sort((a, b) => (a.name < b.name ? -1 : 1));
  present.sort();
  const suite = hostRelease() ?? 'stable';
  const pick = <T>(from: readonly T[]) => from[Math.floor(random() * from.length)] as T;
  /** Expressions that mean few packages: this one, and those whose names begin like its own. */
  const expression = (name: string) => {
    const [own = '', architecture] = name.split(':');
    const end = architecture ? `:${architecture}` : '';
    const literal = own.replace(/[.+]/g, '[$&]');
    if (own.length < 6) return `?exact-name(${own})`;
    return pick([
      `?exact-name(${own})`,
      `~i~n^${literal}`,
      `?installed?exact-name(${own})`,
      `${own}*${end}`,
      `${own.slice(0, -1)}?${end}`,
      `^${literal}$${end}`,
      `${own}*${end}/${suite}`,
      `${own}*${end}=*`,
    ]);
  };
  const wish = () => {
    const { name, candidate } = pick(all);
    const kind = random();
    if (kind < 0.1 && candidate) return `${name}=${candidate}`;
    if (kind < 0.15) return `${name}/${suite}`;
    if (kind < 0.18 && present.length > 0) return pick(present);
    return kind < 0.25 ? expression(name) : name;
  };
  const unwanted = () => {
    const name = pick(present);
    const kind = random();
    if (kind < 0.1) return `${name}/${suite}`;
    if (kind < 0.15) return `${name}=1`;
    return kind < 0.25 ? expression(name) : name;
  };
  const relation = () => {
    const { name, candidate } = pick(all);
    return random() < 0.4 && candidate ? `${name} (>= ${candidate})` : name;
  };
  for (;;) {
    const kind = random();
    const recommends = random() < 0.5;
    const autoremove = random() < 0.1;
    const fixBroken = random() < 0.3;
    if (present.length > 0 && kind < 0.06) {
      const upgrade = pick(['upgrade', 'with-new', 'full'] as const);
      const install = random() < 0.3 ? [wish()] : [];
      yield { upgrade, install, recommends, autoremove, fixBroken };
      continue;
    }
    if (kind < 0.12) {
      const satisfy = [relation(), `${relation()} | ${relation()}`];
      if (present.length > 0 && random() < 0.4) satisfy.push(`Conflicts: ${pick(present)}`);
      yield { satisfy, recommends };
      continue;
    }
    if (present.length > 0 && kind < 0.2) {
      const remove = Array.from({ length: 1 + Math.floor(random() * 2) }, unwanted);
      yield { remove, recommends, autoremove, purge: random() < 0.3 };
      continue;
    }
    // Sets as well as single names.
    const count = kind < 0.33 ? 4 + Math.floor(random() * 8) : 1 + Math.floor(random() * 3);
    yield {
      install: Array.from({ length: count }, wish),
      remove: present.length > 0 && random() < 0.2 ? [unwanted()] : [],
      reinstall: random() < 0.05,
      recommends,
      autoremove,
      fixBroken,
    };
  }
}

/** A package that nothing else wants a version of may have an older one. */
function isFree(stanzas: readonly string[], name: string): boolean {
  return !stanzas.some((stanza) => stanza.includes(` ${name} (`));
}

function nameOf(stanza: string): string {
  return /^Package: (.*)$/m.exec(stanza)?.[1] ?? '';
}

/** Some packages are old, some of these held, and dpkg has begun with others. */
async function worn(status: string, target: string): Promise<string> {
  const stanzas = (await readFile(status, 'utf8')).split(/\n\n+/).filter((one) => one.trim());
  let place = 0;
  const changed = stanzas.map((stanza) => {
    if (!isFree(stanzas, nameOf(stanza))) return stanza;
    const kind = place++ % 5;
    if (kind > 2) return stanza;
    const old = stanza.replace(/^Version: .*$/m, '$&~~');
    const states = ['install ok installed', 'hold ok installed', 'install ok half-configured'];
    return (kind === 2 ? stanza : old).replace(/^Status: .*$/m, `Status: ${states[kind]}`);
  });
  await writeFile(target, `${changed.join('\n\n')}\n`);
  return target;
}

/** One package lacks what it needs, and one was left half installed. */
async function broken(status: string, target: string, half: boolean): Promise<string> {
  const text = await readFile(status, 'utf8');
  const own = ['Architecture: all', 'Version: 1', 'Maintainer: Tests <tests@example.com>'];
  const stanza = half
    ? ['Package: hello', 'Status: install reinstreq half-installed', ...own]
    : ['Package: needs-hello', 'Status: install ok installed', 'Depends: hello (>= 1)', ...own];
  await writeFile(target, `${text.trimEnd()}\n\n${stanza.join('\n')}\nDescription: none\n`);
  return target;
}

async function makeSystems(directory: string, native: string): Promise<System[]> {
  const sources = sourcesForRelease(readSources(), hostRelease() ?? 'stable');
  const both = [native, native === 'i386' ? 'amd64' : 'i386'];
  {
    // The lists of both architectures, once.
    await using context = await AptContext.create({ directory, sources, architectures: both });
    // A mirror in the middle of a change is one for both sides.
    await context.update();
  }
  await using context = await AptContext.create({ directory, sources });
  const minimal = await minimalStatus(context, path.join(directory, 'minimal'));
  const full = path.join(directory, 'full');
  const extendedStates = path.join(directory, 'full-states');
  await cp('/var/lib/dpkg/status', full);
  await cp('/var/lib/apt/extended_states', extendedStates).catch(() =>
    writeFile(extendedStates, ''),
  );
  const alone = [native];
  const old = await worn(minimal, path.join(directory, 'worn'));
  const unmet = await broken(minimal, path.join(directory, 'broken'), false);
  const unfinished = await broken(minimal, path.join(directory, 'unfinished'), true);
  return [
    { name: 'empty', architectures: alone },
    { name: 'minimal', architectures: alone, status: minimal },
    { name: 'worn', architectures: alone, status: old },
    { name: 'broken', architectures: alone, status: unmet },
    { name: 'unfinished', architectures: alone, status: unfinished },
    { name: 'full', architectures: alone, status: full, extendedStates },
    { name: 'empty, two architectures', architectures: both },
    { name: 'full, two architectures', architectures: both, status: full, extendedStates },
  ];
}

/** Compares `count` requests, spread over several systems, with and without recommends. */
export async function compareWithAptGet(
  directory: string,
  count: number,
  seed: number,
  report: (line: string) => void = () => {},
): Promise<ParityResult> {
  const state = path.join(directory, 'state');
  await mkdir(state, { recursive: true });
  const sources = sourcesForRelease(readSources(), hostRelease() ?? 'stable');
  const native = await nativeArchitecture(directory);
  const systems = await makeSystems(state, native);
  const random = randomNumbers(seed);
  const result: ParityResult = {
    compared: 0,
    refused: 0,
    changes: 0,
    ordered: 0,
    differences: [],
  };
  for (const [index, system] of systems.entries()) {
    await using context = await AptContext.create({
      directory: state,
      sources,
      dpkgStatus: system.status,
      extendedStates: system.extendedStates,
      architectures: system.architectures,
    });
    await using cache = await context.open();
    const requests = randomRequests(cache, system, random);
    let begun = 0;
    const compare = async (request: SolveRequest) => {
      const patience = begun++ % kOrderedEvery === 0 ? kOrderedMost : 0;
      const expected = await aptGetAnswer(state, system, request, patience);
      const order = expected.steps.length > 0;
      const actual = await ourAnswer(cache, { ...request, order }, native);
      result.compared += 1;
      if (expected.changes === 'error' && actual.changes === 'error') result.refused += 1;
      if (order) result.ordered += 1;
      const same =
        expected.changes === actual.changes &&
        (!order || expected.steps.join('\n') === actual.steps.join('\n'));
      if (same) {
        result.changes += actual.changes.split(' ').length;
        return;
      }
      const label = `${system.name}: ${JSON.stringify(request)}`;
      const text = ({ changes, steps }: Answer) =>
        expected.changes === actual.changes ? steps.join(', ') : changes;
      result.differences.push({ request: label, expected: text(expected), actual: text(actual) });
      report(`${label}\n  apt-get:    ${text(expected)}\n  apt-ostree: ${text(actual)}`);
    };
    // The first one waits for the simulation, after which apt-get has a binary cache.
    const share = Math.floor((count + systems.length - 1 - index) / systems.length);
    const list: SolveRequest[] = [];
    for (let i = 0; i < share; i++) list.push((await requests.next()).value);
    const first = list.shift();
    if (first) await compare(first);
    const worker = async () => {
      for (let next = list.shift(); next; next = list.shift()) await compare(next);
    };
    await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, worker));
    report(`${system.name}: ${result.compared} compared, ${result.differences.length} differ`);
  }
  return result;
}

async function nativeArchitecture(directory: string): Promise<string> {
  await using context = await AptContext.create({
    directory: path.join(directory, 'none'),
    sources: '',
  });
  return context.architecture;
}
