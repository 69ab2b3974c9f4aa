/** Marks edited step by step: edits, snapshots, branches, and plans made of them. */

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { type AptCache, AptContext } from 'apt-ostree/apt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { aptEnvironment, simulate } from '../../support/apt-get.js';
import {
  formatStanzas,
  installed,
  record,
  type Stanza,
  writeFlatArchive,
} from '../../support/apt-universe.js';
import { runModule } from '../../support/child.js';
import { run } from '../../support/run.js';
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temp.js';

const kArchive: Stanza[] = [
  record('app', '2', { Depends: 'library (>= 2), tool | other-tool', Recommends: 'extra' }),
  record('library', '1'),
  record('library', '2', { Depends: 'base' }),
  record('tool', '1'),
  record('other-tool', '1'),
  record('extra', '1'),
  record('base', '1', { Essential: 'yes' }),
  record('old', '2', { Depends: 'library' }),
  record('rival', '1', { Conflicts: 'old' }),
  record('broken', '1', { Depends: 'app (>= 3)' }),
  record('deep', '1', { Depends: 'middle' }),
  record('middle', '1', { Depends: 'nowhere' }),
];

const kStatus: Stanza[] = [
  installed(record('base', '1', { Essential: 'yes' })),
  installed(record('library', '1')),
  installed(record('old', '1', { Depends: 'library' })),
  installed(record('leftover', '1')),
];

let work: TemporaryDirectory;
let context: AptContext;
let cache: AptCache;
let status: string;

beforeAll(async () => {
  work = await temporaryDirectory('marks');
  const sources = await writeFlatArchive(work.join('archive'), kArchive);
  status = work.join('status');
  await writeFile(status, formatStanzas(kStatus));
  await writeFile(
    work.join('states'),
    'Package: library\nArchitecture: amd64\nAuto-Installed: 1\n\n' +
      'Package: leftover\nArchitecture: amd64\nAuto-Installed: 1\n\n',
  );
  context = await AptContext.create({
    directory: work.join('state'),
    architecture: 'amd64',
    sources,
    dpkgStatus: status,
    extendedStates: work.join('states'),
  });
  await context.update();
  cache = await context.open();
});

afterAll(async () => {
  cache.close();
  context.close();
  await work.remove();
});

const install = (name: string) => ({ kind: 'install', package: name }) as const;
const stanzas = (text: string) =>
  text
    .split('\n\n')
    .filter((one) => one !== '')
    .map((one) => `${one}\n\n`)
    .sort();
const named = (list: readonly { name: string; action: string }[]) =>
  list.map(({ name, action }) => `${action} ${name}`).sort();

describe('edits', () => {
  test('bring in what is needed, and tell what they come to', async () => {
    await using marks = await cache.marks();
    expect(await marks.counts()).toMatchObject({ installs: 0, removals: 0, broken: 0 });
    const counts = await marks.edit(install('app'));
    expect(counts).toMatchObject({ installs: 4, removals: 0, broken: 0, downloadSize: 4000 });
    expect(named(await marks.changes())).toEqual([
      'install app',
      'install extra',
      'install tool',
      'upgrade library',
    ]);
    expect(await marks.of('app')).toMatchObject({
      action: 'install',
      version: '2',
      auto: false,
      chosen: true,
    });
    expect(await marks.of('tool')).toMatchObject({ action: 'install', auto: true, chosen: false });
    expect(await marks.of('nothing-of-that-name')).toBeUndefined();
  });

  test('keep to recommends as asked', async () => {
    await using marks = await cache.marks({ recommends: false });
    await marks.edit(install('app'));
    expect((await marks.of('extra'))?.action).toBe('keep');
    await using others = await cache.marks();
    await others.edit(install('app'));
    expect((await others.of('extra'))?.action).toBe('install');
    expect((await marks.of('extra'))?.action).toBe('keep');
  });

  test('undo, purge, reinstall and choose versions', async () => {
    await using marks = await cache.marks();
    await marks.edit(install('app'), { kind: 'keep', package: 'app' });
    expect((await marks.of('app'))?.action).toBe('keep');
    await marks.edit({ kind: 'remove', package: 'leftover', purge: true });
    expect((await marks.of('leftover'))?.action).toBe('purge');
    await marks.edit({ kind: 'candidate', package: 'library=1' });
    expect((await marks.of('library'))?.candidate).toBe('1');
    await marks.edit({ kind: 'reinstall', package: 'base' });
    expect((await marks.of('base'))?.action).toBe('reinstall');
    await expect(marks.edit({ kind: 'reinstall', package: 'leftover' })).rejects.toMatchObject({
      code: 'ERR_APT_REFUSED',
      package: 'leftover',
    });
  });

  test('are done all or not at all', async () => {
    await using marks = await cache.marks();
    await expect(marks.edit(install('app'), install('nothing'))).rejects.toMatchObject({
      code: 'ERR_APT_UNKNOWN_PACKAGE',
      package: 'nothing',
    });
    expect(await marks.changes()).toEqual([]);
  });

  test('say who came along on their own', async () => {
    await using marks = await cache.marks();
    expect(await marks.unneeded()).toEqual([{ name: 'leftover', architecture: 'amd64' }]);
    await marks.edit({ kind: 'manual', package: 'leftover' });
    expect(await marks.unneeded()).toEqual([]);
    await marks.edit({ kind: 'auto', package: 'leftover' });
    await marks.resolve('autoremove');
    expect(named(await marks.changes())).toEqual(['remove leftover']);
  });

  test('forbid packages to the solver', async () => {
    await using marks = await cache.marks();
    await marks.edit({ kind: 'forbid', package: 'tool' }, install('app'));
    expect((await marks.of('other-tool'))?.action).toBe('install');
  });
});

describe('words that say the opposite of an edit', () => {
  test('do what they say where they can', async () => {
    await using marks = await cache.marks();
    await marks.edit(install('leftover-'), { kind: 'remove', package: 'extra+' });
    expect(named(await marks.changes())).toEqual(['install extra', 'remove leftover']);
  });

  test('are refused where they cannot', async () => {
    await using marks = await cache.marks();
    for (const edit of [
      { kind: 'keep', package: 'extra+' },
      { kind: 'hold', package: 'old+' },
      { kind: 'candidate', package: 'library-' },
    ] as const) {
      await expect(marks.edit(edit)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
    }
    expect(await marks.changes()).toEqual([]);
  });
});

test('keep takes a ban back', async () => {
  await using marks = await cache.marks();
  const ban = { kind: 'forbid', package: 'tool' } as const;
  await marks.edit(ban, { kind: 'keep', package: 'tool' }, install('app'));
  expect((await marks.of('tool'))?.action).toBe('install');
});

describe('written out', () => {
  test('automatic packages are those that apt-mark writes', async () => {
    const file = work.join('written');
    const before = `${await readFile(work.join('states'), 'utf8')}Package: unknown\nArchitecture: amd64\nAuto-Installed: 1\nX-Note: ours\n\n`;
    await writeFile(file, before);
    await using own = await AptContext.create({
      directory: work.join('written-state'),
      architecture: 'amd64',
      sources: await writeFlatArchive(work.join('archive'), kArchive),
      dpkgStatus: status,
      extendedStates: file,
    });
    await own.update();
    await using opened = await own.open();
    await using marks = await opened.marks();
    expect(await marks.extendedStates()).toBe(stanzas(before).join(''));
    await marks.edit(
      { kind: 'auto', package: 'old' },
      { kind: 'manual', package: 'library' },
      install('app'),
      { kind: 'remove', package: 'leftover' },
    );
    const after = await marks.extendedStates();
    expect(stanzas(after).map((text) => text.split('\n')[0])).toEqual(
      ['extra', 'old', 'tool', 'unknown'].map((name) => `Package: ${name}`),
    );
    expect(after).toContain('X-Note: ours');

    // What apt makes of the same marks, without the install.
    await using simple = await opened.marks();
    await simple.edit({ kind: 'auto', package: 'old' }, { kind: 'manual', package: 'library' });
    const env = await aptEnvironment(own.directory, {
      status,
      extendedStates: file,
      architectures: ['amd64'],
    });
    const ours = await simple.extendedStates();
    await run('apt-mark', ['auto', 'old'], { env });
    await run('apt-mark', ['manual', 'library'], { env });
    const theirs = await readFile(file, 'utf8');
    const known = (text: string) => stanzas(text).filter((one) => !one.includes('unknown'));
    expect(known(ours)).toEqual(known(theirs));
  });

  test('selections are what dpkg takes', async () => {
    await using marks = await cache.marks();
    await marks.edit(
      { kind: 'hold', package: 'old' },
      { kind: 'remove', package: 'leftover', purge: true },
      install('extra'),
    );
    const text = await marks.selections();
    expect(text).toBe(
      'base\tinstall\nextra\tinstall\nleftover\tpurge\nlibrary\tinstall\nold\thold\n',
    );
    const admin = work.join('admin');
    await mkdir(`${admin}/updates`, { recursive: true });
    await mkdir(`${admin}/info`);
    await writeFile(`${admin}/status`, await readFile(status));
    await writeFile(`${admin}/available`, '');
    await run('dpkg', [`--admindir=${admin}`, '--force-not-root', '--set-selections'], {
      input: text.replace('extra\tinstall\n', ''),
    });
    const { stdout } = await run('dpkg', [`--admindir=${admin}`, '--get-selections']);
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split(/\s+/)),
    ).toEqual([
      ['base', 'install'],
      ['leftover', 'purge'],
      ['library', 'install'],
      ['old', 'hold'],
    ]);
  });
});

describe('of thousands of packages', () => {
  const names = Array.from({ length: 3000 }, (_, i) => `many-${String(i).padStart(4, '0')}`);
  let context: AptContext;
  let many: AptCache;
  let manySources: string;

  beforeAll(async () => {
    manySources = await writeFlatArchive(work.join('many-archive'), [
      record('all', '1', { Depends: names.join(', ') }),
      record('none', '1', { Depends: names.map((name) => `${name} (>= 9)`).join(', ') }),
      ...names.map((name) => record(name, '1')),
    ]);
    context = await AptContext.create({
      directory: work.join('many'),
      architecture: 'amd64',
      sources: manySources,
    });
    await context.update();
    many = await context.open();
  });

  afterAll(() => {
    many.close();
    context.close();
  });

  test('the collector knows what snapshots weigh', async () => {
    // In a process of its own, where nothing else calls the collector.
    const child = await runModule(
      `import { AptContext } from 'apt-ostree/apt';
       const [directory, sources] = process.argv.slice(1);
       const context = await AptContext.create({ directory, architecture: 'amd64', sources });
       await context.update();
       const cache = await context.open();
       const marks = await cache.marks();
       await marks.edit({ kind: 'install', package: 'all' });
       let collected = 0;
       let made = 0;
       const registry = new FinalizationRegistry(() => (collected += 1));
       for (; collected === 0 && made < 2000; made++) {
         registry.register(await marks.snapshot());
         await new Promise((resolve) => setImmediate(resolve));
       }
       console.log(made);`,
      { args: [work.join('weighed'), manySources] },
    );
    expect(child).toMatchObject({ status: 0, stderr: '' });
    expect(Number(child.stdout)).toBeLessThan(2000);
  });

  test('what stands in the way is cut to what can be read', async () => {
    const error = await many.solve({ install: ['none'] }).catch((reason) => reason);
    expect(error.code).toBe('ERR_APT_UNMET_DEPENDENCIES');
    expect(error.message.split('\n').length).toBeLessThan(40);
    expect(error.messages.length).toBeLessThan(250);
    expect(JSON.stringify(error.unmet).length).toBeLessThan(200_000);
    expect(error.unmet[0]).toMatchObject({ name: 'none', type: 'Depends' });
  });

  test('searches and patterns give all of them, in order', async () => {
    const found = await many.match('?name(^many-)');
    expect(found.map(({ name }) => name).sort()).toEqual(names);
    expect((await many.search('many-', { in: 'names' })).length).toBe(names.length);
  });
});

describe('states of dpkg', () => {
  test('are told by packages, rows and marks', async () => {
    const words: Record<string, string> = {
      configured: 'install ok installed',
      remains: 'deinstall ok config-files',
      'half-way': 'install ok unpacked',
      unfinished: 'install reinstreq half-configured',
      held: 'hold ok installed',
      waiting: 'install ok triggers-awaited',
    };
    const file = work.join('states-of-dpkg');
    const stanza = (name: string) => ({
      ...installed(record(name, '1')),
      Status: words[name] ?? '',
      ...(name === 'remains' && { Conffiles: '\n /etc/x 0123456789abcdef0123456789abcdef' }),
      ...(name === 'waiting' && { 'Triggers-Awaited': 'configured' }),
    });
    await writeFile(file, formatStanzas(Object.keys(words).map(stanza)));
    await using own = await AptContext.create({
      directory: work.join('states-directory'),
      architecture: 'amd64',
      sources: '',
      dpkgStatus: file,
    });
    await using opened = await own.open();
    await using marks = await opened.marks();
    const rows = new Map<string, string>();
    for await (const batch of opened.packages()) {
      for (const { name, state } of batch) rows.set(name, Object.values(state).join(' '));
    }
    for (const [name, text] of Object.entries(words)) {
      expect(rows.get(name)).toBe(text);
      const [wanted, flag, progress] = text.split(' ');
      const state = { wanted, flag, status: progress };
      expect((await opened.package(name))?.state).toEqual(state);
      expect((await marks.of(name))?.state).toEqual(state);
    }
  });
});

describe('holds', () => {
  test('belong to the marks that have them', async () => {
    await using held = await cache.marks();
    await held.edit({ kind: 'hold', package: 'old' });
    await using free = await cache.marks();
    await held.resolve('full');
    await free.resolve('full');
    expect(named(await free.changes())).toEqual(['upgrade library', 'upgrade old']);
    expect(named(await held.changes())).toEqual(['upgrade library']);
    expect((await held.of('old'))?.held).toBe(true);
    expect((await free.of('old'))?.held).toBe(false);
    expect((await cache.package('old'))?.held).toBe(false);
    await held.edit({ kind: 'unhold', package: 'old' });
    await held.resolve('full');
    expect(named(await held.changes())).toEqual(['upgrade library', 'upgrade old']);
  });

  test('are part of snapshots', async () => {
    await using marks = await cache.marks();
    await marks.edit({ kind: 'hold', package: 'old' });
    const snapshot = await marks.snapshot();
    await marks.edit({ kind: 'unhold', package: 'old' });
    await marks.rollback(snapshot);
    expect((await marks.of('old'))?.held).toBe(true);
    await marks.resolve('full');
    expect(named(await marks.changes())).toEqual(['upgrade library']);
  });
});

describe('resolving', () => {
  test('leaves chosen packages as they are', async () => {
    await using marks = await cache.marks();
    const counts = await marks.edit(install('rival'));
    expect(counts.broken + counts.removals).toBeGreaterThan(0);
    await marks.resolve();
    expect(named(await marks.changes())).toEqual(['install rival', 'remove old']);
  });

  test('can give edits up instead', async () => {
    await using marks = await cache.marks();
    await marks.edit({ kind: 'install', package: 'broken', dependencies: false });
    expect((await marks.counts()).broken).toBe(1);
    await marks.resolve('keep');
    expect(await marks.changes()).toEqual([]);
  });

  test('tells what cannot be met, and changes nothing then', async () => {
    await using marks = await cache.marks();
    await marks.edit({ kind: 'install', package: 'broken', dependencies: false });
    expect(await marks.unmet()).toMatchObject([
      { name: 'broken', type: 'Depends', alternatives: [{ name: 'app', reason: 'version' }] },
    ]);
    await expect(marks.resolve()).rejects.toMatchObject({
      code: 'ERR_APT_UNMET_DEPENDENCIES',
      unmet: [expect.objectContaining({ name: 'broken' })],
    });
    expect(named(await marks.changes())).toEqual(['install broken']);
    await expect(marks.plan()).rejects.toMatchObject({ code: 'ERR_APT_UNMET_DEPENDENCIES' });
  });
});

describe('snapshots and branches', () => {
  test('put marks back as often as wanted', async () => {
    await using marks = await cache.marks();
    await marks.edit(install('app'));
    const snapshot = await marks.snapshot();
    const before = await marks.changes();
    for (let i = 0; i < 3; i++) {
      await marks.edit({ kind: 'remove', package: 'app' }, install('rival'));
      await marks.resolve();
      expect(await marks.changes()).not.toEqual(before);
      await marks.rollback(snapshot);
      expect(await marks.changes()).toEqual(before);
      expect(await marks.counts()).toMatchObject({ installs: 4, removals: 0 });
    }
    snapshot.close();
    await expect(marks.rollback(snapshot)).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  });

  test('go their own ways', async () => {
    await using trunk = await cache.marks();
    await trunk.edit(install('tool'));
    await using branch = await trunk.branch();
    await branch.edit(install('extra'));
    await trunk.edit(install('other-tool'));
    expect(named(await trunk.changes())).toEqual(['install other-tool', 'install tool']);
    expect(named(await branch.changes())).toEqual(['install extra', 'install tool']);
    // Requests on the cache itself see none of it.
    const plan = await cache.solve({ install: ['extra'] });
    expect(named(plan.packages)).toEqual(['install extra']);
    expect(named(await branch.changes())).toEqual(['install extra', 'install tool']);
  });

  test('start solves', async () => {
    await using marks = await cache.marks();
    await marks.edit(install('other-tool'));
    const plan = await marks.solve({ install: ['app'] });
    expect(named(plan.packages)).toEqual([
      'install app',
      'install extra',
      'install other-tool',
      'upgrade library',
    ]);
    await expect(marks.solve({ install: ['broken'] })).rejects.toMatchObject({
      code: 'ERR_APT_UNMET_DEPENDENCIES',
    });
    expect(named(await marks.changes())).toEqual(named(plan.packages));
    expect((await marks.plan()).operations).toEqual(plan.operations);
    expect((await marks.plan({ order: false })).operations).toEqual([]);
  });
});

test('plans and reasons are those of the request', async () => {
  const expected = await simulate(context.directory, ['install', 'app', 'rival'], {
    status,
    extendedStates: work.join('states'),
  });
  const plan = await cache.solve({ install: ['app', 'rival'] });
  await using marks = await cache.marks();
  await marks.edit(install('app'), install('rival'));
  await marks.resolve();
  expect(named((await marks.plan()).packages)).toEqual(named(plan.packages));
  expect(plan.operations.map(({ action, name }) => `${action} ${name}`)).toEqual(expected.steps);
  const reasons = Object.fromEntries(plan.packages.map(({ name, reason }) => [name, reason]));
  const app = { name: 'app', architecture: 'amd64' };
  expect(reasons).toEqual({
    app: { kind: 'requested' },
    rival: { kind: 'requested' },
    library: { kind: 'dependency', ...app, type: 'Depends' },
    tool: { kind: 'dependency', ...app, type: 'Depends' },
    extra: { kind: 'dependency', ...app, type: 'Recommends' },
    old: { kind: 'conflict', name: 'rival', architecture: 'amd64', type: 'Conflicts' },
  });
});

test('why a package is there', async () => {
  await using marks = await cache.marks();
  expect(await marks.why('library')).toEqual([
    { name: 'old', architecture: 'amd64', version: '1', root: 'manual', type: 'Depends' },
    { name: 'library', architecture: 'amd64', version: '1', type: '' },
  ]);
  expect(await marks.why('base')).toMatchObject([{ name: 'base', root: 'essential' }]);
  expect(await marks.why('leftover')).toEqual([]);
  expect(await marks.why('app')).toEqual([]);
  await marks.edit(install('app'));
  expect((await marks.why('tool')).map(({ name, type }) => [name, type])).toEqual([
    ['app', 'Depends'],
    ['tool', ''],
  ]);
});

test('wrong arguments and stale caches are typed errors', async () => {
  const marks = await cache.marks();
  expect(() => marks.edit({ kind: 'explode', package: 'app' } as never)).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }),
  );
  expect(() => marks.edit(undefined as never)).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
  );
  await expect(marks.rollback({} as never)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  const sources = await writeFlatArchive(work.join('another'), kArchive);
  await using second = await AptContext.create({
    directory: work.join('second'),
    architecture: 'amd64',
    sources,
  });
  await second.update();
  const other = await second.open();
  const foreign = await other.marks();
  await expect(marks.rollback(await foreign.snapshot())).rejects.toMatchObject({
    code: 'ERR_INVALID_ARG_VALUE',
  });
  await second.update();
  await expect(foreign.counts()).rejects.toMatchObject({ code: 'ERR_APT_STALE_CACHE' });
  other.close();
  await expect(foreign.counts()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  marks.close();
  await expect(marks.changes()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
});
