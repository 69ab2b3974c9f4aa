/** Input for native code: a path, a descriptor, or the read end of a pipe that a stream fills. */

import { Socket } from 'node:net';
import { addAbortSignal, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { binding } from '../binding.js';
import { checkPath, type PathLike } from '../checks.js';
import { AbortError, invalidArgValue } from '../errors.js';

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

/** More than any padding, so that a stream without an end is no matter. */
const kMostDropped = 4 << 20;

async function drop(rest: Readable, signal: AbortSignal): Promise<void> {
  let dropped = 0;
  try {
    for await (const chunk of addAbortSignal(signal, rest)) {
      dropped += (chunk as Buffer).length;
      if (dropped > kMostDropped) break;
    }
  } catch (error) {
    throw signal.aborted ? new AbortError(signal.reason) : error;
  }
}

/**
 * Runs `work` with the read end of a pipe that gets what the stream gives. What `work` leaves is
 * read and dropped: padding follows an archive, and cutting it off would be a failure of whoever
 * fills the stream.
 */
export async function withPipe<T>(
  source: AsyncIterable<Uint8Array>,
  outer: AbortSignal | undefined,
  work: (native: number, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { read, write } = binding().createPipe();
  const socket = new Socket({ fd: write, readable: false, writable: true });
  const stop = new AbortController();
  const signal = outer ? AbortSignal.any([outer, stop.signal]) : stop.signal;
  let rest: Socket | undefined;
  let settled = false;
  let failure: { error: unknown } | undefined;
  const pumped = pipeline(source, socket).catch((error: unknown) => {
    // Nobody reads any more what `work` failed with.
    if (settled || (error as NodeJS.ErrnoException).code === 'EPIPE') return;
    failure = { error };
    stop.abort();
  });
  try {
    const result = await work(read, signal);
    rest = new Socket({ fd: read, readable: true, writable: false });
    await drop(rest, signal);
    // A stream that broke off may have looked like the end.
    await pumped;
    if (failure) throw failure.error;
    return result;
  } catch (error) {
    throw failure ? failure.error : error;
  } finally {
    settled = true;
    if (rest) rest.destroy();
    else binding().closeDescriptor(read);
    socket.destroy();
    await pumped;
  }
}
