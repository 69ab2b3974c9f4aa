/** What the texts of a request may be, and what a refusal says. */

import { readFile, writeFile } from 'node:fs/promises';
import { type AptCache, AptContext, type SolveRequest } from 'apt-ostree/apt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { changesOf, simulate } from '../../support/apt-get.js';
import { formatStanzas, installed, record, writeFlatArchive } from '../../support/apt-universe.js';
import { buildDeb } from '../../support/deb.js';
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temp.js';

let work: TemporaryDirectory;
let context: AptContext;
let cache: AptCache;
let sources: string;

beforeAll(async () => {
  work = await temporaryDirectory('request');
  const packages = [
    record('libone', '1'),
    record('libtwo', '1'),
    record('libtwo', '2'),
    record('g++', '1', { Depends: 'libone' }),
    record('suite-a', '1', { Task: 'office' }),
    record('suite-b', '1', { Task: 'office, other' }),
    record('needy', '1', { Depends: 'libtwo (>= 3) | ghost, libone' }),
    record('fighter', '1', { Conflicts: 'present' }),
    record('present', '1'),
  ];
  await writeFile(
    work.join('status'),
    formatStanzas([installed(record('present', '1')), installed(record('libtwo', '1'))]),
  );
  sources = await writeFlatArchive(work.join('archive'), packages);
  context = await AptContext.create({
    directory: work.join('state'),
    architecture: 'amd64',
    dpkgStatus: work.join('status'),
    sources,
  });
  await context.update();
  cache = await context.open();
});

afterAll(async () => {
  cache.close();
  context.close();
  await work.remove();
});

async function changes(request: SolveRequest): Promise<string[]> {
  return changesOf(await cache.solve(request));
}

test.each([
  ['g++'],
  ['g+++'],
  ['present-'],
  ['libone+'],
  ['office^'],
  ['lib*'],
  ['^suite-.$'],
  ['?name(^suite)'],
  ['~nlib'],
  ['lib*', 'present-'],
  ['libtwo=2'],
  ['nothing*'],
  ['nothing^'],
  ['~n^nothing$'],
  ['present-', 'present+'],
  ['present+', 'present-'],
  ['suite-a+', 'suite-a-'],
  // The candidate, though it is another version that the pattern means.
  ['~i~nlibtwo'],
  ['?installed'],
  ['?version(^1$)~nlibtwo'],
  ['?installed-'],
  ['lib*:amd64'],
  ['lib*:i386'],
  ['libtwo*=2'],
  ['libt*=2*'],
  ['^libt.o$=2'],
  ['^libt.o$:amd64'],
  ['lib*=9'],
  ['libtwo/now'],
  ['libtwo*/now'],
  ['lib*/nowhere'],
  ['libtwo:amd64=2'],
  ['libtwo:any'],
  ['office^:amd64'],
  ['libtwo=1-'],
  ['libtwo=9-'],
])('%j as apt-get has it', async (...install) => {
  const expected = await simulate(context.directory, ['install', ...install], {
    status: work.join('status'),
  });
  const label = expected.output;
  const result = await changes({ install }).catch((error: Error & { code: string }) => error.code);
  if (typeof result === 'string') expect(expected.ok, `${result}\n${label}`).toBe(false);
  else expect(result, label).toEqual(expected.changes);
});

test.each([
  ['libtwo=1'],
  ['libtwo=9'],
  ['libtwo/now'],
  ['libtwo/nowhere'],
  ['lib*=1'],
  ['lib*'],
  ['~nlib'],
  ['^libt.o$'],
  ['libone'],
  ['libone=1'],
  ['nothing'],
  ['nothing*'],
  ['libtwo', 'suite-a+'],
])('removal of %j as apt-get has it', async (...remove) => {
  const expected = await simulate(context.directory, ['remove', ...remove], {
    status: work.join('status'),
  });
  const label = expected.output;
  const result = await changes({ remove }).catch((error: Error & { code: string }) => error.code);
  if (typeof result === 'string') expect(expected.ok, `${result}\n${label}`).toBe(false);
  else expect(result, label).toEqual(expected.changes);
});

test('a pattern that cannot be parsed', async () => {
  await expect(cache.solve({ install: ['?nonsense('] })).rejects.toMatchObject({
    code: 'ERR_APT_PATTERN',
    pattern: '?nonsense(',
  });
});

describe('removals nobody asked for', () => {
  test('any, those allowed, or all but those forbidden', async () => {
    const install = ['fighter'];
    const done = ['+fighter=1', '-present'];
    expect(await changes({ install })).toEqual(done);
    expect(await changes({ install, allowedRemovals: ['present'] })).toEqual(done);
    expect(await changes({ install, forbiddenRemovals: ['libtwo'] })).toEqual(done);
    const refused = { code: 'ERR_APT_REFUSED', package: 'present' };
    await expect(cache.solve({ install, allowedRemovals: [] })).rejects.toMatchObject(refused);
    await expect(cache.solve({ install, forbiddenRemovals: ['present'] })).rejects.toMatchObject(
      refused,
    );
    expect(await changes({ remove: ['present'], forbiddenRemovals: ['present'] })).toEqual([
      '-present',
    ]);
  });

  test('none but those that nothing needs', async () => {
    const status = work.join('leftover-status');
    const states = work.join('leftover-states');
    await writeFile(
      status,
      formatStanzas([installed(record('present', '1')), installed(record('leftover', '1'))]),
    );
    await writeFile(
      states,
      formatStanzas([{ Package: 'leftover', Architecture: 'amd64', 'Auto-Installed': '1' }]),
    );
    await using other = await AptContext.create({
      directory: work.join('leftover'),
      architecture: 'amd64',
      dpkgStatus: status,
      extendedStates: states,
      sources,
    });
    await other.update();
    await using opened = await other.open();
    const request: SolveRequest = { autoremove: true, allowRemove: false };
    const { packages } = await opened.solve(request);
    expect(packages).toMatchObject([{ name: 'leftover', action: 'remove' }]);
    await expect(opened.solve({ ...request, install: ['fighter'] })).rejects.toMatchObject({
      code: 'ERR_APT_REFUSED',
      package: 'present',
    });
  });
});

test('what cannot be met, as data', async () => {
  await expect(cache.solve({ install: ['needy'] })).rejects.toMatchObject({
    code: 'ERR_APT_UNMET_DEPENDENCIES',
    unmet: [
      {
        name: 'needy',
        architecture: 'amd64',
        version: '1',
        type: 'Depends',
        alternatives: [
          { name: 'libtwo', comparison: '>=', version: '3', reason: 'version', tried: [] },
          { name: 'ghost', reason: 'unknown', tried: [] },
        ],
      },
    ],
  });
});

test('package files of the caller', async () => {
  const file = await buildDeb(
    { name: 'local', version: '7', depends: 'libone', files: { '/usr/share/local': 'x' } },
    work.path,
  );
  await using opened = await context.open({ debs: [file] });
  const plan = await opened.solve({ install: [file] });
  expect(plan.packages.map(({ name, version }) => `${name}=${version}`)).toEqual([
    'libone=1',
    'local=7',
  ]);
  expect(plan.packages[1]?.uri).toContain(file);
  await expect(cache.solve({ install: [file] })).rejects.toMatchObject({
    code: 'ERR_APT_UNKNOWN_PACKAGE',
  });
  await expect(context.open({ debs: [work.join('none.deb')] })).rejects.toMatchObject({
    code: 'ENOENT',
  });
  await writeFile(work.join('broken.deb'), 'no package');
  await expect(context.open({ debs: [work.join('broken.deb')] })).rejects.toMatchObject({
    code: 'ERR_APT_FAILED',
  });
});

test('a scenario for other solvers', async () => {
  await cache.scenario({ install: ['g++'], remove: ['present'] }, work.join('scenario'));
  const text = await readFile(work.join('scenario'), 'utf8');
  expect(text).toMatch(/^Request: EDSP 0\.5\n/);
  expect(text).toMatch(/^Install: g\+\+(:amd64)?$/m);
  expect(text).toMatch(/^Remove: present(:amd64)?$/m);
  expect(text).toMatch(/^Package: libone$/m);
  // Nothing is marked afterwards.
  expect((await cache.solve({})).packages).toEqual([]);
});
