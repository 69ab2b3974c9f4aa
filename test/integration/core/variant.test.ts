/** Every GVariant type there and back, and against the text that the ostree command speaks. */

import {
  type Variant,
  variant,
  variantFromBytes,
  variantFromText,
  variantToBytes,
  variantToText,
} from 'apt-ostree';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { commitEdits, ostree } from '../../support/ostree.js';
import { createRepo } from '../../support/repo.js';
import { temporaryDirectory } from '../../support/temp.js';

const scratch = await temporaryDirectory('variant');
afterAll(() => scratch.remove());

const basic = fc.constantFrom(...'bynqiuxthdsog');
const text = fc.string({ unit: 'grapheme' }).map((s) => s.replaceAll('\0', ''));

/** A definite type; what nests gets rarer with depth. */
const { type } = fc.letrec<{ type: string }>((tie) => ({
  type: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    { weight: 4, arbitrary: basic },
    { weight: 1, arbitrary: fc.constantFrom('v', 'ay', 'as', 'a{sv}', '()') },
    { weight: 1, arbitrary: tie('type').map((t) => `a${t}`) },
    // Just nothing and nothing look the same in JavaScript.
    {
      weight: 1,
      arbitrary: tie('type')
        .filter((t) => !t.startsWith('m'))
        .map((t) => `m${t}`),
    },
    { weight: 1, arbitrary: fc.tuple(basic, tie('type')).map(([k, t]) => `a{${k}${t}}`) },
    {
      weight: 1,
      arbitrary: fc.array(tie('type'), { maxLength: 3 }).map((types) => `(${types.join('')})`),
    },
  ),
}));

/** The members of a tuple type, without its parentheses. */
function split(types: string): string[] {
  const members: string[] = [];
  for (let i = 0; i < types.length; ) {
    let end = i;
    while ('am'.includes(types[end] as string)) end++;
    if ('({'.includes(types[end] as string)) {
      for (let depth = 0; ; end++) {
        if ('({'.includes(types[end] as string)) depth++;
        if (')}'.includes(types[end] as string) && --depth === 0) break;
      }
    }
    members.push(types.slice(i, end + 1));
    i = end + 1;
  }
  return members;
}

const integers: Record<string, [bigint, bigint]> = {
  y: [0n, 255n],
  n: [-(1n << 15n), (1n << 15n) - 1n],
  q: [0n, (1n << 16n) - 1n],
  i: [-(1n << 31n), (1n << 31n) - 1n],
  u: [0n, (1n << 32n) - 1n],
  h: [-(1n << 31n), (1n << 31n) - 1n],
  x: [-(1n << 63n), (1n << 63n) - 1n],
  t: [0n, (1n << 64n) - 1n],
};

/** What the library gives for a value of this type. */
function jsValue(of: string): fc.Arbitrary<unknown> {
  const range = integers[of];
  if (range) {
    const big = fc.bigInt({ min: range[0], max: range[1] });
    return 'xth'.includes(of) ? big : big.map(Number);
  }
  if (of === 'b') return fc.boolean();
  if (of === 'd') return fc.double();
  if (of === 's') return text;
  if (of === 'o') return fc.constantFrom('/', '/a', '/a/b_C/1');
  if (of === 'g') return fc.constantFrom('', 's', 'a{sv}(ii)');
  if (of === 'ay') return fc.uint8Array().map((bytes) => Buffer.from(bytes));
  if (of === 'v') return valued;
  if (of[0] === 'm') return fc.option(jsValue(of.slice(1)));
  if (of[0] === '(') return fc.tuple(...split(of.slice(1, -1)).map(jsValue));
  if (of.startsWith('a{s')) return fc.dictionary(text, jsValue(of.slice(3, -1)), { maxKeys: 4 });
  if (of.startsWith('a{')) {
    return fc.array(fc.tuple(jsValue(of[2] as string), jsValue(of.slice(3, -1))), { maxLength: 4 });
  }
  return fc.array(jsValue(of.slice(1)), { maxLength: 4 });
}
const valued: fc.Arbitrary<Variant> = type.chain((of) =>
  jsValue(of).map((value) => variant(of, value)),
);

/** Objects of fast-check may have no prototype. */
const plain = (value: unknown) => structuredClone(value);

describe('a value of any type', () => {
  test.each(['little', 'big'] as const)('survives as bytes, %s endian', (byteOrder) => {
    fc.assert(
      fc.property(valued, (value) => {
        const bytes = variantToBytes(value, { byteOrder });
        const back = variantFromBytes(value.type, bytes, { byteOrder, typed: true });
        expect(plain(back)).toEqual(plain(value.value));
      }),
      { numRuns: 400 },
    );
  });

  test('survives as text', () => {
    fc.assert(
      fc.property(valued, (value) => {
        // GLib prints doubles that it cannot read: 5e-324, nan.
        fc.pre(!/e-3\d\d|nan|inf/.test(variantToText(value)));
        const back = variantFromText(variantToText(value), value.type);
        expect(back.type).toBe(value.type);
        expect(variantToText(back)).toBe(variantToText(value));
      }),
      { numRuns: 400 },
    );
  });

  test('any bytes give a value or an error', () => {
    fc.assert(
      fc.property(type, fc.uint8Array({ maxLength: 64 }), (of, bytes) => {
        try {
          variantFromBytes(of, bytes, { typed: true });
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
        }
      }),
      { numRuns: 500 },
    );
  });

  test('any value gives bytes or an error', () => {
    fc.assert(
      fc.property(type, fc.anything({ withBigInt: true, withTypedArray: true }), (of, value) => {
        try {
          variantToBytes({ type: of, value });
        } catch (error) {
          expect((error as { code: string }).code).toMatch(/^ERR_(INVALID_ARG|OUT_OF_RANGE)/);
        }
      }),
      { numRuns: 500 },
    );
  });
});

test('big-endian numbers, bytes and names that mean something to JavaScript', () => {
  expect(variantToBytes(variant('u', 1), { byteOrder: 'big' })).toEqual(Buffer.from([0, 0, 0, 1]));
  expect(variantFromBytes('t', Buffer.from('0000000000000102', 'hex'), { byteOrder: 'big' })).toBe(
    258n,
  );
  const hostile = JSON.parse('{"__proto__": "own", "constructor": "own", "1": "number"}');
  const back = variantFromBytes('a{ss}', variantToBytes(variant('a{ss}', hostile)));
  expect(Object.entries(back as object)).toEqual(Object.entries(hostile));
  expect(Object.getPrototypeOf(back)).toBe(Object.prototype);
  // What prototypes have is not the object's.
  const inherits = Object.create({ inherited: 's' });
  expect(variantToText(variant('a{ss}', inherits))).toBe('@a{ss} {}');
});

test.each([
  ['nonsense', 's!', 1],
  ['an indefinite type', 'a*', []],
  ['a number that is none', 'u', '1'],
  ['a fraction', 'i', 1.5],
  ['too large a number', 'y', 256],
  ['too large a bigint', 't', 1n << 64n],
  ['a NUL', 's', 'a\0b'],
  ['too few members', '(ss)', ['a']],
  ['another typed array', 'ay', new Uint16Array(2)],
  ['a variant without a type', 'v', 1],
  ['no object path', 'o', 'a'],
])('refuses %s', (_, of, value) => {
  expect(() => variantToBytes(variant(of, value))).toThrow(
    expect.objectContaining({ code: expect.stringMatching(/^ERR_(INVALID_ARG|OUT_OF_RANGE)/) }),
  );
});

test('what the command writes and prints', async () => {
  await using repo = await createRepo(scratch.join('repo'));
  const metadata = {
    bytes: variant('ay', Buffer.from([0, 1, 255])),
    list: variant('as', ['a', "b'", '\u00fc\n']),
    nested: variant('a{sv}', { list: variant('as', ['a', "b'"]), big: variant('t', 1n << 63n) }),
    maybe: variant('ms', null),
    tuple: variant('(xbd)', [-5n, true, 1.5]),
  };
  const checksum = await commitEdits(repo, 'ours', [{ op: 'mkdir', path: '/' }], { metadata });
  for (const key of ['bytes', 'list', 'maybe'] as const) {
    const printed = await ostree(
      'show',
      `--repo=${repo.path}`,
      `--print-metadata-key=${key}`,
      checksum,
    );
    expect(printed).toBe(variantToText(metadata[key]));
  }
  const theirs = await ostree(
    'commit',
    `--repo=${repo.path}`,
    '--orphan',
    '--no-bindings',
    '--tree=ref=ours',
    ...Object.entries(metadata).map(([key, v]) => `--add-metadata=${key}=${variantToText(v)}`),
  );
  const [a, b] = [await repo.loadCommit(checksum), await repo.loadCommit(theirs)];
  expect(b.metadata).toEqual(a.metadata);
  expect(b.metadata).toMatchObject({ nested: { list: ['a', "b'"], big: 1n << 63n }, maybe: null });
});
