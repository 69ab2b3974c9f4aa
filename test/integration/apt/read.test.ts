/** What a cache says about packages, and finding them. */

import { utimes, writeFile } from 'node:fs/promises';
import { type AptCache, AptContext, type AptVersion } from 'apt-ostree/apt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formatStanzas, installed, record, writeFlatArchive } from '../../support/apt-universe.js';
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temp.js';

let work: TemporaryDirectory;
let context: AptContext;
let cache: AptCache;

const kLong = 'ein Gerät für 🐧\n Größe und <naïve> Zeichen.\n .\n Noch ein Absatz.';

beforeAll(async () => {
  work = await temporaryDirectory('read');
  const packages = [
    record('libx', '2', { Source: 'xsrc (2-1)', 'Multi-Arch': 'same', Section: 'libs' }),
    record('libx', '1', { 'Multi-Arch': 'same', Section: 'libs' }),
    record('tool', '1', {
      Depends: 'libx (>= 1) | tiny-x, missing',
      Provides: 'utility (= 3)',
      Conflicts: 'old',
      'Phased-Update-Percentage': '30',
    }),
    { ...record('tiny-x', '1', { Provides: 'libx' }), Description: kLong },
    record('guard', '1', { Essential: 'yes', Protected: 'yes' }),
    record('x++', '1', { 'X-Odd-Field': 'a value' }),
  ];
  await writeFile(
    work.join('status'),
    formatStanzas([
      installed(record('libx', '1', { 'Multi-Arch': 'same', Section: 'libs' })),
      installed(record('gone', '1')),
    ]),
  );
  await writeFile(work.join('states'), 'Package: libx\nArchitecture: amd64\nAuto-Installed: 1\n\n');
  context = await AptContext.create({
    directory: work.join('state'),
    architecture: 'amd64',
    dpkgStatus: work.join('status'),
    extendedStates: work.join('states'),
    sources: await writeFlatArchive(work.join('archive'), packages),
    preferences: 'Package: tool\nPin: version 1\nPin-Priority: 700\n',
  });
  await context.update();
  cache = await context.open();
});

afterAll(async () => {
  cache.close();
  context.close();
  await work.remove();
});

const names = (versions: readonly AptVersion[]) =>
  versions.map(({ name, version }) => `${name}=${version}`).sort();

async function one(name: string): Promise<AptVersion> {
  const [version] = await cache.versionsOf(name);
  if (!version) throw new Error(`no ${name}`);
  return version;
}

describe('versions', () => {
  test('in batches of any size', async () => {
    for (const batchSize of [1, 2, 5, 1000]) {
      const all: AptVersion[] = [];
      for await (const batch of cache.versions({ batchSize })) {
        expect(batch.length).toBeLessThanOrEqual(batchSize);
        all.push(...batch);
      }
      expect(names(all)).toEqual(
        ['gone=1', 'guard=1', 'libx=1', 'libx=2', 'tiny-x=1', 'tool=1', 'x++=1'].sort(),
      );
    }
  });

  test('with all that the cache has of them', async () => {
    const [newest, current] = await cache.versionsOf('libx', 'amd64');
    expect(newest?.toJSON()).toEqual({
      name: 'libx',
      architecture: 'amd64',
      version: '2',
      recordArchitecture: 'amd64',
      section: 'libs',
      priority: 'optional',
      multiArch: 'same',
      sourceName: 'xsrc',
      sourceVersion: '2-1',
      size: 1000,
      installedSize: 10240,
      phasedPercentage: 100,
      installed: false,
      candidate: true,
      downloadable: true,
      essential: false,
      protected: false,
      auto: true,
      held: false,
    });
    expect(current).toMatchObject({ version: '1', installed: true, candidate: false });
    expect(await one('guard')).toMatchObject({ essential: true, protected: true });
    expect(await one('tool')).toMatchObject({ phasedPercentage: 30 });
    expect(await cache.versionsOf('nothing')).toEqual([]);
  });

  test('packages in batches', async () => {
    const rows = [];
    for await (const batch of cache.packages({ batchSize: 3 })) rows.push(...batch);
    expect(rows).toHaveLength(6);
    expect(rows.find(({ name }) => name === 'libx')).toEqual({
      name: 'libx',
      architecture: 'amd64',
      installed: '1',
      candidate: '2',
      section: 'libs',
      essential: false,
      protected: false,
      auto: true,
      held: false,
      state: { wanted: 'install', flag: 'ok', status: 'installed' },
      versions: 2,
    });
  });

  test('an iteration that stops early leaves nothing behind', async () => {
    for await (const batch of cache.versions({ batchSize: 1 })) {
      expect(batch).toHaveLength(1);
      break;
    }
    expect(await cache.versionsOf('libx')).toHaveLength(2);
  });
});

describe('one version', () => {
  test('depends', async () => {
    const target = (name: string, version: string) => ({
      id: expect.any(Number),
      name,
      architecture: 'amd64',
      version,
    });
    const groups = await cache.dependencies(await one('tool'));
    expect(groups).toEqual([
      {
        type: 'Depends',
        implied: false,
        alternatives: [
          {
            name: 'libx',
            architecture: 'amd64',
            comparison: '>=',
            version: '1',
            targets: [target('libx', '2'), target('libx', '1')],
          },
          { name: 'tiny-x', architecture: 'amd64', targets: [target('tiny-x', '1')] },
        ],
      },
      {
        type: 'Depends',
        implied: false,
        alternatives: [{ name: 'missing', architecture: 'amd64', targets: [] }],
      },
      {
        type: 'Conflicts',
        implied: false,
        alternatives: [{ name: 'old', architecture: 'amd64', targets: [] }],
      },
    ]);
    const named = { name: 'tool', architecture: 'amd64', version: '1' };
    expect(await cache.dependencies(named)).toEqual(groups);
  });

  test('is depended on', async () => {
    expect(await cache.reverseDependencies('libx')).toEqual([
      {
        name: 'tool',
        architecture: 'amd64',
        version: '1',
        type: 'Depends',
        comparison: '>=',
        wanted: '1',
      },
    ]);
    expect(await cache.reverseDependencies('nothing')).toEqual([]);
  });

  test('provides', async () => {
    expect(await cache.provides(await one('tool'))).toEqual([
      { name: 'utility', architecture: 'amd64', version: '3' },
    ]);
    expect(names(await cache.whatProvides('utility'))).toEqual(['tool=1']);
    expect(names(await cache.whatProvides('libx'))).toEqual(['libx=1', 'libx=2', 'tiny-x=1']);
  });

  test('has a record with every field and its description as it is', async () => {
    const { fields, descriptions } = await cache.record(await one('x++'));
    expect(fields).toMatchObject({
      Package: 'x++',
      'X-Odd-Field': 'a value',
      SHA256: 'a'.repeat(64),
    });
    expect(descriptions[0]).toMatchObject({ language: '', text: 'package x++' });
    const { descriptions: odd } = await cache.record(await one('tiny-x'));
    expect(odd[0]?.text).toContain('ein Gerät für 🐧');
    expect(odd[0]?.text).toContain('Größe und <naïve> Zeichen.');
  });

  test('comes from files with priorities, and policy says why', async () => {
    const files = await cache.indexFiles();
    expect(files.map(({ status, priority }) => [status, priority]).sort()).toEqual([
      [false, 500],
      [true, 100],
    ]);
    expect(await cache.origins(await one('libx'))).toEqual([
      expect.objectContaining({ status: false, trusted: true, archive: '' }),
    ]);
    expect(await cache.policy('tool')).toMatchObject({
      candidate: '1',
      versions: [{ priority: 700, pinned: true }],
    });
    expect(await cache.policy('libx')).toMatchObject({
      installed: '1',
      candidate: '2',
      versions: [
        { version: '2', priority: 500, pinned: false },
        { version: '1', priority: 500, pinned: false },
      ],
    });
    expect(await cache.policy('nothing')).toBeUndefined();
  });
});

describe('search', () => {
  test('words, globs and regular expressions', async () => {
    const found = async (...args: Parameters<AptCache['search']>) =>
      names(await cache.search(...args));
    expect(await found('LIB')).toEqual(['libx=2']);
    expect(await found('gerät')).toEqual(['tiny-x=1']);
    expect(await found(['x', 'package'], { in: 'both' })).toEqual(['libx=2', 'x++=1']);
    expect(await found('*x', { kind: 'glob', in: 'names' })).toEqual(['libx=2', 'tiny-x=1']);
    expect(await found('^(x|t)', { kind: 'regex', in: 'names' })).toEqual([
      'tiny-x=1',
      'tool=1',
      'x++=1',
    ]);
    expect(await found('^package g', { kind: 'regex', in: 'descriptions' })).toEqual([
      'gone=1',
      'guard=1',
    ]);
    expect(await found('x++')).toEqual(['x++=1']);
    await expect(cache.search('(', { kind: 'regex' })).rejects.toMatchObject({
      name: 'AptError',
      code: 'ERR_APT_PATTERN',
      pattern: '(',
    });
    expect(() => cache.search([])).toThrow(TypeError);
  });

  test("apt's patterns", async () => {
    expect(names(await cache.match('?installed'))).toEqual(['gone=1', 'libx=2']);
    expect(names(await cache.match('~i ~U'))).toEqual(['libx=2']);
    expect(names(await cache.match('?name(^lib)', { allVersions: true }))).toEqual([
      'libx=1',
      'libx=2',
    ]);
    expect(names(await cache.match('?obsolete'))).toEqual(['gone=1']);
    await expect(cache.match('?nonsense(a)')).rejects.toMatchObject({
      code: 'ERR_APT_PATTERN',
      pattern: '?nonsense(a)',
      start: 0,
      end: expect.any(Number),
      messages: [expect.objectContaining({ severity: 'error' })],
    });
    await expect(cache.match('?and(?installed')).rejects.toMatchObject({ start: 5 });
    await expect(cache.match('')).rejects.toMatchObject({ code: 'ERR_APT_PATTERN' });
  });
});

describe('what has had its time', () => {
  test('a version of another cache', async () => {
    await using other = await context.open();
    const [foreign] = await other.versionsOf('tool');
    if (!foreign) throw new Error('no tool');
    await expect(cache.dependencies(foreign)).rejects.toMatchObject({
      code: 'ERR_APT_STALE_CACHE',
      package: 'tool',
    });
    expect(await other.dependencies(foreign)).toHaveLength(3);
    const { name, architecture, version } = foreign;
    expect(await cache.dependencies({ name, architecture, version })).toHaveLength(3);
    await expect(
      cache.record({ name: 'tool', architecture: 'amd64', version: '9' }),
    ).rejects.toMatchObject({ code: 'ERR_APT_UNKNOWN_PACKAGE' });
  });

  test('a version whose cache is closed can still be looked at', async () => {
    const other = await context.open();
    const [version] = await other.versionsOf('tool');
    other.close();
    if (!version) throw new Error('no tool');
    expect(version.name).toBe('tool');
    await expect(other.record(version)).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  });

  test('every method of a stale cache says so', async () => {
    await using other = await context.open();
    const version = (await other.versionsOf('tool'))[0] as AptVersion;
    await utimes(work.join('status'), new Date(), new Date());
    const stale = { code: 'ERR_APT_STALE_CACHE' };
    await expect(other.versions().next()).rejects.toMatchObject(stale);
    await expect(other.packages().next()).rejects.toMatchObject(stale);
    await expect(other.dependencies(version)).rejects.toMatchObject(stale);
    await expect(other.record(version)).rejects.toMatchObject(stale);
    await expect(other.search('x')).rejects.toMatchObject(stale);
    await expect(other.match('?installed')).rejects.toMatchObject(stale);
    await expect(other.policy('tool')).rejects.toMatchObject(stale);
    await expect(other.indexFiles()).rejects.toMatchObject(stale);
  });
});

test('wrong arguments', async () => {
  await using other = await context.open();
  await expect(other.dependencies(null as never)).rejects.toThrow(TypeError);
  await expect(other.dependencies({ name: 1 } as never)).rejects.toThrow(TypeError);
  await expect(other.versions({ batchSize: 0 }).next()).rejects.toThrow(TypeError);
  expect(() => other.search('x', { kind: 'sql' as never })).toThrow(TypeError);
  expect(() => other.match(7 as never)).toThrow(TypeError);
});
