/** What goes to native code is copied on the JavaScript thread: a lot of it in pieces. */

import { setImmediate as turn } from 'node:timers/promises';
import type { NativePieces } from '../types/binding.js';
import { binding } from './binding.js';
import { AbortError } from './errors.js';

/** More bytes at once would hold up the event loop while they are copied. */
export const kMostCopied = 1024 * 1024;

/** Lets everybody else have the event loop for a turn. */
export async function letOthersRun(signal?: AbortSignal): Promise<void> {
  await turn();
  if (signal?.aborted) throw new AbortError(signal.reason);
}

/** Parts of bytes that are small enough, without a copy. */
export function* partsOf(bytes: Uint8Array): Generator<Uint8Array, void, void> {
  for (let start = 0; start < bytes.byteLength; start += kMostCopied) {
    yield bytes.subarray(start, start + kMostCopied);
  }
}

/** Parts of a text as UTF-8, none of which ends within a character. */
function* textParts(text: string): Generator<Buffer, void, void> {
  // Three bytes for each unit at most.
  const most = Math.floor(kMostCopied / 3);
  for (let start = 0; start < text.length; ) {
    let end = Math.min(start + most, text.length);
    const last = text.charCodeAt(end - 1);
    if (end < text.length && last >= 0xd800 && last <= 0xdbff) end += 1;
    yield Buffer.from(text.slice(start, end));
    start = end;
  }
}

/** Large content as native code takes it. It must stay as it is until the promise is settled. */
export async function inPieces(
  content: Uint8Array | string,
  signal: AbortSignal | undefined,
): Promise<NativePieces> {
  const text = typeof content === 'string';
  const pieces = binding().Pieces.create(text ? content.length * 3 : content.byteLength);
  for (const part of text ? textParts(content) : partsOf(content)) {
    pieces.add(part);
    await letOthersRun(signal);
  }
  return pieces;
}
