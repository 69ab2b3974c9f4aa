import type { NativeRepo } from '../../types/ostree.js';
import { checkString } from '../checks.js';
import { type JobOptions, runJob } from '../job.js';
import {
  checkGroupName,
  checkKeyFileChanges,
  checkKeyName,
  type KeyFile,
  type KeyFileChanges,
} from './key_file.js';

/**
 * The configuration file of a repository. Changes keep the order of the file, its comments and
 * what they do not name, and are known at once to the repository object; other objects and
 * processes that have the repository open see them after {@link reload}.
 *
 * @throws `ERR_CLOSED` by every method, once the repository is closed.
 * @see ostree.repo-config(5)
 * @example
 * ```ts
 * await repo.config.set('core', 'fsync', 'false');
 * await repo.config.get('core', 'mode'); // 'archive-z2'
 * ```
 */
export class RepoConfig {
  readonly #native: NativeRepo;

  /** @internal */
  constructor(native: NativeRepo) {
    this.#native = native;
  }

  /** All of it. @see `ostree_repo_copy_config` */
  async read(options?: JobOptions): Promise<KeyFile> {
    return runJob('ostree', () => this.#native.getConfig(), options);
  }

  /**
   * The file as it stands, comments included; another process may have changed it meanwhile.
   *
   * @see ostree.repo-config(5)
   */
  async text(options?: JobOptions): Promise<string> {
    return runJob('ostree', () => this.#native.configText(), options);
  }

  /**
   * One value, or undefined where there is none: `ostree config get`.
   *
   * @throws `ERR_INVALID_ARG_VALUE` for a name that a key file cannot hold.
   * @see `ostree_repo_copy_config`
   */
  async get(group: string, key: string, options?: JobOptions): Promise<string | undefined> {
    checkGroupName(group, 'group');
    checkKeyName(key, 'key');
    const groups = await this.read(options);
    return Object.hasOwn(groups, group) && Object.hasOwn(groups[group] ?? {}, key)
      ? groups[group]?.[key]
      : undefined;
  }

  /**
   * Sets one value: `ostree config set`.
   *
   * @throws as {@link write}.
   * @see {@link write}
   */
  async set(group: string, key: string, value: string, options?: JobOptions): Promise<void> {
    checkGroupName(group, 'group');
    checkKeyName(key, 'key');
    checkString(value, 'value');
    await this.write({ [group]: { [key]: value } }, options);
  }

  /**
   * Removes one value; a missing one is fine: `ostree config unset`.
   *
   * @throws as {@link write}.
   * @see {@link write}
   */
  async unset(group: string, key: string, options?: JobOptions): Promise<void> {
    checkGroupName(group, 'group');
    checkKeyName(key, 'key');
    await this.write({ [group]: { [key]: null } }, options);
  }

  /**
   * Makes changes, writes the file and reads it again. Waits for what this object is doing.
   *
   * @throws `ERR_INVALID_ARG_VALUE` for names that a key file cannot hold; `EEXIST` for a remote
   * that has a file of its own; `ERR_BUSY` inside a transaction of this object.
   * @see `ostree_repo_write_config`, `ostree_repo_reload_config`
   */
  async write(changes: KeyFileChanges, options?: JobOptions): Promise<void> {
    checkKeyFileChanges(changes, 'changes');
    await runJob('ostree', () => this.#native.setConfig(changes), options);
  }

  /**
   * Reads the file again, after others changed it. Waits for what this object is doing.
   *
   * @throws `ERR_BUSY` inside a transaction of this object.
   * @see `ostree_repo_reload_config`
   */
  async reload(options?: JobOptions): Promise<void> {
    await runJob('ostree', () => this.#native.reloadConfig(), options);
  }
}
