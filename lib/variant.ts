/** Typed values for GVariant, whose types JavaScript's values do not carry. */

/** A value with the GVariant type to build it with (see glib's documentation of type strings). */
export interface Variant {
  readonly type: string;
  readonly value: unknown;
}

/**
 * @example
 * metadata: { 'com.example.built-by': variant('s', 'ci'), 'com.example.inputs': variant('as', ['a']) }
 */
export function variant(type: string, value: unknown): Variant {
  return { type, value };
}
