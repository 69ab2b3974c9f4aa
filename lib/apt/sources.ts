/** Package sources: sources.list(5) in both formats. */

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { checkPath, type PathLike } from '../checks.js';
import { AptError } from '../errors.js';

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
 * Parses sources in deb822 format, or with `format: 'list'` in the one-line format.
 *
 * @throws `AptError` `ERR_APT_SOURCES` with `path` and `line`.
 */
export function parseSources(
  text: string,
  options: { format?: 'deb822' | 'list'; path?: string } = {},
): AptSource[] {
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
  const sources: AptSource[] = [];
  let fields = new Map<string, { name: string; value: string }>();
  let start = 0;
  let last: { name: string; value: string } | undefined;
  const finish = () => {
    if (fields.size > 0) sources.push(fromStanza(fields, file, start));
    fields = new Map();
    last = undefined;
  };
  for (const [index, line] of text.split('\n').entries()) {
    if (line.startsWith('#')) continue;
    if (line.trim() === '') {
      finish();
    } else if (/^[ \t]/.test(line)) {
      if (!last) fail(file, index + 1, 'a continuation line without a field');
      last.value += `\n${line.trim()}`;
    } else {
      const match = /^([^\s:]+):(.*)$/.exec(line);
      const name = match?.[1];
      if (!match || !name) fail(file, index + 1, `'${line}' is not a field`);
      if (fields.size === 0) start = index + 1;
      if (fields.has(name.toLowerCase())) fail(file, index + 1, `the field ${name} is there twice`);
      last = { name, value: match[2]?.trim() ?? '' };
      fields.set(name.toLowerCase(), last);
    }
  }
  finish();
  return sources;
}

function fromStanza(
  fields: Map<string, { name: string; value: string }>,
  file: string,
  line: number,
): AptSource {
  const get = (name: string) => fields.get(name)?.value;
  const need = (name: string, label: string) => {
    const found = words(get(name) ?? '');
    if (found.length === 0) fail(file, line, `the field ${label} is missing`);
    return found;
  };
  const source: AptSource = {
    types: checkTypes(need('types', 'Types'), file, line),
    uris: need('uris', 'URIs'),
    suites: need('suites', 'Suites'),
    components: words(get('components') ?? ''),
    enabled: !/^(no|false|0|off|without|disable)$/i.test(get('enabled') ?? 'yes'),
    options: Object.fromEntries(
      [...fields]
        .filter(([key]) => !kKnown.has(key))
        .map(([, { name, value }]) => [name, value.replace(/\n/g, ' ').trim()]),
    ),
  };
  const architectures = words(get('architectures') ?? '');
  if (architectures.length > 0) source.architectures = architectures;
  const signedBy = get('signed-by');
  if (signedBy) source.signedBy = signedBy.replace(/^\n/, '');
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
    const name =
      kOneLineNames[key] ?? key.replace(/(^|-)[a-z]/g, (letters) => letters.toUpperCase());
    source.options = { ...source.options, [name]: value.replaceAll(',', ' ') };
  }
}

/** Writes sources in deb822 format. */
export function formatSources(sources: readonly AptSource[]): string {
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
 * of keyrings are made to point into that root.
 *
 * @throws `AptError` `ERR_APT_SOURCES` with `path` and `line`.
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
 * `codename`, `codename-...` and `codename/...`. Sources without such a suite drop out.
 */
export function sourcesForRelease(sources: readonly AptSource[], codename: string): AptSource[] {
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

/** The release of a root file system, from its os-release(5): `bookworm`. */
export function hostRelease(root: PathLike = '/'): string | undefined {
  const base = checkPath(root, 'root');
  const text =
    readIfThere(path.join(base, 'etc/os-release')) ??
    readIfThere(path.join(base, 'usr/lib/os-release'));
  const match = /^VERSION_CODENAME=["']?([^"'\n]*)["']?$/m.exec(text ?? '');
  return match?.[1] || undefined;
}
