import type { NativeSePolicy } from '../../types/ostree.js';
import { binding } from '../binding.js';
import {
  checkMembers,
  checkNumber,
  checkPath,
  checkString,
  type Members,
  type PathLike,
} from '../checks.js';
import { invalidArgType } from '../errors.js';
import { callNative, type JobOptions, kJobOptions, runJob } from '../job.js';

export interface RestoreconOptions extends JobOptions {
  /** Leave what the policy has no label for as it is, instead of failing. @default false */
  allowNoLabel?: boolean;
  /** Leave what has a label already. @default false */
  keepExisting?: boolean;
}

const kRestoreconOptions: Members<RestoreconOptions> = {
  ...kJobOptions,
  allowNoLabel: true,
  keepExisting: true,
};

/**
 * The SELinux policy of a system: which labels its paths have. The policy of the running system is
 * not asked. {@link SePolicy.fromDirectory} and {@link Repo.sePolicy} make one.
 *
 * @see `OstreeSePolicy`
 */
export class SePolicy {
  readonly #native: NativeSePolicy;

  private constructor(native: NativeSePolicy) {
    this.#native = native;
  }

  /** @internal For a policy that other native code made. */
  static wrap(native: NativeSePolicy): SePolicy {
    return new SePolicy(native);
  }

  /** @internal */
  static native(policy: unknown, name: string): NativeSePolicy {
    if (typeof policy !== 'object' || policy === null || !(#native in policy)) {
      throw invalidArgType(name, 'an instance of SePolicy', policy);
    }
    return policy.#native;
  }

  /**
   * The policy of a root directory, in its `etc/selinux` or `usr/etc/selinux`.
   *
   * @throws `ENOENT`; `ERR_OSTREE_NOT_SUPPORTED` where there is no policy, or libostree was built
   * without SELinux; `ERR_OSTREE_FAILED` for one that is incomplete.
   * @see `ostree_sepolicy_new_at`
   */
  static async fromDirectory(path: PathLike, options?: JobOptions): Promise<SePolicy> {
    const absolute = checkPath(path, 'path');
    return new SePolicy(
      await runJob('ostree', () => binding().SePolicy.fromDirectory(absolute), options),
    );
  }

  /** Such as `default`, of `SELINUXTYPE`. @see `ostree_sepolicy_get_name` */
  get name(): string {
    return callNative('ostree', () => this.#native.name());
  }

  /** Of the binary policy: SHA-256. @see `ostree_sepolicy_get_csum` */
  get checksum(): string | undefined {
    return callNative('ostree', () => this.#native.checksum());
  }

  /**
   * The label of a path; undefined where the policy has none for it.
   *
   * @param mode - As `stat` gives it, with the file type.
   * @throws `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_VALUE`
   * @see `ostree_sepolicy_get_label`
   */
  async label(path: string, mode: number, options?: JobOptions): Promise<string | undefined> {
    checkString(path, 'path');
    checkNumber(mode, 'mode');
    return runJob('ostree', () => this.#native.label(path, mode), options);
  }

  /**
   * Gives a file or directory on disk, or a link itself, the label of a path. What is below it
   * stays as it is. The running system needs no SELinux for that, only its file system room for the
   * attribute `security.selinux`, and this process the right to set it.
   *
   * @param path - What it is to the policy.
   * @returns the label; undefined where it was left as it is.
   * @throws `ENOENT`; `ERR_OSTREE_FAILED` where the policy has no label for the path;
   * `ERR_OSTREE_NOT_SUPPORTED` where no label can be kept; `EACCES`, `EPERM`.
   * @see `ostree_sepolicy_restorecon`
   */
  async restorecon(
    path: string,
    target: PathLike,
    options: RestoreconOptions = {},
  ): Promise<string | undefined> {
    checkString(path, 'path');
    const absolute = checkPath(target, 'target');
    checkMembers(options, kRestoreconOptions);
    const { signal, ...rest } = options;
    return runJob('ostree', () => this.#native.restorecon(path, absolute, rest), { signal });
  }
}
