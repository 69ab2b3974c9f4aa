/** Checks of arguments, worded and coded as Node's own. Native code checks again. */

import { isUtf8 } from 'node:buffer';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { invalidArgType, invalidArgValue } from './errors.js';

/** A path as Node's fs takes it. */
export type PathLike = string | URL | Buffer;

export function checkString(value: unknown, name: string): asserts value is string {
  if (typeof value !== 'string') throw invalidArgType(name, 'of type string', value);
  if (value.includes('\0')) throw invalidArgValue(name, 'must not contain a NUL byte');
}

/** Linux takes no longer ones: PATH_MAX without the final NUL. */
const kLongestPath = 4095;

/** An absolute path, resolved now: the working directory may change before a job runs. */
export function checkPath(value: unknown, name: string): string {
  if (value instanceof URL) return checkPath(fileURLToPath(value), name);
  if (Buffer.isBuffer(value)) {
    // Not decoded with replacement characters: that would be another file.
    if (!isUtf8(value)) throw invalidArgValue(name, 'must be UTF-8');
    return checkPath(value.toString('utf8'), name);
  }
  if (typeof value !== 'string') {
    throw invalidArgType(name, 'of type string or an instance of Buffer or URL', value);
  }
  checkString(value, name);
  if (value === '') throw invalidArgValue(name, 'must not be empty');
  const absolute = path.resolve(value);
  if (Buffer.byteLength(absolute) > kLongestPath) {
    throw invalidArgValue(name, `must be at most ${kLongestPath} bytes long`);
  }
  return absolute;
}

export function checkOneOf<T extends string>(
  value: unknown,
  allowed: readonly T[],
  name: string,
): asserts value is T {
  checkString(value, name);
  if (!(allowed as readonly string[]).includes(value)) {
    throw invalidArgValue(name, `must be one of ${allowed.map((a) => `'${a}'`).join(', ')}`);
  }
}

/** Debian's name of an architecture. */
export function checkArchitecture(value: unknown, name: string): asserts value is string {
  checkString(value, name);
  if (!/^[a-z0-9][a-z0-9-]{0,63}$/.test(value)) {
    throw invalidArgValue(name, 'must be an architecture');
  }
}

const kChecksum = /^[0-9a-f]{64}$/;

/** A SHA-256 checksum as ostree writes it. */
export function checkChecksum(value: unknown, name: string): asserts value is string {
  checkString(value, name);
  if (!kChecksum.test(value)) {
    throw invalidArgValue(name, 'must be 64 lower-case hexadecimal digits');
  }
}

export function checkBytes(value: unknown, name: string): asserts value is Uint8Array {
  if (!(value instanceof Uint8Array)) {
    throw invalidArgType(name, 'an instance of Buffer or Uint8Array', value);
  }
}

export function checkArray(value: unknown, name: string): asserts value is readonly unknown[] {
  if (!Array.isArray(value)) throw invalidArgType(name, 'an instance of Array', value);
}

/**
 * An object of named options. Their own types are checked where they are used; `signal` and
 * `onProgress` by `runJob`.
 */
export function checkOptions(value: unknown, name = 'options'): asserts value is object {
  const bare = typeof value === 'object' && value !== null && !ArrayBuffer.isView(value);
  if (!bare || Array.isArray(value)) {
    throw invalidArgType(name, 'of type object', value);
  }
}

/** The names of the members that a type of options has: TypeScript compares both. */
export type Members<T> = { readonly [Name in keyof T]-?: true };

/**
 * An object of options with no other members than these: one that is misspelt would be passed over,
 * and a call that was to be a dry run would not be one.
 */
export function checkMembers(
  value: unknown,
  members: Readonly<Record<string, unknown>>,
  name = 'options',
): asserts value is object {
  checkOptions(value, name);
  const unknown = Object.keys(value).find((member) => !Object.hasOwn(members, member));
  if (unknown === undefined) return;
  throw invalidArgValue(name, `has an unknown member: ${unknown.slice(0, 100)}`);
}

export function checkBoolean(value: unknown, name: string): asserts value is boolean {
  if (typeof value !== 'boolean') throw invalidArgType(name, 'of type boolean', value);
}

export function checkNumber(value: unknown, name: string): asserts value is number {
  if (typeof value !== 'number') throw invalidArgType(name, 'of type number', value);
}

export function checkDate(value: unknown, name: string): asserts value is Date {
  if (!(value instanceof Date)) throw invalidArgType(name, 'an instance of Date', value);
  if (Number.isNaN(value.getTime())) throw invalidArgValue(name, 'must be a valid date');
}

export function checkFunction(value: unknown, name: string): void {
  if (typeof value !== 'function') throw invalidArgType(name, 'of type function', value);
}

/** A copy of an array of strings, each checked. */
export function checkStrings(value: unknown, name: string): string[] {
  checkArray(value, name);
  return value.map((entry, index) => {
    checkString(entry, `${name}[${index}]`);
    return entry;
  });
}
