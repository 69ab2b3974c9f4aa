/** Input for native code: a path, a descriptor, or the read end of a pipe that a stream fills. */

import { Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { binding } from '../binding.js';
import { checkPath, type PathLike } from '../checks.js';
import { invalidArgValue } from '../errors.js';

/**
 * An archive to read: a path, an open file descriptor (read from where it stands; it stays open),
 * or a stream or other async iterable of bytes.
 */
export type ArchiveSource = PathLike | number | AsyncIterable<Uint8Array>;

/** Runs `work` with what native code can read. A failing stream aborts it and is its failure. */
export async function withArchive<T>(
  source: ArchiveSource,
  outer: AbortSignal | undefined,
  work: (native: string | number, signal: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  if (typeof source === 'number') {
    if (!Number.isInteger(source) || source < 0 || source > 0x7fffffff) {
      throw invalidArgValue('source', 'must be a file descriptor');
    }
    return work(source, outer);
  }
  if (!isIterable(source)) return work(checkPath(source, 'source'), outer);
  return withPipe(source, outer, work);
}

export function isIterable(source: unknown): source is AsyncIterable<Uint8Array> {
  return (
    typeof source === 'object' &&
    source !== null &&
    typeof (source as Partial<AsyncIterable<Uint8Array>>)[Symbol.asyncIterator] === 'function'
  );
}

/** Runs `work` with the read end of a pipe that gets what the stream gives. */
export async function withPipe<T>(
  source: AsyncIterable<Uint8Array>,
  outer: AbortSignal | undefined,
  work: (native: number, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { read, write } = binding().createPipe();
  const socket = new Socket({ fd: write, readable: false, writable: true });
  const stop = new AbortController();
  let settled = false;
  let failure: { error: unknown } | undefined;
  const pumped = pipeline(source, socket).catch((error: unknown) => {
    // The reader is done when it has seen the end of the archive, whatever follows that.
    if (settled || (error as NodeJS.ErrnoException).code === 'EPIPE') return;
    failure = { error };
    stop.abort();
  });
  try {
    const result = await work(read, outer ? AbortSignal.any([outer, stop.signal]) : stop.signal);
    // A stream that broke off may have looked like the end.
    if (socket.destroyed) await pumped;
    if (failure) throw failure.error;
    return result;
  } catch (error) {
    throw failure ? failure.error : error;
  } finally {
    settled = true;
    binding().closeDescriptor(read);
    socket.destroy();
    await pumped;
  }
}
