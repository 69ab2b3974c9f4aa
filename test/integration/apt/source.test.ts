/** Source packages and changelogs, against apt-get source, apt-cache showsrc and apt-get changelog. */

import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { type AptCache, AptContext, DebFile } from 'apt-ostree/apt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { aptGet } from '../../support/apt-get.js';
import { type AptRepository, createAptRepository } from '../../support/apt-repository.js';
import { buildDeb } from '../../support/deb.js';
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temp.js';

let work: TemporaryDirectory;
let repository: AptRepository;
let apt: AptContext;
let cache: AptCache;

const kBinary = { name: 'libfoo', version: '2.0', control: { Source: 'foo' } };
const kNote = 'foo (2.0) stable; urgency=medium\n\n  * Everything is new.\n';

beforeAll(async () => {
  work = await temporaryDirectory('source');
  const release: Record<string, string> = {};
  repository = await createAptRepository({
    release,
    packages: [kBinary, { name: 'bare' }],
    sources: [
      {
        name: 'foo',
        version: '1:2.0',
        binaries: ['libfoo', 'foo-doc'],
        fields: {
          'Build-Depends': 'debhelper (>= 13), a:native | b, only-arm [arm64], x <!nocheck>',
          'Build-Conflicts': 'worse (<< 3)',
          Homepage: 'https://example.com/f\u00f6\u00f6',
        },
      },
      { name: 'foo', version: '1:1.0', binaries: ['libfoo'] },
      ...Array.from({ length: 150 }, (_, i) => ({ name: `many${i}`, binaries: [`many${i}`] })),
    ],
  });
  release.Changelogs = `${repository.url}/changelogs/@CHANGEPATH@_changelog`;
  await repository.publish();
  const notes = `${repository.directory}/changelogs/main/f/foo`;
  await mkdir(notes, { recursive: true });
  await writeFile(`${notes}/foo_2.0_changelog`, kNote);
  await mkdir(work.join('root/var/lib/dpkg'), { recursive: true });
  await writeFile(
    work.join('root/var/lib/dpkg/status'),
    'Package: libfoo\nStatus: install ok installed\nVersion: 2.0\nArchitecture: all\nSource: foo\nMaintainer: x\nDescription: x\n',
  );
  apt = await AptContext.create({
    directory: work.join('state'),
    sources: repository.source,
    dpkgStatus: work.join('root/var/lib/dpkg/status'),
    architecture: 'amd64',
    config: { 'Acquire::Retries': '0' },
  });
  await apt.update();
  cache = await apt.open();
});

afterAll(async () => {
  cache.close();
  apt.close();
  await repository.stop();
  await work.remove();
});

describe('records', () => {
  test('the newest, with all that its record says', async () => {
    const source = await cache.source('foo');
    expect(source).toMatchObject({
      name: 'foo',
      version: '1:2.0',
      maintainer: 'Test <test@example.com>',
      trusted: true,
      binaries: ['libfoo', 'foo-doc'],
      buildDepends: [
        {
          type: 'Build-Depends',
          alternatives: [{ name: 'debhelper', comparison: '>=', version: '13' }],
        },
        { type: 'Build-Depends', alternatives: [{ name: 'a:native' }, { name: 'b' }] },
        { type: 'Build-Depends', alternatives: [{ name: 'x' }] },
        {
          type: 'Build-Conflicts',
          alternatives: [{ name: 'worse', comparison: '<<', version: '3' }],
        },
      ],
      fields: { Homepage: 'https://example.com/f\u00f6\u00f6', Format: '3.0 (native)' },
    });
    // As apt-get would fetch them.
    const { stdout } = await aptGet(work.join('state'), ['source', '--print-uris', 'foo'], {
      status: work.join('root/var/lib/dpkg/status'),
      architectures: ['amd64'],
    });
    const theirs = [...stdout.matchAll(/^'([^']*)' (\S+) (\d+) (\S+):(\S+)$/gm)].map(
      ([, uri, name, size, kind, sum]) => [uri, name, Number(size), sum, kind],
    );
    expect(theirs.length).toBe(2);
    expect(
      source.files.map(({ uri, path: file, size, hashes }, i) => {
        const kind = String(theirs[i]?.[4]);
        return [uri, path.basename(file), size, hashes[kind], kind];
      }),
    ).toEqual(theirs);
  });

  test('by version, by binary package, and what is unknown', async () => {
    expect((await cache.source('foo=1:1.0')).version).toBe('1:1.0');
    expect((await cache.source('libfoo')).name).toBe('foo');
    expect((await cache.sourceVersions('foo')).map(({ version }) => version).sort()).toEqual([
      '1:1.0',
      '1:2.0',
    ]);
    expect(await cache.sourceVersions('nothing')).toEqual([]);
    await expect(cache.source('nothing')).rejects.toMatchObject({
      code: 'ERR_APT_UNKNOWN_PACKAGE',
      package: 'nothing',
    });
  });

  test('all of them, in batches, two lists at a time', async () => {
    const list = async () => {
      const names: string[] = [];
      let batches = 0;
      for await (const batch of cache.sources()) {
        batches += 1;
        for (const { name, version } of batch) names.push(`${name} ${version}`);
      }
      expect(batches).toBe(3);
      return names.sort();
    };
    const [one, two] = await Promise.all([list(), list()]);
    expect(one).toHaveLength(152);
    expect(new Set(one).size).toBe(152);
    expect(two).toEqual(one);
  });
});

describe('files', () => {
  test('are fetched, checked, and not fetched twice', async () => {
    const before = repository.requests.length;
    const source = await cache.source('foo');
    const fetched = await cache.fetchSource('foo');
    expect(fetched).toMatchObject({ name: 'foo', version: '1:2.0' });
    expect(fetched.files.map((file) => path.basename(file)).sort()).toEqual([
      'foo_2.0.dsc',
      'foo_2.0.tar.gz',
    ]);
    for (const file of fetched.files) {
      const sum = createHash('sha256')
        .update(await readFile(file))
        .digest('hex');
      const record = source.files.find((one) => path.basename(one.path) === path.basename(file));
      expect(record?.hashes.SHA256).toBe(sum);
    }
    await cache.fetchSource('foo', { directory: work.join('copy') });
    expect((await readdir(work.join('copy'))).sort()).toEqual(['foo_2.0.dsc', 'foo_2.0.tar.gz']);
    expect(repository.requests.length - before).toBe(2);
  });

  test('of wrong content are refused', async () => {
    const file = `${repository.directory}/pool/many7_1.0.tar.gz`;
    const content = await readFile(file);
    content[30] = (content[30] ?? 0) ^ 0xff;
    await writeFile(file, content);
    await expect(cache.fetchSource('many7')).rejects.toMatchObject({
      code: 'ERR_APT_HASH_MISMATCH',
      package: 'many7',
    });
    expect(await readdir(work.join('state/sources/many7_1.0')).catch(() => [])).not.toContain(
      'many7_1.0.tar.gz',
    );
  });

  test('of a source on this machine are used as they are', async () => {
    const local = repository.source.replace(repository.url, `file://${repository.directory}`);
    await using own = await AptContext.create({ directory: work.join('local'), sources: local });
    await own.update();
    await using there = await own.open();
    const { files } = await there.fetchSource('foo');
    expect(await readFile(files[0] ?? '')).toEqual(
      await readFile(`${repository.directory}/pool/${path.basename(files[0] ?? '')}`),
    );
  });

  test('stop when they are told to', async () => {
    repository.faults = [{ match: /many9_.*gz$/, hang: true }];
    const started = performance.now();
    await expect(
      cache.fetchSource('many9', { signal: AbortSignal.timeout(300) }),
    ).rejects.toMatchObject({ name: 'AbortError' });
    expect(performance.now() - started).toBeLessThan(10_000);
    repository.faults = [];
    expect((await cache.fetchSource('many9')).files).toHaveLength(2);
  });
});

describe('changelogs', () => {
  const version = { name: 'libfoo', architecture: 'all', version: '2.0' };

  test('from where the Release file says, as apt-get changelog', async () => {
    expect(await cache.changelog(version)).toBe(kNote);
    const { stdout } = await aptGet(work.join('state'), ['changelog', '--print-uris', 'libfoo']);
    expect(stdout).toContain(`${repository.url}/changelogs/main/f/foo/foo_2.0_changelog`);
    expect(repository.requests).toContain('GET /changelogs/main/f/foo/foo_2.0_changelog');
    expect(await readdir(work.join('state/archives/partial'))).not.toContainEqual(
      expect.stringMatching(/^changelog/),
    );
  });

  test('of an installed version, from its root; never from outside of it', async () => {
    const documents = work.join('root/usr/share/doc/libfoo');
    await mkdir(documents, { recursive: true });
    await writeFile(work.join('secret'), 'secret');
    await symlink(work.join('secret'), `${documents}/changelog`);
    expect(await cache.changelog(version, { root: work.join('root') })).toBe(kNote);
    await writeFile(`${documents}/changelog.gz`, gzipSync('own words\n'));
    expect(await cache.changelog(version, { root: work.join('root') })).toBe('own words\n');
  });

  test('that nobody has', async () => {
    await expect(
      cache.changelog({ name: 'bare', architecture: 'all', version: '1.0' }),
    ).rejects.toMatchObject({ code: 'ERR_APT_NETWORK', package: 'bare' });
  });

  test('of a package file', async () => {
    const content = gzipSync('in the file\n');
    const file = await buildDeb(
      { name: 'own', files: { '/usr/share/doc/own/changelog.Debian.gz': { content } } },
      work.path,
    );
    expect(await (await DebFile.open(file)).changelog()).toBe('in the file\n');
    const [one] = await cache.fetch([version]);
    expect(await (await DebFile.open(one?.path ?? '')).changelog()).toBeUndefined();
  });
});
