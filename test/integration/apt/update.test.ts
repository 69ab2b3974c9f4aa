/** Package lists: signatures, failures of sources, progress, abort. */

import { AptContext, type AptContextOptions, type FetchEvent } from 'apt-ostree/apt';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type AptRepository,
  type AptRepositoryOptions,
  createAptRepository,
} from '../../support/apt-repository.js';
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temp.js';

let work: TemporaryDirectory;
let stack: AsyncDisposableStackLike;

/** What a test opened, closed in reverse. */
interface AsyncDisposableStackLike {
  use<T extends AsyncDisposable>(resource: T): T;
  dispose(): Promise<void>;
}

function makeStack(): AsyncDisposableStackLike {
  const resources: AsyncDisposable[] = [];
  return {
    use(resource) {
      resources.push(resource);
      return resource;
    },
    async dispose() {
      for (const resource of resources.reverse()) await resource[Symbol.asyncDispose]();
    },
  };
}

beforeEach(async () => {
  stack = makeStack();
  work = stack.use(await temporaryDirectory('update'));
});

afterEach(() => stack.dispose());

const kPackages = [{ name: 'alpha' }, { name: 'beta', depends: 'alpha' }];

async function archive(options: AptRepositoryOptions = {}): Promise<AptRepository> {
  return stack.use(await createAptRepository({ packages: kPackages, ...options }));
}

async function context(sources: string, options: Partial<AptContextOptions> = {}) {
  return stack.use(
    await AptContext.create({
      directory: work.join('state'),
      sources,
      config: { 'Acquire::Retries': '0' },
      ...options,
    }),
  );
}

async function names(apt: AptContext): Promise<string[]> {
  await using cache = await apt.open();
  return (await cache.list()).map(({ name }) => name).sort();
}

describe('a signed archive', () => {
  test('is read, and a second time only asked for news', async () => {
    const repository = await archive();
    const apt = await context(repository.source);
    const events: FetchEvent[] = [];
    const result = await apt.update({ onProgress: (event) => events.push(event) });
    expect(result.sources).toEqual([{ uri: `${repository.url}/`, suite: 'test', ok: true }]);
    expect(result.warnings).toEqual([]);
    expect(await names(apt)).toEqual(['alpha', 'beta']);
    expect(events).toContainEqual(
      expect.objectContaining({ type: 'fetch-item', status: 'done', uri: expect.any(String) }),
    );
    expect(events).toContainEqual(expect.objectContaining({ type: 'fetch-progress' }));

    const again: FetchEvent[] = [];
    await apt.update({ onProgress: (event) => again.push(event) });
    expect(again).toContainEqual(expect.objectContaining({ status: 'hit' }));
  });

  test('shows what it gained', async () => {
    const repository = await archive();
    const apt = await context(repository.source);
    await apt.update();
    await using old = await apt.open();
    await repository.addPackage({ name: 'gamma' });
    await repository.publish();
    await apt.update();
    expect(await names(apt)).toEqual(['alpha', 'beta', 'gamma']);
    await expect(old.list()).rejects.toMatchObject({
      name: 'AptError',
      code: 'ERR_APT_STALE_CACHE',
    });
  });

  test('works from a directory', async () => {
    const repository = await archive({ serve: 'file' });
    const apt = await context(repository.source);
    expect((await apt.update()).sources).toMatchObject([{ ok: true }]);
    expect(await names(apt)).toEqual(['alpha', 'beta']);
  });

  test('takes the key from keyrings', async () => {
    const repository = await archive();
    const bare = repository.source.replace(/^Signed-By:.*\n/m, '');
    const apt = await context(bare, { keyrings: [repository.keyring] });
    expect((await apt.update()).sources).toMatchObject([{ ok: true }]);
  });
});

describe('a source that is not authenticated', () => {
  test.each([
    ['without a signature', false],
    ['signed by somebody else', 'wrong-key'],
  ] as const)('%s is refused', async (_label, sign) => {
    const repository = await archive({ sign });
    const apt = await context(repository.source);
    await expect(apt.update()).rejects.toMatchObject({
      name: 'AptError',
      code: 'ERR_APT_NOT_AUTHENTICATED',
      uri: `${repository.url}/`,
      messages: expect.arrayContaining([
        expect.objectContaining({ severity: 'error', text: expect.stringContaining('not signed') }),
      ]),
    });
    expect(await names(apt)).toEqual([]);
  });

  test('without any key is refused: the host has keys, but they do not count', async () => {
    const repository = await archive();
    const apt = await context(repository.source.replace(/^Signed-By:.*\n/m, ''));
    await expect(apt.update()).rejects.toMatchObject({ code: 'ERR_APT_NOT_AUTHENTICATED' });
  });

  test('keeps its old lists when the signature goes bad', async () => {
    const repository = await archive();
    const apt = await context(repository.source);
    await apt.update();
    await repository.addPackage({ name: 'gamma' });
    await repository.publish('wrong-key');
    await expect(apt.update()).rejects.toMatchObject({
      code: 'ERR_APT_NOT_AUTHENTICATED',
      uri: `${repository.url}/`,
    });
    expect(await names(apt)).toEqual(['alpha', 'beta']);
  });

  test('is not let in by allow-insecure, only by trusted', async () => {
    const repository = await archive({ sign: false });
    const weak = await context(`${repository.source}Allow-Insecure: yes\n`);
    await expect(weak.update()).rejects.toMatchObject({ code: 'ERR_APT_NOT_AUTHENTICATED' });
    const trusted = await context(`${repository.source}Trusted: yes\n`, {
      directory: work.join('trusted'),
    });
    expect((await trusted.update()).sources).toMatchObject([{ ok: true }]);
    expect(await names(trusted)).toEqual(['alpha', 'beta']);
    // And where there is a signature by a stranger, which only makes a warning.
    await repository.publish('wrong-key');
    const { sources, warnings } = await trusted.update();
    expect(sources).toMatchObject([{ ok: true }]);
    expect(warnings).toContainEqual(
      expect.objectContaining({ text: expect.stringContaining('NO_PUBKEY') }),
    );
  });
});

describe('a source that fails', () => {
  // Of another address: apt's http method gives a host up after one refused connection. The port
  // has the digits of an answer's status, which once made it a file that was not found.
  const deadSource =
    'Types: deb\nURIs: http://127.0.0.2:10404/debian\nSuites: dead\nComponents: main\n';

  test('alone is an error', async () => {
    const apt = await context(deadSource);
    await expect(apt.update()).rejects.toMatchObject({
      code: 'ERR_APT_NETWORK',
      uri: expect.stringContaining('http://127.0.0.2'),
    });
  });

  test('does not spoil the others, unless strict', async () => {
    const repository = await archive();
    const apt = await context(`${repository.source}\n${deadSource}`);
    const { sources } = await apt.update();
    expect(sources).toMatchObject([
      { uri: `${repository.url}/`, ok: true },
      { suite: 'dead', ok: false, kind: 'network', message: expect.stringContaining('onnect') },
    ]);
    expect(await names(apt)).toEqual(['alpha', 'beta']);
    await expect(apt.update({ strict: true })).rejects.toMatchObject({ code: 'ERR_APT_NETWORK' });
  });

  test('for want of a suite is not found', async () => {
    const repository = await archive();
    const wrong = repository.source.replace('Suites: test', 'Suites: nowhere');
    const apt = await context(`${repository.source}\n${wrong}`);
    const { sources } = await apt.update();
    expect(sources).toMatchObject([
      { ok: true },
      { suite: 'nowhere', ok: false, kind: 'notfound' },
    ]);
  });

  test('for an index that is not the signed one has the wrong hash', async () => {
    const repository = await archive();
    const { readdir, readFile, writeFile } = await import('node:fs/promises');
    const index = `${repository.directory}/dists/test/main`;
    for (const directory of await readdir(index)) {
      for (const file of ['Packages', 'Packages.gz']) {
        const name = `${index}/${directory}/${file}`;
        const content = await readFile(name);
        content.fill(0x20, 10, 20);
        await writeFile(name, content);
      }
    }
    const apt = await context(repository.source);
    await expect(apt.update()).rejects.toMatchObject({
      code: 'ERR_APT_HASH_MISMATCH',
      uri: `${repository.url}/`,
    });
    expect(await names(apt)).toEqual([]);
  });
});

describe('stopping', () => {
  test('an update in the middle ends within a second', async () => {
    const repository = await archive();
    repository.faults = [{ match: /Packages/, hang: true }];
    const apt = await context(repository.source);
    const controller = new AbortController();
    const update = apt.update({ signal: controller.signal });
    setTimeout(() => controller.abort(new Error('enough')), 300);
    const started = performance.now();
    await expect(update).rejects.toMatchObject({
      name: 'AbortError',
      cause: { message: 'enough' },
    });
    expect(performance.now() - started).toBeLessThan(1500);
    repository.faults = [];
    await apt.update();
    expect(await names(apt)).toEqual(['alpha', 'beta']);
  });

  test('an error of the listener stops the update and comes out', async () => {
    const repository = await archive();
    const apt = await context(repository.source);
    const failure = new Error('not interested');
    const update = apt.update({
      onProgress: () => {
        throw failure;
      },
    });
    await expect(update).rejects.toBe(failure);
  });
});

describe('a context', () => {
  test('owns its directory', async () => {
    const repository = await archive();
    const first = await context(repository.source);
    await expect(context(repository.source)).rejects.toMatchObject({ code: 'ERR_APT_LOCKED' });
    first.close();
    await context(repository.source);
  });

  test('that is closed says so', async () => {
    const apt = await context('');
    apt.close();
    apt.close();
    await expect(apt.update()).rejects.toMatchObject({ name: 'AptError', code: 'ERR_CLOSED' });
    await expect(apt.open()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  });

  test.each([
    'APT::Update::Pre-Invoke',
    'DPkg::Post-Invoke',
    'Acquire::http::Proxy-Auto-Detect',
    'Acquire::AllowInsecureRepositories',
    'Dir::Bin::methods',
    'Dir::State::status',
    'RootDir',
    'APT::Compressor::gz::Binary',
  ])('refuses the option %s', async (name) => {
    await expect(context('', { config: { [name]: '/bin/false' } })).rejects.toMatchObject({
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_VALUE',
    });
  });

  test('refuses wrong arguments', async () => {
    await expect(context('', { architecture: 'no such/thing' })).rejects.toThrow(TypeError);
    await expect(context('not a source')).rejects.toMatchObject({
      code: 'ERR_APT_SOURCES',
      line: 1,
    });
    await expect(
      context('', { dpkgStatus: '/nonexistent/status' }).then((apt) => apt.open()),
    ).rejects.toMatchObject({ code: 'ENOENT', path: '/nonexistent/status' });
  });
});
