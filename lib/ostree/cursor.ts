import { Readable } from 'node:stream';
import type { NativeJob } from '../../types/binding.js';
import type { NativeCursor } from '../../types/tree.js';
import { checkMembers, checkNumber, type Members } from '../checks.js';
import { AbortError } from '../errors.js';
import { checkSignal, type JobOptions, kJobOptions, runJob } from '../job.js';

/**
 * Entries of a native cursor, one by one. While the caller looks at one piece native code reads
 * the next, no more: a slow caller costs no memory.
 */
export async function* readCursor<B, T>(
  open: () => NativeJob<NativeCursor<B>>,
  limit: number,
  expand: (batch: B) => Iterable<T>,
  options?: JobOptions,
): AsyncGenerator<T, void, undefined> {
  const cursor = await runJob('ostree', open, options);
  const next = () => {
    const piece = runJob('ostree', () => cursor.next(limit), options);
    // A caller that stops early never comes to look at it.
    piece.catch(() => {});
    return piece;
  };
  try {
    let ahead = next();
    for (let batch = await ahead; batch !== null; batch = await ahead) {
      ahead = next();
      yield* expand(batch);
    }
  } finally {
    await runJob('ostree', () => cursor.close());
  }
}

export interface ReadStreamOptions extends JobOptions {
  /** The first byte to give. @default 0 */
  start?: number;
  /** The last byte to give. @default the last one there is */
  end?: number;
  /** How much to read at a time and to hold at most. @default 256 KiB */
  highWaterMark?: number;
}

const kLargestPiece = 16 * 1024 * 1024;

const kReadStreamOptions: Members<ReadStreamOptions> = {
  ...kJobOptions,
  start: true,
  end: true,
  highWaterMark: true,
};

function checkStreamOptions(options: ReadStreamOptions): ReadStreamOptions {
  checkMembers(options, kReadStreamOptions);
  checkSignal(options.signal);
  if (options.highWaterMark != null) checkNumber(options.highWaterMark, 'options.highWaterMark');
  return options;
}

/** The bytes of a native cursor as a stream; nothing is read before somebody wants it. */
export class CursorStream extends Readable {
  readonly #open: () => NativeJob<NativeCursor<Buffer>>;
  #cursor: NativeCursor<Buffer> | undefined;
  /** The job that runs at the moment, to be stopped when the stream is destroyed. */
  #job: NativeJob<unknown> | undefined;
  /** Settles when `#read` is done with the cursor. */
  #reading: Promise<unknown> = Promise.resolve();
  readonly #signal: AbortSignal | undefined;
  readonly #abort = () => this.destroy(new AbortError(this.#signal?.reason));

  constructor(open: () => NativeJob<NativeCursor<Buffer>>, options: ReadStreamOptions = {}) {
    super({ highWaterMark: checkStreamOptions(options).highWaterMark ?? 256 * 1024 });
    this.#open = open;
    this.#signal = options.signal;
    if (this.#signal?.aborted) this.#abort();
    else this.#signal?.addEventListener('abort', this.#abort, { once: true });
  }

  override _read(size: number): void {
    this.#reading = this.#readPiece(Math.min(Math.max(size, 1), kLargestPiece)).then(
      (piece) => this.push(piece),
      (error) => this.destroy(error),
    );
  }

  async #readPiece(size: number): Promise<Buffer | null> {
    this.#cursor ??= await this.#run(this.#open);
    const cursor = this.#cursor;
    return this.destroyed ? null : this.#run(() => cursor.next(size));
  }

  #run<T>(start: () => NativeJob<T>): Promise<T> {
    return runJob('ostree', () => {
      const job = start();
      this.#job = job;
      return job;
    });
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#signal?.removeEventListener('abort', this.#abort);
    this.#job?.cancel();
    this.#close().then(
      () => done(error),
      (failure) => done(error ?? failure),
    );
  }

  async #close(): Promise<void> {
    await this.#reading;
    const cursor = this.#cursor;
    if (cursor) await runJob('ostree', () => cursor.close());
  }
}
