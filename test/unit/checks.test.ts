import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { checkMembers, checkOneOf, checkPath, checkString } from '../../lib/checks.js';

const type = expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' });
const value = expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' });

describe('checkPath', () => {
  test.each([
    ['/a/b', '/a/b'],
    ['/a/../b/', '/b'],
    ['c', path.resolve('c')],
    [Buffer.from('/bytes'), '/bytes'],
    [pathToFileURL('/with space'), '/with space'],
  ])('%s', (given, expected) => {
    expect(checkPath(given, 'path')).toBe(expected);
  });

  test.each([undefined, null, 1, {}, ['/a'], new Uint8Array(2)])('refuses %o', (given) => {
    expect(() => checkPath(given, 'path')).toThrow(type);
  });

  test.each(['', '/a\0b', Buffer.from('/a\0b'), Buffer.from([0x2f, 0xff])])(
    'refuses %j',
    (given) => {
      expect(() => checkPath(given, 'path')).toThrow(value);
    },
  );

  test('refuses a URL that is no file, with Node’s own error', () => {
    expect(() => checkPath(new URL('http://host/x'), 'path')).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_URL_SCHEME' }),
    );
  });
});

test('checkString', () => {
  expect(() => checkString('', 'ref')).not.toThrow();
  expect(() => checkString('a\0', 'ref')).toThrow(value);
  expect(() => checkString(1, 'ref')).toThrow(type);
});

test('checkOneOf', () => {
  expect(() => checkOneOf('a', ['a', 'b'], 'mode')).not.toThrow();
  expect(() => checkOneOf('c', ['a', 'b'], 'mode')).toThrow(
    "The argument 'mode' must be one of 'a', 'b'",
  );
  expect(() => checkOneOf(1, ['a'], 'mode')).toThrow(type);
});

test('checkMembers', () => {
  const members = { dryRun: true, depth: true } as const;
  expect(() => checkMembers({ dryRun: true }, members)).not.toThrow();
  expect(() => checkMembers({ dryrun: true }, members)).toThrow(
    "The argument 'options' has an unknown member: dryrun",
  );
  expect(() => checkMembers({ toString: undefined }, members)).toThrow(value);
  expect(() => checkMembers(null, members)).toThrow(type);
});
