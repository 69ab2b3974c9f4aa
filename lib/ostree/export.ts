import { close, constants, fstat, open } from 'node:fs';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import type { NativeRepoTree } from '../../types/tree.js';
import { binding } from '../binding.js';
import {
  checkMembers,
  checkOneOf,
  checkPath,
  checkString,
  type Members,
  type PathLike,
} from '../checks.js';
import { callNative, type JobOptions, kJobOptions, runJob } from '../job.js';

export interface ExportOptions extends JobOptions {
  /** A directory of the commit to export instead of all. */
  subpath?: string;
  /** Goes before every path, as it is: `usr/` and not `usr`. */
  prefix?: string;
  /** Leave extended attributes out; `gnutar` has no place for them anyway. @default false */
  noXattrs?: boolean;
  /** `gnutar` is what the command writes; `pax` keeps extended attributes. @default 'gnutar' */
  format?: 'gnutar' | 'pax';
}

/** As `w`, but a FIFO that nobody reads is an error: waiting for one cannot be stopped. */
const kReplace =
  constants.O_WRONLY |
  constants.O_CREAT |
  constants.O_TRUNC |
  constants.O_NONBLOCK |
  constants.O_NOCTTY;

/** @internal */
export async function exportArchive(
  native: NativeRepoTree,
  rev: string,
  target: PathLike | Writable | number,
  options: ExportOptions = {},
): Promise<void> {
  checkString(rev, 'rev');
  checkMembers(options, {
    ...kJobOptions,
    subpath: true,
    prefix: true,
    noXattrs: true,
    format: true,
  } satisfies Members<typeof options>);
  const { format = 'gnutar', signal, ...rest } = options;
  checkOneOf(format, ['gnutar', 'pax'], 'options.format');
  const write = (fd: number) =>
    runJob('ostree', () => native.exportArchive(rev, fd, { ...rest, pax: format === 'pax' }), {
      signal,
    });
  if (typeof target === 'number') return write(target);
  if (isWritable(target)) return exportToStream(write, target);
  const file = await promisify(open)(checkPath(target, 'target'), kReplace, 0o666);
  if ((await promisify(fstat)(file)).isFIFO()) {
    return exportToStream(write, new Socket({ fd: file, readable: false, writable: true }));
  }
  try {
    await write(file);
  } finally {
    await promisify(close)(file);
  }
}

function isWritable(target: PathLike | Writable): target is Writable {
  return typeof (target as Writable | null)?.write === 'function' && !Buffer.isBuffer(target);
}

/** A pipe between the two: native code waits while the stream is full. */
async function exportToStream(
  write: (fd: number) => Promise<void>,
  target: Writable,
): Promise<void> {
  const { read, write: end } = callNative('ostree', () => binding().createPipe());
  const socket = new Socket({ fd: read, readable: true, writable: false });
  const copied = pipeline(socket, target);
  const written = write(end)
    .catch((error) => {
      // Before the pipe closes: half an archive must not look like a whole one.
      socket.destroy(error);
      throw error;
    })
    .finally(() => binding().closeDescriptor(end));
  const [writing, copying] = await Promise.allSettled([written, copied]);
  // A target that failed is why nothing more could be written.
  if (writing.status === 'rejected' && writing.reason.code !== 'EPIPE') throw writing.reason;
  if (copying.status === 'rejected') throw copying.reason;
  if (writing.status === 'rejected') throw writing.reason;
}
