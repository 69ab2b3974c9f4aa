import { setImmediate } from 'node:timers/promises';
import type { NativeRepo } from '../../types/ostree.js';
import { checkArray, checkChecksum, checkMembers, checkOneOf, type Members } from '../checks.js';
import { invalidArgType, invalidArgValue } from '../errors.js';
import { callNative, type JobOptions, kJobOptions, runJob } from '../job.js';
import {
  checkLockOptions,
  heldBy,
  holding,
  kLockOptions,
  type LockOptions,
  lockOptions,
  RepoLock,
  type RepoLockType,
  refuseDeadlock,
  refuseSecond,
  waitForLock,
} from './lock.js';

export interface FsckOptions extends LockOptions {
  /**
   * Go on after damaged objects; false stops at the first. Missing ones never stop it.
   * @default true
   */
  all?: boolean;
  /** Check every stored object, not only those that whole commits reach. @default false */
  unreachable?: boolean;
  /** Remove damaged objects; the commits that need them become partial. @default false */
  delete?: boolean;
  /**
   * Replace each commit whose parent is missing by a tombstone, and have every commit that is
   * removed from now on leave one, as the command of the same name does. @default false
   */
  addTombstones?: boolean;
  /** Check that commits are bound to the refs that name them. @default false */
  verifyBindings?: boolean;
  /** Check that refs name the commits that are bound to them; implies `verifyBindings`. */
  verifyBackRefs?: boolean;
  /** Called now and then. */
  onProgress?: (progress: FsckProgress) => void;
}

export interface FsckProgress {
  phase: 'objects';
  /** Objects checked. */
  done: number;
  total: number;
}

/** Something that is wrong in a repository. */
export interface FsckError {
  /**
   * `missing`, `corrupt`: an object; `binding`: a commit is not meant for the ref that names it;
   * `back-ref`: a commit is meant for a ref that does not name it.
   */
  kind: 'missing' | 'corrupt' | 'binding' | 'back-ref';
  message: string;
  /** `CHECKSUM.TYPE` */
  object?: string;
  ref?: string;
  /** The collection that the ref belongs to. */
  collectionId?: string;
  /** The commits that need the object. */
  commits: string[];
  /** Removed, because `delete` asked for it. */
  deleted: boolean;
}

export interface PartialCommit {
  commit: string;
  /** `incomplete`: not all of it was pulled; `fsck`: a check found objects damaged or missing. */
  reason: 'incomplete' | 'fsck';
}

export interface FsckResult {
  /** Whether `ostree fsck` would be content: no errors, and no commit partial because of some. */
  ok: boolean;
  /** How many objects were checked. */
  objects: number;
  /** How many commits were checked with all they need. */
  commits: number;
  /** How many commits say of themselves that objects are missing; these were not checked. */
  partialCommits: number;
  /** Which these are. */
  partial: PartialCommit[];
  /** The first thousand of {@link errorCount}. */
  errors: FsckError[];
  errorCount: number;
  /** Commits that this check marked as partial. */
  markedPartial: string[];
  /** Commits that tombstones have replaced. */
  tombstones: string[];
}

export interface PruneOptions extends LockOptions {
  /** Keep only what refs reach; otherwise every commit keeps its tree. */
  refsOnly?: boolean;
  /** Remove only commit objects. */
  commitOnly?: boolean;
  /** How many parents of each commit to keep; -1 for all. @default -1 */
  depth?: number;
  /** Only count; nothing is removed or locked against writers. */
  dryRun?: boolean;
  /** Keep the parents of each ref as long as they are not older than this. Implies `refsOnly`. */
  keepYoungerThan?: Date;
  /** How many parents to keep of some refs, -1 for all. Implies `refsOnly`. */
  retainBranchDepth?: Readonly<Record<string, number>>;
  /** Prune only these refs; all others keep their history. Implies `refsOnly`. */
  onlyBranches?: readonly string[];
  /**
   * Remove this commit first; a tombstone takes its place, and that of every commit removed from
   * now on. Not together with `dryRun`.
   */
  deleteCommit?: string;
  /** With `deleteCommit`: remove only the static deltas to it. */
  staticDeltasOnly?: boolean;
  /** Called now and then. */
  onProgress?: (progress: PruneProgress) => void;
}

export interface PruneProgress {
  /** `commits`: looking for what is to be kept; `objects`: removing the rest. */
  phase: 'commits' | 'objects';
  done: number;
  /** Known in the second phase. */
  total?: number;
}

export interface PruneResult {
  /** Objects that were looked at. */
  objects: number;
  /** Objects removed, or with `dryRun` those that would be. */
  pruned: number;
  /** What they take in the repository. */
  bytes: number;
}

const kFsckOptions: Members<FsckOptions> = {
  ...kLockOptions,
  all: true,
  unreachable: true,
  delete: true,
  addTombstones: true,
  verifyBindings: true,
  verifyBackRefs: true,
  onProgress: true,
};

const kPruneOptions: Members<PruneOptions> = {
  ...kLockOptions,
  refsOnly: true,
  commitOnly: true,
  depth: true,
  dryRun: true,
  keepYoungerThan: true,
  retainBranchDepth: true,
  onlyBranches: true,
  deleteCommit: true,
  staticDeltasOnly: true,
  onProgress: true,
};

/** @internal What {@link Repo.pruneFromReachable} takes. */
export type PruneFromReachableOptions = LockOptions &
  Pick<PruneOptions, 'commitOnly' | 'dryRun' | 'onProgress'>;

/** @internal */
export const kPruneFromReachableOptions: Members<PruneFromReachableOptions> = {
  ...kLockOptions,
  commitOnly: true,
  dryRun: true,
  onProgress: true,
};

/** Locks, prunes and checks one repository. */
export class Maintenance {
  readonly #native: NativeRepo;
  readonly #what: { name: 'repository'; path: string };
  /** Locks that callers hold without a scope. */
  readonly #bare = { shared: 0, exclusive: 0 };

  constructor(native: NativeRepo, path: string) {
    this.#native = native;
    this.#what = { name: 'repository', path };
  }

  /** Which repository it is, however it was opened. @throws `ERR_CLOSED` */
  #identity(): string {
    return callNative('ostree', () => this.#native.identity());
  }

  /** Runs a function that may count on a lock of this object. */
  holding<T>(type: RepoLockType, run: () => Promise<T> | T): Promise<T> {
    return holding(this.#identity(), this.#native, type, run);
  }

  /** A lock that its holder releases; this object counts on it meanwhile. */
  async bareLock(type: RepoLockType, options: LockOptions): Promise<RepoLock> {
    if (this.#bare.exclusive > 0) refuseSecond(type, this.#what);
    const lock = await this.lock(type, options);
    this.#bare[type] += 1;
    return new RepoLock(async () => {
      this.#bare[type] -= 1;
      await lock.release();
    });
  }

  /** The strongest lock that the code that runs now can count on. */
  #held(): RepoLockType | undefined {
    if (this.#bare.exclusive > 0) return 'exclusive';
    return heldBy(this.#identity(), this.#native) ?? (this.#bare.shared > 0 ? 'shared' : undefined);
  }

  async lock(
    type: RepoLockType,
    options: LockOptions,
    limit?: () => Promise<number>,
  ): Promise<RepoLock> {
    checkLockOptions(options);
    refuseDeadlock(this.#identity(), this.#native, type, this.#what);
    const { signal } = options;
    const exclusive = type === 'exclusive';
    const attempt = async () =>
      (await runJob('ostree', () => this.#native.tryLock(exclusive), { signal })) || undefined;
    if (exclusive && this.#held() !== undefined) {
      // ERR_BUSY inside a transaction.
      await attempt();
      refuseSecond(type, this.#what);
    }
    await waitForLock(attempt, this.#what, options, limit);
    return new RepoLock(() => runJob('ostree', () => this.#native.unlock(exclusive)));
  }

  async withLock<T>(
    type: RepoLockType,
    options: LockOptions,
    run: () => Promise<T> | T,
    limit?: () => Promise<number>,
  ): Promise<T> {
    checkLockOptions(options);
    const have = this.#held();
    // What is held already will do.
    if (have === 'exclusive' || have === type) return run();
    const lock = await this.lock(type, options, limit);
    try {
      return await this.holding(type, run);
    } finally {
      await lock.release();
    }
  }

  /** As long as libostree waits for a lock. */
  async #lockTimeout(): Promise<number> {
    const config = await runJob('ostree', () => this.#native.getConfig());
    const seconds = Number(config.core?.['lock-timeout-secs'] ?? kLockSeconds);
    return seconds < 0 ? Number.POSITIVE_INFINITY : seconds * 1000;
  }

  /**
   * With the lock, unless the caller or an enclosing call has it: for what libostree locks too,
   * which would wait in a thread and in steps of a second.
   *
   * @throws `ERR_OSTREE_LOCKED` after `core.lock-timeout-secs`; `EDEADLK`.
   */
  locked<T>(type: RepoLockType, options: LockOptions, run: () => Promise<T>): Promise<T> {
    return this.withLock(type, lockOptions(options), run, () => this.#lockTimeout());
  }

  async prune(options: PruneOptions, keep?: Iterable<string>): Promise<PruneResult> {
    checkMembers(options, kPruneOptions);
    const names = keep && (await inLines(keep));
    const {
      signal,
      timeout: _timeout,
      onProgress,
      keepYoungerThan,
      onlyBranches,
      ...rest
    } = options;
    if (keepYoungerThan !== undefined && !(keepYoungerThan instanceof Date)) {
      throw invalidArgType('options.keepYoungerThan', 'an instance of Date', keepYoungerThan);
    }
    if (keepYoungerThan && Number.isNaN(keepYoungerThan.getTime())) {
      throw invalidArgValue('options.keepYoungerThan', 'must be a valid date');
    }
    if (onlyBranches !== undefined) checkArray(onlyBranches, 'options.onlyBranches');
    if (rest.deleteCommit !== undefined) checkChecksum(rest.deleteCommit, 'options.deleteCommit');
    const native = {
      ...rest,
      ...(onlyBranches && { onlyBranches: [...onlyBranches] }),
      ...(keepYoungerThan && {
        keepYoungerThan: Math.max(0, Math.floor(keepYoungerThan.getTime() / 1000)),
      }),
      ...(names && { keep: names }),
    };
    return this.locked(options.dryRun ? 'shared' : 'exclusive', options, () =>
      runJob<PruneResult, PruneProgress>(
        'ostree',
        (progress) => this.#native.prune(native, progress),
        { signal },
        onProgress,
      ),
    );
  }

  async fsck(options: FsckOptions): Promise<FsckResult> {
    checkMembers(options, kFsckOptions);
    const { signal, timeout: _timeout, onProgress, ...native } = options;
    const type = options.delete || options.addTombstones ? 'exclusive' : 'shared';
    const report = await this.locked(type, options, () =>
      runJob(
        'ostree',
        (progress: ((event: FsckProgress) => void) | undefined) =>
          this.#native.fsck(native, progress),
        { signal },
        onProgress,
      ),
    );
    const broken =
      report.markedPartial.length > 0 || report.partial.some(({ reason }) => reason === 'fsck');
    return {
      ok: report.errorCount === 0 && !broken,
      ...report,
      partialCommits: report.partial.length,
    };
  }

  async markPartial(
    commit: string,
    partial: boolean,
    options: JobOptions & { reason?: PartialCommit['reason'] },
  ): Promise<void> {
    checkChecksum(commit, 'commit');
    checkMembers(options, { ...kJobOptions, reason: true } satisfies Members<typeof options>);
    const { reason, signal } = options;
    if (reason != null) checkOneOf(reason, ['incomplete', 'fsck'], 'options.reason');
    const byFsck = reason === 'fsck';
    await runJob('ostree', () => this.#native.markPartial(commit, partial, byFsck), { signal });
  }
}

/** Joined piece by piece: hundreds of thousands at once would hold up the event loop. */
async function inLines(names: Iterable<string>): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = [];
  let lines: string[] = [];
  for (const name of names) {
    if (lines.push(name) < kLinesOfPiece) continue;
    pieces.push(Buffer.from(lines.join('\n')));
    lines = [];
    await setImmediate();
  }
  pieces.push(Buffer.from(lines.join('\n')));
  return pieces;
}

const kLinesOfPiece = 10_000;

/** What libostree takes where `core.lock-timeout-secs` is not set. */
const kLockSeconds = 30;
