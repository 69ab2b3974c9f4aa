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
  type LockOptions,
  refuseDeadlock,
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
  #locked = false;

  /** @internal */
  protected constructor(native: NativeSysroot, path: string) {
    this.native = native;
    this.path = path;
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

  /**
   * Waits for the exclusive lock of the sysroot and takes it.
   *
   * @throws `ERR_OSTREE_LOCKED` when `timeout` passed.
   * @see `ostree_sysroot_try_lock`
   */
  async lock(options: LockOptions = {}): Promise<SysrootLock> {
    checkLockOptions(options);
    const { signal } = options;
    this.current = toDeployments(
      await waitForLock(
        async () => (await runJob('ostree', () => this.native.tryLock(), { signal })) ?? undefined,
        { name: 'sysroot', path: this.path },
        options,
      ),
    );
    this.#locked = true;
    return new SysrootLock(async () => {
      this.#locked = false;
      await runJob('ostree', () => this.native.unlock());
    });
  }

  /**
   * Runs a function with the lock, which the calls in it use. Where this object has the lock
   * already, that one will do.
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
    const repo = `${this.path}/ostree/repo`;
    // Nobody is inside of one that is missing; the call itself says what is wrong.
    const found = await stat(repo, { bigint: true }).catch(() => undefined);
    if (found) refuseDeadlock(`${found.dev}:${found.ino}`, undefined, 'exclusive', repo);
  }

  /** With the lock, which is taken for the call if nobody here holds it. */
  protected async change<T>(options: LockOptions = {}, change: () => Promise<T>): Promise<T> {
    checkLockOptions(options);
    if (this.#locked) return change();
    const lock = await this.lock(options);
    try {
      return await change();
    } finally {
      await lock.release();
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
    await runJob('ostree', () => this.native.close());
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
