import { compareVersions } from 'apt-ostree/apt';
import fc from 'fast-check';
import { expect, test } from 'vitest';

test.each([
  ['1.0', '1.0', 0],
  ['1.0', '1.0-0', 0],
  ['1.0~rc1', '1.0', -1],
  ['1:0.1', '2.0', 1],
  ['1.10', '1.9', 1],
  ['1.0-1+b1', '1.0-1', 1],
  ['1.0+dfsg', '1.0', 1],
  ['1.0a', '1.0+', -1],
])('%s and %s', (a, b, sign) => {
  expect(Math.sign(compareVersions(a, b))).toBe(sign);
  expect(Math.sign(compareVersions(b, a))).toBe(sign === 0 ? 0 : -sign);
});

test('is an order', () => {
  const part = fc.stringMatching(/^[0-9][0-9a-z.+~]{0,6}$/);
  fc.assert(
    fc.property(part, part, part, (a, b, c) => {
      const sorted = [a, b, c].sort(compareVersions) as [string, string, string];
      expect(compareVersions(sorted[0], sorted[2])).toBeLessThanOrEqual(0);
      expect(Math.sign(compareVersions(a, b))).toBe(Math.sign(-compareVersions(b, a)) + 0);
    }),
  );
});

test('takes only strings', () => {
  expect(() => compareVersions(1 as never, '1')).toThrow(TypeError);
  expect(() => compareVersions('1\0', '1')).toThrow(TypeError);
});
