import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout } from 'node:timers/promises';
import { checkMembers, checkNumber, type Members } from '../checks.js';
import { AbortError, OstreeError } from '../errors.js';
import { type JobOptions, kJobOptions } from '../job.js';

export interface LockOptions extends JobOptions {
  /** Milliseconds to wait while somebody else holds the lock. @default no limit */
  timeout?: number;
}

/** `shared`: beside other readers and writers, but nobody removes objects. `exclusive`: alone. */
export type RepoLockType = 'shared' | 'exclusive';

/** A lock, held until {@link release} or the end of an `await using` block. */
class HeldLock {
  #release: (() => Promise<void>) | undefined;

  /** @internal */
  constructor(release: () => Promise<void>) {
    this.#release = release;
  }

  /**
   * Lets the lock go; more than once is harmless.
   *
   * @throws what unlocking fails with; after the owner was closed nothing.
   */
  async release(): Promise<void> {
    const release = this.#release;
    this.#release = undefined;
    await release?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }
}

/** A repository's lock, held until `release()` or the end of an `await using` block. */
export class RepoLock extends HeldLock {}

/** A sysroot's exclusive lock, held until `release()` or the end of an `await using` block. */
export class SysrootLock extends HeldLock {}

const kShortestPause = 5;
const kLongestPause = 100;

/**
 * Asks again and again, less often with time, until `attempt` gives something else than undefined:
 * libostree's own waiting holds a thread and cannot be stopped.
 *
 * @throws `ERR_OSTREE_LOCKED` when the time is up.
 */
export async function waitForLock<T>(
  attempt: () => Promise<T | undefined>,
  what: Lockable,
  options: LockOptions,
  limit: () => Promise<number> = async () => Number.POSITIVE_INFINITY,
): Promise<T> {
  checkLockOptions(options);
  const { signal } = options;
  const started = performance.now();
  let { timeout } = options;
  for (let pause = kShortestPause; ; pause = Math.min(pause * 1.5, kLongestPause)) {
    const result = await attempt();
    if (result !== undefined) return result;
    timeout ??= await limit();
    const left = timeout - (performance.now() - started);
    if (left <= 0) {
      throw new OstreeError('ERR_OSTREE_LOCKED', `The ${what.name} ${what.path} is locked`, {
        path: what.path,
      });
    }
    try {
      await setTimeout(Math.min(left, pause), undefined, { signal });
    } catch {
      throw new AbortError(signal?.reason);
    }
  }
}

/** @internal */
export const kLockOptions: Members<LockOptions> = { ...kJobOptions, timeout: true };

/** @internal What a lock takes of the options of a call. */
export function lockOptions({ signal, timeout }: LockOptions): LockOptions {
  return { signal, timeout };
}

/** @internal */
export function checkLockOptions(options: LockOptions): void {
  checkMembers(options, kLockOptions);
  if (options.timeout != null) checkNumber(options.timeout, 'options.timeout');
}

/** Something that has a lock, in the words of errors. */
interface Lockable {
  name: 'repository' | 'sysroot';
  path: string;
}

/** What the code that runs now holds: a lock, or an open transaction of a repository. */
interface Holder {
  /** Of what, however it was opened. */
  readonly identity: string;
  /** The object that holds it. */
  readonly owner: object;
  readonly type: RepoLockType;
  readonly outer: Holder | undefined;
  /** Work that was left running outlives what it was started under. */
  active: boolean;
}

const holders = new AsyncLocalStorage<Holder>();

function* held(identity: string): Generator<Holder> {
  for (let holder = holders.getStore(); holder; holder = holder.outer) {
    if (holder.active && holder.identity === identity) yield holder;
  }
}

/** Runs a function that may count on a lock of `owner`. */
export async function holding<T>(
  identity: string,
  owner: object,
  type: RepoLockType,
  run: () => Promise<T> | T,
): Promise<T> {
  const holder = { identity, owner, type, outer: holders.getStore(), active: true };
  try {
    return await holders.run(holder, run);
  } finally {
    holder.active = false;
  }
}

/** The strongest lock of `owner` that the code that runs now can count on. */
export function heldBy(identity: string, owner: object): RepoLockType | undefined {
  let found: RepoLockType | undefined;
  for (const holder of held(identity)) {
    if (holder.owner !== owner) continue;
    if (holder.type === 'exclusive') return 'exclusive';
    found = 'shared';
  }
  return found;
}

/**
 * Refuses what could only wait for itself: code that holds a lock through one object and asks for
 * one that conflicts through another.
 *
 * @throws `EDEADLK`
 */
export function refuseDeadlock(
  identity: string,
  owner: object | undefined,
  wanted: RepoLockType,
  what: Lockable,
): void {
  for (const holder of held(identity)) {
    if (holder.owner === owner || (holder.type === 'shared' && wanted === 'shared')) continue;
    throw new OstreeError(
      'EDEADLK',
      `This code holds the ${holder.type} lock of the ${what.name} ${what.path} through another ` +
        `object and would wait for itself to get the ${wanted} one: use one object for both`,
      { path: what.path },
    );
  }
}

/** For an object that would wait for itself. @throws `EDEADLK` */
export function refuseSecond(wanted: RepoLockType, what: Lockable): never {
  throw new OstreeError(
    'EDEADLK',
    `This object holds the lock of the ${what.name} ${what.path} already and would wait for ` +
      `itself to get the ${wanted} one`,
    { path: what.path },
  );
}
