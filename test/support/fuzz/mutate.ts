/** Ways to damage bytes: what a disk, a broken writer or somebody hostile would do. */

import fc from 'fast-check';

/** `at` and `length` are parts of the whole, so that one mutation fits any input. */
export type Mutation =
  | { op: 'flip'; at: number; bit: number }
  | { op: 'number'; at: number; size: 1 | 2 | 4 | 8; value: bigint; big: boolean }
  | { op: 'cut'; at: number }
  | { op: 'remove'; at: number; length: number }
  | { op: 'repeat'; at: number; length: number; times: number }
  | { op: 'insert'; at: number; bytes: Uint8Array }
  | { op: 'line'; at: number; how: 'remove' | 'repeat' | 'move' }
  | { op: 'value'; at: number; text: string };

// Doubles as fast-check makes them are nearly all next to nothing.
const place = fc.nat(999_999).map((millionths) => millionths / 1_000_000);

const number = fc.constantFrom<bigint[]>(
  0n,
  1n,
  0x7fn,
  0x80n,
  0xffn,
  0x7fffn,
  0xffffn,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_fff0n,
  0xffff_ffffn,
  0x7fff_ffff_ffff_ffffn,
  0xffff_ffff_ffff_ffffn,
);

const mutations = (words: readonly string[]) => {
  const word = fc.constantFrom(...words);
  return {
    flip: fc.record({ op: fc.constant('flip' as const), at: place, bit: fc.nat(7) }),
    number: fc.record({
      op: fc.constant('number' as const),
      at: place,
      size: fc.constantFrom(1, 2, 4, 8),
      value: number,
      big: fc.boolean(),
    }),
    cut: fc.record({ op: fc.constant('cut' as const), at: place }),
    remove: fc.record({ op: fc.constant('remove' as const), at: place, length: place }),
    repeat: fc.record({
      op: fc.constant('repeat' as const),
      at: place,
      length: place,
      times: fc.integer({ min: 1, max: 40 }),
    }),
    insert: fc.record({
      op: fc.constant('insert' as const),
      at: place,
      bytes: fc.oneof(
        fc.uint8Array({ minLength: 1, maxLength: 12 }),
        word.map((text) => Buffer.from(text)),
      ),
    }),
    line: fc.record({
      op: fc.constant('line' as const),
      at: place,
      how: fc.constantFrom('remove', 'repeat', 'move'),
    }),
    value: fc.record({ op: fc.constant('value' as const), at: place, text: word }),
  };
};

/** One to `most` mutations, each kind as often as its weight says. */
function damageBy(
  words: readonly string[],
  weights: Partial<Record<Mutation['op'], number>>,
  most: number,
): fc.Arbitrary<Mutation[]> {
  const all: Record<Mutation['op'], fc.Arbitrary<unknown>> = mutations(words);
  const weighted = Object.entries(weights).map(([op, weight]) => ({
    weight,
    arbitrary: all[op as Mutation['op']],
  }));
  return fc.array(fc.oneof(...weighted) as fc.Arbitrary<Mutation>, {
    minLength: 1,
    maxLength: most,
  });
}

/** Damage to a file of some binary format. */
export function binaryDamage(words: readonly string[] = kWords): fc.Arbitrary<Mutation[]> {
  return damageBy(words, { flip: 4, number: 4, cut: 1, remove: 1, repeat: 1, insert: 2 }, 4);
}

/** Damage to a file of lines, with `words` that mean something in it. */
export function textDamage(words: readonly string[] = []): fc.Arbitrary<Mutation[]> {
  const weights = { flip: 2, cut: 1, remove: 1, repeat: 1, insert: 3, line: 3, value: 6 };
  return damageBy([...kWords, ...words], weights, 5);
}

/** Strings that have hurt somebody before. */
export const kWords: readonly string[] = [
  '',
  ' ',
  '\0',
  '\n',
  '\n\n',
  '\r\n',
  '\t',
  '..',
  '../../../x',
  '/',
  '//',
  '.',
  '-',
  '-1',
  '0',
  '18446744073709551616',
  '99999999999999999999999999999',
  '0x7fffffff',
  '%s%n%d',
  '$x',
  '$(id)',
  '"',
  "'",
  '[',
  ']',
  '[]',
  '{',
  '=',
  ':',
  ',',
  '|',
  '(',
  '#',
  '\\',
  'true',
  'ü\u202e🐧',
  'x'.repeat(300),
  '0'.repeat(64),
  'A'.repeat(64),
];

export function damaged(original: Uint8Array, list: readonly Mutation[]): Buffer {
  let bytes = Buffer.from(original);
  for (const mutation of list) bytes = Buffer.from(damage(bytes, mutation));
  // Repetitions of repetitions say nothing new.
  return bytes.subarray(0, Math.max(4 << 20, original.length));
}

function damage(bytes: Buffer, mutation: Mutation): Uint8Array {
  const at = Math.floor(mutation.at * (bytes.length + (mutation.op === 'insert' ? 1 : 0)));
  const before = bytes.subarray(0, at);
  switch (mutation.op) {
    case 'flip':
      if (bytes.length > 0) bytes.writeUInt8((bytes[at] ?? 0) ^ (1 << mutation.bit), at);
      return bytes;
    case 'number':
      return overwritten(bytes, Math.min(at, bytes.length - mutation.size), mutation);
    case 'cut':
      return before;
    case 'remove':
      return Buffer.concat([before, bytes.subarray(at + part(mutation.length, bytes.length - at))]);
    case 'repeat': {
      const end = at + part(mutation.length, Math.min(bytes.length - at, 4096));
      const piece = bytes.subarray(at, end);
      const copies = Array.from({ length: mutation.times }, () => piece);
      return Buffer.concat([bytes.subarray(0, end), ...copies, bytes.subarray(end)]);
    }
    case 'insert':
      return Buffer.concat([before, mutation.bytes, bytes.subarray(at)]);
    case 'line':
      return changedLines(bytes, mutation);
    case 'value':
      return changedValue(bytes, mutation);
  }
}

/** Small parts are likelier than large ones. */
function part(share: number, whole: number): number {
  return Math.ceil(share ** 3 * whole);
}

function overwritten(
  bytes: Buffer,
  at: number,
  { size, value, big }: Mutation & { op: 'number' },
): Buffer {
  if (at < 0) return bytes;
  const digits = Buffer.alloc(8);
  digits.writeBigUInt64LE(value);
  const used = digits.subarray(0, size);
  bytes.set(big ? used.reverse() : used, at);
  return bytes;
}

function linesOf(bytes: Buffer): string[] {
  return bytes.toString('latin1').split(/(?<=\n)/);
}

function changedLines(bytes: Buffer, { at, how }: Mutation & { op: 'line' }): Buffer {
  const lines = linesOf(bytes);
  const index = Math.floor(at * lines.length);
  const [line = ''] = lines.splice(index, how === 'repeat' ? 0 : 1);
  if (how === 'move') lines.splice(Math.floor(index / 2), 0, line);
  if (how === 'repeat') lines.splice(index, 0, lines[index] ?? '');
  return Buffer.from(lines.join(''), 'latin1');
}

/** Puts a word where a value was: behind the first `:`, `=` or blank of a line. */
function changedValue(bytes: Buffer, { at, text }: Mutation & { op: 'value' }): Buffer {
  const lines = linesOf(bytes);
  const index = Math.floor(at * lines.length);
  const replacement = Buffer.from(text).toString('latin1');
  lines[index] = (lines[index] ?? '').replace(
    /^([^:= ]*[:= ] ?)[^\n]*/,
    (_, name: string) => name + replacement,
  );
  return Buffer.from(lines.join(''), 'latin1');
}
