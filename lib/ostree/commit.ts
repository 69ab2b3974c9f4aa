import type { NativeCommitObject, NativeRepoTree } from '../../types/tree.js';
import { checkMembers, checkNumber, checkString, type Members } from '../checks.js';
import { type JobOptions, kJobOptions, runJob } from '../job.js';

/** What a commit object says. */
export interface CommitObject {
  /** Checksum of the parent commit. */
  readonly parent?: string;
  readonly subject: string;
  readonly body: string;
  readonly timestamp: Date;
  /** GVariants as JavaScript values: 64-bit integers as bigint, bytes as Buffer. */
  readonly metadata: Record<string, unknown>;
  /** The dirtree object of the root directory. */
  readonly contents: string;
  /** The dirmeta object of the root directory. */
  readonly metadataChecksum: string;
  /** Of both; equal for commits of equal trees. */
  readonly contentChecksum: string;
}

/** A commit, read. */
export interface Commit extends CommitObject {
  readonly checksum: string;
  /** Objects may be missing: an interrupted pull, or one of metadata only. */
  readonly partial: boolean;
  /** Why a commit is partial: `fsck` where a check found objects damaged or missing. */
  readonly partialReason?: 'incomplete' | 'fsck';
}

export interface LogOptions extends JobOptions {
  /** How many commits at most. @default all */
  limit?: number;
}

/** @internal */
export function withDate<T extends NativeCommitObject>(
  commit: T,
): Omit<T, 'timestamp'> & { timestamp: Date } {
  return { ...commit, timestamp: new Date(commit.timestamp * 1000) };
}

/** @internal */
export async function loadCommit(
  native: NativeRepoTree,
  rev: string,
  options?: JobOptions,
): Promise<Commit> {
  checkString(rev, 'rev');
  return withDate(await runJob('ostree', () => native.loadCommit(rev), options));
}

/** @internal */
export async function* readLog(
  native: NativeRepoTree,
  rev: string,
  options: LogOptions = {},
): AsyncGenerator<Commit, void, undefined> {
  checkMembers(options, { ...kJobOptions, limit: true } satisfies Members<typeof options>);
  const { limit = Number.POSITIVE_INFINITY, signal } = options;
  checkNumber(limit, 'options.limit');
  let commit = await loadCommit(native, rev, { signal });
  for (let count = 1; count <= limit; count++) {
    yield commit;
    const { parent } = commit;
    if (parent === undefined || count === limit) return;
    if (!(await runJob('ostree', () => native.hasObject('commit', parent), { signal }))) return;
    commit = await loadCommit(native, parent, { signal });
  }
}
