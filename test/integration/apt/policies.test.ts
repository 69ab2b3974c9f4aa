/** What decides beside dependencies: phased updates, holds, kernels, pins; against apt-get -s. */

import { readFile, writeFile } from 'node:fs/promises';
import { release } from 'node:os';
import {
  AptContext,
  type AptContextOptions,
  type AptPlan,
  type SolveRequest,
} from 'apt-ostree/apt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AptGetOptions, aptEnvironment, changesOf, simulate } from '../../support/apt-get.js';
import { flatContext, installed, record, type Stanza } from '../../support/apt-universe.js';
import { run } from '../../support/run.js';
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temp.js';

let work: TemporaryDirectory;
let counter = 0;

beforeAll(async () => {
  work = await temporaryDirectory('policies');
});

afterAll(() => work.remove());

interface Case {
  archive: Stanza[];
  status: Stanza[];
  automatic?: string[];
  options?: Partial<AptContextOptions>;
  aptGet?: Partial<AptGetOptions>;
}

/** A context with these packages, and what apt-get needs to see the same. */
async function make({ archive, status, automatic = [], options, aptGet }: Case) {
  const own = work.join(`case-${counter++}`);
  const context = await flatContext(own, archive, { status, automatic, ...options });
  await context.update();
  const theirs = { status: `${own}-status`, extendedStates: `${own}-states`, ...aptGet };
  return { context, theirs };
}

/** Our plan, which must be what apt-get says. */
async function same(one: Case, request: SolveRequest, args: string[]): Promise<AptPlan> {
  const { context, theirs } = await make(one);
  await using _context = context;
  await using cache = await context.open();
  const expected = await simulate(context.directory, args, theirs);
  const plan = await cache.solve({ allowChangeHeld: true, ...request });
  expect(changesOf(plan), expected.output).toEqual(expected.changes);
  return plan;
}

/** Where apt-get refuses too. */
async function refused(one: Case, request: SolveRequest, args: string[]): Promise<Error> {
  const { context, theirs } = await make(one);
  await using _context = context;
  await using cache = await context.open();
  const expected = await simulate(context.directory, args, theirs);
  expect(expected.ok, expected.output).toBe(false);
  return cache.solve(request).then(
    ({ packages }) => expect.fail(`refused by apt-get, solved: ${packages.length}`),
    (error: Error) => error,
  );
}

describe('phased updates', () => {
  const shares = ['0', '10', '50', '90'];
  const archive = shares.map((share) =>
    record(`share-${share}`, '2', { 'Phased-Update-Percentage': share }),
  );
  const status = [...shares.map((share) => installed(record(`share-${share}`, '1')))];
  const request: SolveRequest = { upgrade: 'upgrade' };

  test('are told by the cache', async () => {
    const { context } = await make({ archive, status });
    await using _context = context;
    await using cache = await context.open();
    const [newest] = await cache.versionsOf('share-10');
    expect(newest?.phasedPercentage).toBe(10);
  });

  test('come all, or not at all', async () => {
    const always = await same(
      {
        archive,
        status,
        options: { phasedUpdates: 'always' },
        aptGet: { config: { 'APT::Get::Always-Include-Phased-Updates': 'true' } },
      },
      request,
      ['upgrade'],
    );
    expect(always.packages).toHaveLength(4);
    const never = await same(
      {
        archive,
        status,
        options: { phasedUpdates: 'never' },
        aptGet: { config: { 'APT::Get::Never-Include-Phased-Updates': 'true' } },
      },
      request,
      ['upgrade'],
    );
    expect(never.packages).toEqual([]);
    expect(never.keptBack).toHaveLength(4);
  });

  test('come to the machines whose turn it is', async () => {
    const counts = new Set<number>();
    for (let i = 0; i < 8; i++) {
      const machineId = `${i}`.repeat(32);
      const plan = await same(
        {
          archive,
          status,
          options: { phasedUpdates: { machineId } },
          aptGet: { config: { 'APT::Machine-ID': machineId } },
        },
        { upgrade: i % 2 === 0 ? 'full' : 'upgrade' },
        [i % 2 === 0 ? 'dist-upgrade' : 'upgrade'],
      );
      counts.add(plan.packages.length);
    }
    expect(counts.size).toBeGreaterThan(1);
  });

  test('are no reason to refuse what was asked for', async () => {
    const options: Partial<AptContextOptions> = { phasedUpdates: 'never' };
    const aptGet = { config: { 'APT::Get::Never-Include-Phased-Updates': 'true' } };
    await same({ archive, status, options, aptGet }, { install: ['share-0'] }, [
      'install',
      'share-0',
    ]);
    await expect(
      AptContext.create({
        directory: work.join('wrong'),
        sources: '',
        phasedUpdates: 'sometimes' as never,
      }),
    ).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
  });
});

describe('autoremove', () => {
  const kernels = ['6.1.0-1', '6.1.0-2', '6.1.0-9', '6.1.0-10'];
  const images = kernels.map((version) =>
    record(`linux-image-${version}-amd64`, version.replace('-', '.'), { Section: 'kernel' }),
  );
  const headers = kernels.map((version) =>
    record(`linux-headers-${version}-amd64`, version.replace('-', '.')),
  );
  const status = [...images, ...headers].map(installed);
  const automatic = [...images, ...headers].map(({ Package: name }) => name ?? '');

  test('keeps the newest kernels', async () => {
    const plan = await same({ archive: images, status, automatic }, { autoremove: true }, [
      'autoremove',
    ]);
    const gone = changesOf(plan).filter((name) => name.startsWith('-linux-image'));
    expect(gone).toEqual(['-linux-image-6.1.0-1-amd64', '-linux-image-6.1.0-2-amd64']);
    expect(plan.packages.every(({ reason }) => reason.kind === 'unneeded')).toBe(true);
  });

  test('keeps the kernel that runs where the plan is for, and never that of this machine', async () => {
    // apt-get takes this machine's for it.
    const here = record(`linux-image-${release()}`, '1');
    const one: Case = {
      archive: [],
      status: [...status, installed(here)],
      automatic: [...automatic, here.Package ?? ''],
    };
    const request: SolveRequest = { autoremove: true };
    const running = { ...one, options: { runningKernel: release() } };
    const there = changesOf(await same(running, request, ['autoremove']));
    expect(there).not.toContain(`-${here.Package}`);
    expect(there).toContain('-linux-image-6.1.0-9-amd64');
    const goneFor = async (options: Case['options']) => {
      const { context } = await make({ ...one, options });
      await using _context = context;
      await using cache = await context.open();
      const changes = changesOf(await cache.solve(request));
      return changes.filter((name) => name.startsWith('-linux-image'));
    };
    const [oldest, second] = ['-linux-image-6.1.0-1-amd64', '-linux-image-6.1.0-2-amd64'];
    expect(await goneFor({})).toEqual([oldest, second, `-${here.Package}`]);
    await expect(goneFor({ runningKernel: 'x'.repeat(65) })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
    });
    expect(await goneFor({ runningKernel: '6.1.0-2-amd64' })).toEqual([
      oldest,
      '-linux-image-6.1.0-9-amd64',
      `-${here.Package}`,
    ]);
  });

  test('keeps what must never be removed', async () => {
    const others = [
      installed(record('linux-image-amd64', '6', { Depends: 'helper' })),
      installed(record('helper', '1')),
      installed(record('firmware-linux-free', '1')),
      installed(record('important', '1', { Priority: 'important' })),
      installed(record('required', '1', { Priority: 'required' })),
      installed(record('essential', '1', { Essential: 'yes' })),
      installed(record('precious', '1')),
      installed(record('suggested', '1')),
      installed(record('wanted', '1', { Suggests: 'suggested' })),
      installed(record('unneeded', '1', { Depends: 'unneeded-too' })),
      installed(record('unneeded-too', '1')),
    ];
    const names = others.map(({ Package: name }) => name ?? '');
    const plan = await same(
      {
        archive: [],
        status: [...status, ...others],
        automatic: [...automatic, ...names.filter((name) => name !== 'wanted')],
        options: { config: { 'APT::NeverAutoRemove::mine': '^precious$' } },
        aptGet: { config: { 'APT::NeverAutoRemove::mine': '^precious$' } },
      },
      { autoremove: true },
      ['autoremove'],
    );
    const changes = changesOf(plan);
    expect(changes).toEqual(expect.arrayContaining(['-unneeded', '-unneeded-too', '-important']));
    for (const kept of ['helper', 'precious', 'required', 'essential', 'suggested']) {
      expect(changes).not.toContain(`-${kept}`);
    }
  });

  test('takes what a removal or an upgrade leaves behind', async () => {
    const one: Case = {
      archive: [record('app', '2'), record('lib', '1')],
      status: [installed(record('app', '1', { Depends: 'lib' })), installed(record('lib', '1'))],
      automatic: ['lib'],
    };
    const flag = ['-o', 'APT::Get::AutomaticRemove=true'];
    await same(one, { remove: ['app'], autoremove: true }, [...flag, 'remove', 'app']);
    await same(one, { upgrade: 'full', autoremove: true }, [...flag, 'dist-upgrade']);
    const plan = await same(one, { remove: ['app'] }, ['remove', 'app']);
    expect(plan.noLongerNeeded).toEqual([{ name: 'lib', architecture: 'amd64' }]);
  });
});

describe('systems that are not sound', () => {
  const archive = [record('half', '2'), record('other', '1'), record('lib', '2')];
  const half = {
    ...installed(record('half', '1')),
    Status: 'install reinstreq half-installed',
  };
  const needy = installed(record('needy', '1', { Depends: 'lib (>= 2)' }));

  test('what dpkg has begun with is unpacked again', async () => {
    const one = { archive, status: [half] };
    const plan = await same(one, { install: ['other'] }, ['install', 'other']);
    expect(plan.packages[0]).toMatchObject({
      name: 'half',
      version: '2',
      reason: { kind: 'unfinished' },
    });
    await same(one, { upgrade: 'upgrade' }, ['upgrade']);
    await same(one, { remove: ['half'] }, ['remove', 'half']);
    // Nothing new for the plan, and no obstacle for the order of the others.
    const again = { archive: [record('half', '1'), record('other', '1')], status: [half] };
    const { operations } = await same(again, { install: ['other'] }, ['install', 'other']);
    expect(operations.map(({ action, name }) => `${action} ${name}`)).toEqual([
      'unpack other',
      'configure other',
    ]);
    await same(again, { install: ['half'], reinstall: true }, ['--reinstall', 'install', 'half']);
  });

  test('what dpkg has unpacked is configured, in the end if nothing needs it earlier', async () => {
    const unpacked = {
      ...installed(record('unpacked', '1')),
      Status: 'install ok unpacked',
    };
    const one = { archive, status: [unpacked] };
    const { context, theirs } = await make(one);
    await using _context = context;
    await using cache = await context.open();
    for (const install of [['other'], []]) {
      const { steps } = await simulate(context.directory, ['install', ...install], theirs);
      const { operations } = await cache.solve({ install });
      const ours = operations.map(({ action, name }) => `${action} ${name}`);
      expect(ours.sort()).toEqual(steps.sort());
      expect(ours).toContain('configure unpacked');
    }
  });

  test('nothing is planned where no source has that package', async () => {
    const one = { archive: [record('other', '1')], status: [half] };
    const wanted = { code: 'ERR_APT_NEEDS_REINSTALL', package: 'half' };
    expect(await refused(one, { install: ['other'] }, ['install', 'other'])).toMatchObject(wanted);
    expect(await refused(one, { upgrade: 'full' }, ['dist-upgrade'])).toMatchObject(wanted);
    const kept = { archive: [record('half', '2'), record('other', '1')], status: [half] };
    expect(await refused(kept, { satisfy: ['other'] }, ['satisfy', 'other'])).toMatchObject(wanted);
  });

  test('unmet dependencies are repaired where that is asked for', async () => {
    const one = { archive, status: [needy] };
    const unmet = { code: 'ERR_APT_UNMET_DEPENDENCIES' };
    const upgrade = 'upgrade';
    expect(await refused(one, { upgrade }, ['upgrade'])).toMatchObject(unmet);
    expect(await refused(one, { upgrade: 'full' }, ['dist-upgrade'])).toMatchObject(unmet);
    expect(await refused(one, {}, ['install'])).toMatchObject(unmet);
    expect(await refused(one, { install: ['other'] }, ['install', 'other'])).toMatchObject(unmet);
    const named = { upgrade, install: ['other'] } as const;
    expect(await refused(one, named, ['upgrade', 'other'])).toMatchObject(unmet);
    await same(one, { install: ['lib'] }, ['install', 'lib']);
    const fixed = await same(one, { fixBroken: true }, ['-f', 'install']);
    expect(changesOf(fixed)).toEqual(['+lib=2']);
    await same(one, { fixBroken: true, upgrade }, ['-f', 'upgrade']);
    const hopeless = { archive: [], status: [needy] };
    await same(hopeless, { fixBroken: true }, ['-f', 'install']);
  });

  test('a package that no source has is not installed again, and that is said', async () => {
    const one = { archive: [], status: [installed(record('local', '1'))] };
    const { packages, warnings } = await same(one, { install: ['local'], reinstall: true }, [
      '--reinstall',
      'install',
      'local',
    ]);
    expect(packages).toEqual([]);
    expect(warnings).toMatchObject([{ text: expect.stringContaining("'local'") }]);
  });
});

test('an upgrade with new packages is that of apt', async () => {
  const one = {
    archive: [
      record('app', '2', { Depends: 'added' }),
      record('added', '1'),
      record('rude', '2', { Conflicts: 'third' }),
    ],
    status: ['app', 'rude', 'third'].map((name) => installed(record(name, '1'))),
  };
  const plan = await same(one, { upgrade: 'with-new' }, ['upgrade', '--with-new-pkgs']);
  expect(changesOf(plan)).toEqual(['+added=1', '+app=2']);
});

describe('holds and pins', () => {
  const archive = [
    record('held', '2'),
    record('free', '2'),
    record('app', '2', { Depends: 'held (>= 2)' }),
  ];
  const status = [
    { ...installed(record('held', '1')), Status: 'hold ok installed' },
    installed(record('free', '1')),
    installed(record('app', '1')),
  ];

  test('a held package stays, and so does what needs more of it', async () => {
    const one: Case = { archive, status };
    const upgraded = await same(one, { upgrade: 'upgrade' }, ['upgrade']);
    expect(changesOf(upgraded)).toEqual(['+free=2']);
    await same(one, { upgrade: 'full' }, ['dist-upgrade']);
    await same(one, { install: ['held'] }, ['install', '--allow-change-held-packages', 'held']);
  });

  test('a pinned version is the candidate, also against an upgrade', async () => {
    const preferences = 'Package: free\nPin: version 1\nPin-Priority: 1001\n';
    await writeFile(work.join('preferences'), preferences);
    const one: Case = {
      archive,
      status: [installed(record('free', '1')), installed(record('app', '1'))],
      options: { preferences },
      aptGet: { preferences: work.join('preferences') },
    };
    expect(changesOf(await same(one, { upgrade: 'full' }, ['dist-upgrade']))).not.toContain(
      '+free=2',
    );
    await same(one, { install: ['free=2'] }, ['install', 'free=2']);
  });

  test('a pin may rule a package out', async () => {
    const preferences = 'Package: free\nPin: version *\nPin-Priority: -1\n';
    const { context } = await make({ archive, status: [], options: { preferences } });
    await using _context = context;
    await using cache = await context.open();
    await expect(cache.solve({ install: ['free'] })).rejects.toMatchObject({
      code: 'ERR_APT_UNKNOWN_PACKAGE',
    });
  });
});

test('chains of what cannot be met are explained to their end', async () => {
  const { context } = await make({
    archive: [
      record('top', '1', { Depends: 'middle' }),
      record('middle', '1', { Depends: 'bottom | other' }),
      record('bottom', '1', { Depends: 'nowhere' }),
      record('other', '1', { Depends: 'bottom (>= 7)' }),
      record('loop-a', '1', { Depends: 'loop-b, nowhere' }),
      record('loop-b', '1', { Depends: 'loop-a' }),
    ],
    status: [],
  });
  await using _context = context;
  await using cache = await context.open();
  await expect(cache.solve({ install: ['top'] })).rejects.toMatchObject({
    code: 'ERR_APT_UNMET_DEPENDENCIES',
    unmet: [
      {
        name: 'middle',
        alternatives: [
          {
            name: 'bottom',
            tried: [{ because: [{ alternatives: [{ name: 'nowhere', reason: 'unknown' }] }] }],
          },
          {
            name: 'other',
            tried: [{ because: [{ alternatives: [{ name: 'bottom', reason: 'version' }] }] }],
          },
        ],
      },
    ],
  });
  await expect(cache.solve({ install: ['loop-b'] })).rejects.toMatchObject({
    code: 'ERR_APT_UNMET_DEPENDENCIES',
    unmet: [{ name: 'loop-a', alternatives: [{ name: 'nowhere' }] }],
  });
});

test('other versions than candidates come only where that is allowed', async () => {
  const { context, theirs } = await make({
    archive: [
      record('app', '1', { Depends: 'lib (<< 2)' }),
      record('lib', '2'),
      record('lib', '1', { Depends: 'data (= 1)' }),
      record('data', '1'),
      record('data', '2'),
      record('hopeless', '1', { Depends: 'lib (>= 9)' }),
    ],
    status: [],
  });
  await using _context = context;
  await using cache = await context.open();
  const strict = await simulate(context.directory, ['install', 'app'], theirs);
  expect(strict.ok).toBe(false);
  const unmet = { code: 'ERR_APT_UNMET_DEPENDENCIES' };
  await expect(cache.solve({ install: ['app'] })).rejects.toMatchObject(unmet);
  const plan = await cache.solve({ install: ['app'], strictPinning: false });
  expect(changesOf(plan)).toEqual(['+app=1', '+data=1', '+lib=1']);
  await using marks = await cache.marks();
  expect(changesOf(await marks.solve({ install: ['app'], strictPinning: false }))).toEqual(
    changesOf(plan),
  );
  const hopeless = cache.solve({ install: ['hopeless'], strictPinning: false });
  await expect(hopeless).rejects.toMatchObject(unmet);
  // Nothing of it stays.
  expect(changesOf(await cache.solve({ install: ['lib'] }))).toEqual(['+lib=2']);
});

test('scenarios are those that apt-get hands to its solvers', async () => {
  const { context, theirs } = await make({
    archive: [
      record('app', '2', { Depends: 'lib (>= 2)', Recommends: 'extra' }),
      record('lib', '2'),
      record('extra', '1'),
      record('odd', '1', { Depends: 'nowhere' }),
    ],
    status: [installed(record('lib', '1')), installed(record('gone', '1'))],
    automatic: ['lib'],
    options: { phasedUpdates: { machineId: '1'.repeat(32) } },
  });
  await using _context = context;
  await using cache = await context.open();
  const request: SolveRequest = { install: ['app'], remove: ['gone'] };
  await cache.scenario(request, work.join('ours.edsp'));
  // Solvers run as another user, who may not write here.
  const config = {
    'APT::Sandbox::User': 'root',
    'APT::Solver::RunAsUser': 'root',
    'APT::Machine-ID': '1'.repeat(32),
  };
  const env = await aptEnvironment(context.directory, { ...theirs, config });
  // The solver that ships with apt writes the scenario down and solves nothing.
  await run('apt-get', ['-s', '--solver', 'dump', 'install', 'app', 'gone-'], {
    env: { ...env, APT_EDSP_DUMP_FILENAME: work.join('theirs.edsp') },
    anyStatus: true,
  });
  const [ours, expected] = await Promise.all(
    ['ours.edsp', 'theirs.edsp'].map(async (name) => {
      const stanzas = (await readFile(work.join(name), 'utf8')).trim().split(/\n\n+/);
      // All but the name of the solver.
      const lines = (stanza: string) => stanza.split('\n').filter((line) => !/^Solver:/.test(line));
      return stanzas.map((stanza) => lines(stanza).sort()).sort();
    }),
  );
  expect(ours).toEqual(expected);
});
