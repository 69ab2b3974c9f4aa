/**
 * The contract of the native addon: exactly what native/ exports. Only lib/ sees it; users see
 * the classes in lib/. A test walks the addon and compares names with this file.
 */

import type { NativeApt } from './apt.js';
import type { NativeDeb } from './deb.js';
import type { NativeOstree } from './ostree.js';
import type { NativeVariantFunctions } from './variant.js';

/** What asynchronous methods of the addon return. */
export interface NativeJob<T> {
  readonly promise: Promise<T>;
  /** Asks the work to stop; the promise then rejects with code ABORT_ERR. */
  cancel(): void;
}

/** Errors as native code makes them; lib/job.ts turns them into classes. */
export interface NativeErrorShape extends Error {
  code: string;
  domain?: string;
  nativeCode?: number;
  messages?: { severity: string; text: string }[];
}

export interface NativeVersions {
  ostreeBuilt: string;
  aptBuilt: string;
  apt: string;
  aptAbi: string;
  /** Debian's name of the architecture that the addon was built for. */
  architecture: string;
}

/** Bytes on their way to native code, in parts that do not hold up the event loop; of use once. */
export interface NativePieces {
  add(bytes: Uint8Array): void;
}

export interface NativeBinding extends NativeApt, NativeDeb, NativeOstree, NativeVariantFunctions {
  readonly versions: NativeVersions;
  /** The process is about to end: threads that are still at work then are stopped first. */
  exiting(): void;
  readonly Pieces: {
    /** With room for so many bytes. */
    create(capacity: number): NativePieces;
  };
  /** A pipe of two descriptors; the caller closes both. */
  createPipe(): { read: number; write: number };
  /** Closes an end of a pipe, which `fs` of a worker thread would remark on. */
  closeDescriptor(fd: number): void;
  /** The seccomp program of sandboxes, as bubblewrap's --seccomp takes it. */
  syscallFilter(): Buffer;
  /** Takes a flock(2) on an open file unless somebody has one that keeps it out; never waits. */
  tryLock(fd: number, exclusive: boolean): boolean;
  /**
   * Runs a program and gives its exit code, 128 + N after signal N. The child has exactly these
   * descriptors, numbered from 0; they are copied. Cancelling kills it.
   */
  runProcess(
    file: string,
    args: readonly string[],
    environment: readonly string[],
    descriptors: readonly number[],
  ): NativeJob<number>;
  /** Has the directories to be made in this one put apart from each other, where ext4 is below. */
  spreadDirectories(path: string | Buffer): void;
  /** `rm -rf`, without crossing into mounts; a missing path is fine. */
  removeTree(path: string | Buffer): NativeJob<void>;
}
