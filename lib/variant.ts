/**
 * Typed values for GVariant, whose types JavaScript's values do not carry.
 *
 * | type | JavaScript |
 * | --- | --- |
 * | `s`, `o`, `g` | string |
 * | `b` | boolean |
 * | `y`, `n`, `q`, `i`, `u`, `d` | number |
 * | `x`, `t`, `h` | bigint; numbers are taken too |
 * | `ay` | Buffer; any Uint8Array, or an array of numbers, is taken |
 * | `a{s*}` | object |
 * | other arrays, tuples, dictionary entries | array |
 * | `m*` | the value, or null |
 * | `v` | the value inside; to build one, or read with `typed`, a {@link Variant} |
 */

import { binding } from './binding.js';
import { checkBytes, checkMembers, checkOneOf, checkString, type Members } from './checks.js';
import { callNative } from './job.js';

/** A value with the GVariant type to build it with (see glib's documentation of type strings). */
export interface Variant {
  readonly type: string;
  readonly value: unknown;
}

/** The order of bytes in numbers. @default 'little' */
export interface ByteOrderOptions {
  byteOrder?: 'little' | 'big';
}

const kByteOrder: Members<ByteOrderOptions> = { byteOrder: true };

/**
 * A value with the GVariant type that it is to have. Synchronous, as all functions of GVariant are.
 *
 * @throws `ERR_INVALID_ARG_TYPE`; what does not fit the type is found where the value is used.
 * @example
 * const metadata = {
 *   'com.example.built-by': variant('s', 'ci'),
 *   'com.example.inputs': variant('as', ['a', 'b']),
 * };
 * await repo.commit({ ref: 'mine', trees: [{ commit: 'os/stable' }], metadata });
 */
export function variant(type: string, value: unknown): Variant {
  checkString(type, 'type');
  return { type, value };
}

/**
 * The bytes of a value, as they are in files and messages. Synchronous.
 *
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE` where the value does
 * not fit its type.
 * @see `g_variant_get_data_as_bytes`
 * @example
 * variantToBytes(variant('(su)', ['a', 7]))
 */
export function variantToBytes(value: Variant, options: ByteOrderOptions = {}): Buffer {
  checkMembers(options, kByteOrder);
  checkString(value?.type, 'value.type');
  const swap = swapped(options);
  return callNative('ostree', () => binding().variantToBytes(value.type, value.value, swap));
}

/**
 * The value of bytes. Synchronous.
 *
 * @param options With `typed`, what is in a `v` comes with its type, as a {@link Variant}.
 * @throws `ERR_INVALID_ARG_VALUE` where the bytes are not of the type.
 * @see `g_variant_new_from_bytes`
 */
export function variantFromBytes(
  type: string,
  bytes: Uint8Array,
  options: ByteOrderOptions & { typed?: boolean } = {},
): unknown {
  checkMembers(options, { ...kByteOrder, typed: true } satisfies Members<typeof options>);
  checkString(type, 'type');
  checkBytes(bytes, 'bytes');
  const { typed = false } = options;
  const swap = swapped(options);
  return callNative('ostree', () => binding().variantFromBytes(type, bytes, swap, typed));
}

/**
 * A value in GVariant's text format, which the `ostree` command takes and prints. Synchronous.
 *
 * @param options With `annotate`, with the types that cannot be told from the text. @default true
 * @throws as {@link variantToBytes}.
 * @see `g_variant_print`
 * @example
 * variantToText(variant('u', 5)) // 'uint32 5'
 */
export function variantToText(value: Variant, options: { annotate?: boolean } = {}): string {
  checkMembers(options, { annotate: true } satisfies Members<typeof options>);
  checkString(value?.type, 'value.type');
  const { annotate = true } = options;
  return callNative('ostree', () => binding().variantToText(value.type, value.value, annotate));
}

/**
 * Reads GVariant's text format. Synchronous.
 *
 * @param type Where the text alone does not tell it.
 * @throws `ERR_INVALID_ARG_VALUE`
 * @see `g_variant_parse`
 * @example
 * variantFromText('uint32 5') // { type: 'u', value: 5 }
 */
export function variantFromText(text: string, type?: string): Variant {
  checkString(text, 'text');
  if (type !== undefined) checkString(type, 'type');
  return callNative('ostree', () => binding().variantFromText(text, type));
}

function swapped({ byteOrder = 'little' }: ByteOrderOptions): boolean {
  checkOneOf(byteOrder, ['little', 'big'], 'options.byteOrder');
  return byteOrder !== kHostOrder;
}

const kHostOrder = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 'little' : 'big';
