/** Downloads of packages: hashes, files that are there, failures. */

import { createHash } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { type AptCache, AptContext, type FetchEvent } from 'apt-ostree/apt';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type AptRepository, createAptRepository } from '../../support/apt-repository.js';
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temp.js';

let work: TemporaryDirectory;
let repository: AptRepository;
let apt: AptContext;
let cache: AptCache;

async function start(serve: 'http' | 'file'): Promise<void> {
  work = await temporaryDirectory('fetch');
  const big = { '/usr/share/big': { content: Buffer.alloc(400_000, 'x') } };
  repository = await createAptRepository({
    serve,
    packages: [
      { name: 'alpha', files: { '/usr/share/alpha': 'alpha\n' } },
      { name: 'beta', depends: 'alpha', version: '1:2.0-1' },
      { name: 'big', compression: 'none', files: big },
    ],
  });
  apt = await AptContext.create({
    directory: work.join('state'),
    sources: repository.source,
    config: { 'Acquire::Retries': '0' },
  });
  await apt.update();
  cache = await apt.open();
}

async function stop(): Promise<void> {
  cache.close();
  apt.close();
  await repository.stop();
  await work.remove();
}

const one = (name: string, version = '1.0') => ({ name, architecture: 'all', version });

async function sha256(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}

function debRequests(): string[] {
  return repository.requests.filter((request) => request.endsWith('.deb'));
}

describe('over HTTP', () => {
  beforeEach(() => start('http'));
  afterEach(stop);

  test('a plan is fetched and verified', async () => {
    const { packages } = await cache.solve({ install: ['beta'] });
    const events: FetchEvent[] = [];
    const files = await cache.fetch(packages, { onProgress: (event) => events.push(event) });
    expect(files.map(({ name, version }) => [name, version])).toEqual([
      ['alpha', '1.0'],
      ['beta', '1:2.0-1'],
    ]);
    for (const [i, { path, sha256: sum }] of files.entries()) {
      expect(path.startsWith(work.join('state/archives/'))).toBe(true);
      expect(await sha256(path)).toBe(sum);
      expect(packages[i]).toMatchObject({ sha256: sum, size: (await stat(path)).size });
    }
    expect(events).toContainEqual(
      expect.objectContaining({ type: 'fetch-item', status: 'done', uri: packages[0]?.uri }),
    );
  });

  test('what is there is not fetched again, unless its content is wrong', async () => {
    const [file] = await cache.fetch([one('alpha')]);
    await cache.fetch([one('alpha')]);
    expect(debRequests()).toHaveLength(1);
    const path = file?.path ?? '';
    const content = await readFile(path);
    content.fill(0, 100, 120);
    await writeFile(path, content);
    const [again] = await cache.fetch([one('alpha')]);
    expect(debRequests()).toHaveLength(2);
    expect(await sha256(path)).toBe(again?.sha256);
  });

  test('a damaged package is an error that names it', async () => {
    await repository.damage('alpha');
    await expect(cache.fetch([one('beta', '1:2.0-1'), one('alpha')])).rejects.toMatchObject({
      name: 'AptError',
      code: 'ERR_APT_HASH_MISMATCH',
      package: 'alpha',
      uri: expect.stringMatching(/alpha_1\.0_all\.deb$/),
    });
    await expect(stat(work.join('state/archives/alpha_1.0_all.deb'))).rejects.toThrow();
  });

  test('a damaged package stops the others', async () => {
    await repository.damage('alpha');
    repository.faults = [{ match: /big_/, hang: true }];
    const started = performance.now();
    await expect(cache.fetch([one('alpha'), one('big')])).rejects.toMatchObject({
      code: 'ERR_APT_HASH_MISMATCH',
      package: 'alpha',
    });
    expect(performance.now() - started).toBeLessThan(3000);
  });

  test('a package that is gone is a network error', async () => {
    repository.faults = [{ match: /alpha_/, status: 404 }];
    await expect(cache.fetch([one('alpha')])).rejects.toMatchObject({
      code: 'ERR_APT_NETWORK',
      package: 'alpha',
    });
  });

  test('an interrupted download goes on where it ended', async () => {
    repository.faults = [{ match: /big_/, cutAfter: 100_000 }];
    await cache.fetch([one('big')]).catch(() => undefined);
    repository.faults = [];
    const [file] = await cache.fetch([one('big')]);
    expect(await sha256(file?.path ?? '')).toBe(file?.sha256);
  });

  test('abort ends it within a second', async () => {
    repository.faults = [{ match: /big_/, hang: true }];
    const controller = new AbortController();
    const fetching = cache.fetch([one('big')], { signal: controller.signal });
    setTimeout(() => controller.abort(), 300);
    const started = performance.now();
    await expect(fetching).rejects.toMatchObject({ name: 'AbortError' });
    expect(performance.now() - started).toBeLessThan(1500);
  });

  test('a version that no source has is unknown', async () => {
    await expect(cache.fetch([one('alpha', '9')])).rejects.toMatchObject({
      code: 'ERR_APT_UNKNOWN_PACKAGE',
      package: 'alpha',
    });
    await expect(cache.fetch([{ ...one('alpha'), version: 1 as never }])).rejects.toThrow(
      TypeError,
    );
  });

  test('the user, the umask, signals and the environment stay as they are', async () => {
    const users = new Set<number>();
    const umasks = new Set<number>();
    const watch = setInterval(() => {
      users.add(process.geteuid?.() ?? -1);
      umasks.add(process.umask());
    }, 1);
    const before = JSON.stringify(process.env);
    await apt.update();
    cache.close();
    cache = await apt.open();
    await cache.fetch([one('alpha'), one('big')]);
    clearInterval(watch);
    expect([...users]).toEqual([process.geteuid?.()]);
    expect(umasks.size).toBe(1);
    expect(JSON.stringify(process.env)).toBe(before);
  });
});

describe('from a directory', () => {
  beforeEach(() => start('file'));
  afterEach(stop);

  test('the archive itself is used', async () => {
    const [file] = await cache.fetch([one('alpha')]);
    expect(file?.path).toBe(repository.deb('alpha'));
  });

  test('a damaged package is found', async () => {
    await repository.damage('alpha');
    await expect(cache.fetch([one('alpha')])).rejects.toMatchObject({
      code: 'ERR_APT_HASH_MISMATCH',
      package: 'alpha',
    });
  });
});
