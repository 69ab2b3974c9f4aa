/** Values for the types of the public interface: good ones, and every kind of bad one. */

import type { PropertySpec, TypeSpec } from './api.js';

/** A value and what to call it in a report. */
export interface Sample {
  label: string;
  value: unknown;
}

/** What an accessor of a hostile object throws; it may come back out. */
export const trapError = new Error('trap');
const trap = new Proxy(
  {},
  {
    get() {
      throw trapError;
    },
    has() {
      throw trapError;
    },
    ownKeys() {
      throw trapError;
    },
  },
);
const sample = (label: string, value: unknown): Sample => ({ label, value });

/** What a sample is called, or a part of it, that has a member which its type does not know. */
export const kUnknownMember = 'an unknown member';

/** One of every type, and what looks like one. */
export const junk: readonly Sample[] = [
  sample('undefined', undefined),
  sample('null', null),
  sample('true', true),
  sample('1', 1),
  sample('NaN', Number.NaN),
  sample('5n', 5n),
  sample("'x'", 'x'),
  sample('a symbol', Symbol('s')),
  sample('[]', []),
  sample('[1]', [1]),
  sample('[null]', [null]),
  sample('{}', {}),
  sample('{ x: 1 }', { x: 1 }),
  sample('an object without a prototype', Object.create(null)),
  sample('a proxy that throws', trap),
  sample('a function', () => {}),
  sample('an invalid date', new Date(Number.NaN)),
  sample('bytes', Buffer.from([0xff, 0xfe, 0])),
];

const fewJunk = junk.filter(({ label }) =>
  ['undefined', 'null', '1', "'x'", '{}', '[]', 'a proxy that throws'].includes(label),
);

export const hostileStrings: readonly Sample[] = [
  sample('an empty string', ''),
  sample('a space', ' '),
  sample('.', '.'),
  sample('..', '..'),
  ...[
    '../../x/y',
    '/../x',
    'a/../../b',
    'a//b',
    '-x',
    '--',
    '^',
    'a^^^',
    ':',
    'r:r:x',
    '%s%n',
    '*',
  ].map((text) => sample(JSON.stringify(text), text)),
  sample('a NUL', 'a\0b'),
  sample('a lone surrogate', '\ud800x'),
  sample('newlines', 'a\nb: c\n\n[d]'),
  sample('brackets', '[core]'),
  sample('an unfinished pattern', '?and(~n((((['),
  sample('control characters', '\x01\x1b[31m\x7f'),
  sample('zeros', '0'.repeat(64)),
  sample('no checksum', 'G'.repeat(64)),
  sample('a long name', 'é'.repeat(300)),
  sample('1 MB', 'y'.repeat(1 << 20)),
  sample('deep', '/d'.repeat(1000)),
  sample('deeper', '/d'.repeat(60_000)),
];

export const hostileNumbers: readonly Sample[] = [
  -1,
  0,
  -0,
  1.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  -(2 ** 63),
  2 ** 64,
  1e300,
  Number.MIN_VALUE,
].map((value) => sample(Object.is(value, -0) ? '-0' : String(value), value));

/** Keys that a section or a member should not have. */
const hostileKeys = [
  '',
  'a=b',
  'a\nb',
  'a\0b',
  '../x',
  '[',
  '\ud800',
  '__proto__ ',
  'y'.repeat(1 << 16),
];

/** Whether a value is of a type, as TypeScript sees it. */
export function conforms(value: unknown, type: TypeSpec): boolean {
  switch (type.kind) {
    case 'unknown':
      return true;
    case 'undefined':
      return value === undefined;
    case 'null':
      return value === null;
    case 'literal':
      return value === type.value;
    case 'union':
      return type.of.some((part) => conforms(value, part));
    case 'array':
      return Array.isArray(value) && value.every((entry) => conforms(entry, type.of));
    case 'tuple':
      return (
        Array.isArray(value) &&
        value.length === type.of.length &&
        type.of.every((part, index) => conforms(value[index], part))
      );
    case 'record':
      return isObject(value) && Object.values(value).every((entry) => conforms(entry, type.of));
    case 'object':
      return (
        isObject(value) &&
        Object.entries(type.properties).every(([name, property]) => {
          const entry = (value as Record<string, unknown>)[name];
          // null counts as absent.
          return (entry == null && property.optional) || conforms(entry, property.type);
        })
      );
    case 'instance':
      return isInstance(value, type.name);
    case 'number':
      return typeof value === 'number' || typeof value === 'bigint';
    default:
      return typeof value === type.kind;
  }
}

function isObject(value: unknown): value is object {
  return (
    (typeof value === 'object' && value !== null && value !== trap) || typeof value === 'function'
  );
}

function isInstance(value: unknown, name: string): boolean {
  if (value === trap) return false;
  if (name === 'Iterable') return Object(value)[Symbol.iterator] !== undefined;
  if (typeof value !== 'object' || value === null) return false;
  for (let at = Object.getPrototypeOf(value); at; at = Object.getPrototypeOf(at)) {
    if (at.constructor?.name === name) return true;
  }
  return false;
}

/** Where good values come from. */
export interface Words {
  /** A text for a parameter or member of this name. */
  text(name: string): string;
  /** Something on disk: what takes a path takes this. */
  path(name: string): string;
  instance(name: string): unknown;
  /** What no type tells, or undefined. */
  special(name: string): unknown;
}

/** Takes strings, URLs and bytes: a path of the machine. */
export function isPath(type: TypeSpec): boolean {
  return (
    type.kind === 'union' && type.of.some((part) => part.kind === 'instance' && part.name === 'URL')
  );
}

/** A value that a call should take, with no more members than it needs. */
export function valid(type: TypeSpec, name: string, words: Words): unknown {
  const special = words.special(name);
  if (special !== undefined) return special;
  switch (type.kind) {
    case 'literal':
      return type.value;
    case 'string':
      return words.text(name);
    case 'number':
      return 1;
    case 'bigint':
      return 1n;
    case 'boolean':
      return false;
    case 'function':
      return () => undefined;
    case 'undefined':
      return undefined;
    case 'null':
      return null;
    case 'symbol':
      return Symbol('s');
    case 'unknown':
      return 'x';
    case 'union': {
      if (isPath(type)) return words.path(name);
      const parts = type.of.filter(({ kind }) => kind !== 'undefined' && kind !== 'null');
      const best = parts.find(({ kind }) => kind === 'string') ?? parts[0];
      return best ? valid(best, name, words) : null;
    }
    case 'array':
      return [valid(type.of, name, words)];
    case 'tuple':
      return type.of.map((part) => valid(part, name, words));
    case 'record':
      return { key: valid(type.of, name, words) };
    case 'object':
      return Object.fromEntries(
        Object.entries(type.properties)
          // Nothing may wait for ever: descriptors may be pipes, and servers silent.
          .filter(([key, property]) => !property.optional || key === 'signal')
          .map(([key, property]) => [key, valid(property.type, key, words)]),
      );
    case 'instance':
      return words.instance(type.name);
  }
}

/** What options have inside them that is data, of which others may know more than a call does. */
const kData = new Set(['collectionRefs', 'metadata', 'refKeyrings', 'tree']);

/**
 * Bad values for a place of this type, those inside it too.
 *
 * @param options Whether these are options, which may have no members but those that are known.
 */
export function* hostile(
  type: TypeSpec,
  name: string,
  words: Words,
  options: boolean,
  depth = 0,
): Generator<Sample, void, void> {
  yield* depth < 2 ? junk : fewJunk;
  const parts = type.kind === 'union' ? type.of : [type];
  for (const part of parts) {
    switch (part.kind) {
      case 'string':
        yield* hostileStrings;
        if (isPath(type)) {
          for (const place of ['fifo', 'dangling', 'loop', 'file', 'directory']) {
            yield sample(place, words.path(`*${place}`));
          }
        }
        break;
      case 'number':
        yield* hostileNumbers;
        break;
      case 'array': {
        for (const { label, value } of hostile(part.of, name, words, options, depth + 1)) {
          yield sample(`[${label}]`, [value]);
        }
        const twice = valid(part.of, name, words);
        yield sample('the same twice', [twice, twice]);
        yield sample('a hole', new Array(2));
        yield sample('10,000 of the same', new Array(10_000).fill(twice));
        break;
      }
      case 'tuple':
        for (const [index, inner] of part.of.entries()) {
          const good = part.of.map((each) => valid(each, name, words));
          for (const { label, value } of hostile(inner, name, words, options, depth + 1)) {
            yield sample(`[${index}]: ${label}`, good.with(index, value));
          }
        }
        break;
      case 'record':
        for (const { label, value } of hostile(part.of, name, words, options, depth + 1)) {
          yield sample(`{ key: ${label} }`, { key: value });
        }
        for (const key of hostileKeys) {
          yield sample(`{ [${JSON.stringify(key).slice(0, 20)}] }`, {
            [key]: valid(part.of, name, words),
          });
        }
        break;
      case 'object':
        yield* hostileMembers(part.properties, part, name, words, options, depth);
        break;
    }
  }
}

function* hostileMembers(
  properties: Record<string, PropertySpec>,
  type: TypeSpec,
  name: string,
  words: Words,
  options: boolean,
  depth: number,
): Generator<Sample, void, void> {
  if (depth > 2) return;
  if (options && !kData.has(name)) {
    const good = valid(type, name, words) as Record<string, unknown>;
    yield sample(kUnknownMember, { ...good, misspelt: true });
  }
  for (const [key, property] of Object.entries(properties)) {
    for (const { label, value } of hostile(property.type, key, words, options, depth + 1)) {
      const good = valid(type, name, words) as Record<string, unknown>;
      yield sample(`{ ${key}: ${label} }`, { ...good, [key]: value });
    }
  }
}
