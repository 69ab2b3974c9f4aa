/** The addon's conversion of GVariants (native/core/variant.cc). */

export interface NativeVariantFunctions {
  variantToBytes(type: string, value: unknown, swap: boolean): Buffer;
  variantFromBytes(type: string, bytes: Uint8Array, swap: boolean, typed: boolean): unknown;
  variantToText(type: string, value: unknown, annotate: boolean): string;
  variantFromText(text: string, type: string | undefined): { type: string; value: unknown };
}
