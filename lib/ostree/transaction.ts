import type { NativeRepo } from '../../types/ostree.js';
import { checkChecksum, checkPath, checkString, type PathLike } from '../checks.js';
import { OstreeError } from '../errors.js';
import { type JobOptions, runJob } from '../job.js';
import type { Variant } from '../variant.js';
import { DevinoCache } from './devino_cache.js';
import { MutableTree } from './mutable_tree.js';

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
}

/** How files are read on their way into a tree. */
export interface ImportOptions extends JobOptions {
  /** Owner of everything imported. @default as it is there */
  owner?: { uid?: number; gid?: number };
  /** Absolute paths within the source to leave out, with what is below them. */
  skip?: readonly string[];
  /** Do not store extended attributes. */
  skipXattrs?: boolean;
  /** Owner 0:0, modes reduced to 0755 and 0644; what mode `bare-user-only` needs. */
  canonicalPermissions?: boolean;
}

export interface WriteDirectoryOptions extends ImportOptions {
  /** Remove the files as they are imported; may rename instead of copying. */
  consume?: boolean;
  /** The cache of the checkout that the directory is: unchanged files are not read. */
  devinoCache?: DevinoCache;
  /** Trust the cache even where metadata differ; what mode `bare-user` needs. */
  devinoCanonical?: boolean;
}

export interface WriteArchiveOptions extends ImportOptions {
  /** Make directories that the archive names no entry for. @default true */
  createParents?: boolean;
}

/**
 * Writes inside an open transaction; made by {@link Repo.transaction} and valid until its function
 * ends. Operations may run in parallel. Objects become visible to others, and refs move, when the
 * transaction commits.
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
   * Writes the directories of a tree that are new.
   *
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
   * @throws `ENOENT` where the tree is not in the repository.
   * @see `ostree_repo_write_commit_with_time`
   */
  async writeCommit(options: WriteCommitOptions): Promise<string> {
    checkChecksum(options.tree?.contents, 'options.tree.contents');
    checkChecksum(options.tree.metadata, 'options.tree.metadata');
    if (options.parent !== undefined) checkChecksum(options.parent, 'options.parent');
    const { tree, parent, subject, body, metadata, timestamp } = options;
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
        }),
      options,
    );
  }

  /**
   * Imports a directory into a tree, over what the tree has already.
   *
   * @see `ostree_repo_write_dfd_to_mtree`, `OstreeRepoCommitModifierFlags`
   */
  async writeDirectory(
    path: PathLike,
    tree: MutableTree,
    options: WriteDirectoryOptions = {},
  ): Promise<void> {
    const absolute = checkPath(path, 'path');
    const { consume, devinoCache, devinoCanonical } = options;
    const repo = this.#use();
    await runJob(
      'ostree',
      () =>
        repo.writeDirectory(absolute, MutableTree.native(tree), {
          ...importOptions(options),
          consume,
          devinoCanonical,
          devinoCache: DevinoCache.native(devinoCache),
        }),
      options,
    );
  }

  /**
   * Imports a tar archive, compressed or not, into a tree, over what the tree has already.
   *
   * @see `ostree_repo_write_archive_to_mtree`
   */
  async writeArchive(
    path: PathLike,
    tree: MutableTree,
    options: WriteArchiveOptions = {},
  ): Promise<void> {
    const absolute = checkPath(path, 'path');
    const { createParents } = options;
    const repo = this.#use();
    await runJob(
      'ostree',
      () =>
        repo.writeArchive(absolute, MutableTree.native(tree), {
          ...importOptions(options),
          createParents,
        }),
      options,
    );
  }
}

function importOptions(options: ImportOptions) {
  const { owner, skip, skipXattrs, canonicalPermissions } = options;
  return {
    uid: owner?.uid,
    gid: owner?.gid,
    skip: skip && [...skip],
    skipXattrs,
    canonicalPermissions,
  };
}
