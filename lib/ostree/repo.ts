import type { Readable, Writable } from 'node:stream';
import type { NativeRepo } from '../../types/ostree.js';
import { binding } from '../binding.js';
import {
  checkFunction,
  checkMembers,
  checkOneOf,
  checkOptions,
  checkPath,
  checkString,
  type Members,
  type PathLike,
} from '../checks.js';
import { invalidArgType } from '../errors.js';
import { callNative, type JobOptions, kJobOptions, runJob } from '../job.js';
import { checkIterable } from '../shapes.js';
import {
  type CheckoutOptions,
  type CheckoutSource,
  type ComposefsOptions,
  checkOut,
  checkOutComposefs,
} from './checkout.js';
import { Collections } from './collections.js';
import { type Commit, type LogOptions, loadCommit, readLog } from './commit.js';
import { CursorStream, type ReadStreamOptions } from './cursor.js';
import { Deltas } from './deltas.js';
import { type Diff, type DiffOptions, type DiffSide, diffTrees } from './diff.js';
import { type ExportOptions, exportArchive } from './export.js';
import type { LockOptions, RepoLock, RepoLockType } from './lock.js';
import {
  type FsckOptions,
  type FsckResult,
  kPruneFromReachableOptions,
  Maintenance,
  type PartialCommit,
  type PruneFromReachableOptions,
  type PruneOptions,
  type PruneResult,
} from './maintenance.js';
import type { ObjectType } from './object_name.js';
import { Objects } from './objects.js';
import {
  type PullEvent,
  type PullOptions,
  type PullProgress,
  pullListener,
  pullOptions,
} from './pull.js';
import { type ListRefsOptions, listRefs, setAlias, setRef } from './refs.js';
import { Remotes } from './remote.js';
import { RepoHandle, type RepoMode } from './repo_handle.js';
import { runTransaction } from './run_transaction.js';
import { Signatures, type Verdict } from './signatures.js';
import { RepoSummary } from './summary.js';
import type { Transaction, TransactionStats } from './transaction.js';
import {
  type EntryOptions,
  kEntryOptions,
  kListOptions,
  kWalkOptions,
  type ListOptions,
  type TreeEntry,
  type WalkOptions,
  walkTree,
} from './tree_entry.js';

import { type CommitResult, type CommitTreesOptions, writeCommit } from './write_commit.js';

const kModes: readonly RepoMode[] = [
  'bare',
  'bare-user',
  'bare-user-only',
  'archive',
  'bare-split-xattrs',
];

/**
 * An OSTree repository, opened. Close it, or use `await using`.
 *
 * @throws `ERR_CLOSED` by every method, once the repository is closed.
 * @see `OstreeRepo`, docs/guide-ostree.md
 */
export class Repo extends RepoHandle {
  readonly #native: NativeRepo;
  readonly #maintenance: Maintenance;
  /** Where commits come from. */
  readonly remotes: Remotes;
  /** Signatures of commits and data. */
  readonly signatures: Signatures;
  /** What the repository offers to those who pull from it. */
  readonly summary: RepoSummary;
  /** Static deltas. */
  readonly deltas: Deltas;
  /** Refs that are known worldwide. */
  readonly collections: Collections;
  /** Single objects: list, load, delete; which of them commits need. */
  readonly objects: Objects;

  private constructor(native: NativeRepo, path: string) {
    super(native, path);
    this.#native = native;
    this.remotes = new Remotes(native, path);
    this.signatures = new Signatures(native);
    this.#maintenance = new Maintenance(native, path);
    this.summary = new RepoSummary(native, this, this.#maintenance);
    this.deltas = new Deltas(native, path, this.#maintenance);
    this.collections = new Collections(native, this.#maintenance);
    this.objects = new Objects(native);
  }

  /**
   * Opens an existing repository.
   *
   * @throws `ENOENT` where there is nothing; `ERR_OSTREE_NOT_A_REPOSITORY` for something else
   * than a repository.
   * @see `ostree_repo_open`
   */
  static async open(path: PathLike, options?: JobOptions): Promise<Repo> {
    const absolute = checkPath(path, 'path');
    const native = await runJob('ostree', () => binding().Repo.open(absolute), options);
    return new Repo(native, absolute);
  }

  /**
   * Opens the repository that the command takes where it is told none: the working directory if it
   * is one, else that of `OSTREE_REPO`, else the system's.
   *
   * @throws as {@link open}.
   * @see `ostree_repo_new_default`
   * @example
   * await assert.rejects(Repo.openDefault(), { code: 'ENOENT' });
   */
  static async openDefault(options?: JobOptions): Promise<Repo> {
    return Repo.open(
      callNative('ostree', () => binding().defaultRepoPath()),
      options,
    );
  }

  /**
   * Creates a repository, or opens it if it exists in the same mode.
   *
   * @throws `EEXIST` where it exists in another mode.
   * @see `ostree_repo_create_at`
   */
  static async create(
    path: PathLike,
    mode: RepoMode,
    options: JobOptions & {
      /** The collection that a new one's refs belong to. */
      collectionId?: string;
    } = {},
  ): Promise<Repo> {
    const absolute = checkPath(path, 'path');
    checkOneOf(mode, kModes, 'mode');
    checkMembers(options, { ...kJobOptions, collectionId: true } satisfies Members<typeof options>);
    const { collectionId, signal } = options;
    if (collectionId !== undefined) checkString(collectionId, 'options.collectionId');
    const native = await runJob(
      'ostree',
      () => binding().Repo.create(absolute, mode, collectionId),
      { signal },
    );
    return new Repo(native, absolute);
  }

  /**
   * Whether another object is of the same repository, however it was opened. Synchronous.
   *
   * @see `ostree_repo_equal`
   * @example
   * await using again = await Repo.open(repo.path);
   * assert(repo.equals(again));
   */
  equals(other: Repo): boolean {
    return callNative('ostree', () => this.#native.equals(Repo.native(other)));
  }

  /** @internal For the classes that hand a repository to native code. */
  static native(repo: Repo): NativeRepo {
    if (typeof repo !== 'object' || repo === null || !(#native in repo)) {
      throw invalidArgType('repo', 'an instance of Repo', repo);
    }
    return repo.#native;
  }

  /** @internal For a repository that other native code opened. */
  static wrap(native: NativeRepo, path: string): Repo {
    return new Repo(native, path);
  }

  /**
   * The checksum behind a ref, a refspec `remote:ref`, a short checksum or `rev^`.
   *
   * @throws `ENOENT` where it does not exist.
   * @see `ostree_repo_resolve_rev`
   */
  async resolveRev(rev: string, options?: JobOptions): Promise<string> {
    checkString(rev, 'rev');
    return (await runJob('ostree', () => this.#native.resolveRev(rev, false), options)) as string;
  }

  /** As {@link resolveRev}, undefined where it does not exist. @see `ostree_repo_resolve_rev` */
  async tryResolveRev(rev: string, options?: JobOptions): Promise<string | undefined> {
    checkString(rev, 'rev');
    return (await runJob('ostree', () => this.#native.resolveRev(rev, true), options)) ?? undefined;
  }

  /**
   * Refs and their commits, those of remotes as `remote:ref`, each by its whole name.
   *
   * @throws `ERR_INVALID_ARG_VALUE` for a `prefix` that no ref can have.
   * @see `ostree_repo_list_refs_ext`
   */
  async listRefs(options?: ListRefsOptions): Promise<Record<string, string>> {
    return listRefs(this.#native, options);
  }

  /**
   * Sets a ref now, outside a transaction; `null` deletes it.
   *
   * @throws `ENOENT` where the commit is not in the repository.
   * @see `ostree_repo_set_ref_immediate`
   */
  async setRef(ref: string, checksum: string | null, options?: JobOptions): Promise<void> {
    return setRef(this.#native, ref, checksum, options);
  }

  /**
   * Makes a ref that stands for another, wherever that will point; `null` removes it.
   *
   * @throws `ENOENT` where the other ref does not exist; `ELOOP` where that leads back to the alias.
   * @see `ostree_repo_set_alias_ref_immediate`
   * @example
   * await repo.setAlias('os/current', 'os/stable');
   */
  async setAlias(alias: string, target: string | null, options?: JobOptions): Promise<void> {
    return setAlias(this.#native, alias, target, options);
  }

  /** Whether an object is stored; the same as {@link Objects.has}. @see `ostree_repo_has_object` */
  async hasObject(type: ObjectType, checksum: string, options?: JobOptions): Promise<boolean> {
    return this.objects.has(type, checksum, options);
  }

  /**
   * Makes a commit of directories, archives and other commits, and moves a ref to it, in a
   * transaction of its own: all that `ostree commit` does, with the same checksum.
   *
   * @throws `ENOENT`, `ERR_BUSY` while a transaction of this object is open; what imports throw.
   * @see `ostree_repo_write_commit_with_time`
   * @example
   * const trees = [{ directory: `${directory}/tree`, prefix: '/usr', owner: { uid: 0, gid: 0 } }];
   * const { checksum } = await repo.commit({ ref: 'os/mine', base: 'os/stable', trees });
   */
  async commit(options: CommitTreesOptions): Promise<CommitResult> {
    return writeCommit(this, options);
  }

  /**
   * Runs `write` inside a transaction: commits it when the function returns, drops it when the
   * function throws or the signal aborts. A repository object has one transaction at a time; open
   * the repository once more for a second one beside it. What a dropped transaction wrote is not
   * visible, but stays in the repository's `tmp`, where the next transaction takes it up.
   *
   * @throws `ERR_BUSY` while another transaction of this object is open; `EDEADLK` where the caller
   * holds the exclusive lock through another object; `ERR_OSTREE_LOCKED` after waiting for others
   * (`core.lock-timeout-secs`).
   * @see `ostree_repo_prepare_transaction`, `ostree_repo_commit_transaction`
   */
  async transaction<T>(
    write: (transaction: Transaction) => Promise<T> | T,
    options: JobOptions = {},
  ): Promise<{ result: T; stats: TransactionStats }> {
    checkMembers(options, kJobOptions);
    checkFunction(write, 'write');
    return runTransaction(this.#native, this.#maintenance, write, options);
  }

  /**
   * The entries of a directory of a commit, files first, sorted by name; with `recursive` each
   * directory is followed by what is below it. A path that is a file lists itself.
   *
   * @throws `ENOENT`, `ENOTDIR`.
   * @see `ostree_repo_load_variant`, ostree-ls(1)
   */
  async list(rev: string, path = '/', options: ListOptions = {}): Promise<TreeEntry[]> {
    checkMembers(options, kListOptions);
    const { recursive = false } = options;
    const entries: TreeEntry[] = [];
    const tree = walkTree(this.#native, rev, { ...options, path, recursive });
    for await (const entry of tree) entries.push(entry);
    return entries;
  }

  /**
   * Every entry of a tree, in the order of {@link list}, read as the caller goes on: even of the
   * largest tree few entries are in memory at a time.
   *
   * @throws `ENOENT`, `ENOTDIR`; `ERR_CLOSED` once the repository is closed.
   * @see `ostree_repo_load_variant`
   * @example
   * for await (const { path, mode } of repo.walk('os/stable')) if (mode & 0o4000) console.log(path);
   */
  walk(rev: string, options: WalkOptions = {}): AsyncGenerator<TreeEntry, void, undefined> {
    checkMembers(options, kWalkOptions);
    return walkTree(this.#native, rev, options);
  }

  /**
   * One entry of a commit; symbolic links are not followed.
   *
   * @throws `ENOENT`, `ENOTDIR`.
   * @see `ostree_repo_load_file`
   */
  async stat(rev: string, path: string, options: EntryOptions = {}): Promise<TreeEntry> {
    checkMembers(options, kEntryOptions);
    checkString(rev, 'rev');
    checkString(path, 'path');
    const { xattrs = false, signal } = options;
    return runJob('ostree', () => this.#native.stat(rev, path, xattrs), { signal });
  }

  /**
   * The content of a file of a commit.
   *
   * @throws `ENOENT`, `ENOTDIR`, `EISDIR`, `ELOOP` (a symbolic link; they are not followed),
   * `EFBIG` from 2 GiB on.
   * @see `ostree_repo_load_file`
   */
  async readFile(rev: string, path: string, options?: JobOptions): Promise<Buffer> {
    checkString(rev, 'rev');
    checkString(path, 'path');
    return runJob('ostree', () => this.#native.readFile(rev, path), options);
  }

  /**
   * The content of a file of a commit, read as the stream is; `start` and `end` as in
   * `fs.createReadStream`, both included. Destroying the stream, or the signal, stops the reading
   * and closes the file before `close` is emitted.
   *
   * @throws on the stream what {@link readFile} throws.
   * @see `ostree_repo_load_file`
   */
  createReadStream(rev: string, path: string, options: ReadStreamOptions = {}): Readable {
    checkOptions(options);
    checkString(rev, 'rev');
    checkString(path, 'path');
    const { start, end } = options;
    return new CursorStream(() => this.#native.openFile(rev, path, { start, end }), options);
  }

  /**
   * Writes a commit as a tar archive: to a file, which is replaced; to a stream, which is ended; or
   * to an open descriptor, which is left open. After a failure a part may have been written.
   *
   * @throws `ENOENT`, `ENOTDIR`, what writing fails with.
   * @see `ostree_repo_export_tree_to_archive`
   * @example
   * await repo.exportArchive('os/stable', `${directory}/usr.tar`, { subpath: 'usr' });
   */
  async exportArchive(
    rev: string,
    target: PathLike | Writable | number,
    options?: ExportOptions,
  ): Promise<void> {
    return exportArchive(this.#native, rev, target, options);
  }

  /** Reads a commit. @throws `ENOENT`. @see `ostree_repo_load_commit` */
  async loadCommit(rev: string, options?: JobOptions): Promise<Commit> {
    return loadCommit(this.#native, rev, options);
  }

  /**
   * Writes the files of a commit into a directory, linked to their objects where the mode of the
   * repository allows that. Linked files must be replaced, never changed in place. Several sources
   * go into the same directory one after the other; `overwrite` says who wins.
   *
   * @throws `ENOENT`, `EEXIST`; `ERR_INVALID_ARG_VALUE` for options that contradict each other.
   * @see `ostree_repo_checkout_at`
   */
  async checkout(
    source: string | readonly CheckoutSource[],
    destination: PathLike,
    options?: CheckoutOptions,
  ): Promise<void> {
    return checkOut(this.#native, source, destination, options);
  }

  /**
   * Writes the metadata of a commit as a composefs image, to be mounted over the repository.
   *
   * @throws `ENOENT`; `ERR_OSTREE_NOT_SUPPORTED` before libostree 2024.7 or without composefs.
   * @see `ostree_repo_checkout_composefs`
   */
  async checkoutComposefs(
    rev: string,
    destination: PathLike,
    options?: ComposefsOptions,
  ): Promise<void> {
    return checkOutComposefs(this.#native, rev, destination, options);
  }

  /**
   * What differs between two commits, or a commit and a directory. Two commits are compared by
   * their checksums alone, which is quick; a directory has to be read.
   *
   * @throws `ENOENT`.
   * @see `ostree_diff_dirs_with_options`
   */
  async diff(from: DiffSide, to: DiffSide, options?: DiffOptions): Promise<Diff> {
    return diffTrees(this.#native, from, to, options);
  }

  /**
   * A commit and its parents, newest first, as far back as the repository has them.
   *
   * @throws `ENOENT` where `rev` does not exist.
   * @see `ostree_repo_load_commit`, ostree-log(1)
   */
  log(rev: string, options?: LogOptions): AsyncGenerator<Commit, void, undefined> {
    checkString(rev, 'rev');
    return readLog(this.#native, rev, options);
  }

  /**
   * Waits for the lock of the repository and takes it. Transactions hold the shared one, pruning
   * the exclusive one; reading takes none. It keeps out other objects and processes, and other
   * holders of a lock of this object, but not what else this object does. Every `await` until it
   * can be had is abortable.
   *
   * Other calls of this object count on it until it is released, as libostree's stack of locks has
   * it: {@link prune} works under the exclusive one.
   *
   * @throws `ERR_OSTREE_LOCKED` when `timeout` passed; `EDEADLK` at once where it would wait for
   * this object itself, or inside {@link withLock} or {@link transaction} for the caller; `ERR_BUSY` for the exclusive one while
   * a transaction of this object is open.
   * @see `ostree_repo_lock_push`, `ostree_repo_lock_pop`
   */
  async lock(type: RepoLockType, options: LockOptions = {}): Promise<RepoLock> {
    checkOneOf(type, ['shared', 'exclusive'], 'type');
    return this.#maintenance.bareLock(type, options);
  }

  /**
   * Runs a function with the lock of the repository, as {@link lock} takes it. Inside, the same
   * lock is there already, for calls of this object and for `withLock` itself.
   *
   * @throws as {@link lock}, and what the function throws.
   * @see {@link lock}
   */
  async withLock<T>(
    type: RepoLockType,
    options: LockOptions,
    run: () => Promise<T> | T,
  ): Promise<T> {
    checkOneOf(type, ['shared', 'exclusive'], 'type');
    checkFunction(run, 'run');
    return this.#maintenance.withLock(type, options, run);
  }

  /**
   * Reads objects again, on all processors, and compares them with their checksums; checks refs
   * and commits. Damage is in the result, not thrown. Commits that lack objects are marked as
   * partial, if the repository can be written. Where a ref names a commit that is missing, damaged
   * or bound to others, nothing but that commit is removed, replaced or marked, as the command does
   * not come so far. Holds the shared lock, with `delete` or `addTombstones` the exclusive one.
   *
   * @throws `ERR_OSTREE_LOCKED` after waiting for the lock; `ERR_BUSY` where it is to change
   * something inside a transaction of this object.
   * @see `ostree_repo_fsck_object`, ostree-fsck(1)
   */
  async fsck(options: FsckOptions = {}): Promise<FsckResult> {
    return this.#maintenance.fsck(options);
  }

  /**
   * Marks a commit as one whose objects may be missing, or not any more.
   *
   * @throws `ENOENT`.
   * @see `ostree_repo_mark_commit_partial_reason`
   */
  async markCommitPartial(
    commit: string,
    partial = true,
    options: JobOptions & {
      /** @default 'incomplete' */
      reason?: PartialCommit['reason'];
    } = {},
  ): Promise<void> {
    await this.#maintenance.markPartial(commit, partial, options);
  }

  /**
   * Removes objects that nothing reaches, under the exclusive lock. Commits go first: an aborted
   * prune leaves objects that nothing needs, for the next one.
   *
   * @throws `ERR_BUSY` inside a transaction of this object; `EDEADLK` inside one of another object;
   * `ERR_OSTREE_LOCKED` after waiting for others (`core.lock-timeout-secs`, unless `timeout` says
   * how long); `ERR_INVALID_STATE` for a `deleteCommit` that a ref names, `ENOENT` for a missing
   * one.
   * @see `ostree_repo_prune_from_reachable`, `ostree_repo_prune_static_deltas`, ostree-prune(1)
   */
  async prune(options: PruneOptions = {}): Promise<PruneResult> {
    return this.#maintenance.prune(options);
  }

  /**
   * Removes all objects but these, which are named `CHECKSUM.TYPE`. What they need has to be among
   * them.
   *
   * @throws as {@link prune}; `ERR_INVALID_ARG_VALUE` for something else than the name of an object.
   * @see `ostree_repo_prune_from_reachable`
   */
  async pruneFromReachable(
    keep: Iterable<string>,
    options: PruneFromReachableOptions = {},
  ): Promise<PruneResult> {
    checkMembers(options, kPruneFromReachableOptions);
    checkIterable(keep, 'keep');
    return this.#maintenance.prune(options, keep);
  }

  /**
   * Fetches commits from a remote. Signatures are checked as the remote's settings say, bindings
   * and checksums always. What an aborted or failed pull fetched stays, and the next pull takes it
   * up. Pulls of one repository object run one after the other.
   *
   * @returns the last state of the progress.
   * @throws `ENOENT` for an unknown remote or ref; `ERR_OSTREE_GPG_*` or `ERR_OSTREE_FAILED` for
   * signatures; `ERR_BUSY` inside a transaction of this object; `ERR_OSTREE_NOT_SUPPORTED` for an
   * option that this libostree lacks.
   * @see `ostree_repo_pull_with_options`
   */
  async pull(remote: string, options: PullOptions = {}): Promise<PullProgress> {
    checkOptions(options);
    checkString(remote, 'remote');
    const native = pullOptions(options);
    return this.#maintenance.locked('shared', { signal: options.signal }, () =>
      runJob<PullProgress, PullEvent>(
        'ostree',
        (progress) => this.#native.pull(remote, native, progress),
        { signal: options.signal },
        pullListener(options),
      ),
    );
  }

  /**
   * Copies commits from another repository of this machine, by hard links where modes allow.
   * Without `refs`, all of the source that are its own. The source is trusted: neither checksums of
   * files nor signatures are checked unless `untrusted` or `gpgVerify` say so; commits and
   * directories are compared with theirs, which `ostree pull-local` does not do.
   *
   * @throws `ENOENT`, `ERR_OSTREE_NOT_A_REPOSITORY`; `ERR_BUSY` inside a transaction of this object.
   * @see `ostree_repo_pull_with_options`
   */
  async pullLocal(source: PathLike, options: PullOptions = {}): Promise<PullProgress> {
    checkOptions(options);
    const absolute = checkPath(source, 'source');
    const native = pullOptions(options);
    return this.#maintenance.locked('shared', { signal: options.signal }, () =>
      runJob<PullProgress, PullEvent>(
        'ostree',
        (progress) => this.#native.pullLocal(absolute, native, progress),
        { signal: options.signal },
        pullListener(options),
      ),
    );
  }

  /**
   * Whether a pull from `remote` would take a commit of this repository: checks its signatures
   * with everything that the remote's settings ask for, GPG and sign API. A remote that asks for
   * nothing gives no verdict, and so does not accept.
   *
   * @throws `ENOENT` for an unknown commit or remote. Bad signatures are in the result.
   * @see `ostree_repo_signature_verify_commit_data`
   */
  async verify(
    rev: string,
    options: JobOptions & {
      remote: string;
      /** Leave one kind out of the check. */
      gpg?: boolean;
      sign?: boolean;
    },
  ): Promise<Verdict> {
    checkMembers(options, { ...kJobOptions, remote: true, gpg: true, sign: true } satisfies Members<
      typeof options
    >);
    checkString(rev, 'rev');
    checkString(options.remote, 'options.remote');
    const { remote, gpg = true, sign = true, signal } = options;
    return runJob('ostree', () => this.#native.verify(rev, remote, gpg, sign), { signal });
  }
}
