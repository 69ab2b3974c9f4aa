/** How files get into a tree: options of imports, their results, and running them. */

import type { NativeJob } from '../../types/binding.js';
import type {
  NativeImportEvent,
  NativeImportOptions,
  NativeImportResult,
} from '../../types/ostree.js';
import {
  checkArray,
  checkFunction,
  checkMembers,
  checkNumber,
  checkPath,
  checkString,
  checkStrings,
  type Members,
  type PathLike,
} from '../checks.js';
import { invalidArgType, invalidArgValue } from '../errors.js';
import { type JobOptions, kJobOptions, runJob } from '../job.js';
import { DevinoCache } from './devino_cache.js';
import { answerFilter, type ImportFilter } from './import_filter.js';
import { SePolicy } from './sepolicy.js';

/** Permission bits to take away, then to add. */
export interface ModeMask {
  clear?: number;
  set?: number;
}

/** Another mode for one path. */
export interface StatOverride {
  /** Absolute within what is imported. */
  path: string;
  /** Permission bits. */
  mode: number;
  /** These are all permission bits, rather than some to add. @default false */
  replace?: boolean;
}

/** What happens to the extended attributes of the paths that fit a pattern. */
export interface XattrRule {
  /** As in {@link ImportOptions.skipPatterns}. */
  path: string;
  /**
   * What the rule is about. Linux keeps few attributes of symbolic links, none that begin with
   * `user.`. @default ['file', 'directory']
   */
  types?: readonly ('file' | 'directory' | 'symlink')[];
  /** Patterns of names to remove, as those of paths: `user.*`, `*`. */
  drop?: readonly string[];
  /** Attributes to add afterwards, or to replace. Values must not be empty: libostree reads no such. */
  set?: readonly { name: string; value: Uint8Array }[];
}

/** How far an import is. */
export interface ImportProgress {
  directories: number;
  /** Files and links. */
  files: number;
  /** Bytes of content that were read. */
  bytes: number;
}

/**
 * How files are read on their way into a tree. Rules come in this order: skips, `owner`,
 * `readOnlyExecutables`, `modes`, `statOverrides`, `filter`, `canonicalPermissions`; those for
 * extended attributes `skipXattrs`, `xattrs`, `selinuxPolicy`.
 */
export interface ImportOptions extends JobOptions {
  /** The directory of the tree that it all goes to, made if it is missing. @default '/' */
  prefix?: string;
  /** Owner of everything imported. @default as it is there */
  owner?: { uid?: number; gid?: number };
  /** Absolute paths within the source to leave out, with what is below them. */
  skip?: readonly string[];
  /**
   * Patterns of paths to leave out: `*` and `?` stop at slashes, `**` does not, `[a-z]` is a set.
   * A pattern that begins with a slash fits whole paths, any other one the last names of a path.
   */
  skipPatterns?: readonly string[];
  /** Changes the modes of all files, of all directories. */
  modes?: { files?: ModeMask; directories?: ModeMask };
  /** Nobody may write to executable files, as in `ostree commit --mode-ro-executables`. */
  readOnlyExecutables?: boolean;
  /** Modes of single paths; see {@link parseStatOverrides}. */
  statOverrides?: readonly StatOverride[];
  /**
   * Decides about each path, after the rules above. It is called on the JavaScript thread, many
   * paths in a row, and the import waits: rules as data are much faster.
   */
  filter?: ImportFilter;
  /** Do not take over extended attributes of the source. */
  skipXattrs?: boolean;
  /**
   * Rules for extended attributes, one after the other: each sees what those before it left. Archives
   * begin with none, as libostree does not read theirs. A repository that keeps no attributes
   * (`bare-user-only`, or `core.disable-xattrs`) gets none by rules either. Not with
   * `canonicalPermissions` or `devinoCache`.
   */
  xattrs?: readonly XattrRule[];
  /** Owner 0:0, modes without set-id bits and nothing beyond 0755; what mode `bare-user-only` needs. */
  canonicalPermissions?: boolean;
  /** Put the sizes of all objects into the commit's metadata (`ostree.sizes`). */
  generateSizes?: boolean;
  /**
   * Label files as this SELinux policy says, or the one of this root directory; `true`: the policy
   * within what is imported.
   */
  selinuxPolicy?: PathLike | SePolicy | true;
  /** With `selinuxPolicy`: fail where the policy has no label for a path. */
  errorOnUnlabeled?: boolean;
  /** Called now and then. Archives and other commits report nothing. */
  onProgress?: (progress: ImportProgress) => void;
}

export interface WriteDirectoryOptions extends ImportOptions {
  /** Remove the files as they are imported; may rename instead of copying. */
  consume?: boolean;
  /** The cache of the checkout that the directory is: unchanged files are not read. */
  devinoCache?: DevinoCache;
  /** Trust what is known of a file even where metadata differ; what mode `bare-user` needs. */
  devinoCanonical?: boolean;
  /**
   * Files that are hard links of objects of this repository are those objects: looks at the names
   * of all objects first (`ostree commit --link-checkout-speedup`).
   */
  linkCheckoutSpeedup?: boolean;
  /** How many threads read and hash. @default one for each processor */
  threads?: number;
}

/**
 * What an import met. Only this library's own import of directories counts: after one of an archive
 * or a commit, and with the options that need libostree's own, all numbers are 0, and the statistics
 * of the transaction say what was written.
 */
export interface ImportResult {
  directories: number;
  /** Files and links. */
  files: number;
  /** Files whose content was read. */
  hashed: number;
  /** Bytes that these had. */
  bytes: number;
  /** Files that were objects already. */
  known: number;
  /** Paths and patterns of `skip`, `skipPatterns`, `xattrs` and `statOverrides` that nothing fitted. */
  unmatched: string[];
}

/**
 * Reads a statoverride file as `ostree commit --statoverride` takes it: lines of a decimal or
 * 0x-hexadecimal mode, a space and a path. `+MODE` or `MODE` adds bits, `=MODE` replaces all.
 * Synchronous.
 *
 * @throws `ERR_INVALID_ARG_VALUE` for a line that is something else.
 * @see ostree-commit(1)
 * @example
 * parseStatOverrides('+2048 /usr/bin/su\n=384 /etc/shadow\n');
 * // [{ path: '/usr/bin/su', mode: 0o4000 }, { path: '/etc/shadow', mode: 0o600, replace: true }]
 */
export function parseStatOverrides(text: string): StatOverride[] {
  checkString(text, 'text');
  const overrides: StatOverride[] = [];
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const parts = /^([=+]?)(\d+|0[xX][0-9a-fA-F]+) (.+)$/.exec(line);
    const mode = Number(parts?.[2]);
    if (!parts || mode > 0o7777) {
      throw invalidArgValue('text', `has a line that is no mode and path: ${line}`);
    }
    overrides.push({ path: parts[3] as string, mode, ...(parts[1] === '=' && { replace: true }) });
  }
  return overrides;
}

/** @internal */
export const kImportOptions: Members<ImportOptions> = {
  ...kJobOptions,
  prefix: true,
  owner: true,
  skip: true,
  skipPatterns: true,
  modes: true,
  readOnlyExecutables: true,
  statOverrides: true,
  filter: true,
  skipXattrs: true,
  xattrs: true,
  canonicalPermissions: true,
  generateSizes: true,
  selinuxPolicy: true,
  errorOnUnlabeled: true,
  onProgress: true,
};

/** @internal */
export const kWriteDirectoryOptions: Members<WriteDirectoryOptions> = {
  ...kImportOptions,
  consume: true,
  devinoCache: true,
  devinoCanonical: true,
  linkCheckoutSpeedup: true,
  threads: true,
};

const kOwner: Members<NonNullable<ImportOptions['owner']>> = { uid: true, gid: true };
const kModes: Members<NonNullable<ImportOptions['modes']>> = { files: true, directories: true };
const kModeMask: Members<ModeMask> = { clear: true, set: true };
const kStatOverride: Members<StatOverride> = { path: true, mode: true, replace: true };
const kXattrRule: Members<XattrRule> = { path: true, types: true, drop: true, set: true };

/** @internal Checked, and as native code takes them. */
export function nativeImportOptions(
  options: WriteDirectoryOptions,
  members: Readonly<Record<string, true>>,
): NativeImportOptions {
  checkMembers(options, members);
  const { owner, modes, filter, onProgress } = options;
  if (owner !== undefined) checkMembers(owner, kOwner, 'options.owner');
  if (modes !== undefined) {
    checkMembers(modes, kModes, 'options.modes');
    for (const kind of ['files', 'directories'] as const) {
      if (modes[kind] != null) checkMembers(modes[kind], kModeMask, `options.modes.${kind}`);
    }
  }
  if (onProgress !== undefined) checkFunction(onProgress, 'options.onProgress');
  for (const name of ['skip', 'skipPatterns', 'statOverrides', 'xattrs'] as const) {
    if (options[name] !== undefined) checkArray(options[name], `options.${name}`);
  }
  options.statOverrides?.forEach((line, index) => {
    checkMembers(line, kStatOverride, `options.statOverrides[${index}]`);
    checkString(line.path, `options.statOverrides[${index}].path`);
    checkNumber(line.mode, `options.statOverrides[${index}].mode`);
  });
  options.xattrs?.forEach((rule, index) => {
    const name = `options.xattrs[${index}]`;
    checkMembers(rule, kXattrRule, name);
    checkString(rule.path, `${name}.path`);
    if (rule.types !== undefined) checkStrings(rule.types, `${name}.types`);
    if (rule.drop !== undefined) checkStrings(rule.drop, `${name}.drop`);
    if (rule.set !== undefined) checkArray(rule.set, `${name}.set`);
  });
  if (filter !== undefined) checkFunction(filter, 'options.filter');
  const { devinoCache } = options;
  if (devinoCache !== undefined && !(devinoCache instanceof DevinoCache)) {
    throw invalidArgType('options.devinoCache', 'an instance of DevinoCache', devinoCache);
  }
  return {
    prefix: options.prefix,
    uid: owner?.uid,
    gid: owner?.gid,
    fileModes: modes?.files,
    directoryModes: modes?.directories,
    readOnlyExecutables: options.readOnlyExecutables,
    statOverrides: options.statOverrides && [...options.statOverrides],
    skip: options.skip && [...options.skip],
    skipPatterns: options.skipPatterns && [...options.skipPatterns],
    filter: filter && true,
    skipXattrs: options.skipXattrs,
    xattrs: options.xattrs?.map(({ path, types, drop, set }) => ({
      path,
      types: types && [...types],
      drop: drop && [...drop],
      set: set && [...set],
    })),
    canonicalPermissions: options.canonicalPermissions,
    generateSizes: options.generateSizes,
    ...nativePolicy(options.selinuxPolicy),
    errorOnUnlabeled: options.errorOnUnlabeled,
    consume: options.consume,
    devinoCache: DevinoCache.native(devinoCache),
    devinoCanonical: options.devinoCanonical,
    scanHardlinks: options.linkCheckoutSpeedup,
    threads: options.threads,
  };
}

function nativePolicy(policy: ImportOptions['selinuxPolicy']): NativeImportOptions {
  if (policy === undefined) return {};
  if (policy === true) return { selinuxPolicyFromTree: true };
  if (policy instanceof SePolicy) {
    return { selinuxPolicyObject: SePolicy.native(policy, 'options.selinuxPolicy') };
  }
  return { selinuxPolicy: checkPath(policy, 'options.selinuxPolicy') };
}

/** @internal */
export async function runImport(
  start: (
    listener: ((event: NativeImportEvent) => void) | undefined,
  ) => NativeJob<NativeImportResult>,
  options: ImportOptions,
): Promise<ImportResult> {
  const { filter, onProgress, signal } = options;
  const listener =
    filter || onProgress
      ? (event: NativeImportEvent) => {
          if ('answer' in event) {
            if (filter) answerFilter(filter, event);
          } else {
            onProgress?.(event);
          }
        }
      : undefined;
  const result = await runJob<NativeImportResult, NativeImportEvent>(
    'ostree',
    start,
    { signal },
    listener,
  );
  const { unmatched } = result;
  return { ...result, unmatched: unmatched === '' ? [] : unmatched.split('\0') };
}
