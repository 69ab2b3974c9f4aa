/** Archives, states and requests of a size that libapt-pkg does not survive by itself. */

import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import type { AptCache, AptContext, AptContextOptions } from 'apt-ostree/apt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  flatContext,
  formatStanzas,
  installed,
  record,
  type Stanza,
  writeFlatArchive,
} from '../../support/apt-universe.js';
import { buildDeb } from '../../support/deb.js';
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temp.js';

let work: TemporaryDirectory;
let contexts = 0;
beforeAll(async () => {
  work = await temporaryDirectory('limits');
});
afterAll(() => work.remove());

const kLong = 70_000;

const stanza = (name: string, fields: Stanza = {}) => formatStanzas([record(name, '1', fields)]);

/** A context whose archive has these packages; not updated yet. */
function contextOf(
  packages: string,
  options: Partial<AptContextOptions> = {},
): Promise<AptContext> {
  return flatContext(work.join(`state-${contexts++}`), packages, options);
}

async function cacheOf(
  packages: string,
  options: Partial<AptContextOptions> = {},
): Promise<AptCache> {
  const context = await contextOf(packages, options);
  await context.update();
  const cache = await context.open();
  context.close();
  return cache;
}

describe('index files', () => {
  test.each<[string, string, Record<string, string>]>([
    ['a section', 'victim', { Section: 's'.repeat(kLong) }],
    ['a version', 'victim', { Version: '1'.repeat(kLong) }],
    ['an architecture', 'victim', { Architecture: 'x'.repeat(kLong) }],
    ['a source', 'victim', { Source: 'd'.repeat(kLong) }],
    ["a source's version", 'victim', { Source: `x (${'1'.repeat(kLong)})` }],
    ['a dependency', 'victim', { Depends: `a, ${'d'.repeat(kLong)} | b` }],
    ["a dependency's version", 'victim', { Depends: `b (= ${'1,'.repeat(kLong / 2)})` }],
    ['a version of many lines', 'victim', { Depends: `b (= 1${'\n 1'.repeat(kLong / 3)})` }],
    ['what is provided', 'victim', { Provides: 'd'.repeat(kLong) }],
    ['a name', 'n'.repeat(kLong), {}],
  ])('with a text longer than the cache takes are refused: %s', async (_what, name, fields) => {
    const before = Array.from({ length: 2000 }, (_, i) => stanza(`p${i}`)).join('');
    const context = await contextOf(before + stanza(name, fields) + stanza('last'));
    await context.update();
    await expect(context.open()).rejects.toMatchObject({
      name: 'AptError',
      code: 'ERR_APT_FAILED',
      path: expect.stringMatching(/_Packages$/),
      package: name.slice(0, 100),
    });
    context.close();
  });

  test('that are compressed are looked at too, and again after an update', async () => {
    const archive = work.join('compressed');
    const sources = await writeFlatArchive(archive, [record('good', '1')]);
    const config = { 'Acquire::GzipIndexes': 'true' };
    const context = await contextOf('', { config, sources });
    await context.update();
    (await context.open()).close();
    const bad = stanza('victim', { Section: 's'.repeat(kLong) });
    await rm(path.join(archive, 'Packages'));
    await writeFile(path.join(archive, 'Packages.gz'), gzipSync(bad));
    await context.update();
    await expect(context.open()).rejects.toMatchObject({ package: 'victim' });
    context.close();
  });

  test('may have long fields and lists of any length', async () => {
    const names = Array.from({ length: 10_000 }, (_, i) => `name${i} (= ${i})`).join(', ');
    const cache = await cacheOf(
      stanza('long', { Provides: names, Suggests: names, Task: 't'.repeat(kLong) }),
    );
    expect(await cache.whatProvides('name9999')).toHaveLength(1);
    cache.close();
  });

  test('of dpkg and package files count as well', async () => {
    const status = work.join('status');
    const victim = installed(record('victim', '1', { Section: 's'.repeat(kLong) }));
    await writeFile(status, formatStanzas([victim]));
    const context = await contextOf('', { dpkgStatus: status });
    await expect(context.open()).rejects.toMatchObject({ path: status, package: 'victim' });
    context.close();
    const plain = await contextOf('');
    const deb = await buildDeb({ name: 'victim', section: 's'.repeat(kLong) }, work.path);
    await expect(plain.open({ debs: [deb] })).rejects.toMatchObject({ path: deb });
    plain.close();
  });

  test('with a chain of dependencies of any length can be solved', async () => {
    const kLinks = 40_000;
    const chain = Array.from({ length: kLinks }, (_, i) =>
      stanza(`p${i}`, i + 1 < kLinks ? { Depends: `p${i + 1}` } : {}),
    );
    const cache = await cacheOf(chain.join(''));
    const plan = await cache.solve({ install: ['p0'] });
    expect(plan.packages).toHaveLength(kLinks);
    expect(await cache.whyNot('p0')).toBeUndefined();
    cache.close();
  }, 240_000);
});

const kRepeated = '((((x{1,255}){1,255}){1,255}){1,255})';
const kExpressions: [string, string][] = [
  ['groups', '('.repeat(20_000) + ')'.repeat(20_000)],
  ['groups in the length', '('.repeat(2000) + ')'.repeat(2000)],
  ['repetitions', kRepeated],
  ['repetitions without a number', `${'('.repeat(30)}x${'+)'.repeat(30)}+`],
  ['a back reference', '^(.*)(.*)(.*)\\1\\2\\3$'],
  ['a length', 'x.*'.repeat(2000)],
];

describe('expressions', () => {
  let cache: AptCache;
  beforeAll(async () => {
    cache = await cacheOf(stanza('bash') + stanza('libstdc++6') + stanza('g++'));
  });
  afterAll(() => cache.close());

  test.each(kExpressions)(
    'that cost too much are refused wherever they are: %s',
    async (_, text) => {
      const wrong = { name: 'AptError', code: 'ERR_APT_PATTERN' };
      await expect(cache.search(text, { kind: 'regex' })).rejects.toMatchObject(wrong);
      await expect(cache.match(`?name(${text})`)).rejects.toMatchObject(wrong);
      await expect(cache.match(`~n"${text}"`)).rejects.toMatchObject(wrong);
      for (const request of [text, `?name(${text})`, `bash/${'/'}${text}/`, `bash=/${text}/`]) {
        await expect(cache.solve({ install: [`${request}`] })).rejects.toMatchObject(wrong);
        await expect(cache.solve({ remove: [`${request}`] })).rejects.toMatchObject(wrong);
      }
      await using marks = await cache.marks();
      await expect(marks.edit({ kind: 'install', package: text })).rejects.toMatchObject(wrong);
      const refused = { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' };
      const everywhere: Partial<AptContextOptions>[] = [
        { config: { 'APT::Default-Release': `/${text}/` } },
        { config: { 'APT::NeverAutoRemove::x': text } },
        { preferences: `Package: a /${text}/\nPin: release a=x\nPin-Priority: 1\n` },
        { preferences: `Package: a\nPin: version\n#\n /${text}/\nPin-Priority: 1\n` },
      ];
      for (const options of everywhere) {
        await expect(contextOf('', options)).rejects.toMatchObject(refused);
      }
    },
  );

  test.each(kExpressions)('and in the pins of a root: %s', async (_, text) => {
    const root = work.join('root');
    const file = path.join(root, 'etc/apt/preferences.d/pins');
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, `Package: /${text}/\nPin: release a=x\nPin-Priority: 1\n`);
    const context = await contextOf('', { root });
    await expect(context.open()).rejects.toMatchObject({ code: 'ERR_APT_FAILED', path: file });
    context.close();
  });

  test.each([
    'Package: *\nPin: release a=/\n',
    'Package: *\nPin: release n=x, a=/\n',
    'Package: *\nPin: release /\n',
    'Package: a\nPin: version /\n',
    'Package: a\nPin: version /*\n',
    'Package: /\nPin: version 1\n',
  ])('of a slash alone are refused in pins: %j', async (pin) => {
    const preferences = `${pin}Pin-Priority: 7\n`;
    await expect(contextOf('', { preferences })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
      message: expect.stringContaining('a slash alone'),
    });
  });

  test.each(['/', 'a=/', 'n=x,a=/'])('of a slash alone are no release: %j', async (release) => {
    const config = { 'APT::Default-Release': release };
    await expect(contextOf('', { config })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
    });
  });

  test('between slashes are taken', async () => {
    const preferences = 'Package: /^b/\nPin: release a=/^st/\nPin-Priority: 7\n';
    await using context = await contextOf(stanza('bash'), { preferences });
    await context.update();
    await using cache = await context.open();
    expect((await cache.policy('bash'))?.candidate).toBe('1');
  });

  test('of patterns that never end are refused', async () => {
    const wrong = { code: 'ERR_APT_PATTERN' };
    for (const text of [
      `${'?not('.repeat(50_000)}?true${')'.repeat(50_000)}`,
      '~nx|'.repeat(200_000),
      `${'*'.repeat(100_000)}[`,
    ]) {
      await expect(cache.solve({ install: [text] })).rejects.toMatchObject(wrong);
      await expect(cache.match(`?${text}`)).rejects.toMatchObject(wrong);
      await expect(cache.search(text, { kind: 'glob' })).rejects.toMatchObject(wrong);
    }
  });

  test('that people write are taken', async () => {
    for (const text of ['^lib.+[0-9]{1,3}$', 'g\\+\\+', '^(bash|dash)$', 'g++', 'libstdc++6']) {
      await cache.search(text, { kind: 'regex' });
    }
    const found = await cache.search('^[a-z]{4}$', { kind: 'regex', in: 'names' });
    expect(found.map(({ name }) => name)).toEqual(['bash']);
    const plan = await cache.solve({ install: ['g++', 'libstdc++6', '~nbash'] });
    expect(plan.packages.map(({ name }) => name).sort()).toEqual(['bash', 'g++', 'libstdc++6']);
  });

  test('are given up when the caller has no more interest', async () => {
    const signal = AbortSignal.abort();
    await expect(cache.match('?true', { signal })).rejects.toMatchObject({ code: 'ABORT_ERR' });
  });

  test('are given up while a request is read', async () => {
    const names = Array.from({ length: 10_000 }, (_, i) => stanza(`p${i}`)).join('');
    await using many = await cacheOf(names);
    await using marks = await many.marks();
    // Minutes of work, if it were done.
    const install = Array.from({ length: 100_000 }, (_, i) => `^p(1|x${i})$`);
    const requests = [
      (signal: AbortSignal) => many.solve({ install, signal }),
      (signal: AbortSignal) => marks.solve({ install, signal }),
      (signal: AbortSignal) => many.scenario({ install, signal }, work.join('aborted.edsp')),
    ];
    for (const request of requests) {
      const signal = AbortSignal.timeout(100);
      await expect(request(signal)).rejects.toMatchObject({ code: 'ABORT_ERR' });
    }
    const { packages } = await many.solve({ install: ['^p(1|x)$'] });
    expect(packages).toMatchObject([{ name: 'p1' }]);
    expect(await marks.counts()).toMatchObject({ installs: 0 });
  });
});

describe('requests', () => {
  let cache: AptCache;
  beforeAll(async () => {
    cache = await cacheOf(stanza('bash'));
  });
  afterAll(() => cache.close());

  test('of any size come back short in an error', async () => {
    const text = 'x'.repeat(10_000_000);
    for (const request of [{ install: [text] }, { buildDepends: [text] }, { satisfy: [text] }]) {
      const error = await cache.solve(request).catch((reason: unknown) => reason);
      expect(JSON.stringify(error).length).toBeLessThan(20_000);
      expect(String(error).length).toBeLessThan(20_000);
    }
    const many = Array.from({ length: 200_000 }, (_, i) => `name${i}`).join(', ');
    await expect(cache.solve({ satisfy: [many] })).rejects.toMatchObject({
      code: 'ERR_APT_PATTERN',
    });
  });

  test('are for an architecture of the context', async () => {
    const forHost = (hostArchitecture: string) =>
      cache.solve({ satisfy: ['bash'], build: { hostArchitecture } });
    await expect(forHost('x\nDepends: evil')).rejects.toThrow(TypeError);
    await expect(forHost('x'.repeat(100))).rejects.toThrow(TypeError);
    await expect(forHost('i386')).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
    expect((await forHost('amd64')).packages).toHaveLength(1);
  });
});

describe('contexts', () => {
  test.each<[string, Partial<AptContextOptions>]>([
    ['an architecture', { architecture: 'x'.repeat(kLong) }],
    ['architectures', { architectures: Array.from({ length: 5000 }, (_, i) => `a${i}`) }],
    ['a suite', { sources: `Types: deb\nURIs: http://x/\nSuites: ${'s'.repeat(kLong)}/\n` }],
    [
      'keys',
      { sources: `Types: deb\nURIs: http://x/\nSuites: ./\nSigned-By: ${'/x,'.repeat(1e5)}` },
    ],
    ['a value', { config: { 'Acquire::http::Proxy': 'x'.repeat(kLong) } }],
  ])('refuse %s of any size', async (_, options) => {
    await expect(contextOf('', options)).rejects.toMatchObject({
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_VALUE',
    });
  });

  test.each(['cdrom:[x]/', 'CDROM:[x]/', 'ssh://host/', 'rsh://host/'])(
    'refuse %s',
    async (uri) => {
      const sources = `Types: deb\nURIs: ${uri}\nSuites: a\nComponents: c\n`;
      await expect(contextOf('', { sources })).rejects.toMatchObject({
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_VALUE',
      });
    },
  );
});
