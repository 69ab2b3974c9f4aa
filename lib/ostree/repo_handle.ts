import type { NativeRepo } from '../../types/ostree.js';
import { binding } from '../binding.js';
import {
  checkBoolean,
  checkChecksum,
  checkOptions,
  checkPath,
  checkString,
  type PathLike,
} from '../checks.js';
import { callNative, type JobOptions, runJob } from '../job.js';
import type { Variant } from '../variant.js';
import { RepoConfig } from './config.js';
import type { KeyFile, KeyFileChanges } from './key_file.js';
import { SePolicy } from './sepolicy.js';

/** How a repository stores objects (`ostree_repo_mode_from_string`, ostree.repo-config(5)). */
export type RepoMode = 'bare' | 'bare-user' | 'bare-user-only' | 'archive' | 'bare-split-xattrs';

/** What libostree makes of the place and the configuration of a repository. */
export interface RepoFacts {
  /** Whether this process may write to it. */
  readonly writable: boolean;
  /** Whether it is the repository of the running system. */
  readonly system: boolean;
  /** The boot loader that deployments are written for: `sysroot.bootloader`. */
  readonly bootloader: string;
  /** How many bytes writing leaves free, as `core.min-free-space-size` or `-percent` say. */
  readonly minFreeSpaceBytes: number;
  /** Where {@link Collections.findRemotes} looks by default: `core.default-repo-finders`. */
  readonly finders: readonly string[];
  /** Path of the repository that objects are taken from which are missing here: `core.parent`. */
  readonly parent?: string;
}

/** What a repository object knows of itself, its switches, and the data beside its objects. */
export class RepoHandle {
  /** @internal */
  protected readonly native: NativeRepo;
  /** Absolute path of the repository. */
  readonly path: string;
  /** The configuration file. */
  readonly config: RepoConfig;

  /** @internal */
  protected constructor(native: NativeRepo, path: string) {
    this.native = native;
    this.path = path;
    this.config = new RepoConfig(native);
  }

  /** How the repository stores objects. @see `ostree_repo_get_mode` */
  get mode(): RepoMode {
    return callNative('ostree', () => this.native.mode()) as RepoMode;
  }

  /**
   * What libostree makes of the place and the configuration.
   *
   * @throws `ERR_OSTREE_FAILED` for a configuration that cannot be.
   * @see `ostree_repo_is_writable`, `ostree_repo_is_system`, `ostree_repo_get_bootloader`,
   * `ostree_repo_get_min_free_space_bytes`, `ostree_repo_get_parent`,
   * `ostree_repo_get_default_repo_finders`
   * @example
   * const { writable, minFreeSpaceBytes } = await repo.facts();
   * assert(writable && minFreeSpaceBytes > 0);
   */
  async facts(options?: JobOptions): Promise<RepoFacts> {
    return runJob('ostree', () => this.native.facts(), options);
  }

  /**
   * Whether what this object writes is on the disk when its transaction or pull is done; see
   * {@link setFsync}.
   *
   * @see `ostree_repo_get_disable_fsync`
   */
  get fsync(): boolean {
    return callNative('ostree', () => this.native.getFsync());
  }

  /**
   * Switches that, for this object alone: `--disable-fsync` of commands. Without it a crash of the
   * machine can leave a damaged repository, so this is for repositories that can be made again.
   * Waits for what this object is writing.
   *
   * @throws `ERR_BUSY` inside a transaction of this object.
   * @see `ostree_repo_set_disable_fsync`
   * @example
   * await repo.setFsync(false);
   * assert.equal(repo.fsync, false);
   */
  async setFsync(fsync: boolean, options?: JobOptions): Promise<void> {
    checkBoolean(fsync, 'fsync');
    await runJob('ostree', () => this.native.setFsync(fsync), options);
  }

  /**
   * Has this object keep the signed summaries of remotes in another directory: the `--cache-dir` of
   * commands. By default they are in the repository, or nowhere where that cannot be written.
   *
   * @throws `ENOENT`; `ERR_BUSY` inside a transaction of this object.
   * @see `ostree_repo_set_cache_dir`
   * @example
   * await repo.setCacheDirectory(directory);
   */
  async setCacheDirectory(path: PathLike, options?: JobOptions): Promise<void> {
    const absolute = checkPath(path, 'path');
    await runJob('ostree', () => this.native.setCacheDirectory(absolute), options);
  }

  /**
   * The metadata beside a commit, which its checksum does not cover, such as signatures; undefined
   * where there is none.
   *
   * @see `ostree_repo_read_commit_detached_metadata`
   */
  async readDetachedMetadata(
    commit: string,
    options?: JobOptions,
  ): Promise<Record<string, unknown> | undefined> {
    checkChecksum(commit, 'commit');
    const metadata = await runJob(
      'ostree',
      () => this.native.readDetachedMetadata(commit),
      options,
    );
    return metadata ?? undefined;
  }

  /**
   * Replaces the metadata beside a commit, signatures included; null removes it.
   *
   * @throws `ENOENT`.
   * @see `ostree_repo_write_commit_detached_metadata`
   */
  async writeDetachedMetadata(
    commit: string,
    metadata: Record<string, Variant> | null,
    options?: JobOptions,
  ): Promise<void> {
    checkChecksum(commit, 'commit');
    if (metadata !== null) checkOptions(metadata, 'metadata');
    await runJob('ostree', () => this.native.writeDetachedMetadata(commit, metadata), options);
  }

  /**
   * The SELinux policy of a commit, in its `usr/etc/selinux`.
   *
   * @throws `ENOENT` where the commit is missing; `ERR_OSTREE_NOT_SUPPORTED` where it has no
   * policy, or libostree was built without SELinux.
   * @see `ostree_sepolicy_new_from_commit`
   */
  async sePolicy(rev: string, options?: JobOptions): Promise<SePolicy> {
    checkString(rev, 'rev');
    return SePolicy.wrap(
      await runJob('ostree', () => binding().SePolicy.fromCommit(this.native, rev), options),
    );
  }

  /** The whole configuration; the same as {@link RepoConfig.read}. @see {@link RepoConfig.read} */
  async readConfig(options?: JobOptions): Promise<KeyFile> {
    return this.config.read(options);
  }

  /** Changes it. @throws as {@link RepoConfig.write}. @see {@link RepoConfig.write} */
  async writeConfig(changes: KeyFileChanges, options?: JobOptions): Promise<void> {
    await this.config.write(changes, options);
  }

  /** Drops the handle after running operations; closing twice is fine. Synchronous. */
  close(): void {
    callNative('ostree', () => this.native.close());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}
