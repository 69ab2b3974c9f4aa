import type { NativeRepo } from '../../types/ostree.js';
import { binding } from '../binding.js';
import { checkOneOf, checkPath, checkString, type PathLike } from '../checks.js';
import { callNative, type JobOptions, runJob } from '../job.js';

/** How a repository stores objects (`ostree_repo_mode_from_string`, ostree.repo-config(5)). */
export type RepoMode = 'bare' | 'bare-user' | 'bare-user-only' | 'archive' | 'bare-split-xattrs';

const kModes: readonly RepoMode[] = [
  'bare',
  'bare-user',
  'bare-user-only',
  'archive',
  'bare-split-xattrs',
];

/** An OSTree repository, opened. Close it, or use `await using`. */
export class Repo {
  readonly #native: NativeRepo;
  /** Absolute path of the repository. */
  readonly path: string;

  private constructor(native: NativeRepo, path: string) {
    this.#native = native;
    this.path = path;
  }

  /**
   * Opens an existing repository.
   *
   * @throws `ENOENT` where there is nothing; `ERR_OSTREE_FAILED` for a directory that is no repository.
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
}
