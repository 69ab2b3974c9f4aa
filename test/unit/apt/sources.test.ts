import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  type AptSource,
  formatSources,
  hostRelease,
  parseSources,
  readSources,
  sourcesForRelease,
} from 'apt-ostree/apt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const source = (part: Partial<AptSource> = {}): AptSource => ({
  types: ['deb'],
  uris: ['http://deb.example.org/debian'],
  suites: ['bookworm'],
  components: ['main'],
  enabled: true,
  options: {},
  ...part,
});

describe('deb822', () => {
  test('stanzas, comments, continuation lines, inline keys', () => {
    const text = `# the archive
Types: deb deb-src
URIs: http://deb.example.org/debian
# a comment inside
Suites: bookworm
 bookworm-updates
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc=
 -----END PGP PUBLIC KEY BLOCK-----
Check-Valid-Until: no

Enabled: no
types: deb
uris: file:/srv/flat
suites: ./
`;
    const parsed = parseSources(text);
    expect(parsed).toEqual([
      source({
        types: ['deb', 'deb-src'],
        suites: ['bookworm', 'bookworm-updates'],
        components: ['main', 'contrib'],
        signedBy:
          '-----BEGIN PGP PUBLIC KEY BLOCK-----\n.\nabc=\n-----END PGP PUBLIC KEY BLOCK-----',
        options: { 'Check-Valid-Until': 'no' },
      }),
      source({ uris: ['file:/srv/flat'], suites: ['./'], components: [], enabled: false }),
    ]);
    expect(parseSources(formatSources(parsed))).toEqual(parsed);
  });

  test.each([
    ['Types: deb\nURIs: http://a/\nSuites: x\n', 1, 'components'],
    ['\n\nTypes: deb\nSuites: x\nComponents: main\n', 3, 'URIs'],
    ['Types: rpm\nURIs: http://a/\nSuites: x\nComponents: main\n', 1, 'rpm'],
    ['Types: deb\nnonsense\n', 2, 'not a field'],
    [' continued\n', 1, 'continuation'],
    ['Types: deb\nTypes: deb\n', 2, 'twice'],
    ['Types: deb\nURIs: relative/path\nSuites: x\nComponents: main\n', 1, 'not a URI'],
    ['Types: deb\nURIs: http://a/\nSuites: x/\nComponents: main\n', 1, 'no components'],
  ])('a bad line is named: %j', (text, line, problem) => {
    expect(() => parseSources(text, { path: '/etc/apt/x.sources' })).toThrowError(
      expect.objectContaining({
        name: 'AptError',
        code: 'ERR_APT_SOURCES',
        path: '/etc/apt/x.sources',
        line,
        message: expect.stringContaining(problem),
      }),
    );
  });
});

describe('one-line format', () => {
  test('options and comments', () => {
    const text = `# comment
deb [arch=amd64,arm64 signed-by=/usr/share/keyrings/a.gpg trusted=yes] http://a/debian bookworm main contrib # end
deb-src http://a/debian bookworm main

deb file:/srv/flat ./
`;
    expect(parseSources(text, { format: 'list' })).toEqual([
      source({
        uris: ['http://a/debian'],
        components: ['main', 'contrib'],
        architectures: ['amd64', 'arm64'],
        signedBy: '/usr/share/keyrings/a.gpg',
        options: { Trusted: 'yes' },
      }),
      source({ types: ['deb-src'], uris: ['http://a/debian'] }),
      source({ uris: ['file:/srv/flat'], suites: ['./'], components: [] }),
    ]);
  });

  test.each([
    ['deb http://a/debian\n', 1],
    ['\nrpm http://a/debian x main\n', 2],
    ['deb [arch] http://a/debian x main\n', 1],
    ['deb http://a/debian x\n', 1],
  ])('a bad line is named: %j', (text, line) => {
    expect(() => parseSources(text, { format: 'list' })).toThrowError(
      expect.objectContaining({ code: 'ERR_APT_SOURCES', line }),
    );
  });
});

describe('a root', () => {
  let root: string;
  beforeAll(() => {
    root = mkdtempSync(path.join(tmpdir(), 'apt-ostree-sources-'));
    const parts = path.join(root, 'etc/apt/sources.list.d');
    mkdirSync(parts, { recursive: true });
    const line = 'deb [signed-by=/usr/share/keyrings/a.gpg] http://a/debian trixie main\n';
    writeFileSync(path.join(root, 'etc/apt/sources.list'), line);
    writeFileSync(path.join(parts, 'b.sources'), formatSources([source()]));
    writeFileSync(path.join(parts, 'c.sources.disabled'), 'nonsense');
    writeFileSync(path.join(root, 'etc/os-release'), 'ID=debian\nVERSION_CODENAME="trixie"\n');
  });
  afterAll(() => rmSync(root, { recursive: true }));

  test('keys are those of the root', () => {
    const [first, second] = readSources(root);
    expect(first?.signedBy).toBe(path.join(root, 'usr/share/keyrings/a.gpg'));
    expect(second).toEqual(source());
    expect(readSources(path.join(root, 'nowhere'))).toEqual([]);
  });

  test('its release', () => {
    expect(hostRelease(root)).toBe('trixie');
    expect(hostRelease(path.join(root, 'etc'))).toBeUndefined();
  });
});

test('sources of a release', () => {
  const sources = [
    source({ types: ['deb', 'deb-src'], suites: ['bookworm', 'bookworm-updates', 'sid'] }),
    source({ suites: ['bookworm/updates'] }),
    source({ suites: ['nodistro'] }),
    source({ enabled: false }),
    source({ types: ['deb-src'] }),
  ];
  expect(sourcesForRelease(sources, 'bookworm')).toEqual([
    source({ suites: ['bookworm', 'bookworm-updates'] }),
    source({ suites: ['bookworm/updates'] }),
  ]);
});

describe('what would be written as something else', () => {
  test.each<[string, Partial<AptSource>]>([
    ['a line in a name', { options: { 'X: y\nAllow-Insecure': 'yes' } }],
    ['a field of its own', { options: { uris: 'http://other/' } }],
    ['a line in an address', { uris: ['http://a/\nTrusted: yes'] }],
    ['two words for one', { suites: ['a b'] }],
    ['a component of nothing', { components: [''] }],
    ['a word of any length', { suites: ['s'.repeat(70_000)] }],
    ['a value of any length', { options: { Languages: 'x'.repeat(70_000) } }],
    ['any number', { uris: Array.from({ length: 20_000 }, (_, i) => `http://x${i}/`) }],
  ])('%s is refused', (_name, part) => {
    expect(() => formatSources([source(part)])).toThrowError(
      expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' }),
    );
  });

  test('of files, names that apt does not know are left out, changes of lists kept', () => {
    const text = 'deb [lang+=de,fr arch-=i386 x_y=z enabled=no] http://a/debian bookworm main\n';
    expect(parseSources(text, { format: 'list' })).toEqual([
      source({
        uris: ['http://a/debian'],
        options: { 'Languages-Add': 'de fr', 'Architectures-Remove': 'i386' },
      }),
    ]);
    const stanza = 'Types: deb\nURIs: http://a/\nSuites: x\nComponents: main\nX_Y: z\n';
    expect(parseSources(stanza)[0]?.options).toEqual({});
  });
});
