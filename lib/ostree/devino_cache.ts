import type { NativeDevinoCache } from '../../types/ostree.js';
import { binding } from '../binding.js';
import { invalidArgType } from '../errors.js';
import { callNative } from '../job.js';

/**
 * Remembers which file of a checkout is which object. Hand the same one to {@link Repo.checkout}
 * and later to {@link Transaction.writeDirectory}, and files that did not change are not read
 * again. About 100 bytes for each file.
 *
 * @see `ostree_repo_devino_cache_new`
 */
export class DevinoCache {
  readonly #native: NativeDevinoCache = callNative('ostree', () => binding().DevinoCache.create());

  /** @internal */
  static native(cache: DevinoCache | undefined): NativeDevinoCache | undefined {
    if (cache === undefined || cache === null) return undefined;
    if (typeof cache !== 'object' || !(#native in cache)) {
      throw invalidArgType('options.devinoCache', 'an instance of DevinoCache', cache);
    }
    return cache.#native;
  }
}
