/** Package sources: sources.list(5) in both formats. */

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import {
  checkMembers,
  checkOneOf,
  checkPath,
  checkString,
  type Members,
  type PathLike,
} from '../checks.js';
import { AptError, invalidArgValue } from '../errors.js';
import {
  aBoolean,
  arrayOf,
  type Check,
  type MemberChecks,
  oneOf,
  optional,
  optionsOf,
  recordOf,
} from '../shapes.js';
import { Deb822, type Deb822Stanza } from './deb822.js';

/** One stanza of a `.sources` file, or one line of `sources.list`. */
export interface AptSource {
  types: ('deb' | 'deb-src')[];
  uris: string[];
  /** Names of suites, or paths that end in `/` for flat repositories. */
  suites: string[];
  /** Empty for flat repositories. */
  components: string[];
  architectures?: string[];
  /** Paths of keyrings, fingerprints, or a key itself (an armored block). */
  signedBy?: string;
  /** Default: true. */
  enabled?: boolean;
  /** Everything else, by its deb822 name: `Trusted`, `Check-Valid-Until`, ... */
  options?: Record<string, string>;
}

/** libapt-pkg keeps parts of them in its cache, which takes no text of any size. */
const kLongestWord = 4096;
/** Keys, and lists of their files. */
const kLongestKeys = 1 << 20;
/** Index files that sources may stand for: each is a file to look for whenever lists are read. */
const kMostIndexes = 10_000;
const kFieldName = /^[A-Za-z][A-Za-z0-9-]{0,99}$/;

function ofLength(most: number): Check {
  return (value, name) => {
    checkString(value, name);
    if (value.length > most) throw invalidArgValue(name, `must have at most ${most} characters`);
  };
}

/** What a list of words has: blanks would make two of it. */
const aWord: Check = (value, name) => {
  checkString(value, name);
  if (value.length > kLongestWord || !/^\S+$/.test(value)) {
    throw invalidArgValue(name, `must be one word of at most ${kLongestWord} characters`);
  }
};

const someOptions: Check = (value, name) => {
  recordOf(ofLength(kLongestWord))(value, name);
  for (const key of Object.keys(value as object)) {
    if (!kFieldName.test(key) || kKnown.has(key.toLowerCase())) {
      throw invalidArgValue(name, `must not have the name '${key}'`);
    }
  }
};

const sourceList = arrayOf(
  optionsOf({
    types: arrayOf(oneOf('deb', 'deb-src')),
    uris: arrayOf(aWord),
    suites: arrayOf(aWord),
    components: arrayOf(aWord),
    architectures: optional(arrayOf(aWord)),
    signedBy: optional(ofLength(kLongestKeys)),
    enabled: optional(aBoolean),
    options: optional(someOptions),
  } satisfies MemberChecks<AptSource>),
);

/** @internal Sources that a caller handed in as data. */
export const checkSources: Check = (value, name) => {
  sourceList(value, name);
  let indexes = 0;
  for (const { types, uris, suites, components } of value as AptSource[]) {
    indexes += types.length * uris.length * suites.length * Math.max(components.length, 1);
  }
  if (indexes > kMostIndexes) {
    throw invalidArgValue(name, `must not stand for more than ${kMostIndexes} index files`);
  }
};

/** The names of one-line options that deb822 spells in another way. */
const kOneLineNames: Record<string, string> = {
  arch: 'Architectures',
  lang: 'Languages',
  target: 'Targets',
};

const kKnown = new Set([
  'types',
  'uris',
  'suites',
  'components',
  'architectures',
  'signed-by',
  'enabled',
]);

/**
 * Parses sources in deb822 format, or with `format: 'list'` in the one-line format. Synchronous.
 *
 * @throws `AptError` `ERR_APT_SOURCES` with `path` and `line`.
 * @see sources.list(5)
 */
export function parseSources(
  text: string,
  options: { format?: 'deb822' | 'list'; path?: string } = {},
): AptSource[] {
  checkString(text, 'text');
  checkMembers(options, { format: true, path: true } satisfies Members<typeof options>);
  if (options.path != null) checkString(options.path, 'options.path');
  if (options.format != null) checkOneOf(options.format, ['deb822', 'list'], 'options.format');
  const file = options.path ?? '(sources)';
  return options.format === 'list' ? parseList(text, file) : parseDeb822(text, file);
}

function fail(file: string, line: number, problem: string): never {
  throw new AptError('ERR_APT_SOURCES', `${file}:${line}: ${problem}`, { path: file, line });
}

function words(value: string): string[] {
  return value.split(/[\s]+/).filter((word) => word !== '');
}

function checkTypes(types: string[], file: string, line: number): AptSource['types'] {
  for (const type of types) {
    if (type !== 'deb' && type !== 'deb-src') fail(file, line, `unknown type '${type}'`);
  }
  return types as AptSource['types'];
}

function checkShape(source: AptSource, file: string, line: number): AptSource {
  for (const uri of source.uris) {
    if (!/^[a-z][a-z0-9+.-]*:/i.test(uri)) fail(file, line, `'${uri}' is not a URI`);
  }
  const flat = source.suites.filter((suite) => suite.endsWith('/'));
  if (flat.length === source.suites.length) {
    if (source.components.length > 0) fail(file, line, 'an exact path takes no components');
  } else if (flat.length > 0) {
    fail(file, line, 'suites and exact paths do not mix');
  } else if (source.components.length === 0) {
    fail(file, line, 'components are missing');
  }
  return source;
}

function parseDeb822(text: string, file: string): AptSource[] {
  const document = Deb822.parseWith(text, (line, problem) => fail(file, line, problem));
  return document.stanzas.map((stanza) => fromStanza(stanza, file));
}

function fromStanza(stanza: Deb822Stanza, file: string): AptSource {
  const line = stanza.line();
  const need = (name: string) => {
    const found = words(stanza.get(name) ?? '');
    if (found.length === 0) fail(file, line, `the field ${name} is missing`);
    return found;
  };
  const source: AptSource = {
    types: checkTypes(need('Types'), file, line),
    uris: need('URIs'),
    suites: need('Suites'),
    components: words(stanza.get('Components') ?? ''),
    enabled: !/^(no|false|0|off|without|disable)$/i.test(stanza.get('Enabled') ?? 'yes'),
    options: Object.fromEntries(
      [...stanza]
        // apt knows no other names.
        .filter(([name]) => kFieldName.test(name) && !kKnown.has(name.toLowerCase()))
        .map(([name, value]) => [name, words(value).join(' ')]),
    ),
  };
  const architectures = words(stanza.get('Architectures') ?? '');
  if (architectures.length > 0) source.architectures = architectures;
  const signedBy = stanza.get('Signed-By');
  if (signedBy) {
    const lines = signedBy.split('\n').map((text) => text.trim());
    source.signedBy = lines.join('\n').replace(/^\n/, '');
  }
  return checkShape(source, file, line);
}

function parseList(text: string, file: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.replace(/#.*$/, '').trim();
    if (line === '') continue;
    const number = index + 1;
    const match = /^(\S+)\s+(?:\[([^\]]*)\]\s*)?(.*)$/.exec(line);
    if (!match) fail(file, number, 'a type, a URI and a suite are needed');
    const [uri, suite, ...components] = words(match[3] ?? '');
    if (!uri || !suite) fail(file, number, 'a type, a URI and a suite are needed');
    const source: AptSource = {
      types: checkTypes([match[1] ?? ''], file, number),
      uris: [uri],
      suites: [suite],
      components,
      enabled: true,
      options: {},
    };
    for (const option of words(match[2] ?? '')) {
      const equals = option.indexOf('=');
      if (equals <= 0) fail(file, number, `'${option}' is not an option`);
      addOption(source, option.slice(0, equals).toLowerCase(), option.slice(equals + 1));
    }
    sources.push(checkShape(source, file, number));
  }
  return sources;
}

function addOption(source: AptSource, key: string, value: string): void {
  if (key === 'signed-by') {
    source.signedBy = value;
  } else if (key === 'arch') {
    source.architectures = value.split(',');
  } else {
    // `lang+=de` is `Languages-Add: de`.
    const [, base = '', change = ''] = /^(.*?)([+-]?)$/.exec(key) ?? [];
    const field =
      kOneLineNames[base] ?? base.replace(/(^|-)[a-z]/g, (letters) => letters.toUpperCase());
    const name = field + (change && (change === '+' ? '-Add' : '-Remove'));
    // apt knows no other names.
    if (!kFieldName.test(name) || kKnown.has(name.toLowerCase())) return;
    source.options = { ...source.options, [name]: value.replaceAll(',', ' ') };
  }
}

/**
 * Writes sources in deb822 format. Synchronous.
 *
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` for names and words that no source has.
 * @see sources.list(5)
 */
export function formatSources(sources: readonly AptSource[]): string {
  checkSources(sources, 'sources');
  return sources.map(formatSource).join('\n');
}

function formatSource(source: AptSource): string {
  const lines: string[] = [];
  const add = (name: string, value: string | readonly string[] | undefined) => {
    const text = typeof value === 'string' ? value : (value ?? []).join(' ');
    if (text === '') return;
    if (!text.includes('\n')) {
      lines.push(`${name}: ${text}`);
      return;
    }
    // Of several lines: a key. Empty ones are written as a full stop.
    lines.push(`${name}:`);
    for (const line of text.split('\n')) lines.push(` ${line.trim() === '' ? '.' : line}`);
  };
  if (source.enabled === false) add('Enabled', 'no');
  add('Types', source.types);
  add('URIs', source.uris);
  add('Suites', source.suites);
  add('Components', source.components);
  add('Architectures', source.architectures);
  add('Signed-By', source.signedBy);
  for (const [name, value] of Object.entries(source.options ?? {})) {
    add(name, value.replace(/\s+/g, ' '));
  }
  return `${lines.join('\n')}\n`;
}

/**
 * The sources of a root file system: `etc/apt/sources.list` and `etc/apt/sources.list.d`. Paths
 * of keyrings are made to point into that root. Synchronous: the files are small.
 *
 * @throws `AptError` `ERR_APT_SOURCES` with `path` and `line`.
 * @see sources.list(5)
 */
export function readSources(root: PathLike = '/'): AptSource[] {
  const base = checkPath(root, 'root');
  const directory = path.join(base, 'etc/apt/sources.list.d');
  const parts = listDirectory(directory)
    .filter((name) => /^[A-Za-z0-9_.-]+\.(list|sources)$/.test(name))
    .sort()
    .map((name) => path.join(directory, name));
  const sources: AptSource[] = [];
  for (const file of [path.join(base, 'etc/apt/sources.list'), ...parts]) {
    const text = readIfThere(file);
    if (text === undefined) continue;
    const format = file.endsWith('.sources') ? 'deb822' : 'list';
    for (const source of parseSources(text, { format, path: file })) {
      sources.push(rooted(source, base));
    }
  }
  return sources;
}

function listDirectory(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** What `Signed-By` names: files, or fingerprints and parts of keys. */
export function keyFiles(signedBy: string): { files: string[]; others: string[] } {
  if (signedBy.includes('-----BEGIN')) return { files: [], others: [signedBy] };
  const parts = signedBy.split(/[\s,]+/).filter((part) => part !== '');
  return {
    files: parts.filter((part) => part.startsWith('/')),
    others: parts.filter((part) => !part.startsWith('/')),
  };
}

function rooted(source: AptSource, root: string): AptSource {
  if (!source.signedBy || source.signedBy.includes('\n') || root === '/') return source;
  const signedBy = source.signedBy
    .split(/[\s,]+/)
    .map((part) => (part.startsWith('/') ? path.join(root, part) : part))
    .join(',');
  return { ...source, signedBy };
}

/**
 * The sources that belong to a release: enabled `deb` sources, cut down to the suites
 * `codename`, `codename-...` and `codename/...`. Sources without such a suite drop out. Synchronous.
 *
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` for names and words that no source has.
 * @see sources.list(5)
 */
export function sourcesForRelease(sources: readonly AptSource[], codename: string): AptSource[] {
  checkSources(sources, 'sources');
  checkString(codename, 'codename');
  const result: AptSource[] = [];
  for (const source of sources) {
    if (source.enabled === false || !source.types.includes('deb')) continue;
    const suites = source.suites.filter(
      (suite) =>
        suite === codename || suite.startsWith(`${codename}-`) || suite.startsWith(`${codename}/`),
    );
    if (suites.length > 0) result.push({ ...source, types: ['deb'], suites });
  }
  return result;
}

/**
 * The release of a root file system, from its os-release(5): `bookworm`. Synchronous.
 *
 * @throws `EACCES` and what else reading fails with; a missing file gives undefined.
 * @see os-release(5)
 */
export function hostRelease(root: PathLike = '/'): string | undefined {
  const base = checkPath(root, 'root');
  const text =
    readIfThere(path.join(base, 'etc/os-release')) ??
    readIfThere(path.join(base, 'usr/lib/os-release'));
  const match = /^VERSION_CODENAME=["']?([^"'\n]*)["']?$/m.exec(text ?? '');
  return match?.[1] || undefined;
}
