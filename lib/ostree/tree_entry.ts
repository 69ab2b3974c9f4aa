import type { NativeJob } from '../../types/binding.js';
import type { NativeEntryBatch, NativeRepoTree } from '../../types/tree.js';
import { checkString, type Members } from '../checks.js';
import { type JobOptions, kJobOptions, runJob } from '../job.js';
import { readCursor } from './cursor.js';

/** An extended attribute. */
export interface Xattr {
  readonly name: string;
  readonly value: Buffer;
}

/** One file, directory or symbolic link of a tree. */
export interface TreeEntry {
  /** Absolute within the tree, `/` for the root. */
  readonly path: string;
  readonly type: 'file' | 'directory' | 'symlink';
  /** Permission bits, with set-user-id, set-group-id and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes; 0 for a directory. */
  readonly size: number;
  /** Where a symbolic link points. */
  readonly target?: string;
  /** The content object; of a directory its dirtree object, absent while that is not written. */
  readonly checksum?: string;
  /** The dirmeta object of a directory. */
  readonly metadataChecksum?: string;
  /** With the option `xattrs`; entries that have the same share one array. */
  readonly xattrs?: readonly Xattr[];
}

export interface EntryOptions extends JobOptions {
  /** Read extended attributes too. @default false */
  xattrs?: boolean;
}

export interface ListOptions extends EntryOptions {
  /** What is below directories too. @default false */
  recursive?: boolean;
}

/** @internal */
export const kEntryOptions: Members<EntryOptions> = { ...kJobOptions, xattrs: true };

/** @internal */
export const kListOptions: Members<ListOptions> = { ...kEntryOptions, recursive: true };

export interface WalkOptions extends EntryOptions {
  /** Where to begin: a directory, or a file, which is then the only entry. @default '/' */
  path?: string;
  /** Give the entry of `path` itself first. @default false */
  self?: boolean;
  /** Give the checksums of objects; without them is a little faster. @default true */
  checksums?: boolean;
}

/** @internal */
export const kWalkOptions: Members<WalkOptions> = {
  ...kEntryOptions,
  path: true,
  self: true,
  checksums: true,
};

const kTypes = ['file', 'directory', 'symlink'] as const;
const kColumns = 6;
const kBatch = 1000;

/**
 * Runs a native listing and makes its entries as they come: reading an entry takes native code many
 * times longer than making its object, so the event loop has time between the batches.
 */
export async function collectEntries(
  start: (listener: ((batch: NativeEntryBatch) => void) | undefined) => NativeJob<void>,
  options?: JobOptions,
): Promise<TreeEntry[]> {
  const entries: TreeEntry[] = [];
  await runJob<void, NativeEntryBatch>('ostree', start, options, (batch) => {
    for (const entry of expand(batch)) entries.push(entry);
  });
  return entries;
}

/** @internal Options are checked by those who call it. */
export function walkTree(
  native: NativeRepoTree,
  rev: string,
  options: WalkOptions & { recursive?: boolean },
): AsyncGenerator<TreeEntry, void, undefined> {
  const { path = '/', signal, ...walk } = options;
  checkString(rev, 'rev');
  checkString(path, 'path');
  return readCursor(() => native.walk(rev, path, walk), kBatch, expand, { signal });
}

function* expand(batch: NativeEntryBatch): Generator<TreeEntry, void, undefined> {
  const paths = batch.paths.split('\0');
  const targets = batch.targets.split('\0');
  const checksums = batch.checksums.split('\0');
  const metadata = batch.metadata.split('\0');
  const { numbers, xattrSets } = batch;
  for (let i = 0; i < paths.length; i++) {
    const row = i * kColumns;
    const type = kTypes[numbers[row] as number] ?? 'file';
    const xattrs = xattrSets[numbers[row + 5] as number];
    yield {
      path: paths[i] as string,
      type,
      mode: numbers[row + 1] as number,
      uid: numbers[row + 2] as number,
      gid: numbers[row + 3] as number,
      size: numbers[row + 4] as number,
      ...(type === 'symlink' && { target: targets[i] as string }),
      ...(checksums[i] && { checksum: checksums[i] as string }),
      ...(metadata[i] && { metadataChecksum: metadata[i] as string }),
      ...(xattrs && { xattrs }),
    };
  }
}
