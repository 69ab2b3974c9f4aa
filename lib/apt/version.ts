import { binding } from '../binding.js';
import { checkString } from '../checks.js';

/**
 * Compares two Debian versions as dpkg does: negative where `a` is older, positive where it is
 * newer, 0 where they are the same version. Fit for `Array.prototype.sort`.
 *
 * @see `pkgVersioningSystem::CmpVersion`
 */
export function compareVersions(a: string, b: string): number {
  checkString(a, 'a');
  checkString(b, 'b');
  return binding().compareVersions(a, b);
}
