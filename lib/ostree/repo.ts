import type { NativeRepo } from '../../types/ostree.js';
import { binding } from '../binding.js';
import {
  checkChecksum,
  checkFunction,
  checkOneOf,
  checkPath,
  checkString,
  type PathLike,
} from '../checks.js';
import { AbortError, invalidArgType } from '../errors.js';
import { callNative, type JobOptions, runJob } from '../job.js';
import type { Variant } from '../variant.js';
import { Collections } from './collections.js';
import { Deltas } from './deltas.js';
import type { KeyFile, KeyFileChanges } from './deployment.js';
import { DevinoCache } from './devino_cache.js';
import { type PullOptions, type PullProgress, pullOptions } from './pull.js';
import { Remotes } from './remote.js';
import { Signatures, type Verdict } from './signatures.js';
import { RepoSummary } from './summary.js';
import { Transaction, type TransactionStats } from './transaction.js';
import { collectEntries, type TreeEntry } from './tree_entry.js';

/** How a repository stores objects (`ostree_repo_mode_from_string`, ostree.repo-config(5)). */
export type RepoMode = 'bare' | 'bare-user' | 'bare-user-only' | 'archive' | 'bare-split-xattrs';

const kModes: readonly RepoMode[] = [
  'bare',
  'bare-user',
  'bare-user-only',
  'archive',
  'bare-split-xattrs',
];

/** The kinds of objects in a repository. */
export type ObjectType = 'commit' | 'file' | 'dirtree' | 'dirmeta';

const kObjectTypes: readonly ObjectType[] = ['commit', 'file', 'dirtree', 'dirmeta'];

/** A commit, read. */
export interface Commit {
  readonly checksum: string;
  /** Checksum of the parent commit. */
  readonly parent?: string;
  readonly subject: string;
  readonly body: string;
  readonly timestamp: Date;
  /** GVariants as JavaScript values: 64-bit integers as bigint, bytes as Buffer. */
  readonly metadata: Record<string, unknown>;
  /** The dirtree object of the root directory. */
  readonly contents: string;
  /** The dirmeta object of the root directory. */
  readonly metadataChecksum: string;
  /** Objects may be missing: an interrupted pull, or one of metadata only. */
  readonly partial: boolean;
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
  /** Filled with what is checked out, for a later import of the directory. */
  devinoCache?: DevinoCache;
}

/** One side of a {@link Repo.diff}: a revision, or a directory on disk. */
export type DiffSide = string | { directory: PathLike };

/** Paths that differ, absolute within the trees. */
export interface Diff {
  /** Files with other content, owner, mode or kind; directories with other metadata. */
  modified: string[];
  /** Gone; a directory stands for all below it. */
  removed: string[];
  /** New; of a directory everything below it too. */
  added: string[];
}

export interface FsckOptions extends JobOptions {
  /** Check every stored object, not only those that commits reach. */
  all?: boolean;
  /** Called now and then with the number of objects checked. */
  onProgress?: (progress: { done: number; total: number }) => void;
}

export interface FsckResult {
  /** How many objects were checked. */
  objects: number;
  /** Commits that say of themselves that objects are missing; these were not checked. */
  partialCommits: number;
  errors: {
    /** `CHECKSUM.TYPE` */
    object: string;
    message: string;
  }[];
}

export interface PruneOptions extends JobOptions {
  /** Keep only what refs reach; otherwise every commit keeps its tree. */
  refsOnly?: boolean;
  /** Remove only commit objects. */
  commitOnly?: boolean;
  /** With `refsOnly`: how many parents of each ref to keep; -1 for all. @default -1 */
  depth?: number;
  /** Only count. */
  dryRun?: boolean;
}

/** An OSTree repository, opened. Close it, or use `await using`. */
export class Repo {
  readonly #native: NativeRepo;
  /** Absolute path of the repository. */
  readonly path: string;
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

  private constructor(native: NativeRepo, path: string) {
    this.#native = native;
    this.path = path;
    this.remotes = new Remotes(native);
    this.signatures = new Signatures(native);
    this.summary = new RepoSummary(native, path);
    this.deltas = new Deltas(native, path);
    this.collections = new Collections(native);
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
   * Creates a repository, or opens it if it exists in the same mode.
   *
   * @throws `EEXIST` where it exists in another mode.
   * @see `ostree_repo_create_at`
   */
  static async create(path: PathLike, mode: RepoMode, options?: JobOptions): Promise<Repo> {
    const absolute = checkPath(path, 'path');
    checkOneOf(mode, kModes, 'mode');
    const native = await runJob('ostree', () => binding().Repo.create(absolute, mode), options);
    return new Repo(native, absolute);
  }

  /** @internal For the classes that hand a repository to native code. */
  static native(repo: Repo): NativeRepo {
    return repo.#native;
  }

  /** @internal For a repository that other native code opened. */
  static wrap(native: NativeRepo, path: string): Repo {
    return new Repo(native, path);
  }

  /** Drops the handle; running operations finish first, later calls throw `ERR_CLOSED`. */
  close(): void {
    callNative('ostree', () => this.#native.close());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
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

  /** The checksum behind a revision, or undefined where it does not exist. */
  async tryResolveRev(rev: string, options?: JobOptions): Promise<string | undefined> {
    checkString(rev, 'rev');
    return (await runJob('ostree', () => this.#native.resolveRev(rev, true), options)) ?? undefined;
  }

  /** How the repository stores objects. @see `ostree_repo_get_mode` */
  get mode(): RepoMode {
    return callNative('ostree', () => this.#native.mode()) as RepoMode;
  }

  /**
   * Refs and their commits, those of remotes as `remote:ref`. With `prefix` only the ref of that
   * name and those below it, by their whole names.
   *
   * @see `ostree_repo_list_refs_ext`
   */
  async listRefs(options: JobOptions & { prefix?: string } = {}): Promise<Record<string, string>> {
    const { prefix } = options;
    if (prefix !== undefined) checkString(prefix, 'options.prefix');
    return runJob('ostree', () => this.#native.listRefs(prefix), options);
  }

  /**
   * Sets a ref now, outside a transaction; `null` deletes it.
   *
   * @throws `ENOENT` where the commit is not in the repository.
   * @see `ostree_repo_set_ref_immediate`
   */
  async setRef(ref: string, checksum: string | null, options?: JobOptions): Promise<void> {
    checkString(ref, 'ref');
    if (checksum !== null) checkChecksum(checksum, 'checksum');
    await runJob('ostree', () => this.#native.setRef(ref, checksum), options);
  }

  /** @see `ostree_repo_has_object` */
  async hasObject(type: ObjectType, checksum: string, options?: JobOptions): Promise<boolean> {
    checkOneOf(type, kObjectTypes, 'type');
    checkChecksum(checksum, 'checksum');
    return runJob('ostree', () => this.#native.hasObject(type, checksum), options);
  }

  /**
   * Runs `write` inside a transaction: commits it when the function returns, drops it when the
   * function throws or the signal aborts. A repository object has one transaction at a time; open
   * the repository once more for a second one beside it. What a dropped transaction wrote is not
   * visible, but stays in the repository's `tmp`, where the next transaction takes it up.
   *
   * @throws `ERR_BUSY` while another transaction of this object is open.
   * @see `ostree_repo_prepare_transaction`, `ostree_repo_commit_transaction`
   */
  async transaction<T>(
    write: (transaction: Transaction) => Promise<T> | T,
    options: JobOptions = {},
  ): Promise<{ result: T; stats: TransactionStats }> {
    checkFunction(write, 'write');
    await runJob('ostree', () => this.#native.beginTransaction(), options);
    const transaction = new Transaction(this.#native);
    let result: T;
    try {
      result = await write(transaction);
      if (options.signal?.aborted) throw new AbortError(options.signal.reason);
    } catch (error) {
      Transaction.end(transaction);
      await runJob('ostree', () => this.#native.abortTransaction());
      throw error;
    }
    Transaction.end(transaction);
    // Once under way it runs to its end: it takes little time, and refs must not move halfway.
    const stats = await runJob('ostree', () => this.#native.commitTransaction());
    return { result, stats };
  }

  /**
   * The entries of a directory of a commit, files first, sorted by name; with `recursive` each
   * directory is followed by what is below it. A path that is a file lists itself.
   *
   * @throws `ENOENT`, `ENOTDIR`.
   */
  async list(
    rev: string,
    path = '/',
    options: JobOptions & { recursive?: boolean } = {},
  ): Promise<TreeEntry[]> {
    checkString(rev, 'rev');
    checkString(path, 'path');
    return collectEntries(
      (listener) => this.#native.list(rev, path, options.recursive ?? false, listener),
      options,
    );
  }

  /** One entry of a commit; symbolic links are not followed. @throws `ENOENT`, `ENOTDIR`. */
  async stat(rev: string, path: string, options?: JobOptions): Promise<TreeEntry> {
    checkString(rev, 'rev');
    checkString(path, 'path');
    return runJob('ostree', () => this.#native.stat(rev, path), options);
  }

  /**
   * The content of a file of a commit.
   *
   * @throws `ENOENT`, `ENOTDIR`, `EISDIR`, `ELOOP` (a symbolic link; they are not followed).
   * @see `ostree_repo_load_file`
   */
  async readFile(rev: string, path: string, options?: JobOptions): Promise<Buffer> {
    checkString(rev, 'rev');
    checkString(path, 'path');
    return runJob('ostree', () => this.#native.readFile(rev, path), options);
  }

  /** Reads a commit. @throws `ENOENT`. @see `ostree_repo_load_commit` */
  async loadCommit(rev: string, options?: JobOptions): Promise<Commit> {
    checkString(rev, 'rev');
    const commit = await runJob('ostree', () => this.#native.loadCommit(rev), options);
    return { ...commit, timestamp: new Date(commit.timestamp * 1000) };
  }

  /**
   * Writes the files of a commit into a directory, linked to their objects where the mode of the
   * repository allows that. Linked files must be replaced, never changed in place.
   *
   * @throws `ENOENT`, `EEXIST`; `ERR_INVALID_ARG_VALUE` for options that contradict each other.
   * @see `ostree_repo_checkout_at`
   */
  async checkout(rev: string, destination: PathLike, options: CheckoutOptions = {}): Promise<void> {
    checkString(rev, 'rev');
    const absolute = checkPath(destination, 'destination');
    const { signal: _signal, devinoCache, ...native } = options;
    await runJob(
      'ostree',
      () =>
        this.#native.checkout(rev, absolute, {
          ...native,
          devinoCache: DevinoCache.native(devinoCache),
        }),
      options,
    );
  }

  /**
   * What differs between two commits, or a commit and a directory. Two commits are compared by
   * their checksums alone, which is quick; a directory has to be read.
   *
   * @throws `ENOENT`.
   * @see `ostree_diff_dirs`
   */
  async diff(from: DiffSide, to: DiffSide, options?: JobOptions): Promise<Diff> {
    const [a, b] = [checkSide(from, 'from'), checkSide(to, 'to')];
    const diff = await runJob('ostree', () => this.#native.diff(a, b), options);
    const paths = (text: string) => (text === '' ? [] : text.split('\0'));
    return {
      modified: paths(diff.modified),
      removed: paths(diff.removed),
      added: paths(diff.added),
    };
  }

  /**
   * A commit and its parents, newest first, as far back as the repository has them.
   *
   * @throws `ENOENT` where `rev` does not exist.
   */
  async *log(rev: string, options?: JobOptions): AsyncGenerator<Commit, void, undefined> {
    let commit = await this.loadCommit(rev, options);
    while (true) {
      yield commit;
      const { parent } = commit;
      if (parent === undefined || !(await this.hasObject('commit', parent, options))) return;
      commit = await this.loadCommit(parent, options);
    }
  }

  /**
   * Reads objects again and compares them with their checksums. Damage is in the result, not
   * thrown.
   *
   * @see `ostree_repo_fsck_object`
   */
  async fsck(options: FsckOptions = {}): Promise<FsckResult> {
    return runJob<FsckResult, { done: number; total: number }>(
      'ostree',
      (progress) => this.#native.fsck(options.all ?? false, progress),
      options,
      options.onProgress,
    );
  }

  /**
   * Removes objects that nothing reaches.
   *
   * @returns `bytes` freed, or with `dryRun` what would be.
   * @throws `ERR_BUSY` inside a transaction of this object; `ERR_OSTREE_LOCKED` while others write.
   * @see `ostree_repo_prune`
   */
  async prune(
    options: PruneOptions = {},
  ): Promise<{ objects: number; pruned: number; bytes: number }> {
    const { signal: _signal, ...native } = options;
    return runJob('ostree', () => this.#native.prune(native), options);
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
    checkString(remote, 'remote');
    const native = pullOptions(options);
    return runJob<PullProgress, PullProgress>(
      'ostree',
      (progress) => this.#native.pull(remote, native, progress),
      options,
      options.onProgress,
    );
  }

  /**
   * Copies commits from another repository of this machine, by hard links where modes allow.
   * Without `refs`, all of the source that are its own. The source is trusted: neither checksums
   * nor signatures are checked unless `untrusted` or `gpgVerify` say so.
   *
   * @throws `ENOENT`, `ERR_OSTREE_NOT_A_REPOSITORY`; `ERR_BUSY` inside a transaction of this object.
   * @see `ostree_repo_pull_with_options`
   */
  async pullLocal(source: PathLike, options: PullOptions = {}): Promise<PullProgress> {
    const absolute = checkPath(source, 'source');
    const native = pullOptions(options);
    return runJob<PullProgress, PullProgress>(
      'ostree',
      (progress) => this.#native.pullLocal(absolute, native, progress),
      options,
      options.onProgress,
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
    checkString(rev, 'rev');
    checkString(options?.remote, 'options.remote');
    const { remote, gpg = true, sign = true } = options;
    return runJob('ostree', () => this.#native.verify(rev, remote, gpg, sign), options);
  }

  /**
   * The metadata beside a commit, which its checksum does not cover, such as signatures; undefined
   * where there is none.
   *
   * @see `ostree_repo_read_commit_detached_metadata`
   */
  async readDetachedMetadata(
    commit: string,
    options?: JobOptions,
  ): Promise<Record<string, unknown> | undefined> {
    checkChecksum(commit, 'commit');
    const metadata = await runJob(
      'ostree',
      () => this.#native.readDetachedMetadata(commit),
      options,
    );
    return metadata ?? undefined;
  }

  /**
   * Replaces the metadata beside a commit, signatures included; null removes it.
   *
   * @throws `ENOENT`.
   * @see `ostree_repo_write_commit_detached_metadata`
   */
  async writeDetachedMetadata(
    commit: string,
    metadata: Record<string, Variant> | null,
    options?: JobOptions,
  ): Promise<void> {
    checkChecksum(commit, 'commit');
    await runJob('ostree', () => this.#native.writeDetachedMetadata(commit, metadata), options);
  }

  /** The configuration file. @see `ostree_repo_copy_config`, ostree.repo-config(5) */
  async readConfig(options?: JobOptions): Promise<KeyFile> {
    return runJob('ostree', () => this.#native.getConfig(), options);
  }

  /**
   * Changes the configuration file; keys not named stay. Let no other operation of this object run
   * meanwhile.
   *
   * @see `ostree_repo_write_config`
   */
  async writeConfig(changes: KeyFileChanges, options?: JobOptions): Promise<void> {
    await runJob('ostree', () => this.#native.setConfig(changes), options);
  }
}

function checkSide(side: DiffSide, name: string): string | { directory: string } {
  if (typeof side === 'string') return side;
  if (typeof side !== 'object' || side === null) {
    throw invalidArgType(name, 'of type string or an object with a directory', side);
  }
  return { directory: checkPath(side.directory, `${name}.directory`) };
}
