import type { NativeJob } from '../../types/binding.js';
import type { NativeEntryBatch } from '../../types/ostree.js';
import { type JobOptions, runJob } from '../job.js';

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
}

const kTypes = ['file', 'directory', 'symlink'] as const;
const kColumns = 5;

/**
 * Runs a native listing and makes its entries as they come: reading an entry takes native code many
 * times longer than making its object, so the event loop has time between the batches.
 */
export async function collectEntries(
  start: (listener: ((batch: NativeEntryBatch) => void) | undefined) => NativeJob<void>,
  options?: JobOptions,
): Promise<TreeEntry[]> {
  const entries: TreeEntry[] = [];
  await runJob<void, NativeEntryBatch>('ostree', start, options, (batch) => expand(batch, entries));
  return entries;
}

function expand(batch: NativeEntryBatch, entries: TreeEntry[]): void {
  const paths = batch.paths.split('\0');
  const targets = batch.targets.split('\0');
  const checksums = batch.checksums.split('\0');
  const { numbers } = batch;
  for (let i = 0; i < paths.length; i++) {
    const row = i * kColumns;
    const type = kTypes[numbers[row] as number] ?? 'file';
    entries.push({
      path: paths[i] as string,
      type,
      mode: numbers[row + 1] as number,
      uid: numbers[row + 2] as number,
      gid: numbers[row + 3] as number,
      size: numbers[row + 4] as number,
      ...(type === 'symlink' && { target: targets[i] as string }),
      ...(checksums[i] && { checksum: checksums[i] as string }),
    });
  }
}
