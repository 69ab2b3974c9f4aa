import type { NativeMutableTree, NativeTreeEdits } from '../../types/ostree.js';
import { binding } from '../binding.js';
import {
  checkArray,
  checkChecksum,
  checkMembers,
  checkOptions,
  checkString,
  type Members,
} from '../checks.js';
import { invalidArgType } from '../errors.js';
import { callNative, checkSignal, type JobOptions, kJobOptions, runJob } from '../job.js';
import { inPieces, kMostCopied, letOthersRun } from '../pieces.js';
import { Repo } from './repo.js';
import { collectEntries, type TreeEntry } from './tree_entry.js';

/** Owner and permission bits of a file or directory that an edit makes. */
export interface EditOwnership {
  /** Permission bits; 0o755 for directories, 0o644 for files. */
  mode?: number;
  /** @default 0 */
  uid?: number;
  /** @default 0 */
  gid?: number;
}

/**
 * A change of a {@link MutableTree}. Paths are absolute within the tree; symbolic links on the way
 * are not followed. Missing parent directories are made, owned by root with mode 0o755.
 */
export type TreeEdit =
  /** Makes a directory, or gives an existing one this ownership. */
  | ({ op: 'mkdir'; path: string } & EditOwnership)
  /** Removes a file, a link or a directory with all below it. */
  | { op: 'remove'; path: string; allowMissing?: boolean }
  /** Moves a file, a link or a whole directory without reading it; replaces what is at `to`. */
  | { op: 'move'; from: string; to: string; allowMissing?: boolean }
  /** Makes a symbolic link, replacing whatever is there, a directory too. */
  | { op: 'symlink'; path: string; target: string }
  /** Writes a file, replacing a file or link. */
  | ({ op: 'file'; path: string; content: Uint8Array | string } & EditOwnership)
  /** Names a content object that the repository has, replacing a file or link. */
  | { op: 'link'; path: string; checksum: string };

const kOwnership: Members<EditOwnership> = { mode: true, uid: true, gid: true };
const kEdits: { readonly [Op in TreeEdit['op']]: Members<Extract<TreeEdit, { op: Op }>> } = {
  mkdir: { op: true, path: true, ...kOwnership },
  remove: { op: true, path: true, allowMissing: true },
  move: { op: true, from: true, to: true, allowMissing: true },
  symlink: { op: true, path: true, target: true },
  file: { op: true, path: true, content: true, ...kOwnership },
  link: { op: true, path: true, checksum: true },
};

/** Native code checks all else. */
function checkEdit(edit: TreeEdit, index: number): void {
  checkOptions(edit, `edits[${index}]`);
  const { op } = edit;
  if (typeof op !== 'string' || !Object.hasOwn(kEdits, op)) return;
  checkMembers(edit, kEdits[op], `edits[${index}]`);
}

/** What an edit takes besides its texts, as bytes that are copied in the same time. */
const kEditCost = 1024;

function costOf(edit: TreeEdit): number {
  if (edit.op !== 'file') return kEditCost;
  const { content } = edit;
  // Anything else is refused when it is taken over.
  const bytes = content instanceof Uint8Array ? content.byteLength : 0;
  return kEditCost + (typeof content === 'string' ? content.length * 3 : bytes);
}

/** Takes edits over, many and large ones in parts, and only reads them. */
async function nativeEdits(
  edits: readonly TreeEdit[],
  signal: AbortSignal | undefined,
): Promise<NativeTreeEdits> {
  const list = callNative('ostree', () => binding().TreeEdits.create());
  const all = [...edits];
  let cost = 0;
  let start = 0;
  for (const [index, edit] of all.entries()) {
    checkEdit(edit, index);
    const own = costOf(edit);
    if (own > kMostCopied && edit.op === 'file') {
      list.add(all.slice(start, index));
      list.add([{ ...edit, content: await inPieces(edit.content, signal) }]);
      [start, cost] = [index + 1, 0];
      continue;
    }
    cost += own;
    if (cost < kMostCopied) continue;
    list.add(all.slice(start, index + 1));
    [start, cost] = [index + 1, 0];
    await letOthersRun(signal);
  }
  list.add(all.slice(start));
  return list;
}

/**
 * A tree being built in memory. Directories that come from a commit are loaded when first touched,
 * so editing a few paths of a large tree is cheap.
 *
 * Operations on one tree run one after the other.
 *
 * @throws `ERR_CLOSED` by every method, once the tree is closed.
 * @see `OstreeMutableTree`
 */
export class MutableTree implements Disposable {
  readonly #native: NativeMutableTree;

  private constructor(native: NativeMutableTree) {
    this.#native = native;
  }

  /**
   * An empty tree. Its root is owned by root with mode 0o755 unless an edit says otherwise.
   * Synchronous.
   *
   * @throws nothing.
   * @see `ostree_mutable_tree_new`
   */
  static create(): MutableTree {
    return new MutableTree(callNative('ostree', () => binding().MutableTree.create()));
  }

  /**
   * The tree of a commit.
   *
   * @throws `ENOENT` where the commit or its root is missing.
   * @see `ostree_mutable_tree_new_from_checksum`
   */
  static async fromCommit(repo: Repo, rev: string, options?: JobOptions): Promise<MutableTree> {
    checkString(rev, 'rev');
    const native = await runJob(
      'ostree',
      () => binding().MutableTree.fromCommit(Repo.native(repo), rev),
      options,
    );
    return new MutableTree(native);
  }

  /**
   * The tree of a dirtree and a dirmeta object, as {@link Transaction.writeTree} names them.
   *
   * @throws `ENOENT` where one of them is missing.
   * @see `ostree_mutable_tree_new_from_checksum`
   */
  static async fromChecksums(
    repo: Repo,
    root: { contents: string; metadata: string },
    options?: JobOptions,
  ): Promise<MutableTree> {
    checkOptions(root, 'root');
    checkChecksum(root.contents, 'root.contents');
    checkChecksum(root.metadata, 'root.metadata');
    const native = await runJob(
      'ostree',
      () => binding().MutableTree.fromChecksums(Repo.native(repo), root.contents, root.metadata),
      options,
    );
    return new MutableTree(native);
  }

  /** @internal For the classes that hand a tree to native code. */
  static native(tree: MutableTree): NativeMutableTree {
    if (typeof tree !== 'object' || tree === null || !(#native in tree)) {
      throw invalidArgType('tree', 'an instance of MutableTree', tree);
    }
    return tree.#native;
  }

  /**
   * Makes the edits in order, inside an open transaction of `repo`. When one fails, those before
   * it stay; none is made where one is malformed. Many edits, and large content, are copied in
   * parts while the call runs, so they must stay as they are.
   *
   * @throws `ERR_INVALID_STATE` outside a transaction; `ENOENT`, `ENOTDIR`, `EISDIR`, `EEXIST`,
   * `EINVAL` (a move below itself) with `path`; `ERR_INVALID_ARG_VALUE` for names like `..`.
   * @see `ostree_mutable_tree_replace_file`, `ostree_mutable_tree_ensure_dir`,
   * `ostree_mutable_tree_remove`
   */
  async apply(repo: Repo, edits: readonly TreeEdit[], options: JobOptions = {}): Promise<void> {
    checkArray(edits, 'edits');
    checkMembers(options, kJobOptions);
    checkSignal(options.signal);
    const native = await nativeEdits(edits, options.signal);
    await runJob('ostree', () => this.#native.apply(Repo.native(repo), native), options);
  }

  /**
   * The entries of a directory, files first, sorted by name; with `recursive` each directory is
   * followed by what is below it. A path that is a file lists itself.
   *
   * @throws `ENOENT`, `ENOTDIR`.
   * @see `ostree_mutable_tree_get_files`, `ostree_mutable_tree_get_subdirs`
   */
  async list(
    repo: Repo,
    path = '/',
    options: JobOptions & { recursive?: boolean } = {},
  ): Promise<TreeEntry[]> {
    checkMembers(options, { ...kJobOptions, recursive: true } satisfies Members<typeof options>);
    checkString(path, 'path');
    const { recursive = false, signal } = options;
    return collectEntries(
      (listener) => this.#native.list(Repo.native(repo), path, recursive, listener),
      { signal },
    );
  }

  /**
   * Gives the memory and the repository up, which a tree of a commit otherwise keeps open until it
   * is collected. Work that has begun goes on; whatever comes later rejects with `ERR_CLOSED`.
   * Closing twice is fine. Synchronous.
   */
  close(): void {
    this.#native.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
