import type { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import type { NativeRepo } from '../../types/ostree.js';
import type {
  NativeCommitObject,
  NativeDirmeta,
  NativeDirtree,
  NativeReachableBatch,
} from '../../types/tree.js';
import { binding } from '../binding.js';
import {
  checkArray,
  checkBytes,
  checkMembers,
  checkOneOf,
  checkString,
  type Members,
} from '../checks.js';
import { invalidArgType, invalidArgValue } from '../errors.js';
import { callNative, type JobOptions, kJobOptions, runJob } from '../job.js';
import { type CommitObject, withDate } from './commit.js';
import { CursorStream, readCursor } from './cursor.js';
import {
  checkObjectName,
  kObjectTypes,
  type ObjectName,
  type ObjectType,
  splitObjectName,
} from './object_name.js';
import type { TreeEntry, Xattr } from './tree_entry.js';

/** A directory's content, as its dirtree object has it: sorted by name. */
export interface DirtreeObject {
  readonly files: readonly { name: string; checksum: string }[];
  readonly directories: readonly { name: string; contents: string; metadataChecksum: string }[];
}

/** A directory's own facts. */
export interface DirmetaObject {
  readonly uid: number;
  readonly gid: number;
  /** Permission bits. */
  readonly mode: number;
  readonly xattrs: readonly Xattr[];
}

/** A file object's facts; its content comes from {@link Repo.createReadStream}. */
export type FileObject = Omit<TreeEntry, 'path' | 'metadataChecksum' | 'checksum'>;

/** What {@link Objects.load} gives for each kind of object. */
export interface LoadedObject {
  commit: CommitObject;
  dirtree: DirtreeObject;
  dirmeta: DirmetaObject;
  file: FileObject;
}

export interface ListObjectsOptions extends JobOptions {
  /** @default all but `commitmeta` and `tombstone-commit` */
  types?: readonly ObjectType[];
  /** Only those whose checksum begins so. */
  prefix?: string;
  /** Those of parent repositories (`core.parent`) too. @default true */
  parents?: boolean;
}

export interface ReachableOptions extends JobOptions {
  /** Revisions to follow. @default all refs, those of remotes and collections too */
  from?: string | readonly string[];
  /** How many parents of each commit to follow; -1 for all. @default 0 */
  depth?: number;
  /** Give only the commits. @default false */
  commitOnly?: boolean;
  /** Find out which commits each object is part of. @default false */
  commits?: boolean;
}

/** An object that a commit needs. */
export interface ReachableObject extends ObjectName {
  /** With the option `commits`: the commits that it is part of. */
  readonly commits?: readonly string[];
}

/** What a commit made with sizes says of one of its objects. */
export interface ObjectSizes extends ObjectName {
  /** Bytes on disk. */
  readonly unpacked: number;
  /** Bytes to fetch from an archive. */
  readonly archived: number;
}

/** How much two commits have in common; see {@link Objects.compare}. */
export interface ObjectComparison {
  /** How many objects each has. */
  readonly from: number;
  readonly to: number;
  readonly common: number;
  /** Bytes that this repository stores for what only `to` has. */
  readonly newBytes: number;
}

const kListed = kObjectTypes.filter((type) => type !== 'commitmeta' && type !== 'tombstone-commit');
const kParsed = ['commit', 'dirtree', 'dirmeta'] as const;
const kBatch = 2000;

/**
 * The objects of a repository, apart from the trees that they form.
 *
 * @throws `ERR_CLOSED` by every method, once the repository is closed.
 */
export class Objects {
  readonly #native: NativeRepo;

  /** @internal */
  constructor(native: NativeRepo) {
    this.#native = native;
  }

  /**
   * Every object that is stored, in the order of checksums. Read directory by directory as the
   * caller goes on: even of millions of objects few are in memory at a time. What is written or
   * deleted meanwhile may or may not be there.
   *
   * @throws `ERR_INVALID_ARG_VALUE` for a `prefix` that is not hexadecimal.
   * @see `ostree_repo_list_objects`, `ostree_repo_list_commit_objects_starting_with`
   * @example
   * for await (const { checksum } of repo.objects.list({ types: ['commit'], prefix: 'a' })) {
   *   console.log(checksum);
   * }
   */
  list(options: ListObjectsOptions = {}): AsyncGenerator<ObjectName, void, undefined> {
    checkMembers(options, {
      ...kJobOptions,
      types: true,
      prefix: true,
      parents: true,
    } satisfies Members<typeof options>);
    const { types = kListed, prefix = '', parents = true, signal } = options;
    checkArray(types, 'options.types');
    for (const type of types) checkOneOf(type, kObjectTypes, 'options.types');
    checkString(prefix, 'options.prefix');
    if (!/^[0-9a-f]{0,64}$/.test(prefix)) {
      throw invalidArgValue('options.prefix', 'must be lower-case hexadecimal digits');
    }
    return readCursor(
      () => this.#native.listObjects([...types], prefix, parents),
      kBatch,
      (names) => names.split('\0').map(splitObjectName),
      { signal },
    );
  }

  /**
   * The objects that commits need, in no order. The whole set is collected first, in native memory
   * (some 200 bytes for each object).
   *
   * @throws `ENOENT` where a commit, or a tree of one, is missing.
   * @see `ostree_repo_traverse_commit_with_flags`
   */
  reachable(options: ReachableOptions = {}): AsyncGenerator<ReachableObject, void, undefined> {
    checkMembers(options, {
      ...kJobOptions,
      from: true,
      depth: true,
      commitOnly: true,
      commits: true,
    } satisfies Members<typeof options>);
    const { from, depth = 0, commitOnly = false, commits = false, signal } = options;
    const revs = typeof from === 'string' ? [from] : from;
    if (revs !== undefined) checkArray(revs, 'options.from');
    revs?.forEach((rev, index) => {
      checkString(rev, `options.from[${index}]`);
    });
    return readCursor(
      () => this.#native.listReachable(revs, { depth, commitOnly, commits }),
      kBatch,
      expandReachable,
      { signal },
    );
  }

  /** Whether an object is stored, here or in a parent repository. @see `ostree_repo_has_object` */
  async has(type: ObjectType, checksum: string, options?: JobOptions): Promise<boolean> {
    checkObjectName(type, checksum);
    return runJob('ostree', () => this.#native.hasObject(type, checksum), options);
  }

  /**
   * Reads one object.
   *
   * @throws `ENOENT`; `ERR_INVALID_ARG_VALUE` where it is damaged in its structure.
   * @see `ostree_repo_load_variant`, `ostree_repo_load_file`
   */
  async load<T extends keyof LoadedObject>(
    type: T,
    checksum: string,
    options?: JobOptions,
  ): Promise<LoadedObject[T]>;
  async load(
    type: keyof LoadedObject,
    checksum: string,
    options?: JobOptions,
  ): Promise<LoadedObject[keyof LoadedObject]> {
    checkOneOf(type, [...kParsed, 'file'], 'type');
    checkObjectName(type, checksum);
    if (type !== 'file') {
      return expandObject(
        type,
        await runJob('ostree', () => this.#native.loadObject(type, checksum), options),
      );
    }
    const file = await runJob('ostree', () => this.#native.loadFileObject(checksum), options);
    const { path: _path, checksum: _checksum, ...facts } = file;
    return facts;
  }

  /**
   * The bytes that an object's checksum is made of. Of a file that is a header with owner, mode and
   * extended attributes before the content, whatever the mode of the repository.
   *
   * @throws `ENOENT`, on the stream.
   * @see `ostree_repo_load_object_stream`
   */
  createReadStream(
    type: 'commit' | 'file' | 'dirtree' | 'dirmeta' | 'commitmeta' | 'tombstone-commit',
    checksum: string,
    options: JobOptions & { highWaterMark?: number } = {},
  ): Readable {
    checkMembers(options, { ...kJobOptions, highWaterMark: true } satisfies Members<
      typeof options
    >);
    checkObjectName(type, checksum);
    return new CursorStream(() => this.#native.openObject(type, checksum), options);
  }

  /**
   * How many bytes the file of an object has.
   *
   * @throws `ENOENT`.
   * @see `ostree_repo_query_object_storage_size`
   */
  async storageSize(type: ObjectType, checksum: string, options?: JobOptions): Promise<number> {
    checkObjectName(type, checksum);
    return runJob('ostree', () => this.#native.objectSize(type, checksum), options);
  }

  /**
   * Deletes an object, needed or not; of a commit its detached metadata too. Where
   * `core.tombstone-commits` is set, a deleted commit leaves a `tombstone-commit`.
   *
   * @throws `ENOENT`.
   * @see `ostree_repo_delete_object`
   */
  async delete(type: ObjectType, checksum: string, options?: JobOptions): Promise<void> {
    checkObjectName(type, checksum);
    await runJob('ostree', () => this.#native.deleteObject(type, checksum), options);
  }

  /**
   * Takes one object over from another repository, by a hard link where the modes allow that. Only
   * inside a {@link Repo.transaction}.
   *
   * @throws `ENOENT` where the source lacks it; `ERR_INVALID_STATE` outside a transaction;
   * `ERR_OSTREE_FAILED` for content that does not have the checksum, unless `trusted`.
   * @see `ostree_repo_import_object_from_with_trust`
   */
  async importFrom(
    source: { readonly objects: Objects },
    type: 'commit' | 'file' | 'dirtree' | 'dirmeta',
    checksum: string,
    options: JobOptions & {
      /** Do not compute the checksum again. @default false */
      trusted?: boolean;
    } = {},
  ): Promise<void> {
    checkMembers(options, { ...kJobOptions, trusted: true } satisfies Members<typeof options>);
    checkOneOf(type, [...kParsed, 'file'], 'type');
    checkObjectName(type, checksum);
    const { trusted = false, signal } = options;
    const objects = source?.objects;
    if (!(objects instanceof Objects)) {
      throw invalidArgType('source', 'an instance of Repo', source);
    }
    const from = objects.#native;
    await runJob('ostree', () => this.#native.importObject(from, type, checksum, trusted), {
      signal,
    });
  }

  /**
   * What a commit that was made with sizes says of its objects; undefined for others.
   *
   * @throws `ENOENT`.
   * @see `ostree_commit_get_object_sizes`
   */
  async commitSizes(rev: string, options?: JobOptions): Promise<ObjectSizes[] | undefined> {
    checkString(rev, 'rev');
    const columns = await runJob('ostree', () => this.#native.commitSizes(rev), options);
    if (columns === null) return undefined;
    const sizes: ObjectSizes[] = [];
    const { names, sizes: numbers } = columns;
    // Names have no common length, but each ends before a NUL.
    for (let at = 0; at < names.length; ) {
      const found = names.indexOf('\0', at);
      const end = found < 0 ? names.length : found;
      const i = 2 * sizes.length;
      sizes.push({
        ...splitObjectName(names.slice(at, end)),
        unpacked: numbers[i] as number,
        archived: numbers[i + 1] as number,
      });
      at = end + 1;
      // A large commit has hundreds of thousands.
      if (sizes.length % kBatch === 0) await setImmediate();
    }
    return sizes;
  }

  /**
   * How much of one commit another has already.
   *
   * @throws `ENOENT`.
   * @see `ostree_repo_traverse_commit_with_flags`
   */
  async compare(from: string, to: string, options?: JobOptions): Promise<ObjectComparison> {
    checkString(from, 'from');
    checkString(to, 'to');
    return runJob('ostree', () => this.#native.compareObjects(from, to), options);
  }
}

/**
 * Reads the bytes of a commit, dirtree or dirmeta object, from wherever they come. Synchronous: an
 * object is small.
 *
 * @throws `ERR_INVALID_ARG_VALUE` for anything else.
 * @see `ostree_validate_structureof_commit`, `ostree_validate_structureof_dirtree`,
 * `ostree_validate_structureof_dirmeta`
 */
export function parseObject<T extends 'commit' | 'dirtree' | 'dirmeta'>(
  type: T,
  bytes: Uint8Array,
): LoadedObject[T];
export function parseObject(
  type: 'commit' | 'dirtree' | 'dirmeta',
  bytes: Uint8Array,
): LoadedObject['commit' | 'dirtree' | 'dirmeta'] {
  checkOneOf(type, kParsed, 'type');
  checkBytes(bytes, 'bytes');
  return expandObject(
    type,
    callNative('ostree', () => binding().parseObject(type, bytes)),
  );
}

function expandObject(
  type: 'commit' | 'dirtree' | 'dirmeta',
  object: NativeCommitObject | NativeDirtree | NativeDirmeta,
): LoadedObject['commit' | 'dirtree' | 'dirmeta'] {
  if (type === 'commit') return withDate(object as NativeCommitObject);
  if (type === 'dirmeta') return object as NativeDirmeta;
  const tree = object as NativeDirtree;
  const column = (text: string) => (text === '' ? [] : text.split('\0'));
  const [sums, contents, metadata] = [tree.fileChecksums, tree.contents, tree.metadata].map(column);
  return {
    files: column(tree.files).map((name, i) => ({ name, checksum: sums?.[i] as string })),
    directories: column(tree.directories).map((name, i) => ({
      name,
      contents: contents?.[i] as string,
      metadataChecksum: metadata?.[i] as string,
    })),
  };
}

function* expandReachable(batch: NativeReachableBatch): Generator<ReachableObject> {
  const commits = batch.commits?.split('\0');
  for (const [i, name] of batch.names.split('\0').entries()) {
    const of = commits?.[i];
    yield {
      ...splitObjectName(name),
      ...(of !== undefined && { commits: of === '' ? [] : of.split(' ') }),
    };
  }
}
