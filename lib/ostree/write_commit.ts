/** Everything that `ostree commit` does, in one call. */

import {
  checkArray,
  checkOptions as checkBare,
  checkChecksum,
  checkMembers,
  checkString,
  checkStrings,
  type Members,
  type PathLike,
} from '../checks.js';
import { invalidArgValue } from '../errors.js';
import { type JobOptions, kJobOptions } from '../job.js';
import { type Variant, variant } from '../variant.js';
import type { ArchiveSource } from './archive_source.js';
import { type ImportResult, kWriteDirectoryOptions, type WriteDirectoryOptions } from './import.js';
import { MutableTree } from './mutable_tree.js';
import type { Repo } from './repo.js';
import type { GpgSigner, Signer } from './signatures.js';
import {
  kWriteArchiveOptions,
  kWriteCommitTreeOptions,
  type Transaction,
  type TransactionStats,
  type TreeChecksums,
  type WriteArchiveOptions,
  type WriteCommitTreeOptions,
} from './transaction.js';

/** One of the trees that a commit is made of; each has the rules of its own import. */
export type CommitLayer =
  | ({ directory: PathLike } & Omit<WriteDirectoryOptions, 'signal'>)
  | ({ archive: ArchiveSource } & Omit<WriteArchiveOptions, 'signal'>)
  | ({ commit: string } & Omit<WriteCommitTreeOptions, 'signal'>);

export interface CommitTreesOptions extends JobOptions {
  /** The ref to move. Without one, nothing names the commit but its checksum. */
  ref?: string;
  /** What the tree is made of, each laid over those before it. */
  trees: readonly CommitLayer[];
  /** A commit to begin with, rather than with nothing. */
  base?: string;
  /** Checksum of the parent; null: none. @default what `ref` names now */
  parent?: string | null;
  subject?: string;
  body?: string;
  /** Whole seconds count. @default now */
  timestamp?: Date;
  /** Metadata that the checksum covers; plain strings get the type `s`. */
  metadata?: Readonly<Record<string, string | Variant>>;
  /** Keys of the parent's metadata to take over. Those in `metadata` win. */
  keepMetadata?: readonly string[];
  /** Metadata beside the commit, which its checksum does not cover. */
  detachedMetadata?: Readonly<Record<string, string | Variant>>;
  /** Say that the tree can be booted, and with which kernel. */
  bootable?: boolean;
  /** Say which digest the tree has as a composefs image; see {@link WriteCommitOptions}. */
  composefs?: boolean;
  /**
   * Bind the commit to its ref and to the collection of the repository, so that no server can hand
   * it out as another ref. @default true
   */
  bindings?: boolean;
  /** More refs to bind it to. */
  bindRefs?: readonly string[];
  /** Write nothing where the tree is that of the parent. */
  skipIfUnchanged?: boolean;
  /** Sign it with GPG. */
  signGpg?: GpgSigner;
  /** Sign it with other engines. */
  sign?: readonly Signer[];
}

export interface CommitResult {
  /** Of the new commit, or of the parent where nothing changed. */
  checksum: string;
  /** False: `skipIfUnchanged`, and the tree is that of the parent. */
  changed: boolean;
  tree: TreeChecksums;
  parent?: string;
  /** One for each of `trees`. */
  imports: ImportResult[];
  stats: TransactionStats;
}

const kCommitOptions: Members<CommitTreesOptions> = {
  ...kJobOptions,
  ref: true,
  trees: true,
  base: true,
  parent: true,
  subject: true,
  body: true,
  timestamp: true,
  metadata: true,
  keepMetadata: true,
  detachedMetadata: true,
  bootable: true,
  composefs: true,
  bindings: true,
  bindRefs: true,
  skipIfUnchanged: true,
  signGpg: true,
  sign: true,
};

/** What each kind of layer takes. */
const kLayers = {
  directory: kWriteDirectoryOptions,
  archive: kWriteArchiveOptions,
  commit: kWriteCommitTreeOptions,
};

/** @internal */
export async function writeCommit(repo: Repo, options: CommitTreesOptions): Promise<CommitResult> {
  checkOptions(options);
  const { signal } = options;
  const { result, stats } = await repo.transaction(
    (transaction) => commitInside(repo, transaction, options),
    { signal },
  );
  return { ...result, stats };
}

function checkOptions(options: CommitTreesOptions): void {
  checkMembers(options, kCommitOptions);
  const { ref, parent, bindings, bindRefs = [] } = options;
  checkArray(options.trees, 'options.trees');
  if (ref !== undefined) checkString(ref, 'options.ref');
  if (options.base !== undefined) checkString(options.base, 'options.base');
  if (parent !== undefined && parent !== null) checkChecksum(parent, 'options.parent');
  if (options.metadata !== undefined) checkBare(options.metadata, 'options.metadata');
  checkStrings(bindRefs, 'options.bindRefs');
  checkStrings(options.keepMetadata ?? [], 'options.keepMetadata');
  if (bindings === false && bindRefs.length > 0) {
    throw invalidArgValue('options.bindRefs', "contradicts 'bindings: false'");
  }
  // A copy: forEach steps over holes.
  Array.from(options.trees).forEach((layer, index) => {
    const name = `options.trees[${index}]`;
    const kinds = (['directory', 'archive', 'commit'] as const).filter(
      (kind) => kind in Object(layer),
    );
    const [kind] = kinds;
    if (kind === undefined || kinds.length > 1) {
      throw invalidArgValue(name, "must have one of 'directory', 'archive' and 'commit'");
    }
    checkMembers(layer, { ...kLayers[kind], [kind]: true }, name);
  });
}

async function commitInside(
  repo: Repo,
  transaction: Transaction,
  options: CommitTreesOptions,
): Promise<Omit<CommitResult, 'stats'>> {
  const { ref, base, signal } = options;
  const parent = await parentOf(repo, options);
  // Early: what is wrong with it should not show after minutes of import.
  const metadata = await metadataOf(repo, options);
  using tree = base ? await MutableTree.fromCommit(repo, base, { signal }) : MutableTree.create();
  const imports: ImportResult[] = [];
  for (const layer of options.trees) {
    imports.push(await importLayer(transaction, tree, layer, signal));
  }
  const root = await transaction.writeTree(tree, { signal });
  const result = { tree: root, imports, ...(parent !== undefined && { parent }) };
  if (options.skipIfUnchanged && parent !== undefined) {
    const { contents, metadataChecksum } = await repo.loadCommit(parent, { signal });
    if (contents === root.contents && metadataChecksum === root.metadata) {
      return { checksum: parent, changed: false, ...result };
    }
  }
  const { subject, body, timestamp, bootable, composefs, keepMetadata } = options;
  const checksum = await transaction.writeCommit({
    tree: root,
    parent,
    subject,
    body,
    timestamp,
    bootable,
    composefs,
    keepMetadata,
    metadata,
    signal,
  });
  await attach(repo, checksum, options);
  if (ref !== undefined) await transaction.setRef(ref, checksum, { signal });
  return { checksum, changed: true, ...result };
}

async function parentOf(repo: Repo, options: CommitTreesOptions): Promise<string | undefined> {
  const { parent, ref, signal } = options;
  if (parent === null) return undefined;
  if (parent !== undefined || ref === undefined) return parent;
  return repo.tryResolveRev(ref, { signal });
}

function importLayer(
  transaction: Transaction,
  tree: MutableTree,
  layer: CommitLayer,
  signal: AbortSignal | undefined,
): Promise<ImportResult> {
  if ('directory' in layer) {
    const { directory, ...options } = layer;
    return transaction.writeDirectory(directory, tree, { ...options, signal });
  }
  if ('archive' in layer) {
    const { archive, ...options } = layer;
    return transaction.writeArchive(archive, tree, { ...options, signal });
  }
  const { commit, ...options } = layer;
  return transaction.writeCommitTree(commit, tree, { ...options, signal });
}

const kRefBinding = 'ostree.ref-binding';
const kCollectionBinding = 'ostree.collection-binding';

/** In the order of the ostree command, so that equal commits have equal checksums. */
async function metadataOf(
  repo: Repo,
  options: CommitTreesOptions,
): Promise<Record<string, Variant>> {
  const { ref, signal, bindings = true, bindRefs = [] } = options;
  const metadata = typed(options.metadata);
  if (!bindings) return metadata;
  const refs = [...(ref === undefined ? [] : [ref]), ...bindRefs];
  metadata[kRefBinding] = variant('as', refs.sort(compareBytes));
  if (metadata[kCollectionBinding] === undefined) {
    const collection = await repo.collections.getId({ signal });
    if (collection !== undefined) metadata[kCollectionBinding] = variant('s', collection);
  }
  return metadata;
}

const compareBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

function typed(values: Readonly<Record<string, string | Variant>> = {}): Record<string, Variant> {
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => [
      key,
      typeof value === 'string' ? variant('s', value) : value,
    ]),
  );
}

async function attach(repo: Repo, checksum: string, options: CommitTreesOptions): Promise<void> {
  const { detachedMetadata, signGpg, sign = [], signal } = options;
  if (detachedMetadata) {
    await repo.writeDetachedMetadata(checksum, typed(detachedMetadata), { signal });
  }
  if (signGpg) await repo.signatures.signGpg(checksum, signGpg, { signal });
  for (const signer of sign) await repo.signatures.sign(checksum, signer, { signal });
}
