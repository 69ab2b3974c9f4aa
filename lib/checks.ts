/** Checks of arguments, worded and coded as Node's own. Native code checks again. */

import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { invalidArgType, invalidArgValue } from './errors.js';

/** A path as Node's fs takes it. */
export type PathLike = string | URL | Buffer;

export function checkString(value: unknown, name: string): asserts value is string {
  if (typeof value !== 'string') throw invalidArgType(name, 'of type string', value);
  if (value.includes('\0')) throw invalidArgValue(name, 'must not contain a NUL byte');
}

/** An absolute path, resolved now: the working directory may change before a job runs. */
export function checkPath(value: unknown, name: string): string {
  if (value instanceof URL) return fileURLToPath(value);
  if (Buffer.isBuffer(value)) return checkPath(value.toString('utf8'), name);
  if (typeof value !== 'string') {
    throw invalidArgType(name, 'of type string or an instance of Buffer or URL', value);
  }
  checkString(value, name);
  if (value === '') throw invalidArgValue(name, 'must not be empty');
  return path.resolve(value);
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
