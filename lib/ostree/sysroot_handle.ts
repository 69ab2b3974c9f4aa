import { stat } from 'node:fs/promises';
import type { NativeJob } from '../../types/binding.js';
import type { NativeDeployment, NativeSysroot } from '../../types/ostree.js';
import { checkFunction, checkString } from '../checks.js';
import { OstreeError } from '../errors.js';
import { type JobOptions, runJob } from '../job.js';
import { BootConfig } from './boot_config.js';
import { type Deployment, toDeployments } from './deployment.js';
import {
  checkLockOptions,
  heldBy,
  holding,
  type LockOptions,
  refuseDeadlock,
  refuseSecond,
  SysrootLock,
  waitForLock,
} from './lock.js';

/** What every operation on a sysroot shares: the lock, and the deployments as last read. */
export class SysrootHandle {
  /** @internal */
  protected readonly native: NativeSysroot;
  /** Absolute path of the sysroot. */
  readonly path: string;
  /** @internal */
  protected current: readonly Deployment[] = [];
  /** Which sysroot it is, however it was loaded. */
  readonly #identity: string;
  /** How many count on the lock that this object has; 0 without it. */
  #users = 0;
  /** A lock that a caller holds without a scope. */
  #bare = false;
  /** Who waits for the lock, in the order of the calls. */
  readonly #queue: object[] = [];
  #closing: Promise<void> | undefined;

  /** @internal */
  protected constructor(native: NativeSysroot, path: string, identity: string) {
    this.native = native;
    this.path = path;
    this.#identity = identity;
  }

  /** In boot order, as last read: by load, reload, a lock or a change made here. */
  get deployments(): readonly Deployment[] {
    return this.current;
  }

  /** The deployment that runs now, if this is the running system. */
  get booted(): Deployment | undefined {
    return this.current.find((deployment) => deployment.booted);
  }

  /** Reads the deployments again. @see `ostree_sysroot_load_if_changed` */
  async reload(options?: JobOptions): Promise<readonly Deployment[]> {
    this.current = toDeployments(await runJob('ostree', () => this.native.load(), options));
    return this.current;
  }

  get #what(): { name: 'sysroot'; path: string } {
    return { name: 'sysroot', path: this.path };
  }

  /**
   * Waits for the exclusive lock of the sysroot and takes it. Other calls of this object count on it
   * until it is released; those that are under way then keep it until they are done.
   *
   * @throws `ERR_OSTREE_LOCKED` when `timeout` passed; `EDEADLK` at once where it would wait for this
   * object itself, or inside {@link withLock} for the caller.
   * @see `ostree_sysroot_try_lock`
   */
  async lock(options: LockOptions = {}): Promise<SysrootLock> {
    checkLockOptions(options);
    if (this.#counted) refuseSecond('exclusive', this.#what);
    await this.#acquire(options);
    this.#bare = true;
    return new SysrootLock(async () => {
      this.#bare = false;
      await this.#leave();
    });
  }

  /** Whether the code that runs now can count on a lock of this object. */
  get #counted(): boolean {
    return this.#bare || heldBy(this.#identity, this) !== undefined;
  }

  /** Takes the lock, after those of this object who asked before. */
  async #acquire(options: LockOptions): Promise<void> {
    refuseDeadlock(this.#identity, this, 'exclusive', this.#what);
    const ticket = {};
    this.#queue.push(ticket);
    const attempt = async () => {
      if (this.#queue[0] !== ticket) return undefined;
      return (
        (await runJob('ostree', () => this.native.tryLock(), { signal: options.signal })) ??
        undefined
      );
    };
    try {
      this.current = toDeployments(await waitForLock(attempt, this.#what, options));
      this.#users = 1;
    } finally {
      this.#queue.splice(this.#queue.indexOf(ticket), 1);
    }
  }

  async #leave(): Promise<void> {
    this.#users -= 1;
    if (this.#users === 0) await runJob('ostree', () => this.native.unlock());
  }

  /**
   * Runs a function with the lock, which the calls in it use, and no others. Where the caller has
   * the lock of this object already, that one will do.
   *
   * @throws as {@link lock}, and what the function throws.
   * @see {@link lock}
   * @example
   * await sysroot.withLock({ timeout: 10_000 }, async () => {
   *   await sysroot.setPinned(deployment.id, true);
   *   await sysroot.cleanup();
   * });
   */
  async withLock<T>(options: LockOptions, run: () => Promise<T> | T): Promise<T> {
    checkLockOptions(options);
    checkFunction(run, 'run');
    return this.change(options, async () => run());
  }

  /** Changes something under the lock, and takes over the deployments that this leaves. */
  protected async apply(
    options: LockOptions | undefined,
    start: () => NativeJob<NativeDeployment[]>,
  ): Promise<void> {
    await this.change(options, async () => {
      this.current = toDeployments(await runJob('ostree', start, { signal: options?.signal }));
    });
  }

  /**
   * For what prunes the repository: refuses to wait for a lock or transaction of a repository object
   * that the caller is inside of. @throws `EDEADLK`
   */
  protected async refuseDeadlock(): Promise<void> {
    const path = `${this.path}/ostree/repo`;
    // Nobody is inside of one that is missing; the call itself says what is wrong.
    const found = await stat(path, { bigint: true }).catch(() => undefined);
    if (!found) return;
    const what = { name: 'repository', path } as const;
    refuseDeadlock(`${found.dev}:${found.ino}`, undefined, 'exclusive', what);
  }

  /**
   * With the exclusive lock of the repository as well, inside of {@link change}: for what libostree
   * takes it for too, where it waits in a thread and nothing stops it.
   */
  protected async repoLocked<T>(options: LockOptions = {}, run: () => Promise<T>): Promise<T> {
    const { signal } = options;
    let limit = 0;
    const attempt = async () => {
      const seconds = await runJob('ostree', () => this.native.tryLockRepo(), { signal });
      if (seconds === null) return true;
      limit = seconds < 0 ? Number.POSITIVE_INFINITY : seconds * 1000;
      return undefined;
    };
    const what = { name: 'repository', path: `${this.path}/ostree/repo` } as const;
    await waitForLock(attempt, what, options, async () => limit);
    try {
      return await run();
    } finally {
      await runJob('ostree', () => this.native.unlockRepo());
    }
  }

  /** With the lock, which is taken for the call unless the caller counts on one. */
  protected async change<T>(options: LockOptions = {}, change: () => Promise<T>): Promise<T> {
    checkLockOptions(options);
    if (this.#counted) this.#users += 1;
    else await this.#acquire(options);
    try {
      return await holding(this.#identity, this, 'exclusive', change);
    } finally {
      await this.#leave();
    }
  }

  /**
   * Reads the deployments again and says whether they had changed.
   *
   * @see `ostree_sysroot_load_if_changed`
   */
  async refresh(options?: JobOptions): Promise<boolean> {
    const deployments = await runJob('ostree', () => this.native.refresh(), options);
    if (deployments === null) return false;
    this.current = toDeployments(deployments);
    return true;
  }

  /**
   * The deployment that runs now. Synchronous.
   *
   * @throws `ERR_INVALID_STATE` if this is not the running system.
   * @see {@link booted}
   */
  requireBooted(): Deployment {
    if (this.booted) return this.booted;
    throw new OstreeError('ERR_INVALID_STATE', 'Not booted into this sysroot', {
      path: this.path,
    });
  }

  /** The deployment that waits for the shutdown, if there is one. */
  get staged(): Deployment | undefined {
    return this.current.find((deployment) => deployment.staged);
  }

  /**
   * Which of the two sets of boot loader entries is in use, and which of the two sets of links to
   * deployments in it: `/boot/loader.N` and `/ostree/boot.N.M`.
   *
   * @see `ostree_sysroot_get_bootversion`, `ostree_sysroot_get_subbootversion`
   * @example
   * const { boot, subboot } = await sysroot.bootVersions();
   * await readdir(`${sysroot.path}/ostree/boot.${boot}.${subboot}`);
   */
  async bootVersions(options?: JobOptions): Promise<{ boot: number; subboot: number }> {
    return runJob('ostree', () => this.native.bootVersions(), options);
  }

  /**
   * What libostree said since the last call of this, for people: how it wrote the boot list, what
   * it found wrong. `ostree admin` prints it. The newest thousand are kept.
   *
   * @see `OstreeSysroot::journal-msg`
   * @example
   * await sysroot.setPinned(deployment.id, true);
   * for (const message of await sysroot.takeMessages()) console.log(message);
   */
  async takeMessages(options?: JobOptions): Promise<string[]> {
    return runJob('ostree', () => this.native.takeMessages(), options);
  }

  /**
   * A copy of the boot loader entry of a deployment, as it was last read.
   *
   * @throws `ENOENT`; `ERR_INVALID_STATE` for a deployment without one.
   * @see `ostree_deployment_get_bootconfig`
   * @example
   * const entry = await sysroot.bootEntry(deployment.id);
   * console.log(entry.get('linux'), entry.overlayInitrds);
   */
  async bootEntry(id: string, options?: JobOptions): Promise<BootConfig> {
    checkString(id, 'id');
    return BootConfig.wrap(await runJob('ostree', () => this.native.bootEntry(id), options));
  }

  /** Drops the handle and its lock, after the calls under way; later calls throw `ERR_CLOSED`. */
  async close(): Promise<void> {
    this.#closing ??= runJob('ostree', () => this.native.close());
    await this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  protected find(id: string): Deployment {
    const found = this.current.find((deployment) => deployment.id === id);
    if (!found) throw new OstreeError('ENOENT', `No such deployment: ${id}`, { ref: id });
    return found;
  }
}
