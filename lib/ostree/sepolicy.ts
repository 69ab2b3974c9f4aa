import type { NativeSePolicy } from '../../types/ostree.js';
import { binding } from '../binding.js';
import { checkNumber, checkPath, checkString, type PathLike } from '../checks.js';
import { invalidArgType } from '../errors.js';
import { callNative, type JobOptions, runJob } from '../job.js';

/**
 * The SELinux policy of a system: which labels its paths have. Nothing of the running system is
 * asked or changed. {@link SePolicy.fromDirectory} and {@link Repo.sePolicy} make one.
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
}
