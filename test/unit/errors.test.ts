import {
  AbortError,
  AptError,
  AptOstreeError,
  ComposeError,
  invalidArgType,
  invalidArgValue,
  OstreeError,
} from 'apt-ostree';
import { describe, expect, test, vi } from 'vitest';

describe('AptOstreeError', () => {
  test('carries code, cause and details; only they are enumerable', () => {
    const cause = new Error('inner');
    const error = new OstreeError('ENOENT', 'No such ref', { ref: 'a/b', path: '/repo', cause });
    expect(error).toMatchObject({ name: 'OstreeError', code: 'ENOENT', ref: 'a/b', cause });
    expect(Object.keys(error).sort()).toEqual(['code', 'path', 'ref']);
    expect('package' in error).toBe(false);
    expect(String(error)).toBe('OstreeError: No such ref');
  });

  test('has no cause unless one is given', () => {
    expect('cause' in new AptError('ERR_APT_FAILED', 'x')).toBe(false);
  });

  test('toJSON keeps what survives a process boundary', () => {
    const messages = [{ severity: 'warning', text: 'w' }] as const;
    const error = new AptError('ERR_APT_SOURCES', 'bad', { messages, uri: 'http://x', cause: 1 });
    expect(JSON.parse(JSON.stringify(error))).toEqual({
      name: 'AptError',
      message: 'bad',
      code: 'ERR_APT_SOURCES',
      messages,
      uri: 'http://x',
    });
  });

  test.each([
    { of: 'itself', type: OstreeError, expected: true },
    { of: 'its base', type: AptOstreeError, expected: true },
    { of: 'a sibling', type: ComposeError, expected: false },
    { of: 'Error', type: Error, expected: true },
    { of: 'a foreign class', type: TypeError, expected: false },
  ])('is an instance of $of: $expected', ({ type, expected }) => {
    expect(new OstreeError('EEXIST', '') instanceof type).toBe(expected);
  });

  test.each([undefined, null, 1, 'x', {}, new Error('x')])('%s is none', (value) => {
    expect((value as unknown) instanceof AptOstreeError).toBe(false);
  });

  test('is known by a second copy of the module', async () => {
    vi.resetModules();
    const copy: typeof import('../../lib/errors.js') = await import('../../lib/errors.js');
    const error = new copy.AptError('ERR_APT_LOCKED', 'x');
    expect(copy.AptError).not.toBe(AptError);
    expect(error instanceof AptError).toBe(true);
    expect(error instanceof OstreeError).toBe(false);
  });

  test('a class of the user derives from it', () => {
    class Mine extends ComposeError {}
    const error = new Mine('ERR_COMPOSE_SCRIPT', 'x');
    expect(error instanceof Mine && error instanceof ComposeError).toBe(true);
    expect(new ComposeError('ERR_COMPOSE_SCRIPT', 'x') instanceof Mine).toBe(false);
  });
});

test('AbortError is as Node makes it', () => {
  const reason = new Error('enough');
  expect(new AbortError(reason)).toMatchObject({
    name: 'AbortError',
    code: 'ABORT_ERR',
    message: 'The operation was aborted',
    cause: reason,
  });
  expect('cause' in new AbortError()).toBe(false);
});

test.each([
  [undefined, 'Received undefined'],
  [null, 'Received null'],
  [5, 'Received type number (5)'],
  [Symbol('s'), 'Received type symbol (Symbol(s))'],
  [[], 'Received an instance of Array'],
  [Object.create(null), 'Received an instance of Object'],
  ['x'.repeat(99), `Received type string (${'x'.repeat(28)})`],
])('invalidArgType describes %o', (value, text) => {
  const error = invalidArgType('path', 'of type Buffer', value);
  expect(error).toBeInstanceOf(TypeError);
  expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  expect(error.message).toBe(`The "path" argument must be of type Buffer. ${text}`);
});

test('invalidArgValue', () => {
  expect(invalidArgValue('mode', 'must be one of')).toMatchObject({
    name: 'TypeError',
    code: 'ERR_INVALID_ARG_VALUE',
    message: "The argument 'mode' must be one of",
  });
});
