import { binding } from '../binding.js';
import { checkString } from '../checks.js';
import { invalidArgValue } from '../errors.js';
import { aNumber, aString, objectOf, optional } from '../shapes.js';

/**
 * Compares two Debian versions as dpkg does: negative where `a` is older, positive where it is
 * newer, 0 where they are the same version. Fit for `Array.prototype.sort`. Synchronous.
 *
 * @throws `ERR_INVALID_ARG_TYPE`
 * @see `pkgVersioningSystem::CmpVersion`
 */
export function compareVersions(a: string, b: string): number {
  checkString(a, 'a');
  checkString(b, 'b');
  return binding().compareVersions(a, b);
}

/** The parts of a Debian version: `epoch:upstream-revision`. */
export interface DebianVersion {
  /** Absent where the text has none; it then counts as 0. */
  epoch?: number;
  upstream: string;
  /** Absent for native packages. */
  revision?: string;
}

/** dpkg keeps epochs in a C int. */
const kLargestEpoch = 2 ** 31 - 1;

/**
 * Takes a version apart, by the rules of deb-version(7) and as strictly as
 * `dpkg --validate-version`. Synchronous.
 *
 * @throws `ERR_INVALID_ARG_VALUE` for a text that is no version.
 * @see deb-version(7)
 */
export function parseVersion(text: string): DebianVersion {
  checkString(text, 'text');
  const colon = text.indexOf(':');
  const rest = text.slice(colon + 1);
  const hyphen = rest.lastIndexOf('-');
  const upstream = hyphen < 0 ? rest : rest.slice(0, hyphen);
  const revision = hyphen < 0 ? undefined : rest.slice(hyphen + 1);
  const bad = (problem: string) =>
    invalidArgValue('text', `must be a Debian version, and ${problem}: '${text}'`);
  const epoch = colon < 0 ? undefined : text.slice(0, colon);
  if (epoch !== undefined && !(/^[0-9]+$/.test(epoch) && Number(epoch) <= kLargestEpoch)) {
    throw bad('its epoch is not a number');
  }
  if (!/^[0-9][0-9A-Za-z.+~:-]*$/.test(upstream)) {
    throw bad('begins with a digit and has only letters, digits and .+-:~');
  }
  if (revision !== undefined && !/^[0-9A-Za-z.+~]+$/.test(revision)) {
    throw bad('its revision has only letters, digits and .+~');
  }
  return {
    ...(epoch !== undefined && { epoch: Number(epoch) }),
    upstream,
    ...(revision !== undefined && { revision }),
  };
}

const checkVersion = objectOf({
  epoch: optional(aNumber),
  upstream: aString,
  revision: optional(aString),
});

/**
 * The text of a version that `parseVersion` would take apart in the same way. Synchronous.
 *
 * @throws `ERR_INVALID_ARG_VALUE` for parts that make no version, or another one.
 * @see deb-version(7)
 */
export function formatVersion(version: DebianVersion): string {
  checkVersion(version, 'version');
  const { epoch, upstream, revision } = version;
  const before = epoch === undefined ? '' : `${epoch}:`;
  const text = `${before}${upstream}${revision === undefined ? '' : `-${revision}`}`;
  const parsed = parseVersion(text);
  if (parsed.upstream !== upstream || parsed.revision !== revision) {
    throw invalidArgValue('version', `would be read as another one: '${text}'`);
  }
  return text;
}
