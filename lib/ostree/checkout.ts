import type { NativeRepoTree } from '../../types/tree.js';
import {
  checkArray,
  checkMembers,
  checkOneOf,
  checkPath,
  checkString,
  checkStrings,
  type Members,
  type PathLike,
} from '../checks.js';
import { invalidArgValue } from '../errors.js';
import { type JobOptions, kJobOptions, runJob } from '../job.js';
import { DevinoCache } from './devino_cache.js';

/** A commit, or a part of one, to check out. */
export interface CheckoutSource {
  /** Any revision. */
  rev: string;
  /** A directory or file of the commit instead of all. */
  subpath?: string;
}

export interface CheckoutOptions extends JobOptions {
  /** `user` leaves owners, set-id bits and extended attributes out. @default 'none' */
  mode?: 'none' | 'user';
  /**
   * What to do with a destination that exists: `none` refuses, `union-files` replaces files,
   * `add-files` keeps them, `union-identical` refuses different ones (needs `hardlinksOnly`).
   * @default 'none'
   */
  overwrite?: 'none' | 'union-files' | 'add-files' | 'union-identical';
  /** A directory or file of the commit to check out instead of all. */
  subpath?: string;
  /** Do nothing where the subpath is not in the commit, instead of failing. @default false */
  allowMissing?: boolean;
  /** Fail rather than copy where a file cannot be linked to its object. */
  hardlinksOnly?: boolean;
  /** Copy every file, so that changing one in place cannot damage the repository. */
  forceCopy?: boolean;
  /** Copy empty files rather than link them. */
  forceCopyZeroSized?: boolean;
  /** Directories get mode 0755, as in `bare-user-only`. */
  canonicalDirectories?: boolean;
  /** Files named `.wh.NAME` remove NAME, as in container layers. */
  whiteouts?: boolean;
  /** Files named `.ostree-wh.NAME` become overlayfs whiteouts. */
  passthroughWhiteouts?: boolean;
  /** Paths to leave out, directories with all below them; absolute within what is checked out. */
  skip?: readonly string[];
  /** Write files through to the disk one by one. Slow, and seldom what one wants. @default false */
  fsync?: boolean;
  /**
   * From an `archive` with mode `user`: keep each unpacked file in the repository too and link to it,
   * as the command does unless it is told `--disable-cache`. Nothing removes what is kept so.
   * @default false
   */
  uncompressedCache?: boolean;
  /** Label files by the SELinux policy below this root directory. Needs `forceCopy`. */
  selinuxPolicy?: PathLike;
  /** With `selinuxPolicy`: look paths up below this one. */
  selinuxPrefix?: string;
  /** Filled with what is checked out, for a later import of the directory. */
  devinoCache?: DevinoCache;
}

const kCheckoutOptions: Members<CheckoutOptions> = {
  ...kJobOptions,
  mode: true,
  overwrite: true,
  subpath: true,
  allowMissing: true,
  hardlinksOnly: true,
  forceCopy: true,
  forceCopyZeroSized: true,
  canonicalDirectories: true,
  whiteouts: true,
  passthroughWhiteouts: true,
  skip: true,
  fsync: true,
  uncompressedCache: true,
  selinuxPolicy: true,
  selinuxPrefix: true,
  devinoCache: true,
};

export interface ComposefsOptions extends JobOptions {
  /**
   * Whether the image has fs-verity digests of files: `available` takes those of files that have
   * some, `required` wants all files to have one. @default 'required'
   */
  verity?: 'none' | 'available' | 'required';
}

/** @internal */
export async function checkOutComposefs(
  native: NativeRepoTree,
  rev: string,
  destination: PathLike,
  options: ComposefsOptions = {},
): Promise<void> {
  checkString(rev, 'rev');
  const absolute = checkPath(destination, 'destination');
  checkMembers(options, { ...kJobOptions, verity: true } satisfies Members<typeof options>);
  const { verity = 'required', signal } = options;
  checkOneOf(verity, ['none', 'available', 'required'], 'options.verity');
  await runJob('ostree', () => native.checkoutComposefs(rev, absolute, verity), { signal });
}

/** @internal */
export async function checkOut(
  native: NativeRepoTree,
  source: string | readonly CheckoutSource[],
  destination: PathLike,
  options: CheckoutOptions = {},
): Promise<void> {
  const absolute = checkPath(destination, 'destination');
  checkMembers(options, kCheckoutOptions);
  const { signal, devinoCache, subpath, skip, selinuxPolicy, ...rest } = options;
  const sources = checkSources(source, subpath);
  const withLists = {
    ...rest,
    ...(skip !== undefined && { skip: checkStrings(skip, 'options.skip').map(checkSkipped) }),
    ...(selinuxPolicy !== undefined && {
      selinuxPolicy: checkPath(selinuxPolicy, 'options.selinuxPolicy'),
    }),
    devinoCache: DevinoCache.native(devinoCache),
  };
  await runJob('ostree', () => native.checkout(sources, absolute, withLists), { signal });
}

function checkSources(
  source: string | readonly CheckoutSource[],
  subpath: string | undefined,
): CheckoutSource[] {
  if (typeof source === 'string') return [checkSource({ rev: source, subpath }, 'options')];
  checkArray(source, 'source');
  if (subpath !== undefined) {
    throw invalidArgValue('options.subpath', 'goes with one revision; give each source its own');
  }
  return source.map((one, index) => checkSource(one, `source[${index}]`));
}

function checkSource(source: CheckoutSource, name: string): CheckoutSource {
  const members = { rev: true, subpath: true } satisfies Members<CheckoutSource>;
  checkMembers(source, members, name);
  const { rev, subpath } = source;
  checkString(rev, name === 'options' ? 'rev' : `${name}.rev`);
  if (subpath === undefined) return { rev };
  checkString(subpath, `${name}.subpath`);
  return { rev, subpath };
}

function checkSkipped(path: string, index: number): string {
  if (!path.startsWith('/')) throw invalidArgValue(`options.skip[${index}]`, 'must be absolute');
  return path;
}
