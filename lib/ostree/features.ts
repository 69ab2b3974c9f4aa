import { binding } from '../binding.js';
import { callNative } from '../job.js';

/** What the libostree that is loaded can do. */
export interface OstreeFeatures {
  /** Of the library that is loaded, `2022.7`. */
  readonly version: string;
  /** Of the library that the addon was built on. */
  readonly compiled: string;
  /** What that one was built with, such as `libcurl` and `gpgme`. */
  readonly built: readonly string[];
  /**
   * Functions that are newer than libostree 2022.7, and whether they are there. What needs a
   * missing one throws `ERR_OSTREE_NOT_SUPPORTED`.
   */
  readonly functions: Readonly<Record<string, boolean>>;
  /** Signature engines other than GPG that work here. */
  readonly signEngines: readonly string[];
}

/**
 * What the libostree that is loaded can do. Synchronous.
 *
 * @throws nothing.
 * @see `ostree_check_version`, `ostree_sign_get_all`
 * @example
 * const { version, functions } = ostreeFeatures();
 * console.log(version, functions.ostree_sysroot_change_finalization);
 */
export function ostreeFeatures(): OstreeFeatures {
  return callNative('ostree', () => binding().ostreeFeatures());
}
