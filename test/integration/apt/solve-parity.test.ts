/** Plans are apt-get's: the same changes in the same order, and an error where it has one. */

import { writeFile } from 'node:fs/promises';
import { type AptCache, AptContext, type AptPlan, type SolveRequest } from 'apt-ostree/apt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { changesOf, simulate } from '../../support/apt-get.js';
import {
  formatStanzas,
  randomNumbers,
  randomUniverse,
  type Universe,
  writeFlatArchive,
} from '../../support/apt-universe.js';
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temp.js';

const kSize = 150;

/**
 * Steps as `apt-get -s` prints them. What it leaves to `dpkg --configure --pending` comes last
 * and in no order that means something: sorted here.
 */
function sortedTail(steps: readonly string[]): string[] {
  const tail = steps.findLastIndex((step) => !step.startsWith('configure ')) + 1;
  return [...steps.slice(0, tail), ...steps.slice(tail).sort()];
}

function stepsOf(plan: AptPlan): string[] {
  return sortedTail(plan.operations.map(({ name, action }) => `${action} ${name}`));
}

/** What dpkg would insist on. */
function checkOrder(plan: AptPlan, label: string): void {
  const inPlan = new Map(plan.packages.map((one) => [one.name, one]));
  const unpacked = new Set<string>();
  const configured = new Set<string>();
  for (const { name, action } of plan.operations) {
    if (action === 'unpack') {
      for (const needed of inPlan.get(name)?.preDepends ?? []) {
        expect(configured, `${name} pre-depends on ${needed}\n${label}`).toContain(needed);
      }
      unpacked.add(name);
    } else if (action === 'configure') {
      expect(unpacked, label).toContain(name);
      configured.add(name);
    }
  }
  expect([...configured].sort(), label).toEqual([...unpacked].sort());
}

function argumentsOf(request: SolveRequest): string[] {
  const flags = [
    request.recommends === false ? '--no-install-recommends' : '--install-recommends',
    ...(request.purge ? ['--purge'] : []),
    ...(request.autoremove ? ['-o', 'APT::Get::AutomaticRemove=true'] : []),
    ...(request.reinstall ? ['--reinstall'] : []),
    ...(request.upgrade === 'with-new' ? ['--with-new-pkgs'] : []),
  ];
  const verbs = {
    none: 'install',
    upgrade: 'upgrade',
    'with-new': 'upgrade',
    full: 'dist-upgrade',
  };
  const removed = (request.remove ?? []).map((name) => `${name}-`);
  return [...flags, verbs[request.upgrade ?? 'none'], ...(request.install ?? []), ...removed];
}

describe.each([
  { system: 'an empty system', seed: 1, installed: false },
  { system: 'a system with packages', seed: 2, installed: true },
])('$system', ({ seed, installed }) => {
  let work: TemporaryDirectory;
  let context: AptContext;
  let cache: AptCache;
  let universe: Universe;
  let status: string | undefined;

  beforeAll(async () => {
    work = await temporaryDirectory('parity');
    universe = randomUniverse(seed, kSize);
    const source = await writeFlatArchive(work.join('archive'), universe.packages);
    if (installed) {
      status = work.join('status');
      await writeFile(status, formatStanzas(await consistent(universe)));
    }
    context = await AptContext.create({
      directory: work.join('state'),
      architecture: 'amd64',
      sources: source,
      dpkgStatus: status,
    });
    await context.update();
    cache = await context.open();
  });

  afterAll(async () => {
    cache.close();
    context.close();
    await work.remove();
  });

  /** Only packages that can be installed together, or apt-get wants them repaired first. */
  async function consistent({ status: wanted, packages }: Universe) {
    const source = await writeFlatArchive(work.join('first'), packages);
    await using first = await AptContext.create({
      directory: work.join('first-state'),
      architecture: 'amd64',
      sources: source,
      recommends: false,
    });
    await first.update();
    await using opened = await first.open();
    let kept: string[] = [];
    for (const { Package: name, Version: version } of wanted) {
      const next = [...kept, `${name}=${version}`];
      const plan = await opened.solve({ install: next }).catch(() => undefined);
      if (plan) kept = next;
    }
    const plan = await opened.solve({ install: kept });
    const versions = new Set(plan.packages.map(({ name, version }) => `${name}=${version}`));
    return packages
      .filter(({ Package: name, Version: version }) => versions.has(`${name}=${version}`))
      .map(({ Filename: _file, Size: _size, SHA256: _sum, ...rest }) => ({
        Status: 'install ok installed',
        ...rest,
      }));
  }

  async function compare(request: SolveRequest): Promise<boolean> {
    const expected = await simulate(context.directory, argumentsOf(request), { status });
    const label = `${JSON.stringify(request)}\n${expected.output}`;
    const allowed = { allowRemoveEssential: true, allowDowngrade: true, allowChangeHeld: true };
    const result = await cache
      .solve({ ...allowed, ...request })
      .catch((error: Error & { code?: string }) => error);
    if (result instanceof Error) {
      expect(result, label).toMatchObject({ code: expect.stringMatching(/^ERR_APT_/) });
      expect(expected.ok, `${result.message}\n${label}`).toBe(false);
      return false;
    }
    expect(expected.ok, label).toBe(true);
    expect(changesOf(result), label).toEqual(expected.changes);
    expect(stepsOf(result), label).toEqual(sortedTail(expected.steps));
    checkOrder(result, label);
    return true;
  }

  test('single packages', async () => {
    let solved = 0;
    for (const name of universe.names.slice(0, 40)) {
      if (await compare({ install: [name], recommends: solved % 2 === 0 })) solved += 1;
    }
    expect(solved).toBeGreaterThan(10);
  });

  test('random requests', async () => {
    const random = randomNumbers(seed + 100);
    const name = () => universe.names[Math.floor(random() * universe.names.length)] as string;
    for (let i = 0; i < 60; i++) {
      await compare({
        install: Array.from({ length: 1 + Math.floor(random() * 3) }, () =>
          random() < 0.2 ? `${name()}=${1 + Math.floor(random() * 4)}` : name(),
        ),
        remove: random() < 0.3 ? [name()] : [],
        recommends: random() < 0.5,
        purge: random() < 0.2,
        autoremove: random() < 0.1,
        reinstall: random() < 0.2,
      });
    }
  });

  test.each(['upgrade', 'with-new', 'full'] as const)('upgrade: %s', async (upgrade) => {
    await compare({ upgrade });
    await compare({ upgrade, recommends: false });
  });

  test('a virtual package, and names that do not exist', async () => {
    for (let i = 0; i < 6; i++) await compare({ install: [`virtual${i}`] });
    expect(await compare({ install: ['nothing-of-that-name'] })).toBe(false);
    expect(await compare({ install: ['p1=99'] })).toBe(false);
    expect(await compare({ install: ['p1/nowhere'] })).toBe(false);
  });
});
