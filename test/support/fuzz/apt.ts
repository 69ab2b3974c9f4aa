/** Hostile indexes, states and settings of apt. */

import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  type AptCache,
  AptContext,
  type AptContextOptions,
  formatSources,
  parseSources,
  readSources,
} from 'apt-ostree/apt';
import { formatStanzas, randomUniverse, record } from '../apt-universe.js';
import { textDamage } from './mutate.js';
import { exhaust } from './ostree-objects.js';
import type { Probe } from './probe.js';
import type { FuzzInput, FuzzTarget } from './target.js';

const kFields = [
  'Package: x\n',
  'Version: 1:1.0~\n',
  'Depends: a (>= 1) | b:any, c:amd64 (<< 2) [!amd64]',
  'Provides: v (= 1), w:any',
  'Conflicts: p1 (<< ',
  'a (',
  'a [amd64  ',
  'a <!x',
  '(= 1)',
  'x:any',
  'p1 | ',
  ', , ,',
  'yes',
  'same',
  'important',
  'install ok installed',
  'install reinstreq half-installed',
  'hold ok config-files',
  // Longer than a text of apt's cache.
  `${'w'.repeat(70_000)}`,
  `b (= ${'1'.repeat(70_000)})`,
  `Section: ${'s'.repeat(70_000)}\n`,
  `Provides: ${'v'.repeat(70_000)}\n`,
];

/** Expressions that take more than anybody has. */
const kCostly = [
  `${'('.repeat(20_000)}a${')'.repeat(20_000)}`,
  '((((x{1,255}){1,255}){1,255}){1,255})',
  `${'('.repeat(40)}x${'+)'.repeat(40)}+`,
  '^(.*)(.*)(.*)(.*)\\1\\2\\3\\4x$',
  `${'*'.repeat(100_000)}[`,
  `${'?not('.repeat(50_000)}?true${')'.repeat(50_000)}`,
  '~nx|'.repeat(200_000),
];

async function readCache(cache: AptCache, probe: Probe): Promise<void> {
  const rows: { name: string; architecture: string; version: string }[] = [];
  await probe.call('versions', async () => {
    for await (const batch of cache.versions()) rows.push(...batch);
  });
  await probe.call('packages', () => exhaust(cache.packages()));
  await probe.call('list', () => cache.list());
  await probe.call('indexFiles', () => cache.indexFiles());
  for (const version of rows.slice(0, 3).concat(rows.slice(-2))) {
    await probe.call('package', () => cache.package(version.name, version.architecture));
    await probe.call('dependencies', () => cache.dependencies(version));
    await probe.call('provides', () => cache.provides(version));
    await probe.call('origins', () => cache.origins(version));
    await probe.call('record', () => cache.record(version));
    await probe.call('policy', () => cache.policy(version.name));
    await probe.call('reverse', () => cache.reverseDependencies(version.name));
  }
  await probe.call('search', () => cache.search('package', { in: 'both' }));
  await probe.call('match', () => cache.match('?or(?depends(?name(p1)), ?installed)'));
  await probe.call('whatProvides', () => cache.whatProvides('virtual1'));
  const names = [...new Set(rows.map(({ name }) => name))].slice(0, 4);
  await probe.call('solve', () => cache.solve({ install: names, order: true }));
  await probe.call('upgrade', () => cache.solve({ upgrade: 'full', autoremove: true }));
  await probe.call('marks', async () => {
    await using marks = await cache.marks();
    await marks.unneeded();
    await marks.unmet();
    for (const name of names.slice(0, 1)) await marks.why(name);
  });
}

interface Universe {
  directory: string;
  options: AptContextOptions;
}

async function universe(directory: string): Promise<Universe> {
  const { packages, status } = randomUniverse(11, 12);
  const archive = path.join(directory, 'archive');
  await mkdir(archive, { recursive: true });
  await writeFile(path.join(archive, 'Packages'), formatStanzas(packages));
  const sources = `Package: src1
Binary: p1, p2
Version: 1.0-1
Maintainer: Tests <tests@example.com>
Build-Depends: p3 (>= 1) [amd64] <!nocheck>, p4 | p5
Architecture: any
Format: 3.0 (quilt)
Directory: ./
Files:
 d41d8cd98f00b204e9800998ecf8427e 10 src1_1.0-1.dsc
Checksums-Sha256:
 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 10 src1_1.0-1.dsc

`;
  await writeFile(path.join(archive, 'Sources'), sources);
  await writeFile(path.join(directory, 'status'), formatStanzas(status));
  await writeFile(
    path.join(directory, 'states'),
    'Package: p1\nArchitecture: amd64\nAuto-Installed: 1\n\n',
  );
  return {
    directory,
    options: {
      directory: path.join(directory, 'state'),
      architecture: 'amd64',
      dpkgStatus: path.join(directory, 'status'),
      extendedStates: path.join(directory, 'states'),
      sources: `Types: deb deb-src\nURIs: file:${archive}\nSuites: ./\nTrusted: yes\n`,
    },
  };
}

/** With a context that has the indexes already. */
async function withLists(directory: string): Promise<Universe & { lists: string }> {
  const made = await universe(directory);
  await using context = await AptContext.create(made.options);
  await context.update();
  const found = await findLists(made.options.directory as string);
  return { ...made, lists: found };
}

async function findLists(directory: string): Promise<string> {
  const entries = await readdir(directory, { recursive: true });
  const index = entries.find((name) => /_Packages$/.test(name));
  if (!index) throw new Error(`no indexes in ${entries.join(' ')}`);
  return path.dirname(path.join(directory, index));
}

async function openAnd(
  options: AptContextOptions,
  probe: Probe,
  look: (cache: AptCache) => Promise<void>,
): Promise<void> {
  const context = await probe.call('create', () => AptContext.create(options));
  if (!context) return;
  const cache = await probe.call('open', () => context.open());
  if (cache) await look(cache);
  cache?.close();
  context.close();
}

/** Files of apt's state, changed in their place. */
async function stateFile(
  made: Universe,
  file: string,
  words: readonly string[],
  look: (cache: AptCache, probe: Probe) => Promise<void>,
): Promise<FuzzInput> {
  const original = await readFile(file);
  return {
    name: path.basename(file),
    bytes: original,
    damage: textDamage(words),
    async read(bytes, probe) {
      await writeFile(file, bytes);
      try {
        await openAnd(made.options, probe, (cache) => look(cache, probe));
      } finally {
        await writeFile(file, original);
      }
    },
  };
}

export const indexes: FuzzTarget = {
  runs: 150,
  async prepare(directory) {
    const made = await withLists(directory);
    const names = await readdir(made.lists);
    const index = names.find((name) => /_Packages$/.test(name)) ?? '';
    return [
      await stateFile(made, path.join(made.lists, index), kFields, readCache),
      await stateFile(made, path.join(directory, 'status'), kFields, readCache),
      await stateFile(made, path.join(directory, 'states'), kFields, readCache),
    ];
  },
};

export const sourceIndexes: FuzzTarget = {
  runs: 100,
  async prepare(directory) {
    const made = await withLists(directory);
    const names = await readdir(made.lists);
    const index = names.find((name) => /_Sources$/.test(name)) ?? '';
    return [
      await stateFile(made, path.join(made.lists, index), kFields, async (cache, probe) => {
        await probe.call('source', () => cache.source('src1'));
        await probe.call('sourceVersions', () => cache.sourceVersions('src1'));
        await probe.call('sources', () => exhaust(cache.sources()));
        await probe.call('buildDepends', () => cache.solve({ buildDepends: ['src1'] }));
      }),
    ];
  },
};

export const releases: FuzzTarget = {
  runs: 40,
  async prepare(directory) {
    const made = await universe(directory);
    const archive = path.join(directory, 'archive');
    const { createHash } = await import('node:crypto');
    const packages = await readFile(path.join(archive, 'Packages'));
    const sum = createHash('sha256').update(packages).digest('hex');
    const release = `Origin: Test
Label: Test
Suite: stable
Codename: test
Date: Sat, 21 Nov 2026 10:00:00 UTC
Valid-Until: Sat, 21 Nov 2099 10:00:00 UTC
Acquire-By-Hash: no
Architectures: amd64
SHA256:
 ${sum} ${packages.length} Packages
`;
    const read = async (bytes: Buffer, probe: Probe, name: string) => {
      await writeFile(path.join(archive, name), bytes);
      const context = await probe.call('create', () => AptContext.create(made.options));
      if (!context) return;
      await probe.call('update', () => context.update());
      const cache = await probe.call('open', () => context.open());
      await probe.call('list', () => cache?.list());
      cache?.close();
      context.close();
    };
    const words = ['Sat, 31 Feb 2026 25:61:61 UTC', '-1', 'yes', `${sum} 1 ../../x`];
    const signed = `-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA512

${release}-----BEGIN PGP SIGNATURE-----

iHUEARYKAB0WIQTnothing
=abcd
-----END PGP SIGNATURE-----
`;
    return [
      {
        name: 'Release',
        bytes: Buffer.from(release),
        damage: textDamage(words),
        read: (bytes, probe) => read(bytes, probe, 'Release'),
      },
      {
        name: 'InRelease',
        bytes: Buffer.from(signed),
        damage: textDamage([...words, '-----BEGIN PGP SIGNATURE-----', '- -----']),
        read: (bytes, probe) => read(bytes, probe, 'InRelease'),
      },
    ];
  },
};

/** Packages each of which needs the next, with damage in their middle. */
export const chains: FuzzTarget = {
  runs: 6,
  async prepare(directory) {
    const made = await withLists(directory);
    const names = await readdir(made.lists);
    const index = path.join(made.lists, names.find((name) => /_Packages$/.test(name)) ?? '');
    const chain = Array.from({ length: 20_000 }, (_, i) =>
      record(`c${i}`, '1', { Depends: `c${i + 1}` }),
    );
    await writeFile(index, formatStanzas([...chain, record('c20000', '1')]));
    return [
      await stateFile(made, index, kFields, async (cache, probe) => {
        await probe.call('solve', () => cache.solve({ install: ['c0'], order: false }));
        await probe.call('whyNot', () => cache.whyNot('c0'));
      }),
    ];
  },
};

/** What callers ask for, and the pins of a root. */
export const expressions: FuzzTarget = {
  runs: 150,
  async prepare(directory) {
    const made = await withLists(directory);
    const root = path.join(directory, 'root');
    await mkdir(path.join(root, 'etc/apt/preferences.d'), { recursive: true });
    const context = await AptContext.create(made.options);
    const cache = await context.open();
    const words = [
      ...kCostly,
      '?or(',
      '~n',
      '!',
      '|',
      '{1,9}',
      '[[:alpha:]]',
      '\\1',
      '/',
      '<',
      '[',
    ];
    const ask = async (text: string, probe: Probe) => {
      await probe.call('match', () => cache.match(text));
      await probe.call('search', () => cache.search(text, { kind: 'regex' }));
      await probe.call('glob', () => cache.search(text, { kind: 'glob' }));
      await probe.call('install', () => cache.solve({ install: [text], order: false }));
      await probe.call('remove', () => cache.solve({ remove: [text], order: false }));
      await probe.call('release', () => cache.solve({ install: [`p1/${text}`], order: false }));
      await probe.call('satisfy', () => cache.solve({ satisfy: [text], order: false }));
      await probe.call('source', () => cache.source(text));
    };
    const kinds = ['?and(?name(p[0-9]+), ?not(?installed))', '^p(1|2){1,3}$', '*1*', 'p1 | p2'];
    return [
      ...kinds.map((text) => ({
        name: `request ${text}`,
        bytes: Buffer.from(text),
        damage: textDamage(words),
        read: (bytes: Buffer, probe: Probe) => ask(bytes.toString(), probe),
      })),
      {
        name: 'preferences of a root',
        bytes: Buffer.from(
          'Package: /^p[0-9]$/ p2*\nPin: release a=/st.*/\nPin-Priority: 700\n\n' +
            'Package: src:p1\nPin: version /1.*/\nPin-Priority: -10\n',
        ),
        damage: textDamage([...kCostly.map((text) => `/${text}/`), '\n ', '# x\n', '/']),
        async read(bytes, probe) {
          await writeFile(path.join(root, 'etc/apt/preferences'), bytes);
          await writeFile(path.join(root, 'etc/apt/preferences.d/one'), bytes);
          const state = path.join(directory, 'rooted');
          const options = { ...made.options, directory: state, root };
          await openAnd(options, probe, async (opened) => {
            await probe.call('policy', () => opened.policy('p1'));
          });
        },
      },
    ];
  },
};

const kDeb822Sources = `Types: deb deb-src
URIs: https://example.com/debian ftp://example.com/x
Suites: stable stable-updates
Components: main contrib
Architectures: amd64
Signed-By: /usr/share/keyrings/x.gpg
Enabled: yes
X-Other: y
`;
const kListSources = `deb [arch=amd64,i386 signed-by=/x.gpg trusted=yes] http://example.com/debian stable main
# a comment
deb-src cdrom:[Debian GNU]/ stable main contrib
deb file:/archive ./
`;

export const settings: FuzzTarget = {
  runs: 300,
  async prepare(directory) {
    const made = await withLists(directory);
    const root = path.join(directory, 'root');
    const place = path.join(root, 'etc/apt');
    for (const name of ['apt.conf.d', 'sources.list.d', 'preferences.d', 'auth.conf.d']) {
      await mkdir(path.join(place, name), { recursive: true });
    }
    const texts = async (bytes: Buffer, probe: Probe, format: 'deb822' | 'list', file: string) => {
      const text = bytes.toString();
      const sources = await probe.call('parseSources', () => parseSources(text, { format }));
      await probe.call('formatSources', () => sources && formatSources(sources));
      await writeFile(path.join(place, 'sources.list.d', file), bytes);
      const found = await probe.call('readSources', () => readSources(root));
      const wanted = text.includes('\0') ? undefined : text;
      for (const given of [wanted, found]) {
        if (!given) continue;
        await openAnd({ ...made.options, sources: given }, probe, async (cache) => {
          await probe.call('list', () => cache.list());
        });
      }
    };
    const words = ['deb', '[', 'a=b', '[trusted=yes', 'signed-by=', '-----BEGIN PGP', '@'];
    return [
      {
        name: 'sources, deb822',
        bytes: Buffer.from(kDeb822Sources),
        damage: textDamage(words),
        read: (bytes, probe) => texts(bytes, probe, 'deb822', 'x.sources'),
      },
      {
        name: 'sources, list',
        bytes: Buffer.from(kListSources),
        damage: textDamage(words),
        read: (bytes, probe) => texts(bytes, probe, 'list', 'x.list'),
      },
      {
        name: 'preferences',
        bytes: Buffer.from(
          'Explanation: why\nPackage: p1 p2*\nPin: release a=stable, n=test\nPin-Priority: 700\n\n' +
            'Package: /p[0-9]/\nPin: version 1*\nPin-Priority: -10\n\nPackage: *\nPin: origin ""\nPin-Priority: 100\n',
        ),
        damage: textDamage([
          '/(((/',
          '/[/',
          'release',
          'release o=',
          '99999999999',
          'src:p1',
          '~i',
        ]),
        read: (bytes, probe) =>
          openAnd({ ...made.options, preferences: bytes.toString() }, probe, async (cache) => {
            await probe.call('policy', () => cache.policy('p1'));
            await probe.call('solve', () => cache.solve({ install: ['p1'] }));
          }),
      },
      {
        name: 'apt.conf',
        bytes: Buffer.from(
          'APT { Install-Recommends "false"; Architectures { "amd64"; }; };\n#include "/nowhere";\n' +
            'Acquire::http::Proxy "http://x:1";\n#clear APT::Never;\nDir::State "x"; // comment\n/* c */\n',
        ),
        damage: textDamage([
          '{',
          '};',
          '::',
          'Dir::Etc "/";',
          '#include "."',
          '/*',
          'APT::Cache-Limit "1";',
        ]),
        async read(bytes, probe) {
          await writeFile(path.join(place, 'apt.conf.d/99fuzz'), bytes);
          await openAnd({ ...made.options, root }, probe, async (cache) => {
            await probe.call('list', () => cache.list());
          });
        },
      },
    ];
  },
};
