/** Ways to an archive: schemes, logins, proxies, certificates, limits, and what goes wrong. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import path from 'node:path';
import { inspect } from 'node:util';
import { AptContext, type AptContextOptions, type FetchEvent } from 'apt-ostree/apt';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { armored } from '../../../lib/apt/keyring.js';
import {
  type AptRepository,
  type AptRepositoryOptions,
  createAptRepository,
} from '../../support/apt-repository.js';
import { projectRoot, runModule } from '../../support/child.js';
import { createProxy } from '../../support/proxy.js';
import { run } from '../../support/run.js';
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temp.js';
import { createAuthority } from '../../support/tls.js';

const kSecret = 'hush-8h2k';

let work: TemporaryDirectory;
let resources: AsyncDisposable[];

beforeEach(async () => {
  resources = [];
  work = use(await temporaryDirectory('acquire'));
});

afterEach(async () => {
  for (const resource of resources.reverse()) await resource[Symbol.asyncDispose]();
});

function use<T extends AsyncDisposable>(resource: T): T {
  resources.push(resource);
  return resource;
}

async function archive(options: AptRepositoryOptions = {}): Promise<AptRepository> {
  const packages = [{ name: 'alpha' }, { name: 'beta' }, { name: 'gamma' }];
  return use(await createAptRepository({ packages, ...options }));
}

async function context(sources: string, options: Partial<AptContextOptions> = {}) {
  return use(
    await AptContext.create({
      directory: work.join('state'),
      sources,
      ...options,
      config: { 'Acquire::Retries': '0', ...options.config },
    }),
  );
}

const wanted = ['alpha', 'beta', 'gamma'].map((name) => ({
  name,
  architecture: 'all',
  version: '1.0',
}));

/** Updates and fetches; everything that was said on the way. */
async function everything(apt: AptContext): Promise<{ heard: string; files: string[] }> {
  const events: FetchEvent[] = [];
  const onProgress = (event: FetchEvent) => events.push(event);
  const result = await apt.update({ onProgress });
  await using cache = await apt.open();
  const files = await cache.fetch(wanted, { onProgress });
  return { heard: inspect([events, result], { depth: 9 }), files: files.map((one) => one.path) };
}

async function failure(work: Promise<unknown>): Promise<Record<string, unknown>> {
  const error = await work.then(
    () => new Error('nothing failed'),
    (reason: unknown) => reason,
  );
  return error as Record<string, unknown>;
}

describe('schemes', () => {
  test('copy: has the packages in the directory', async () => {
    const repository = await archive({ serve: 'file' });
    const apt = await context(repository.source.replace('file://', 'copy://'));
    const { files } = await everything(apt);
    expect(files.map((file) => path.dirname(file))).toEqual(
      Array(3).fill(work.join('state/archives')),
    );
  });

  test('https: with an authority of its own', async () => {
    const { ca, key, cert } = await createAuthority(work.path);
    const repository = await archive({ server: { tls: { key, cert } } });
    const apt = await context(repository.source, { config: { 'Acquire::https::CAInfo': ca } });
    expect((await everything(apt)).files).toHaveLength(3);
    const stranger = await context(repository.source, { directory: work.join('other') });
    await expect(stranger.update()).rejects.toMatchObject({
      code: 'ERR_APT_NETWORK',
      message: expect.stringMatching(/certificate/i),
    });
  });

  test('an unknown one names the source', async () => {
    const apt = await context('Types: deb\nURIs: gopher://a/\nSuites: x\nComponents: main\n');
    await expect(apt.update()).rejects.toMatchObject({
      message: expect.stringContaining('gopher'),
    });
  });
});

describe('logins', () => {
  const protectedArchive = () => archive({ server: { login: `me:${kSecret}` } });

  test('in an address: they work, and nothing shows them', async () => {
    const repository = await protectedArchive();
    const url = repository.url.replace('//', `//me:${kSecret}@`);
    const apt = await context(repository.source.replace(repository.url, url));
    const { heard, files } = await everything(apt);
    expect(files).toHaveLength(3);
    expect(heard).not.toContain(kSecret);
    expect(await readFile(work.join('state/etc/context.sources'), 'utf8')).not.toContain(kSecret);
    const { stdout } = await run('find', [work.path, '-name', 'auth.conf', '-perm', '600']);
    expect(stdout.trim()).toBe(work.join('state/etc/auth.conf'));
  });

  test('as an option, or from the root', async () => {
    const repository = await protectedArchive();
    const login = { machine: repository.url, login: 'me', password: kSecret };
    const apt = await context(repository.source, { auth: [login] });
    expect((await everything(apt)).files).toHaveLength(3);
    await mkdir(work.join('root/etc/apt'), { recursive: true });
    await writeFile(
      work.join('root/etc/apt/auth.conf'),
      `machine ${repository.url} login me password ${kSecret}\n`,
    );
    for (const auth of [undefined, [{ ...login, machine: 'http://elsewhere' }]]) {
      const options = { directory: work.join(`rooted${auth?.length}`), root: work.join('root') };
      const rooted = await context(repository.source, { ...options, auth });
      expect((await rooted.update()).sources).toMatchObject([{ ok: true }]);
    }
  });

  test('a wrong one is denied, and stays secret', async () => {
    const repository = await protectedArchive();
    const url = repository.url.replace('//', `//me:wrong-${kSecret}@`);
    const apt = await context(repository.source.replace(repository.url, url));
    const error = await failure(apt.update());
    expect(error).toMatchObject({ code: 'ERR_APT_NETWORK', uri: `${repository.url}/` });
    expect(error.message).toMatch(/401/);
    expect(inspect(error, { depth: 9 })).not.toContain(kSecret);
    const good = await archive();
    const both = await context(`${repository.source}\n${good.source}`, {
      directory: work.join('both'),
    });
    expect((await both.update()).sources).toMatchObject([
      { ok: false, kind: 'denied' },
      { ok: true },
    ]);
  });
});

describe('proxies', () => {
  test('by option, with a login', async () => {
    const repository = await archive();
    const proxy = use(await createProxy(`me:${kSecret}`));
    const url = proxy.url.replace('//', `//me:${kSecret}@`);
    const apt = await context(repository.source, { config: { 'Acquire::http::Proxy': url } });
    const { heard, files } = await everything(apt);
    expect(files).toHaveLength(3);
    expect(heard).not.toContain(kSecret);
    expect(proxy.requests).toContain(`GET ${repository.url}/dists/test/InRelease`);
    expect(repository.requests.length).toBe(proxy.requests.length);
  });

  test('one that refuses is no fault of the source, and no login comes out', async () => {
    const repository = await archive();
    const proxy = use(await createProxy('me:other'));
    const url = proxy.url.replace('//', `//me:${kSecret}@`);
    const apt = await context(repository.source, { config: { 'Acquire::http::Proxy': url } });
    const error = await failure(apt.update());
    expect(error).toMatchObject({ code: 'ERR_APT_NETWORK' });
    expect(inspect(error, { depth: 9 })).not.toContain(kSecret);
    expect(repository.requests).toEqual([]);
  });

  test('https through CONNECT', async () => {
    const { ca, key, cert } = await createAuthority(work.path);
    const repository = await archive({ server: { tls: { key, cert } } });
    const proxy = use(await createProxy());
    const apt = await context(repository.source, {
      config: { 'Acquire::https::CAInfo': ca, 'Acquire::https::Proxy': proxy.url },
    });
    expect((await everything(apt)).files).toHaveLength(3);
    expect(new Set(proxy.requests)).toEqual(
      new Set([`CONNECT ${repository.url.replace('https://', '')}`]),
    );
  });
});

describe('keys and times', () => {
  test('a key in the text of the source', async () => {
    const repository = await archive();
    const block = armored([{ path: '', content: await readFile(repository.keyring) }]);
    const lines = block.split('\n').map((line) => ` ${line || '.'}\n`);
    const source = repository.source.replace(/^Signed-By:.*\n/m, `Signed-By:\n${lines.join('')}`);
    const apt = await context(source);
    expect((await apt.update()).sources).toMatchObject([{ ok: true }]);
  });

  test('a Release file that has expired', async () => {
    const release = { 'Valid-Until': 'Sat, 01 Jan 2022 00:00:00 UTC' };
    const repository = await archive({ release });
    const apt = await context(repository.source);
    await expect(apt.update()).rejects.toMatchObject({
      code: 'ERR_APT_EXPIRED',
      uri: `${repository.url}/`,
    });
    const good = await archive();
    const both = await context(`${repository.source}\n${good.source}`, {
      directory: work.join('both'),
    });
    expect((await both.update()).sources).toMatchObject([
      { ok: false, kind: 'expired' },
      { ok: true },
    ]);
    const lenient = await context(repository.source, {
      directory: work.join('lenient'),
      config: { 'Acquire::Check-Valid-Until': 'false' },
    });
    expect((await lenient.update()).sources).toMatchObject([{ ok: true }]);
  });
});

describe('limits', () => {
  test('by-hash', async () => {
    const repository = await archive({ byHash: true });
    const apt = await context(repository.source);
    await apt.update();
    expect(repository.requests).toContainEqual(expect.stringMatching(/\/by-hash\/SHA512\//));
    expect(repository.requests).not.toContainEqual(expect.stringMatching(/\/Packages(\.gz)?$/));
  });

  test('how many requests are under way at a server', async () => {
    const repository = await archive();
    repository.faults = [{ match: /\.deb$/, delay: 50 }];
    const one = await context(repository.source, {
      config: { 'Acquire::http::Pipeline-Depth': '0' },
    });
    expect((await everything(one)).files).toHaveLength(3);
    expect(repository.most).toBe(1);
    const more = await context(repository.source, {
      directory: work.join('more'),
      config: { 'Acquire::http::Pipeline-Depth': '5' },
    });
    expect((await everything(more)).files).toHaveLength(3);
    expect(repository.most).toBeGreaterThan(1);
  });

  test('a server that falls silent', async () => {
    const repository = await archive();
    repository.faults = [{ match: /InRelease/, hang: true }];
    const apt = await context(repository.source, { config: { 'Acquire::http::Timeout': '1' } });
    await expect(apt.update()).rejects.toMatchObject({
      code: 'ERR_APT_NETWORK',
      message: expect.stringMatching(/timed out/i),
    });
  });

  test('stopping while a server keeps the other end of TLS waiting', async () => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => sockets.push(socket));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const apt = await context(
      `Types: deb\nURIs: https://127.0.0.1:${port}/\nSuites: x\nComponents: main\n`,
    );
    const update = apt.update({ signal: AbortSignal.timeout(500) });
    const started = performance.now();
    await expect(update).rejects.toMatchObject({ name: 'AbortError' });
    expect(performance.now() - started).toBeLessThan(5000);
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  test('a full disk', async () => {
    const data = { '/usr/share/big': { content: Buffer.alloc(400_000, 'x') } };
    const repository = await archive({
      packages: [{ name: 'alpha', compression: 'none', files: data }],
    });
    const state = work.join('small');
    await mkdir(state);
    await run('mount', ['-t', 'tmpfs', '-o', 'size=40m', 'tmpfs', state]);
    try {
      const apt = await context(repository.source, { directory: state });
      await apt.update();
      await using cache = await apt.open();
      await run('dd', ['if=/dev/zero', `of=${state}/filler`, 'bs=64k'], { anyStatus: true });
      const error = await failure(cache.fetch(wanted.slice(0, 1)));
      expect(error).toMatchObject({ name: 'AptError', code: 'ENOSPC', path: `${state}/archives/` });
      await repository.addPackage({ name: 'delta', description: 'x'.repeat(100_000) });
      await repository.publish();
      await expect(apt.update()).rejects.toMatchObject({ code: 'ENOSPC' });
    } finally {
      await run('umount', ['-l', state]);
    }
  });
});

test('a directory that another process uses: its pid', async () => {
  const child = spawn(
    process.execPath,
    [
      ...['--import', 'tsx', '--input-type=module', '-e'],
      `import { AptContext } from 'apt-ostree/apt';
       const apt = await AptContext.create({ directory: process.argv[1], sources: '' });
       console.log('ready');
       process.stdin.on('end', () => apt.close()).resume();`,
      work.join('state'),
    ],
    { cwd: projectRoot, stdio: ['pipe', 'pipe', 'inherit'] },
  );
  await once(child.stdout, 'data');
  await expect(context('')).rejects.toMatchObject({
    code: 'ERR_APT_LOCKED',
    path: work.join('state/lock'),
    pid: child.pid,
    message: expect.stringContaining(`process ${child.pid}`),
  });
  child.stdin.end();
  await once(child, 'exit');
  await context('');
  await expect(context('')).rejects.toMatchObject({ pid: process.pid });
});

test('more descriptors than libapt-pkg can count', async () => {
  const repository = await archive();
  const child = await runModule(
    `import { openSync } from 'node:fs';
     for (let i = 0; i < 1500; i++) openSync('/dev/null', 'r');
     const { AptContext } = await import('apt-ostree/apt');
     const [directory, sources] = process.argv.slice(1);
     const apt = await AptContext.create({ directory, sources });
     await apt.update();
     const cache = await apt.open();
     const files = await cache.fetch([{ name: 'alpha', architecture: 'all', version: '1.0' }]);
     console.log(files.length);`,
    { args: [work.join('state'), repository.source] },
  );
  expect(child).toMatchObject({ status: 0, stderr: '', stdout: '1\n' });
});
