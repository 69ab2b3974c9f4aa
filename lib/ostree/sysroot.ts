import { mkdir } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import type { NativeSysroot } from '../../types/ostree.js';
import { binding } from '../binding.js';
import {
  checkArray,
  checkOneOf,
  checkPath,
  checkString,
  checkStrings,
  type PathLike,
} from '../checks.js';
import { AbortError, invalidArgValue, OstreeError } from '../errors.js';
import { type JobOptions, runJob } from '../job.js';
import { type Deployment, type KeyFileChanges, toDeployments } from './deployment.js';
import { KernelArguments } from './kernel_arguments.js';
import { type Diff, Repo } from './repo.js';
import type { UpgradeOptions } from './upgrade_options.js';

export interface LockOptions extends JobOptions {
  /** Milliseconds to wait while somebody else holds the lock. @default no limit */
  timeout?: number;
}

export interface DeployOptions extends JobOptions {
  /** The stateroot to deploy into. */
  stateroot: string;
  /** Commit, ref or other revision. */
  rev: string;
  /** What the origin file names as the source of updates. */
  refspec?: string;
  /** More groups and keys of the origin file. */
  origin?: KeyFileChanges;
  /** All kernel arguments. @default those of the deployment merged with */
  kernelArguments?: readonly string[];
  /**
   * The deployment whose changed /etc and kernel arguments are taken over: an id, `none`, or `auto`
   * for the booted one or else the newest of the stateroot. @default 'auto'
   */
  mergeDeployment?: string;
  /** Keep all other deployments on the boot list. By default the booted and the merged one stay. */
  retain?: boolean;
  /** Keep those newer than the booted one. */
  retainPending?: boolean;
  /** Keep those older than the booted one. */
  retainRollback?: boolean;
  /** Put it behind the booted or merged deployment. */
  notAsDefault?: boolean;
  /**
   * Changes of the kernel arguments, as the `--karg` options of `ostree admin deploy`; not together
   * with {@link kernelArguments}.
   */
  kernelArgumentEdits?: KernelArgumentEdits;
  /** Checksums of initrds that {@link Sysroot.stageOverlayInitrd} took in. */
  overlayInitrds?: readonly string[];
  /** Let the system's shutdown finish the deployment; `ERR_INVALID_STATE` unless booted from here. */
  stage?: boolean;
  /** With `stage`: do not finish it until the lock file in /run/ostree is removed. */
  lockFinalization?: boolean;
}

/** How the kernel arguments of a new deployment are made. */
export interface KernelArgumentEdits {
  /** What to start from: those of the merge deployment, of the running kernel, or none. @default 'merge' */
  base?: 'merge' | 'proc-cmdline' | 'none';
  /** Given one value each, first. @see {@link KernelArguments.set} */
  set?: readonly string[];
  /** Added, second. */
  append?: readonly string[];
  /** Removed, last; a missing one fails. */
  delete?: readonly string[];
}

/** A sysroot's exclusive lock, held until {@link release} or the end of an `await using` block. */
export class SysrootLock {
  #release: (() => Promise<void>) | undefined;

  /** @internal */
  constructor(release: () => Promise<void>) {
    this.#release = release;
  }

  /** Lets the lock go; more than once is harmless. */
  async release(): Promise<void> {
    const release = this.#release;
    this.#release = undefined;
    await release?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }
}

const kPollMilliseconds = 100;

/**
 * A system root with its deployments: `/` of a booted system, or any directory.
 *
 * Calls that change something take the lock for their time unless {@link lock} was called before;
 * with the lock comes a fresh look at the disk. Work on one sysroot is done one call after the
 * other. Writing the boot list freezes the file system of /boot for an instant.
 *
 * @see `OstreeSysroot`
 */
export class Sysroot {
  readonly #native: NativeSysroot;
  readonly #path: string;
  #deployments: readonly Deployment[] = [];
  #locked = false;

  private constructor(native: NativeSysroot, path: string) {
    this.#native = native;
    this.#path = path;
  }

  /**
   * Makes the directory a sysroot, if it is none yet, and loads it: `boot` and `ostree` inside, as
   * `ostree admin init-fs --modern` makes them.
   *
   * @see `ostree_sysroot_ensure_initialized`
   */
  static async initialize(path: PathLike, options?: JobOptions): Promise<Sysroot> {
    const absolute = checkPath(path, 'path');
    await mkdir(absolute, { recursive: true });
    return Sysroot.#open(absolute, true, options);
  }

  /**
   * Loads an existing sysroot.
   *
   * @throws `ERR_OSTREE_NOT_A_SYSROOT` where there is none.
   * @see `ostree_sysroot_load`
   */
  static async load(path: PathLike, options?: JobOptions): Promise<Sysroot> {
    return Sysroot.#open(checkPath(path, 'path'), false, options);
  }

  static async #open(path: string, initialize: boolean, options?: JobOptions): Promise<Sysroot> {
    const native = await runJob('ostree', () => binding().Sysroot.open(path, initialize), options);
    const sysroot = new Sysroot(native, path);
    await sysroot.reload(options);
    return sysroot;
  }

  /** Absolute path of the sysroot. */
  get path(): string {
    return this.#path;
  }

  /** In boot order, as last read: by load, reload, a lock or a change made here. */
  get deployments(): readonly Deployment[] {
    return this.#deployments;
  }

  /** The deployment that runs now, if this is the running system. */
  get booted(): Deployment | undefined {
    return this.#deployments.find((deployment) => deployment.booted);
  }

  /** Reads the deployments again. @see `ostree_sysroot_load_if_changed` */
  async reload(options?: JobOptions): Promise<readonly Deployment[]> {
    this.#deployments = toDeployments(await runJob('ostree', () => this.#native.load(), options));
    return this.#deployments;
  }

  /**
   * Opens the repository of the sysroot; the caller closes it.
   *
   * @see `ostree_repo_new_for_sysroot_path`
   */
  async repo(options?: JobOptions): Promise<Repo> {
    const native = await runJob('ostree', () => this.#native.repo(), options);
    return Repo.wrap(native, `${this.#path === '/' ? '' : this.#path}/ostree/repo`);
  }

  /**
   * Waits for the exclusive lock of the sysroot and takes it.
   *
   * @throws `ERR_OSTREE_LOCKED` when `timeout` passed.
   * @see `ostree_sysroot_try_lock`
   */
  async lock(options: LockOptions = {}): Promise<SysrootLock> {
    const { signal, timeout = Number.POSITIVE_INFINITY } = options;
    const started = performance.now();
    while (true) {
      const deployments = await runJob('ostree', () => this.#native.tryLock(), options);
      if (deployments !== null) {
        this.#deployments = toDeployments(deployments);
        break;
      }
      const left = timeout - (performance.now() - started);
      if (left <= 0) {
        throw new OstreeError('ERR_OSTREE_LOCKED', `The sysroot ${this.#path} is locked`, {
          path: this.#path,
        });
      }
      try {
        await setTimeout(Math.min(left, kPollMilliseconds), undefined, { signal });
      } catch {
        throw new AbortError(signal?.reason);
      }
    }
    this.#locked = true;
    return new SysrootLock(async () => {
      this.#locked = false;
      await runJob('ostree', () => this.#native.unlock());
    });
  }

  /** With the lock, which is taken for the call if nobody here holds it. */
  async #change<T>(options: LockOptions | undefined, change: () => Promise<T>): Promise<T> {
    if (this.#locked) return change();
    const lock = await this.lock(options);
    try {
      return await change();
    } finally {
      await lock.release();
    }
  }

  /** Creates a stateroot. @throws `EEXIST`. @see `ostree_sysroot_init_osname` */
  async initStateroot(name: string, options?: LockOptions): Promise<void> {
    checkString(name, 'name');
    await this.#change(options, async () => {
      this.#deployments = toDeployments(
        await runJob('ostree', () => this.#native.initStateroot(name), options),
      );
    });
  }

  /**
   * Checks a commit out as a new deployment, merges /etc, installs the kernel and puts the
   * deployment on the boot list. What fell off the list stays on disk until {@link cleanup}.
   *
   * @throws `ERR_OSTREE_NO_KERNEL` for a tree without `usr/lib/modules/VERSION/vmlinuz`; `ENOENT`
   * for an unknown revision, stateroot or merge deployment; `ERR_INVALID_STATE` for a partial commit.
   * @see `ostree_sysroot_deploy_tree`, `ostree_sysroot_simple_write_deployment`
   */
  async deploy(options: DeployOptions & LockOptions): Promise<Deployment> {
    checkString(options?.stateroot, 'options.stateroot');
    checkString(options.rev, 'options.rev');
    const {
      signal: _signal,
      mergeDeployment = 'auto',
      kernelArguments,
      kernelArgumentEdits,
      overlayInitrds,
      ...rest
    } = options;
    if (kernelArguments && kernelArgumentEdits) {
      throw invalidArgValue('options.kernelArgumentEdits', 'excludes kernelArguments');
    }
    const merge =
      mergeDeployment === 'auto' ? undefined : mergeDeployment === 'none' ? '' : mergeDeployment;
    return this.#change(options, async () => {
      const edited =
        kernelArgumentEdits &&
        (await this.#editKernelArguments(kernelArgumentEdits, options.stateroot, merge));
      const list = edited ?? kernelArguments;
      const { id, deployments } = await runJob(
        'ostree',
        () =>
          this.#native.deploy({
            ...rest,
            merge,
            ...(list && { kernelArguments: [...list] }),
            ...(overlayInitrds && { overlayInitrds: [...overlayInitrds] }),
          }),
        options,
      );
      this.#deployments = toDeployments(deployments);
      return this.#find(id);
    });
  }

  async #editKernelArguments(
    { base = 'merge', set = [], append = [], delete: remove = [] }: KernelArgumentEdits,
    stateroot: string,
    merge: string | undefined,
  ): Promise<readonly string[]> {
    checkOneOf(base, ['merge', 'proc-cmdline', 'none'], 'options.kernelArgumentEdits.base');
    let list = KernelArguments.from();
    if (base === 'proc-cmdline') list = KernelArguments.fromProcCmdline();
    if (base === 'merge' && merge !== '') {
      const id = merge ?? (await runJob('ostree', () => this.#native.query(stateroot))).merge;
      if (id !== undefined) list = KernelArguments.from(this.#find(id).kernelArguments);
    }
    return list
      .set(...checkStrings(set, 'options.kernelArgumentEdits.set'))
      .append(...checkStrings(append, 'options.kernelArgumentEdits.append'))
      .delete(...checkStrings(remove, 'options.kernelArgumentEdits.delete'))
      .toArray()
      .filter((argument) => !argument.startsWith('ostree='));
  }

  /**
   * Makes these deployments, in this order, the boot list. A booted deployment must be among them.
   *
   * @throws `ENOENT` for an unknown id.
   * @see `ostree_sysroot_write_deployments_with_options`
   */
  async writeDeployments(
    ids: readonly string[],
    options?: LockOptions & {
      /** Also remove what is on no boot list, as {@link cleanup} does. @default false */
      clean?: boolean;
    },
  ): Promise<readonly Deployment[]> {
    checkArray(ids, 'ids');
    return this.#change(options, async () => {
      this.#deployments = toDeployments(
        await runJob(
          'ostree',
          () => this.#native.writeDeployments([...ids], options?.clean ?? false),
          options,
        ),
      );
      return this.#deployments;
    });
  }

  /** Makes a deployment the one that boots next. @throws `ENOENT`. */
  async setDefault(id: string, options?: LockOptions): Promise<readonly Deployment[]> {
    checkString(id, 'id');
    return this.#change(options, () => {
      this.#find(id);
      const others = this.#deployments.filter((deployment) => deployment.id !== id);
      return this.writeDeployments([id, ...others.map((deployment) => deployment.id)], options);
    });
  }

  /**
   * Makes the previous deployment the one that boots next: of the booted stateroot the one behind
   * the booted deployment, or on another sysroot the one behind the first.
   *
   * @throws `ENOENT` where there is none.
   */
  async rollback(options?: LockOptions): Promise<Deployment> {
    return this.#change(options, async () => {
      const current = this.booted ?? this.#deployments[0];
      const previous = this.#deployments.find(
        ({ index, stateroot }) =>
          current !== undefined && index > current.index && stateroot === current.stateroot,
      );
      if (!previous) {
        throw new OstreeError('ENOENT', 'There is no deployment to go back to', {
          path: this.#path,
        });
      }
      await this.setDefault(previous.id, options);
      return this.#find(previous.id);
    });
  }

  /** Takes a deployment off the boot list; {@link cleanup} removes it from disk. @throws `ENOENT`. */
  async undeploy(id: string, options?: LockOptions): Promise<readonly Deployment[]> {
    checkString(id, 'id');
    return this.#change(options, () => {
      this.#find(id);
      const others = this.#deployments.filter((deployment) => deployment.id !== id);
      return this.writeDeployments(
        others.map((deployment) => deployment.id),
        options,
      );
    });
  }

  /** Protects a deployment from later deploys and clean-ups. @see `ostree_sysroot_deployment_set_pinned` */
  async setPinned(id: string, pinned: boolean, options?: LockOptions): Promise<void> {
    checkString(id, 'id');
    await this.#change(options, async () => {
      this.#deployments = toDeployments(
        await runJob('ostree', () => this.#native.setPinned(id, pinned), options),
      );
    });
  }

  /**
   * Takes the immutable flag off the root directory of a deployment, so that it can be removed like
   * any directory, or sets it again. libostree sets it on every deploy, unless the environment
   * has `OSTREE_SYSROOT_DEBUG=mutable-deployments`.
   *
   * @see `ostree_sysroot_deployment_set_mutable`
   */
  async setMutable(id: string, mutable: boolean, options?: LockOptions): Promise<void> {
    checkString(id, 'id');
    await this.#change(options, async () => {
      this.#deployments = toDeployments(
        await runJob('ostree', () => this.#native.setMutable(id, mutable), options),
      );
    });
  }

  /**
   * Changes keys of a deployment's origin file; all others stay as they are.
   *
   * @see `ostree_sysroot_write_origin_file`
   */
  async setOrigin(id: string, changes: KeyFileChanges, options?: LockOptions): Promise<void> {
    checkString(id, 'id');
    await this.#change(options, async () => {
      this.#deployments = toDeployments(
        await runJob('ostree', () => this.#native.setOrigin(id, changes), options),
      );
    });
  }

  /** Replaces the kernel arguments of a deployment. @see `ostree_sysroot_deployment_set_kargs` */
  async setKernelArguments(
    id: string,
    kernelArguments: readonly string[],
    options?: LockOptions,
  ): Promise<void> {
    checkString(id, 'id');
    checkArray(kernelArguments, 'kernelArguments');
    await this.#change(options, async () => {
      this.#deployments = toDeployments(
        await runJob(
          'ostree',
          () => this.#native.setKernelArguments(id, [...kernelArguments]),
          options,
        ),
      );
    });
  }

  /**
   * Removes deployments and kernels that are on no boot list, and prunes the repository.
   *
   * @see `ostree_sysroot_cleanup`
   */
  async cleanup(options?: LockOptions): Promise<void> {
    await this.#change(options, async () => {
      this.#deployments = toDeployments(
        await runJob('ostree', () => this.#native.cleanup(), options),
      );
    });
  }

  /**
   * Reads the deployments again and says whether they had changed.
   *
   * @see `ostree_sysroot_load_if_changed`
   */
  async refresh(options?: JobOptions): Promise<boolean> {
    const deployments = await runJob('ostree', () => this.#native.refresh(), options);
    if (deployments === null) return false;
    this.#deployments = toDeployments(deployments);
    return true;
  }

  /** The deployment that runs now. @throws `ERR_INVALID_STATE` if this is not the running system. */
  requireBooted(): Deployment {
    if (this.booted) return this.booted;
    throw new OstreeError('ERR_INVALID_STATE', 'Not booted into this sysroot', {
      path: this.#path,
    });
  }

  /** The deployment that waits for the shutdown, if there is one. */
  get staged(): Deployment | undefined {
    return this.#deployments.find((deployment) => deployment.staged);
  }

  /**
   * What would boot instead of the running deployment, what is behind it, and what the next deploy
   * merges with. Looks at the deployments as last read; takes no lock.
   *
   * @param stateroot By default the booted one; `ERR_INVALID_STATE` where there is none.
   * @see `ostree_sysroot_query_deployments_for`, `ostree_sysroot_get_merge_deployment`
   */
  async queryDeployments(
    stateroot?: string,
    options?: JobOptions,
  ): Promise<{ pending?: Deployment; rollback?: Deployment; merge?: Deployment }> {
    if (stateroot !== undefined) checkString(stateroot, 'stateroot');
    const ids = await runJob('ostree', () => this.#native.query(stateroot), options);
    await this.reload(options);
    return {
      ...(ids.pending && { pending: this.#find(ids.pending) }),
      ...(ids.rollback && { rollback: this.#find(ids.rollback) }),
      ...(ids.merge && { merge: this.#find(ids.merge) }),
    };
  }

  /**
   * Changes kernel arguments in the boot loader entry of a deployment, without a new boot list.
   *
   * @throws `ENOENT`.
   * @see `ostree_sysroot_deployment_set_kargs_in_place`
   */
  async setKernelArgumentsInPlace(
    id: string,
    kernelArguments: Iterable<string>,
    options?: LockOptions,
  ): Promise<void> {
    checkString(id, 'id');
    const text = KernelArguments.from(kernelArguments).toString();
    await this.#change(options, async () => {
      this.#deployments = toDeployments(
        await runJob('ostree', () => this.#native.setKernelArgumentsInPlace(id, text), options),
      );
    });
  }

  /**
   * Lets /usr of the booted deployment be changed: until the reboot (`development`; `transient`
   * shows a read-only /usr outside of private mount namespaces), or for good (`hotfix`).
   *
   * @throws `ERR_INVALID_STATE` for a deployment that is not booted, or unlocked already.
   * @see `ostree_sysroot_deployment_unlock`
   */
  async unlock(
    id: string,
    state: 'development' | 'hotfix' | 'transient',
    options?: LockOptions,
  ): Promise<void> {
    checkString(id, 'id');
    checkOneOf(state, ['development', 'hotfix', 'transient'], 'state');
    await this.#change(options, async () => {
      this.#deployments = toDeployments(
        await runJob('ostree', () => this.#native.unlockDeployment(id, state), options),
      );
    });
  }

  /**
   * Switches whether the shutdown may finish a staged deployment.
   *
   * @throws `ERR_OSTREE_NOT_SUPPORTED` before libostree 2023.8; `ERR_INVALID_STATE` for a deployment
   * that is not staged.
   * @see `ostree_sysroot_change_finalization`
   */
  async changeFinalization(id: string, options?: LockOptions): Promise<void> {
    checkString(id, 'id');
    await this.#change(options, async () => {
      this.#deployments = toDeployments(
        await runJob('ostree', () => this.#native.changeFinalization(id), options),
      );
    });
  }

  /**
   * Stores a file as an additional initrd; the next deploy must name the checksum that this gives,
   * or clean-up removes it.
   *
   * @see `ostree_sysroot_stage_overlay_initrd`
   */
  async stageOverlayInitrd(path: PathLike, options?: LockOptions): Promise<string> {
    const file = checkPath(path, 'path');
    return this.#change(options, () =>
      runJob('ostree', () => this.#native.stageOverlayInitrd(file), options),
    );
  }

  /** Removes what an interrupted deploy left; no pruning. @see `ostree_sysroot_prepare_cleanup` */
  async prepareCleanup(options?: LockOptions): Promise<void> {
    await this.#change(options, () =>
      runJob('ostree', () => this.#native.prepareCleanup(), options),
    );
  }

  /**
   * Prunes the repository, keeping all that deployments and refs need. Sizes in bytes.
   *
   * @see `ostree_sysroot_cleanup_prune_repo`
   */
  async pruneRepo(
    options: LockOptions & {
      /** Only what refs and deployments reach; commits without a ref go. @default false */
      refsOnly?: boolean;
      /** Only count. @default false */
      dryRun?: boolean;
    } = {},
  ): Promise<{ objects: number; pruned: number; bytes: number }> {
    const { refsOnly = false, dryRun = false } = options;
    return this.#change(options, () =>
      runJob('ostree', () => this.#native.pruneRepo({ refsOnly, dryRun }), options),
    );
  }

  /**
   * How /etc of a deployment differs from its defaults in /usr/etc, as `ostree admin config-diff`.
   *
   * @throws `ENOENT` for an unknown id.
   * @see `ostree_diff_dirs`
   */
  async configDiff(id: string, options?: JobOptions): Promise<Diff> {
    checkString(id, 'id');
    const { path } = this.#find(id);
    await using repo = await this.repo(options);
    return await repo.diff({ directory: `${path}/usr/etc` }, { directory: `${path}/etc` }, options);
  }

  /**
   * Pulls what the origin of the stateroot's merge deployment names and deploys it if it is new:
   * `ostree admin upgrade`, and `ostree admin switch` with a `refspec`. The keys of the origin file
   * that this does not know stay. Refuses a commit older than the deployed one by default.
   *
   * @throws `ERR_INVALID_STATE` without a stateroot, or with `stage`, unless booted from here.
   * @see `ostree_sysroot_upgrader_pull_one_dir`, `ostree_sysroot_upgrader_deploy`
   */
  async upgrade(
    options: UpgradeOptions & LockOptions = {},
  ): Promise<{ changed: boolean; deployed: boolean }> {
    const { signal: _signal, timeout: _timeout, onProgress, ...native } = options;
    return this.#change(options, async () => {
      const { changed, deployed, deployments } = await runJob(
        'ostree',
        (progress) => this.#native.upgrade(native, progress),
        options,
        onProgress,
      );
      this.#deployments = toDeployments(deployments);
      return { changed, deployed };
    });
  }

  /** Drops the handle and its lock, after the calls under way; later calls throw `ERR_CLOSED`. */
  async close(): Promise<void> {
    await runJob('ostree', () => this.#native.close());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #find(id: string): Deployment {
    const found = this.#deployments.find((deployment) => deployment.id === id);
    if (!found) throw new OstreeError('ENOENT', `No such deployment: ${id}`, { ref: id });
    return found;
  }
}
