import { PassThrough, type Writable } from 'node:stream';
import type { NativeObjectAttributes, NativeRepo } from '../../types/ostree.js';
import {
  checkArray,
  checkBytes,
  checkChecksum,
  checkDate,
  checkMembers,
  checkOneOf,
  checkOptions,
  checkPath,
  checkString,
  checkStrings,
  type Members,
  type PathLike,
} from '../checks.js';
import { OstreeError } from '../errors.js';
import { type JobOptions, kJobOptions, runJob } from '../job.js';
import { kMostCopied, partsOf } from '../pieces.js';
import type { Variant } from '../variant.js';
import { type ArchiveSource, isIterable, withArchive, withPipe } from './archive_source.js';
import { checkCollectionRef } from './collections.js';
import {
  type ImportOptions,
  type ImportResult,
  kImportOptions,
  kWriteDirectoryOptions,
  nativeImportOptions,
  runImport,
  type WriteDirectoryOptions,
} from './import.js';
import { MutableTree } from './mutable_tree.js';
import type { CollectionRef } from './pull.js';

/** A written directory: its dirtree and its dirmeta object. */
export interface TreeChecksums {
  contents: string;
  metadata: string;
}

/** What a transaction wrote (`OstreeRepoTransactionStats`). */
export interface TransactionStats {
  metadataObjectsTotal: number;
  metadataObjectsWritten: number;
  contentObjectsTotal: number;
  contentObjectsWritten: number;
  /** Bytes of new content objects. */
  contentBytesWritten: number;
  /** Files whose content was known from a checkout and not read again. */
  devinoCacheHits: number;
}

export interface WriteCommitOptions extends JobOptions {
  /** The root directory, as {@link Transaction.writeTree} returns it. */
  tree: TreeChecksums;
  /** Checksum of the parent commit. */
  parent?: string;
  subject?: string;
  body?: string;
  /** Commit metadata; values need their GVariant type, see `variant()`. */
  metadata?: Record<string, Variant>;
  /** Whole seconds count. @default now */
  timestamp?: Date;
  /**
   * Say in the metadata that the tree can be booted, and with which kernel
   * (`ostree_commit_metadata_for_bootable`).
   */
  bootable?: boolean;
  /**
   * Put the digest of the tree as a composefs image into the metadata; `ERR_OSTREE_NOT_SUPPORTED`
   * before libostree 2023.4 or without composefs (`ostree_repo_commit_add_composefs_metadata`).
   */
  composefs?: boolean;
  /** Keys of the parent's metadata to take over; those in `metadata` win. */
  keepMetadata?: readonly string[];
}

export interface WriteArchiveOptions extends ImportOptions {
  /** Make directories that the archive names no entry for. @default true */
  createParents?: boolean;
  /** Leave out device nodes and such, which OSTree cannot hold, rather than fail. */
  skipDevices?: boolean;
  /** `/etc` becomes `/usr/etc`. */
  usrEtc?: boolean;
  /**
   * Directories to put elsewhere, old name to new: `{ opt: 'usr/lib/opt' }`. The first that fits a
   * path counts.
   */
  moves?: Readonly<Record<string, string>>;
  /**
   * A regular expression (as GRegex has them, not as JavaScript) whose matches in each path are
   * replaced; `\\1` in the replacement is the first group. Paths are relative here, without `./`.
   */
  rewrite?: { pattern: string; replacement: string };
}

export interface WriteCommitTreeOptions extends ImportOptions {
  /** A directory of the commit, rather than all of it. @default '/' */
  subpath?: string;
}

/** Owner, mode and extended attributes of an object that is written alone. */
export interface ObjectOptions extends JobOptions {
  /** @default 0 */
  uid?: number;
  /** @default 0 */
  gid?: number;
  /** Permission bits. @default 0o644 */
  mode?: number;
  /** Values must not be empty: libostree reads no such. */
  xattrs?: readonly { name: string; value: Uint8Array }[];
}

const kWriteCommitOptions: Members<WriteCommitOptions> = {
  ...kJobOptions,
  tree: true,
  parent: true,
  subject: true,
  body: true,
  metadata: true,
  timestamp: true,
  bootable: true,
  composefs: true,
  keepMetadata: true,
};

/** @internal */
export const kWriteArchiveOptions: Members<WriteArchiveOptions> = {
  ...kImportOptions,
  createParents: true,
  skipDevices: true,
  usrEtc: true,
  moves: true,
  rewrite: true,
};

/** @internal */
export const kWriteCommitTreeOptions: Members<WriteCommitTreeOptions> = {
  ...kImportOptions,
  subpath: true,
};

const kObjectOptions: Members<ObjectOptions> = {
  ...kJobOptions,
  uid: true,
  gid: true,
  mode: true,
  xattrs: true,
};

/** See {@link Transaction.fileWriter}. */
export interface FileWriter {
  readonly stream: Writable;
  readonly checksum: Promise<string>;
}

/**
 * Writes inside an open transaction; made by {@link Repo.transaction} and valid until its function
 * ends. Operations may run in parallel. Objects become visible to others, and refs move, when the
 * transaction commits.
 *
 * @throws `ERR_INVALID_STATE` by every method, once the transaction has ended.
 */
export class Transaction {
  readonly #repo: NativeRepo;
  #ended = false;

  /** @internal */
  constructor(repo: NativeRepo) {
    this.#repo = repo;
  }

  /** @internal */
  static end(transaction: Transaction): void {
    transaction.#ended = true;
  }

  #use(): NativeRepo {
    if (this.#ended) throw new OstreeError('ERR_INVALID_STATE', 'The transaction has ended');
    return this.#repo;
  }

  /**
   * Sets a ref when the transaction commits; `null` deletes it.
   *
   * @throws `ENOENT` where the commit is not in the repository.
   * @see `ostree_repo_transaction_set_ref`
   */
  async setRef(ref: string, checksum: string | null, options?: JobOptions): Promise<void> {
    checkString(ref, 'ref');
    if (checksum !== null) checkChecksum(checksum, 'checksum');
    const repo = this.#use();
    await runJob('ostree', () => repo.transactionSetRef(ref, checksum), options);
  }

  /**
   * Sets a ref of a collection when the transaction commits; `null` deletes it.
   *
   * @throws `ENOENT` where the commit is not in the repository.
   * @see `ostree_repo_transaction_set_collection_ref`
   * @example
   * const checksum = await repo.resolveRev('os/stable');
   * await transaction.setCollectionRef({ collectionId: 'org.example.Os', ref: 'os/new' }, checksum);
   */
  async setCollectionRef(
    ref: CollectionRef,
    checksum: string | null,
    options?: JobOptions,
  ): Promise<void> {
    const { collectionId, ref: name } = checkCollectionRef(ref, 'ref');
    if (checksum !== null) checkChecksum(checksum, 'checksum');
    const repo = this.#use();
    await runJob(
      'ostree',
      () => repo.transactionSetCollectionRef(collectionId, name, checksum),
      options,
    );
  }

  /**
   * Writes the directories of a tree that are new.
   *
   * @throws `ERR_CLOSED` for a tree that is closed.
   * @see `ostree_repo_write_mtree`
   */
  async writeTree(tree: MutableTree, options?: JobOptions): Promise<TreeChecksums> {
    const repo = this.#use();
    return runJob('ostree', () => repo.writeTree(MutableTree.native(tree)), options);
  }

  /**
   * Writes a commit and returns its checksum. No ref moves, and no ref binding is added to the
   * metadata: see {@link setRef} and the key `ostree.ref-binding`.
   *
   * @throws `ENOENT` where the tree is not in the repository, or the parent lacks metadata to keep; `ERR_OSTREE_FAILED` where a `bootable`
   * one has no kernel.
   * @see `ostree_repo_write_commit_with_time`
   */
  async writeCommit(options: WriteCommitOptions): Promise<string> {
    checkMembers(options, kWriteCommitOptions);
    checkChecksum(options.tree?.contents, 'options.tree.contents');
    checkChecksum(options.tree.metadata, 'options.tree.metadata');
    if (options.parent !== undefined) checkChecksum(options.parent, 'options.parent');
    const {
      tree,
      parent,
      subject,
      body,
      metadata,
      timestamp,
      bootable,
      composefs,
      keepMetadata,
      signal,
    } = options;
    if (timestamp !== undefined) checkDate(timestamp, 'options.timestamp');
    const kept = keepMetadata && checkStrings(keepMetadata, 'options.keepMetadata');
    const repo = this.#use();
    return runJob(
      'ostree',
      () =>
        repo.writeCommit({
          contents: tree.contents,
          metadata: tree.metadata,
          parent,
          subject,
          body,
          commitMetadata: metadata,
          timestamp: timestamp && Math.floor(timestamp.getTime() / 1000),
          bootable,
          composefs,
          keepMetadata: kept,
        }),
      { signal },
    );
  }

  /**
   * Imports a directory into a tree, over what the tree has already. Files are read, hashed and
   * written on all processors; the objects are those that `ostree commit` makes. A few options
   * need libostree's own import, which uses one: `consume`, `devinoCache`, `generateSizes`,
   * `selinuxPolicy`.
   *
   * @throws `ENOENT`, `ENOTDIR`, `EACCES` with `path`; `ERR_OSTREE_FAILED` for device nodes,
   * sockets and names that are not UTF-8, unless they are skipped; what `filter` throws.
   * @see `ostree_repo_write_dfd_to_mtree`, `OstreeRepoCommitModifierFlags`
   * @example
   * const { unmatched } = await transaction.writeDirectory(`${directory}/tree`, tree, {
   *   owner: { uid: 0, gid: 0 },
   *   skip: ['/proc', '/sys'],
   *   skipPatterns: ['*.pyc'],
   *   filter: ({ type, mode }) => (type === 'file' ? { mode: mode & ~0o022 } : undefined),
   * });
   * assert.deepEqual(unmatched.sort(), ['*.pyc', '/proc', '/sys']);
   */
  async writeDirectory(
    path: PathLike,
    tree: MutableTree,
    options: WriteDirectoryOptions = {},
  ): Promise<ImportResult> {
    const absolute = checkPath(path, 'path');
    const native = nativeImportOptions(options, kWriteDirectoryOptions);
    const repo = this.#use();
    return runImport(
      (listener) => repo.writeDirectory(absolute, MutableTree.native(tree), native, listener),
      options,
    );
  }

  /**
   * Imports an archive (tar, cpio, zip; compressed or not) into a tree, over what the tree has
   * already.
   *
   * @throws `ENOENT` with `path`; `ERR_OSTREE_FAILED` for what is no archive or holds what OSTree
   * cannot; what the stream or `filter` throws.
   * @see `ostree_repo_import_archive_to_mtree`
   * @example
   * const archive = createReadStream(`${directory}/tree.tar`);
   * await transaction.writeArchive(archive, tree, { prefix: '/usr/share', skip: ['/tree/etc'] });
   */
  async writeArchive(
    source: ArchiveSource,
    tree: MutableTree,
    options: WriteArchiveOptions = {},
  ): Promise<ImportResult> {
    checkMembers(options, kWriteArchiveOptions);
    const { createParents, skipDevices, usrEtc, moves, rewrite } = options;
    if (moves !== undefined) checkOptions(moves, 'options.moves');
    if (rewrite !== undefined) {
      checkMembers(rewrite, { pattern: true, replacement: true }, 'options.rewrite');
      checkString(rewrite.pattern, 'options.rewrite.pattern');
      checkString(rewrite.replacement, 'options.rewrite.replacement');
    }
    const native = {
      ...nativeImportOptions(options, kWriteArchiveOptions),
      createParents,
      skipDevices,
      usrEtc,
      moves: moves && Object.entries(moves).flat(),
      pattern: rewrite?.pattern,
      replacement: rewrite?.replacement,
    };
    const repo = this.#use();
    return withArchive(source, options.signal, (readable, signal) =>
      runImport(
        (listener) => repo.writeArchive(readable, MutableTree.native(tree), native, listener),
        { ...options, filter: options.filter, onProgress: options.onProgress, signal },
      ),
    );
  }

  /**
   * Lays the tree of another commit over a tree (`ostree commit --tree=ref=`). Without rules no
   * file is read: objects are named, and directories that the tree lacks are taken whole.
   *
   * @throws `ENOENT`, `ENOTDIR`; what `filter` throws.
   * @see `ostree_repo_write_directory_to_mtree`
   * @example
   * await transaction.writeCommitTree('os/stable', tree, { subpath: '/usr', prefix: '/usr' });
   */
  async writeCommitTree(
    rev: string,
    tree: MutableTree,
    options: WriteCommitTreeOptions = {},
  ): Promise<ImportResult> {
    checkMembers(options, kWriteCommitTreeOptions);
    checkString(rev, 'rev');
    const { subpath = '/' } = options;
    checkString(subpath, 'options.subpath');
    const native = nativeImportOptions(options, kWriteCommitTreeOptions);
    const repo = this.#use();
    return runImport(
      (listener) => repo.writeCommitTree(rev, subpath, MutableTree.native(tree), native, listener),
      options,
    );
  }

  /**
   * Writes one file, for the edit `link` of a {@link MutableTree}: from memory, or from a stream
   * or other async iterable of bytes, of which nothing big is held in memory. Large content in
   * memory is read while the call runs, so it must stay as it is.
   *
   * @returns the checksum of the object.
   * @throws `EINVAL` for what a `bare-user-only` repository cannot keep; what the stream throws.
   * @see `ostree_repo_write_regfile_inline`, `ostree_repo_write_content_trusted`
   * @example
   * const content = createReadStream(`${directory}/tree.tar`);
   * const checksum = await transaction.writeRegularFile(content, { mode: 0o755 });
   * await tree.apply(repo, [{ op: 'link', path: '/usr/bin/big', checksum }]);
   */
  async writeRegularFile(
    content: string | Uint8Array | AsyncIterable<Uint8Array>,
    options: ObjectOptions = {},
  ): Promise<string> {
    const repo = this.#use();
    const attributes = nativeAttributes(options, kObjectOptions);
    const { signal } = options;
    let source = content;
    if (!isIterable(source)) {
      const bytes = typeof source === 'string' ? Buffer.from(source) : source;
      checkBytes(bytes, 'content');
      if (bytes.byteLength <= kMostCopied) {
        return runJob('ostree', () => repo.writeFile(bytes, attributes), { signal });
      }
      source = streamOf(bytes);
    }
    return withPipe(source, signal, (fd, stop) =>
      runJob('ostree', () => repo.writeFile(fd, attributes), { signal: stop }),
    );
  }

  /**
   * A stream whose content becomes a file: write to it, end it, and take the checksum of the
   * object from `checksum`. Destroying the stream drops the file, and rejects `checksum`.
   *
   * @throws `EINVAL` as {@link writeRegularFile}, on the stream too.
   * @see `ostree_repo_write_content_trusted`
   * @example
   * const writer = transaction.fileWriter({ mode: 0o600 });
   * writer.stream.end('content');
   * const checksum = await writer.checksum;
   */
  fileWriter(options: ObjectOptions = {}): FileWriter {
    const stream = new PassThrough();
    const checksum = this.writeRegularFile(stream, options);
    // Whoever does not ask for it has no use for the failure either: the stream tells of it.
    checksum.catch((error: Error) => stream.destroy(error));
    return { stream, checksum };
  }

  /**
   * Writes one symbolic link; the mode does not count.
   *
   * @returns the checksum of the object.
   * @throws `ERR_INVALID_ARG_VALUE` for an empty target.
   * @see `ostree_repo_write_symlink`
   */
  async writeSymlink(target: string, options: Omit<ObjectOptions, 'mode'> = {}): Promise<string> {
    checkString(target, 'target');
    const repo = this.#use();
    const { mode: _mode, ...members } = kObjectOptions;
    const attributes = nativeAttributes(options, members);
    const { signal } = options;
    return runJob('ostree', () => repo.writeSymlink(target, attributes), { signal });
  }

  /**
   * Writes a metadata object from its bytes, as {@link Objects.load} gives them. What it names need
   * not be there.
   *
   * @returns its checksum.
   * @throws `ERR_OSTREE_FAILED` for bytes that are no such object, or not the one of `checksum`.
   * @see `ostree_repo_write_metadata`
   */
  async writeMetadata(
    type: 'commit' | 'dirtree' | 'dirmeta',
    bytes: Uint8Array,
    options: JobOptions & { checksum?: string } = {},
  ): Promise<string> {
    checkOneOf(type, ['commit', 'dirtree', 'dirmeta'], 'type');
    checkBytes(bytes, 'bytes');
    checkMembers(options, { ...kJobOptions, checksum: true } satisfies Members<typeof options>);
    const { checksum, signal } = options;
    if (checksum !== undefined) checkChecksum(checksum, 'options.checksum');
    const repo = this.#use();
    return runJob('ostree', () => repo.writeMetadata(type, bytes, checksum), { signal });
  }
}

async function* streamOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield* partsOf(bytes);
}

function nativeAttributes(
  options: ObjectOptions,
  members: Readonly<Record<string, true>>,
): NativeObjectAttributes {
  checkMembers(options, members);
  const { uid, gid, mode, xattrs } = options;
  if (xattrs !== undefined) checkArray(xattrs, 'options.xattrs');
  return { uid, gid, mode, xattrs: xattrs && [...xattrs] };
}
