import { chmod, mkdir, stat } from 'node:fs/promises';
import { binding } from '../binding.js';
import {
  checkArray,
  checkMembers,
  checkOneOf,
  checkOptions,
  checkPath,
  checkString,
  checkStrings,
  type Members,
  type PathLike,
} from '../checks.js';
import { invalidArgValue, OstreeError } from '../errors.js';
import { makeDirectories } from '../files.js';
import { callNative, type JobOptions, kJobOptions, runJob } from '../job.js';
import { checkIterable } from '../shapes.js';
import {
  type DeployOptions,
  editKernelArguments,
  kDeployOptions,
  kKernelArgumentEdits,
} from './deploy_options.js';
import { type Deployment, toDeployments } from './deployment.js';
import type { Diff } from './diff.js';
import { KernelArguments } from './kernel_arguments.js';
import type { KeyFileChanges } from './key_file.js';
import { kLockOptions, type LockOptions, lockOptions } from './lock.js';
import { Repo } from './repo.js';
import { SysrootHandle } from './sysroot_handle.js';
import { kUpgradeOptions, type UpgradeOptions } from './upgrade_options.js';

/**
 * A system root with its deployments: `/` of a booted system, or any directory.
 *
 * Calls that change something take the lock for their time, one after the other, unless they are
 * inside {@link withLock} or {@link lock} was called before; with the lock comes a fresh look at the
 * disk. Work on one sysroot is done one call after the other, deploys one after the other in a
 * process. Writing the boot list freezes the file system of /boot for an instant.
 *
 * @throws `ERR_CLOSED` by every method, once the sysroot is closed; `ERR_OSTREE_LOCKED` by those
 * that change something, when `timeout` passed.
 * @see `OstreeSysroot`, docs/guide-sysroot.md
 */
export class Sysroot extends SysrootHandle {
  /**
   * Makes the directory a sysroot, if it is none yet, and loads it: `boot` and `ostree` inside, as
   * `ostree admin init-fs --modern` makes them.
   *
   * @throws `ENOENT`, `EACCES`, `EROFS` and what else making directories fails with.
   * @see `ostree_sysroot_ensure_initialized`
   */
  static async initialize(
    path: PathLike,
    options: JobOptions & {
      /** `traditional` adds `dev`, `home`, `proc`, `run`, `sys`, `root` and `tmp`. @default 'modern' */
      layout?: 'modern' | 'traditional';
    } = {},
  ): Promise<Sysroot> {
    const absolute = checkPath(path, 'path');
    checkMembers(options, { ...kJobOptions, layout: true } satisfies Members<typeof options>);
    const { layout = 'modern', signal } = options;
    checkOneOf(layout, ['modern', 'traditional'], 'options.layout');
    await makeDirectories(absolute);
    if (layout === 'traditional') await makeTopDirectories(absolute);
    return Sysroot.#open(absolute, true, false, { signal });
  }

  /**
   * Loads an existing sysroot.
   *
   * On a booted system whose /sysroot is read-only, `mountNamespace: 'private'` is what lets this
   * object write: all its work is done by one thread, which ends with the object and for which
   * libostree makes /sysroot and /boot writable, as the `ostree` command does for itself. Nobody
   * else sees that, other threads of the process neither; what {@link repo} opens writes through
   * it too. Without it, such a sysroot can be read, and changes fail with `EROFS`.
   *
   * @throws `ERR_OSTREE_NOT_A_SYSROOT` where there is none; `ERR_NEEDS_ROOT` where a namespace cannot
   * be made.
   * @see `ostree_sysroot_load_if_changed`, `ostree_sysroot_set_mount_namespace_in_use`
   */
  static async load(
    path: PathLike,
    options: JobOptions & {
      /** `host`: that of the process. @default 'host' */
      mountNamespace?: 'host' | 'private';
    } = {},
  ): Promise<Sysroot> {
    const absolute = checkPath(path, 'path');
    checkMembers(options, { ...kJobOptions, mountNamespace: true } satisfies Members<
      typeof options
    >);
    const { mountNamespace = 'host', signal } = options;
    checkOneOf(mountNamespace, ['host', 'private'], 'options.mountNamespace');
    return Sysroot.#open(absolute, false, mountNamespace === 'private', { signal });
  }

  /**
   * Loads the sysroot that `ostree admin` takes where it is told none: that of `OSTREE_SYSROOT`, else
   * the running system.
   *
   * @throws as {@link load}.
   * @see `ostree_sysroot_new_default`
   */
  static async loadDefault(options?: JobOptions): Promise<Sysroot> {
    return Sysroot.load(
      callNative('ostree', () => binding().defaultSysrootPath()),
      options,
    );
  }

  static async #open(
    path: string,
    initialize: boolean,
    apart: boolean,
    options: JobOptions,
  ): Promise<Sysroot> {
    const native = await runJob(
      'ostree',
      () => binding().Sysroot.open(path, initialize, apart),
      options,
    );
    const { dev, ino } = await stat(`${path}/ostree`, { bigint: true });
    const sysroot = new Sysroot(native, path, `sysroot ${dev}:${ino}`);
    await sysroot.reload(options);
    return sysroot;
  }

  /**
   * Opens the repository of the sysroot; the caller closes it.
   *
   * @throws `ENOENT` where the sysroot has none.
   * @see `ostree_repo_new`, `ostree_repo_new_for_sysroot_path`
   */
  async repo(options?: JobOptions): Promise<Repo> {
    const native = await runJob('ostree', () => this.native.repo(), options);
    return Repo.wrap(native, `${this.path === '/' ? '' : this.path}/ostree/repo`);
  }

  /** Creates a stateroot. @throws `EEXIST`. @see `ostree_sysroot_init_osname` */
  async initStateroot(name: string, options?: LockOptions): Promise<void> {
    checkString(name, 'name');
    await this.apply(options, () => this.native.initStateroot(name));
  }

  /**
   * Checks a commit out as a new deployment, merges /etc, installs the kernel and puts the
   * deployment on the boot list. What fell off the list stays on disk until {@link cleanup}.
   *
   * @throws `ERR_OSTREE_NO_KERNEL` for a tree without `usr/lib/modules/VERSION/vmlinuz`; `ENOENT`
   * for an unknown revision, stateroot or merge deployment; `ERR_INVALID_STATE` for a partial
   * commit.
   * @see `ostree_sysroot_deploy_tree_with_options`, `ostree_sysroot_stage_tree_with_options`,
   * `ostree_sysroot_simple_write_deployment`
   */
  async deploy(options: DeployOptions & LockOptions): Promise<Deployment> {
    checkMembers(options, kDeployOptions);
    checkString(options.stateroot, 'options.stateroot');
    checkString(options.rev, 'options.rev');
    const {
      signal,
      timeout: _timeout,
      mergeDeployment = 'auto',
      kernelArguments,
      kernelArgumentEdits,
      overlayInitrds,
      ...rest
    } = options;
    if (kernelArguments !== undefined) {
      checkIterable(kernelArguments, 'options.kernelArguments');
    }
    if (kernelArgumentEdits !== undefined) {
      checkMembers(kernelArgumentEdits, kKernelArgumentEdits, 'options.kernelArgumentEdits');
    }
    const initrds = overlayInitrds && checkStrings(overlayInitrds, 'options.overlayInitrds');
    if (kernelArguments && kernelArgumentEdits) {
      throw invalidArgValue('options.kernelArgumentEdits', 'excludes kernelArguments');
    }
    const merge =
      mergeDeployment === 'auto' ? undefined : mergeDeployment === 'none' ? '' : mergeDeployment;
    return this.change(lockOptions(options), async () => {
      const edited =
        kernelArgumentEdits &&
        editKernelArguments(
          kernelArgumentEdits,
          await this.#mergedKernelArguments(options.stateroot, merge),
        );
      const list = edited ?? kernelArguments;
      const { id, deployments } = await runJob(
        'ostree',
        () =>
          this.native.deploy({
            ...rest,
            merge,
            ...(list && { kernelArguments: [...list] }),
            ...(initrds && { overlayInitrds: initrds }),
          }),
        { signal },
      );
      this.current = toDeployments(deployments);
      return this.find(id);
    });
  }

  /** Those of the deployment that a new one is merged with, as its boot loader entry has them. */
  async #mergedKernelArguments(
    stateroot: string,
    merge: string | undefined,
  ): Promise<readonly string[]> {
    const id = merge ?? (await runJob('ostree', () => this.native.query(stateroot))).merge;
    return id ? await runJob('ostree', () => this.native.bootArguments(id)) : [];
  }

  /**
   * Makes these deployments, in this order, the boot list. A booted deployment must be among them.
   *
   * @throws `ENOENT` for an unknown id.
   * @see `ostree_sysroot_write_deployments_with_options`
   */
  async writeDeployments(
    ids: readonly string[],
    options: LockOptions & {
      /** Also remove what is on no boot list, as {@link cleanup} does. @default false */
      clean?: boolean;
    } = {},
  ): Promise<readonly Deployment[]> {
    checkArray(ids, 'ids');
    checkMembers(options, { ...kLockOptions, clean: true } satisfies Members<typeof options>);
    const { clean = false, signal } = options;
    if (clean) await this.refuseDeadlock();
    const write = async () => {
      this.current = toDeployments(
        await runJob('ostree', () => this.native.writeDeployments([...ids], clean), { signal }),
      );
      return this.current;
    };
    const lock = lockOptions(options);
    return this.change(lock, () => (clean ? this.repoLocked(lock, write) : write()));
  }

  /**
   * Makes a deployment the one that boots next.
   *
   * @throws `ENOENT`.
   * @see `ostree_sysroot_write_deployments_with_options`, ostree-admin(1)
   */
  async setDefault(id: string, options?: LockOptions): Promise<readonly Deployment[]> {
    checkString(id, 'id');
    return this.change(options, () => {
      this.find(id);
      const others = this.current.filter((deployment) => deployment.id !== id);
      return this.writeDeployments([id, ...others.map((deployment) => deployment.id)], options);
    });
  }

  /**
   * Makes the previous deployment the one that boots next: of the booted stateroot the one behind
   * the booted deployment, or on another sysroot the one behind the first.
   *
   * @throws `ENOENT` where there is none.
   * @see `ostree_sysroot_write_deployments_with_options`, ostree-admin(1)
   */
  async rollback(options?: LockOptions): Promise<Deployment> {
    return this.change(options, async () => {
      const current = this.booted ?? this.current[0];
      const previous = this.current.find(
        ({ index, stateroot }) =>
          current !== undefined && index > current.index && stateroot === current.stateroot,
      );
      if (!previous) {
        throw new OstreeError('ENOENT', 'There is no deployment to go back to', {
          path: this.path,
        });
      }
      await this.setDefault(previous.id, options);
      return this.find(previous.id);
    });
  }

  /**
   * Takes a deployment off the boot list; {@link cleanup} removes it from disk.
   *
   * @throws `ENOENT`.
   * @see `ostree_sysroot_write_deployments_with_options`, ostree-admin(1)
   */
  async undeploy(id: string, options?: LockOptions): Promise<readonly Deployment[]> {
    checkString(id, 'id');
    return this.change(options, () => {
      this.find(id);
      const others = this.current.filter((deployment) => deployment.id !== id);
      return this.writeDeployments(
        others.map((deployment) => deployment.id),
        options,
      );
    });
  }

  /**
   * Protects a deployment from later deploys and clean-ups.
   *
   * @throws `ENOENT` for an unknown id.
   * @see `ostree_sysroot_deployment_set_pinned`
   */
  async setPinned(id: string, pinned: boolean, options?: LockOptions): Promise<void> {
    checkString(id, 'id');
    await this.apply(options, () => this.native.setPinned(id, pinned));
  }

  /**
   * Takes the immutable flag off the root directory of a deployment, so that it can be removed like
   * any directory, or sets it again. libostree sets it on every deploy, unless the environment
   * has `OSTREE_SYSROOT_DEBUG=mutable-deployments`.
   *
   * @throws `ENOENT` for an unknown id.
   * @see `ostree_sysroot_deployment_set_mutable`
   */
  async setMutable(id: string, mutable: boolean, options?: LockOptions): Promise<void> {
    checkString(id, 'id');
    await this.apply(options, () => this.native.setMutable(id, mutable));
  }

  /**
   * Changes keys of a deployment's origin file; all others stay as they are.
   *
   * @throws `ENOENT` for an unknown id.
   * @see `ostree_sysroot_write_origin_file`
   */
  async setOrigin(id: string, changes: KeyFileChanges, options?: LockOptions): Promise<void> {
    checkString(id, 'id');
    checkOptions(changes, 'changes');
    await this.apply(options, () => this.native.setOrigin(id, changes));
  }

  /**
   * Replaces the kernel arguments of a deployment. Each must be one line and not empty.
   *
   * @throws `ENOENT` for an unknown id.
   * @see `ostree_sysroot_deployment_set_kargs`
   */
  async setKernelArguments(
    id: string,
    kernelArguments: readonly string[],
    options?: LockOptions,
  ): Promise<void> {
    checkString(id, 'id');
    checkArray(kernelArguments, 'kernelArguments');
    await this.apply(options, () => this.native.setKernelArguments(id, [...kernelArguments]));
  }

  /**
   * Removes deployments and kernels that are on no boot list, and prunes the repository.
   *
   * @throws `EDEADLK` inside a transaction of the repository, which would be waited for.
   * @see `ostree_sysroot_cleanup`
   */
  async cleanup(options?: LockOptions): Promise<void> {
    await this.refuseDeadlock();
    await this.change(options, () =>
      this.repoLocked(options, () => this.apply(options, () => this.native.cleanup())),
    );
  }

  /**
   * What would boot instead of the running deployment, what is behind it, and what the next deploy
   * merges with. Looks at the deployments as last read; takes no lock.
   *
   * @param stateroot By default the booted one; `ERR_INVALID_STATE` where there is none.
   * @throws `ERR_INVALID_STATE` without `stateroot` where none is booted.
   * @see `ostree_sysroot_query_deployments_for`, `ostree_sysroot_get_merge_deployment`
   */
  async queryDeployments(
    stateroot?: string,
    options?: JobOptions,
  ): Promise<{ pending?: Deployment; rollback?: Deployment; merge?: Deployment }> {
    if (stateroot !== undefined) checkString(stateroot, 'stateroot');
    const ids = await runJob('ostree', () => this.native.query(stateroot), options);
    await this.reload(options);
    return {
      ...(ids.pending && { pending: this.find(ids.pending) }),
      ...(ids.rollback && { rollback: this.find(ids.rollback) }),
      ...(ids.merge && { merge: this.find(ids.merge) }),
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
    checkIterable(kernelArguments, 'kernelArguments');
    const list = [...KernelArguments.from(kernelArguments).toArray()];
    await this.apply(options, () => this.native.setKernelArgumentsInPlace(id, list));
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
    await this.apply(options, () => this.native.unlockDeployment(id, state));
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
    await this.apply(options, () => this.native.changeFinalization(id));
  }

  /**
   * Makes a sysroot bootable again after its files were copied to another file system.
   *
   * @throws `ERR_OSTREE_NOT_SUPPORTED` before libostree 2023.8.
   * @see `ostree_sysroot_update_post_copy`
   */
  async updatePostCopy(options?: LockOptions): Promise<void> {
    await this.apply(options, () => this.native.updatePostCopy());
  }

  /**
   * Loads the kernel of a deployment, to be started without the firmware.
   *
   * @throws `ERR_OSTREE_NOT_SUPPORTED` before libostree 2025.1; `ENOENT`.
   * @see `ostree_sysroot_deployment_kexec_load`
   */
  async kexecLoad(id: string, options?: LockOptions): Promise<void> {
    checkString(id, 'id');
    await this.change(options, () =>
      runJob('ostree', () => this.native.kexecLoad(id), { signal: options?.signal }),
    );
  }

  /**
   * Whether systemd could restart into a deployment without a new kernel.
   *
   * @throws `ERR_OSTREE_NOT_SUPPORTED` before libostree 2025.3; `ENOENT`.
   * @see `ostree_sysroot_deployment_can_soft_reboot`
   */
  async canSoftReboot(id: string, options?: JobOptions): Promise<boolean> {
    checkString(id, 'id');
    return runJob('ostree', () => this.native.canSoftReboot(id), options);
  }

  /**
   * Makes a deployment the target of the next soft reboot; null clears that.
   *
   * @throws `ERR_OSTREE_NOT_SUPPORTED` before libostree 2025.3; `ERR_INVALID_STATE` unless booted.
   * @see `ostree_sysroot_deployment_set_soft_reboot`, `ostree_sysroot_clear_soft_reboot`
   */
  async setSoftReboot(
    id: string | null,
    options: LockOptions & {
      /** Also where the kernel of the deployment is another one. @default false */
      allowKernelSkew?: boolean;
    } = {},
  ): Promise<void> {
    if (id !== null) checkString(id, 'id');
    checkMembers(options, { ...kLockOptions, allowKernelSkew: true } satisfies Members<
      typeof options
    >);
    const skew = options.allowKernelSkew ?? false;
    await this.apply(lockOptions(options), () => this.native.setSoftReboot(id, skew));
  }

  /**
   * Stores a file as an additional initrd; the next deploy must name the checksum that this gives,
   * or clean-up removes it.
   *
   * @throws `ENOENT` where the file is missing.
   * @see `ostree_sysroot_stage_overlay_initrd`
   */
  async stageOverlayInitrd(path: PathLike, options?: LockOptions): Promise<string> {
    const file = checkPath(path, 'path');
    return this.change(options, () =>
      runJob('ostree', () => this.native.stageOverlayInitrd(file), { signal: options?.signal }),
    );
  }

  /** Removes what an interrupted deploy left; no pruning. @see `ostree_sysroot_prepare_cleanup` */
  async prepareCleanup(options?: LockOptions): Promise<void> {
    await this.change(options, () =>
      runJob('ostree', () => this.native.prepareCleanup(), { signal: options?.signal }),
    );
  }

  /**
   * Prunes the repository, keeping all that deployments and refs need. Sizes in bytes. Holds the
   * repository's exclusive lock.
   *
   * @throws `ERR_OSTREE_LOCKED` after waiting for either lock; `EDEADLK` inside a transaction of the
   * repository.
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
    checkMembers(options, { ...kLockOptions, refsOnly: true, dryRun: true } satisfies Members<
      typeof options
    >);
    const { refsOnly = false, dryRun = false, signal } = options;
    await this.refuseDeadlock();
    const lock = lockOptions(options);
    return this.change(lock, () =>
      this.repoLocked(lock, () =>
        runJob('ostree', () => this.native.pruneRepo({ refsOnly, dryRun }), { signal }),
      ),
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
    const { path } = this.find(id);
    await using repo = await this.repo(options);
    return await repo.diff({ directory: `${path}/usr/etc` }, { directory: `${path}/etc` }, options);
  }

  /**
   * Pulls what the origin of the stateroot's merge deployment names and deploys it if it is new:
   * `ostree admin upgrade`, and `ostree admin switch` with a `refspec`. The keys of the origin file
   * that this does not know stay. An upgrade refuses a commit older than the deployed one, a switch
   * takes it, unless `allowOlder` says otherwise. Where it may deploy at once, it waits first until
   * nobody has the repository's lock, for the deploy prunes.
   *
   * @throws `ERR_INVALID_STATE` without a stateroot, or with `stage`, unless booted from here;
   * `ERR_OSTREE_FAILED` with the text of `unconfigured-state`, where the origin has one, unless a
   * `refspec` replaces what that is about; `EDEADLK` as {@link cleanup}, where it deploys at once.
   * @see `ostree_sysroot_upgrader_pull_one_dir`, `ostree_sysroot_upgrader_deploy`
   */
  async upgrade(
    options: UpgradeOptions & LockOptions = {},
  ): Promise<{ changed: boolean; deployed: boolean }> {
    checkMembers(options, kUpgradeOptions);
    const { signal, timeout: _timeout, onProgress, ...rest } = options;
    // Another branch has a time of its own.
    const native = { ...rest, allowOlder: rest.allowOlder ?? rest.refspec !== undefined };
    const lock = lockOptions(options);
    const prunes = rest.deploy !== false && !rest.stage;
    if (prunes) await this.refuseDeadlock();
    return this.change(lock, async () => {
      // The deploy prunes. Waited for, but not held: others may go on while this pulls.
      if (prunes) await this.repoLocked(lock, async () => {});
      const { changed, deployed, deployments } = await runJob(
        'ostree',
        (progress) => this.native.upgrade(native, progress),
        { signal },
        onProgress,
      );
      this.current = toDeployments(deployments);
      return { changed, deployed };
    });
  }
}

async function makeTopDirectories(path: string): Promise<void> {
  const modes = { dev: 0o755, home: 0o755, proc: 0o755, run: 0o755, sys: 0o755, root: 0o700 };
  for (const [name, mode] of Object.entries({ ...modes, tmp: 0o1777 })) {
    try {
      await mkdir(`${path}/${name}`);
      // Whatever the umask is.
      await chmod(`${path}/${name}`, mode);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}
