/** What a cache says, what a solve refuses, and that contexts do not mix. */

import { readFile, rename, writeFile } from 'node:fs/promises';
import { AptContext, type AptContextOptions } from 'apt-ostree/apt';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  formatStanzas,
  installed,
  record,
  type Stanza,
  writeFlatArchive,
} from '../../support/apt-universe.js';
import { runModule } from '../../support/child.js';
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temp.js';

let work: TemporaryDirectory;
const open: AptContext[] = [];

beforeEach(async () => {
  work = await temporaryDirectory('cache');
});

afterEach(async () => {
  for (const context of open.splice(0)) context.close();
  await work.remove();
});

const kPackages: Stanza[] = [
  record('base', '1', { Essential: 'yes', Priority: 'required', Depends: 'lib' }),
  record('lib', '1', { Priority: 'required' }),
  record('lib', '2', { Priority: 'required' }),
  record('tool', '1', { 'Pre-Depends': 'lib (>= 2)', Recommends: 'extra', Provides: 'thing' }),
  record('extra', '1', { Priority: 'standard', Section: 'doc' }),
  record('other-tool', '1', { Provides: 'two' }),
  record('more-tool', '1', { Provides: 'two', Conflicts: 'base' }),
  record('broken', '1', { Depends: 'nothing-has-this (>= 3) | nor-this' }),
  record('noarch', '1', { Architecture: 'all' }),
  record('plain', '1'),
  record('rival', '1', { Conflicts: 'plain' }),
];

async function make(
  name: string,
  packages: readonly Stanza[] = kPackages,
  options: Partial<AptContextOptions> & { installed?: readonly Stanza[] } = {},
): Promise<AptContext> {
  const { installed: present, ...rest } = options;
  if (present) await writeFile(work.join(`${name}-status`), formatStanzas(present));
  const context = await AptContext.create({
    directory: work.join(name),
    architecture: 'amd64',
    sources: await writeFlatArchive(work.join(`${name}-archive`), packages),
    dpkgStatus: present && work.join(`${name}-status`),
    ...rest,
  });
  open.push(context);
  await context.update();
  return context;
}

const kInstalled = [
  installed(record('base', '1', { Essential: 'yes', Depends: 'lib' })),
  installed(record('lib', '1')),
  { ...installed(record('extra', '1')), Status: 'hold ok installed' },
  installed(record('plain', '2')),
];

describe('what there is', () => {
  test('a package and its versions', async () => {
    await using cache = await (await make('state', kPackages, { installed: kInstalled })).open();
    expect(await cache.package('lib')).toEqual({
      name: 'lib',
      architecture: 'amd64',
      candidate: '2',
      installed: '1',
      essential: false,
      auto: false,
      held: false,
      state: { wanted: 'install', flag: 'ok', status: 'installed' },
      versions: [
        expect.objectContaining({ version: '2', downloadable: true, size: 1000 }),
        expect.objectContaining({ version: '1', installedSize: 10240, priority: 'required' }),
      ],
    });
    expect(await cache.package('base')).toMatchObject({ essential: true });
    expect(await cache.package('extra')).toMatchObject({ held: true });
    expect(await cache.package('noarch', 'amd64')).toMatchObject({
      versions: [{ architecture: 'all' }],
    });
    expect(await cache.package('thing')).toBeUndefined();
    expect(await cache.package('lib', 'arm64')).toBeUndefined();
    expect(cache.warnings).toEqual([]);
  });

  test('lists by essential, priority and state', async () => {
    await using cache = await (await make('state', kPackages, { installed: kInstalled })).open();
    const names = async (filter: Parameters<typeof cache.list>[0]) =>
      (await cache.list(filter)).map(({ name }) => name).sort();
    expect(await names({ essential: true })).toEqual(['base']);
    expect(await names({ priorities: ['required', 'standard'] })).toEqual(['base', 'extra', 'lib']);
    expect(await names({ installed: true })).toEqual(['base', 'extra', 'lib', 'plain']);
    expect(await names({ installed: false, priorities: ['required'] })).toEqual([]);
    expect(await cache.list()).toHaveLength(10);
  });
});

describe('a plan', () => {
  test('has all that is needed to carry it out', async () => {
    await using cache = await (await make('state', kPackages, { installed: kInstalled })).open();
    const plan = await cache.solve({ install: ['thing'] });
    expect(plan.packages).toEqual([
      expect.objectContaining({
        name: 'lib',
        action: 'upgrade',
        version: '2',
        oldVersion: '1',
        preDepends: [],
      }),
      {
        name: 'tool',
        architecture: 'amd64',
        version: '1',
        action: 'install',
        auto: false,
        essential: false,
        priority: 'optional',
        section: 'misc',
        size: 1000,
        installedSize: 10240,
        sha256: 'a'.repeat(64),
        filename: './tool_1.deb',
        uri: expect.stringMatching(/^file:.*tool_1\.deb$/),
        preDepends: ['lib'],
        reason: { kind: 'requested' },
      },
    ]);
    expect(plan.operations.map(({ action, name }) => `${action} ${name}`)).toEqual([
      'unpack lib',
      'configure lib',
      'unpack tool',
      'configure tool',
    ]);
    expect(plan).toMatchObject({ downloadSize: 2000, installSizeDelta: 10240, keptBack: [] });
  });

  test('brings recommended packages if asked, in any order of questions', async () => {
    await using cache = await (await make('state')).open();
    for (const recommends of [true, false, undefined, false, true]) {
      const { packages } = await cache.solve({ install: ['tool'], recommends });
      const names = packages.map(({ name }) => name);
      expect(names).toEqual(recommends === false ? ['lib', 'tool'] : ['extra', 'lib', 'tool']);
    }
  });

  test('takes versions and architectures', async () => {
    await using cache = await (await make('state')).open();
    const version = async (name: string) =>
      (await cache.solve({ install: [name] })).packages.map((one) => one.version);
    expect(await version('lib=1')).toEqual(['1']);
    expect(await version('lib:amd64')).toEqual(['2']);
    expect(await version('noarch:all')).toEqual(['1']);
    expect(await version('lib')).toEqual(['2']);
  });

  test.each([
    [{ install: ['missing'] }, 'ERR_APT_UNKNOWN_PACKAGE', 'missing'],
    [{ install: ['tool', 'lib=7'] }, 'ERR_APT_UNKNOWN_PACKAGE', 'lib=7'],
    [{ install: ['two'] }, 'ERR_APT_UNKNOWN_PACKAGE', 'two'],
    [{ remove: ['missing'] }, 'ERR_APT_UNKNOWN_PACKAGE', 'missing'],
    [{ remove: ['base'] }, 'ERR_APT_REFUSED', 'base'],
    [{ remove: ['lib'] }, 'ERR_APT_UNMET_DEPENDENCIES', undefined],
    [{ install: ['more-tool'] }, 'ERR_APT_UNMET_DEPENDENCIES', undefined],
    [{ install: ['rival'], allowRemove: false }, 'ERR_APT_REFUSED', 'plain'],
    [{ install: ['plain=1'] }, 'ERR_APT_REFUSED', 'plain'],
    [{ remove: ['extra'] }, 'ERR_APT_REFUSED', 'extra'],
  ])('%j is refused', async (request, code, name) => {
    await using cache = await (await make('state', kPackages, { installed: kInstalled })).open();
    await expect(cache.solve(request)).rejects.toMatchObject({
      name: 'AptError',
      code,
      ...(name && { package: name }),
    });
    // The failure leaves no marks.
    expect((await cache.solve({})).packages).toEqual([]);
  });

  test('that cannot be met says why', async () => {
    await using cache = await (await make('state')).open();
    await expect(cache.solve({ install: ['broken'] })).rejects.toMatchObject({
      code: 'ERR_APT_UNMET_DEPENDENCIES',
      message: expect.stringContaining(
        'broken : Depends: nothing-has-this (>= 3) but it is not installable or nor-this but it is not installable',
      ),
      messages: expect.arrayContaining([expect.objectContaining({ severity: 'error' })]),
    });
  });

  test('wrong arguments', async () => {
    await using cache = await (await make('state')).open();
    await expect(cache.solve({ install: 'tool' as never })).rejects.toThrow(TypeError);
    await expect(cache.solve({ install: [''] })).rejects.toThrow(TypeError);
    await expect(cache.solve({ upgrade: 'all' as never })).rejects.toThrow(TypeError);
    cache.close();
    await expect(cache.solve({})).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    expect(() => cache.warnings).toThrowError(expect.objectContaining({ code: 'ERR_CLOSED' }));
  });
});

test('calls that were made before the end finish', async () => {
  const context = await make('state', kPackages, { installed: kInstalled });
  const cache = await context.open();
  const marks = await cache.marks();
  const calls = [cache.solve({}), cache.list(), cache.match('?true'), marks.counts()];
  const opening = context.open();
  cache.close();
  marks.close();
  context.close();
  const [plan, , , counts] = await Promise.allSettled(calls);
  expect([plan?.status, counts?.status]).toEqual(['fulfilled', 'fulfilled']);
  (await opening).close();
  await expect(marks.counts()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  // A listing goes page by page: its next call is one after the end.
  for (const rest of calls.slice(1, 3))
    await rest.catch((error) => expect(error.code).toBe('ERR_CLOSED'));
});

test('a status file of the same size and time, replaced, makes the cache stale', async () => {
  const context = await make('state', kPackages, { installed: kInstalled });
  await using cache = await context.open();
  const status = work.join('state-status');
  await writeFile(work.join('new'), await readFile(status));
  await rename(work.join('new'), status);
  await expect(cache.solve({})).rejects.toMatchObject({ code: 'ERR_APT_STALE_CACHE' });
  await using fresh = await context.open();
  expect(await fresh.list({ installed: true })).toHaveLength(4);
});

describe('several contexts', () => {
  const arm = [
    { ...record('base', '5'), Architecture: 'arm64' },
    { ...record('only-arm', '1', { Depends: 'base' }), Architecture: 'arm64' },
  ];

  test('in turns and at once, each with its own architecture and system', async () => {
    const first = await make('first', kPackages, { installed: kInstalled });
    const second = await make('second', arm, { architecture: 'arm64' });
    const empty = await make('third');
    await using a = await first.open();
    await using b = await second.open();
    await using c = await empty.open();
    const ask = async () => ({
      a: (await a.list({ installed: true })).length,
      b: (await b.solve({ install: ['only-arm'] })).packages.map((one) => one.architecture),
      c: (await c.list({ installed: true })).length,
      tool: (await a.solve({ install: ['tool'], recommends: false })).packages.length,
      bare: (await c.solve({ install: ['tool'], recommends: false })).packages.length,
    });
    const expected = { a: 4, b: ['arm64', 'arm64'], c: 0, tool: 2, bare: 2 };
    for (let i = 0; i < 3; i++) expect(await ask()).toEqual(expected);
    expect(await Promise.all([ask(), ask(), ask()])).toEqual([expected, expected, expected]);
    await second.update();
    expect((await a.solve({ install: ['tool'], recommends: false })).packages).toHaveLength(2);
  });

  test('from several worker threads at the same time', async () => {
    await make('first', kPackages, { installed: kInstalled });
    await make('second', arm, { architecture: 'arm64' });
    for (const context of open.splice(0)) context.close();
    const jobs = [
      { name: 'first', architecture: 'amd64', status: work.join('first-status'), install: 'tool' },
      { name: 'second', architecture: 'arm64', install: 'only-arm' },
    ];
    const options = jobs.map(({ name, architecture, status, install }) => ({
      install,
      context: {
        directory: work.join(name),
        architecture,
        dpkgStatus: status,
        recommends: false,
        sources: `Types: deb\nURIs: file:${work.join(`${name}-archive`)}\nSuites: ./\nTrusted: yes\n`,
      },
    }));
    const worker = `
      import { parentPort, workerData } from 'node:worker_threads';
      import { AptContext } from 'apt-ostree/apt';
      const answers = new Set();
      for (let i = 0; i < 8; i++) {
        const context = await AptContext.create(workerData.context);
        if (i % 4 === 0) await context.update();
        const cache = await context.open();
        const plan = await cache.solve({ install: [workerData.install] });
        answers.add(plan.packages.map((one) => one.name + ':' + one.architecture + '=' + one.version).join());
        cache.close();
        context.close();
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      parentPort.postMessage([...answers]);
    `;
    await writeFile(work.join('options.json'), JSON.stringify({ options, worker }));
    const { stdout, stderr, status } = await runModule(
      `
      import { readFileSync } from 'node:fs';
      import { Worker } from 'node:worker_threads';
      const { options, worker } = JSON.parse(readFileSync(process.argv[1], 'utf8'));
      const answers = await Promise.all(options.map((workerData) => new Promise((resolve, reject) => {
        const thread = new Worker(worker, { eval: true, workerData });
        thread.on('message', resolve);
        thread.on('error', reject);
      })));
      console.log(JSON.stringify(answers));
      `,
      { args: [work.join('options.json')] },
    );
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual([
      ['lib:amd64=2,tool:amd64=1'],
      ['base:arm64=5,only-arm:arm64=1'],
    ]);
  });
});

test('more open files than an fd_set holds do no harm', async () => {
  const { stdout, stderr } = await runModule(
    `
    import { openSync } from 'node:fs';
    import { AptContext } from 'apt-ostree/apt';
    const context = await AptContext.create({ directory: process.argv[1], sources: '' });
    for (let i = 0; i < 1100; i++) openSync('/dev/null', 'r');
    await context.update().catch((error) => console.log(error.code));
    const cache = await context.open();
    console.log((await cache.list()).length);
    `,
    { args: [work.join('state')] },
  );
  expect(`${stdout}${stderr}`).toBe('0\n');
});
