/** Dependencies as control files write them, without a cache. See deb-control(5). */

import { binding } from '../binding.js';
import {
  checkBoolean,
  checkMembers,
  checkOneOf,
  checkString,
  checkStrings,
  type Members,
} from '../checks.js';
import { invalidArgValue } from '../errors.js';
import { arrayOf, aString, objectOf, oneOf, optional } from '../shapes.js';
import { compareVersions } from './version.js';

const kComparisons = ['<<', '<=', '=', '>=', '>>'] as const;

/** How a version is to compare with another. */
export type VersionComparison = (typeof kComparisons)[number];

/** One package that would do. */
export interface DependencyAlternative {
  name: string;
  /** After the colon: an architecture, `any` or `native`. */
  architecture?: string;
  comparison?: VersionComparison;
  /** With `comparison`. */
  version?: string;
}

/** One of its packages is enough. */
export type DependencyGroup = DependencyAlternative[];

export interface ParseDependsOptions {
  /** What `[...]` is about. Default: that of this machine. */
  architecture?: string;
  /** The build profiles that `<...>` is about. Default: none. */
  profiles?: readonly string[];
  /** Whether the text is of a source package: only there are `[...]` and `<...>` allowed. Default: false. */
  source?: boolean;
}

const kParseDependsOptions: Members<ParseDependsOptions> = {
  architecture: true,
  profiles: true,
  source: true,
};
const kPackage = /^[A-Za-z0-9][A-Za-z0-9+._-]*$/;
const kArchitecture = /^[a-z0-9][a-z0-9-]*$/;
/** `<` and `>` are what `<=` and `>=` were written as once. */
const kOld: Record<string, VersionComparison> = { '<': '<=', '>': '>=' };
const kPart =
  /^([^\s:()[\]<>]+)(?::([^\s:()[\]<>]+))?\s*(?:\(\s*([<>=]+)\s*([^\s()<>=][^\s()]*)\s*\))?\s*((?:\[[^\]]*\]\s*)*)((?:<[^>]*>\s*)*)$/;

/**
 * Takes the value of a field such as `Depends` or `Build-Depends` apart. Alternatives that are not
 * for this architecture or these profiles drop out, and so do groups without any. Synchronous.
 *
 * @throws `ERR_INVALID_ARG_VALUE` for a text that is none.
 * @see deb-control(5)
 */
export function parseDepends(text: string, options: ParseDependsOptions = {}): DependencyGroup[] {
  checkString(text, 'text');
  checkMembers(options, kParseDependsOptions);
  const { architecture = binding().versions.architecture, source = false } = options;
  checkString(architecture, 'options.architecture');
  checkBoolean(source, 'options.source');
  const profiles = checkStrings(options.profiles ?? [], 'options.profiles');
  const groups: DependencyGroup[] = [];
  // Of one blank each: a pattern with several runs of them is slow where it fails.
  const parts = text.replace(/\s+/g, ' ').split(',');
  // A comma may end the list.
  if (parts.at(-1)?.trim() === '') parts.pop();
  for (const part of parts) {
    const group: DependencyGroup = [];
    for (const one of part.split('|')) {
      const parsed = parseOne(one.trim(), source);
      const here = matchesArchitectures(parsed.architectures, architecture);
      if (here && matchesProfiles(parsed.profiles, profiles)) group.push(parsed.alternative);
    }
    if (group.length > 0) groups.push(group);
  }
  return groups;
}

function parseOne(text: string, source: boolean) {
  const bad = (problem: string) =>
    invalidArgValue('text', `must be dependencies, and ${problem}: '${text.slice(0, 200)}'`);
  const match = kPart.exec(text);
  if (!match) throw bad('this is none');
  const [, name = '', architecture, operator, version, architectures = '', profiles = ''] = match;
  if (!kPackage.test(name)) throw bad('this is no name of a package');
  if (architecture !== undefined && !kArchitecture.test(architecture)) {
    throw bad('this is no architecture');
  }
  if (!source && (architectures !== '' || profiles !== '')) {
    throw bad('only source packages have [...] and <...>');
  }
  const alternative: DependencyAlternative = { name };
  if (architecture !== undefined) alternative.architecture = architecture;
  if (operator !== undefined && version !== undefined) {
    const comparison = kOld[operator] ?? operator;
    if (!isComparison(comparison)) throw bad('this is no comparison');
    alternative.comparison = comparison;
    alternative.version = version;
  }
  return { alternative, architectures, profiles };
}

function isComparison(text: string): text is VersionComparison {
  return (kComparisons as readonly string[]).includes(text);
}

const words = (text: string) => text.split(/\s+/).filter((word) => word !== '');

/** `[amd64 linux-any]`, `[!i386]`: any of them, or none of those. */
function matchesArchitectures(text: string, architecture: string): boolean {
  const list = words(text.replace(/[[\]]/g, ' '));
  if (list.length === 0) return true;
  const negative = list.some((one) => one.startsWith('!'));
  const named = list.some((one) => matchesArchitecture(one.replace(/^!/, ''), architecture));
  return named !== negative;
}

/** As dpkg-architecture(1) does, for names with as many parts as Debian's ports have. */
function matchesArchitecture(pattern: string, architecture: string): boolean {
  if (pattern === 'any' || pattern === architecture) return true;
  if (!pattern.includes('any')) return false;
  const tuple = (name: string, filler: string) => {
    const parts = name.split('-');
    const cpu = parts.pop() ?? '';
    const os = parts.pop() ?? (filler === 'any' ? 'any' : 'linux');
    return { os, cpu };
  };
  const wanted = tuple(pattern, 'any');
  const is = tuple(architecture, 'linux');
  const same = (a: string, b: string) => a === 'any' || a === b;
  return same(wanted.os, is.os) && same(wanted.cpu, is.cpu);
}

/** `<!nocheck> <stage1 cross>`: all of one of them. */
function matchesProfiles(text: string, profiles: readonly string[]): boolean {
  const groups = [...text.matchAll(/<([^>]*)>/g)].map(([, inner = '']) => words(inner));
  if (groups.length === 0) return true;
  return groups.some((group) =>
    group.every((one) =>
      one.startsWith('!') ? !profiles.includes(one.slice(1)) : profiles.includes(one),
    ),
  );
}

const checkGroups = arrayOf(
  arrayOf(
    objectOf({
      name: aString,
      architecture: optional(aString),
      comparison: optional(oneOf(...kComparisons)),
      version: optional(aString),
    }),
  ),
);

/**
 * The text that `parseDepends` would take apart in the same way. Synchronous.
 *
 * @throws `ERR_INVALID_ARG_VALUE` for parts that make no dependencies.
 * @see deb-control(5)
 */
export function formatDepends(groups: readonly (readonly DependencyAlternative[])[]): string {
  checkGroups(groups, 'groups');
  const one = ({ name, architecture, comparison, version }: DependencyAlternative) => {
    const text =
      name +
      (architecture == null ? '' : `:${architecture}`) +
      (comparison == null && version == null ? '' : ` (${comparison ?? '='} ${version ?? ''})`);
    const { alternative } = parseOne(text, false);
    if (alternative.name !== name) throw invalidArgValue('groups', `must not contain '${name}'`);
    return text;
  };
  return groups.map((group) => group.map(one).join(' | ')).join(', ');
}

/**
 * Whether a version is one that a dependency asks for. Synchronous.
 *
 * @throws `ERR_INVALID_ARG_VALUE` for an unknown comparison.
 * @see deb-control(5)
 */
export function satisfies(
  version: string,
  comparison: VersionComparison | undefined,
  wanted: string | undefined,
): boolean {
  checkString(version, 'version');
  if (comparison === undefined) return true;
  checkOneOf(comparison, kComparisons, 'comparison');
  checkString(wanted, 'wanted');
  const order = compareVersions(version, wanted);
  switch (comparison) {
    case '<<':
      return order < 0;
    case '<=':
      return order <= 0;
    case '=':
      return order === 0;
    case '>=':
      return order >= 0;
    default:
      return order > 0;
  }
}

/**
 * The upstream part of a version: without epoch and revision. Any text does. Synchronous.
 *
 * @throws `ERR_INVALID_ARG_TYPE`
 * @see deb-version(7)
 */
export function upstreamVersion(version: string): string {
  checkString(version, 'version');
  const rest = version.slice(version.indexOf(':') + 1);
  const hyphen = rest.lastIndexOf('-');
  return hyphen < 0 ? rest : rest.slice(0, hyphen);
}
