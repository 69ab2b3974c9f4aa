/** The addon's libostree classes (native/ostree). */

import type { NativeJob } from './binding.js';
import type { NativeOstreeFunctions, NativePullProgress, NativeRepoRemotes } from './remotes.js';
import type { NativeSysrootFunctions } from './sysroot.js';

export interface NativeTreeChecksums {
  contents: string;
  metadata: string;
}

export interface NativeTreeEntry {
  path: string;
  type: 'file' | 'directory' | 'symlink';
  mode: number;
  uid: number;
  gid: number;
  size: number;
  target?: string;
  checksum?: string;
}

/** Entries as columns: text columns joined by NUL, five numbers for each entry. */
export interface NativeEntryBatch {
  paths: string;
  targets: string;
  checksums: string;
  /** type (0 file, 1 directory, 2 symlink), mode, uid, gid, size */
  numbers: Float64Array;
}

export interface NativeTransactionStats {
  metadataObjectsTotal: number;
  metadataObjectsWritten: number;
  contentObjectsTotal: number;
  contentObjectsWritten: number;
  contentBytesWritten: number;
  devinoCacheHits: number;
}

export interface NativeCommit {
  checksum: string;
  parent?: string;
  subject: string;
  body: string;
  /** Seconds since 1970. */
  timestamp: number;
  metadata: Record<string, unknown>;
  contents: string;
  metadataChecksum: string;
  partial: boolean;
}

export interface NativeWriteCommitOptions {
  contents: string;
  metadata: string;
  parent?: string;
  subject?: string;
  body?: string;
  commitMetadata?: Record<string, { type: string; value: unknown }>;
  timestamp?: number;
}

export interface NativeWriteDirectoryOptions {
  uid?: number;
  gid?: number;
  skip?: string[];
  skipXattrs?: boolean;
  canonicalPermissions?: boolean;
  consume?: boolean;
  devinoCache?: NativeDevinoCache;
  devinoCanonical?: boolean;
  /** writeArchive only */
  createParents?: boolean;
}

/** Opaque. */
export type NativeDevinoCache = object;

/** A revision, or a directory on disk. */
export type NativeDiffSide = string | { directory: string };

/** Paths joined by NUL. */
export interface NativeDiff {
  modified: string;
  removed: string;
  added: string;
}

export interface NativeFsckProgress {
  done: number;
  total: number;
}

export interface NativeFsckResult {
  objects: number;
  partialCommits: number;
  errors: { object: string; message: string }[];
}

export interface NativePruneOptions {
  refsOnly?: boolean;
  commitOnly?: boolean;
  depth?: number;
  dryRun?: boolean;
}

export interface NativeCheckoutOptions {
  mode?: string;
  overwrite?: string;
  subpath?: string;
  hardlinksOnly?: boolean;
  forceCopy?: boolean;
  forceCopyZeroSized?: boolean;
  canonicalDirectories?: boolean;
  whiteouts?: boolean;
  passthroughWhiteouts?: boolean;
  devinoCache?: NativeDevinoCache;
}

type EntryListener = ((batch: NativeEntryBatch) => void) | undefined;

export interface NativeRepo extends NativeRepoRemotes {
  close(): void;
  mode(): string;
  resolveRev(rev: string, allowMissing: boolean): NativeJob<string | null>;
  listRefs(prefix: string | undefined): NativeJob<Record<string, string>>;
  setRef(ref: string, checksum: string | null): NativeJob<void>;
  hasObject(type: string, checksum: string): NativeJob<boolean>;

  beginTransaction(): NativeJob<void>;
  commitTransaction(): NativeJob<NativeTransactionStats>;
  abortTransaction(): NativeJob<void>;
  transactionSetRef(ref: string, checksum: string | null): NativeJob<void>;
  writeTree(tree: NativeMutableTree): NativeJob<NativeTreeChecksums>;
  writeCommit(options: NativeWriteCommitOptions): NativeJob<string>;
  writeDirectory(
    path: string,
    tree: NativeMutableTree,
    options: NativeWriteDirectoryOptions,
  ): NativeJob<void>;

  writeArchive(
    path: string,
    tree: NativeMutableTree,
    options: NativeWriteDirectoryOptions,
  ): NativeJob<void>;

  list(rev: string, path: string, recursive: boolean, batch: EntryListener): NativeJob<void>;
  stat(rev: string, path: string): NativeJob<NativeTreeEntry>;
  readFile(rev: string, path: string): NativeJob<Buffer>;
  loadCommit(rev: string): NativeJob<NativeCommit>;
  checkout(rev: string, destination: string, options: NativeCheckoutOptions): NativeJob<void>;
  diff(from: NativeDiffSide, to: NativeDiffSide): NativeJob<NativeDiff>;

  fsck(
    all: boolean,
    progress: ((event: NativeFsckProgress) => void) | undefined,
  ): NativeJob<NativeFsckResult>;
  prune(options: NativePruneOptions): NativeJob<{ objects: number; pruned: number; bytes: number }>;
  getConfig(): NativeJob<Record<string, Record<string, string>>>;
  setConfig(changes: Record<string, Record<string, string | null>>): NativeJob<void>;
}

export interface NativeMutableTree {
  apply(repo: NativeRepo, edits: readonly object[]): NativeJob<void>;
  list(repo: NativeRepo, path: string, recursive: boolean, batch: EntryListener): NativeJob<void>;
  close(): void;
}

export interface NativeDeployment {
  index: number;
  id: string;
  stateroot: string;
  checksum: string;
  serial: number;
  bootChecksum: string;
  bootSerial: number;
  origin: Record<string, Record<string, string>>;
  kernelArguments: string[];
  pinned: boolean;
  staged: boolean;
  booted: boolean;
  unlocked: 'none' | 'development' | 'hotfix' | 'transient';
  path: string;
  version?: string;
}

export interface NativeDeployOptions {
  stateroot: string;
  rev: string;
  refspec?: string;
  origin?: Record<string, Record<string, string | null>>;
  kernelArguments?: string[];
  /** undefined: libostree's choice; '': none; else an id. */
  merge?: string;
  retain?: boolean;
  retainPending?: boolean;
  retainRollback?: boolean;
  notAsDefault?: boolean;
  overlayInitrds?: string[];
  stage?: boolean;
  lockFinalization?: boolean;
}

export interface NativeSysroot {
  close(): NativeJob<void>;
  load(): NativeJob<NativeDeployment[]>;
  repo(): NativeJob<NativeRepo>;
  /** null: somebody holds the lock. */
  tryLock(): NativeJob<NativeDeployment[] | null>;
  unlock(): NativeJob<void>;
  initStateroot(name: string): NativeJob<NativeDeployment[]>;
  deploy(options: NativeDeployOptions): NativeJob<{ id: string; deployments: NativeDeployment[] }>;
  writeDeployments(ids: string[], clean: boolean): NativeJob<NativeDeployment[]>;
  setPinned(id: string, pinned: boolean): NativeJob<NativeDeployment[]>;
  setMutable(id: string, mutable: boolean): NativeJob<NativeDeployment[]>;
  setOrigin(
    id: string,
    changes: Record<string, Record<string, string | null>>,
  ): NativeJob<NativeDeployment[]>;
  setKernelArguments(id: string, kernelArguments: string[]): NativeJob<NativeDeployment[]>;
  cleanup(): NativeJob<NativeDeployment[]>;
  /** null: nothing changed. */
  refresh(): NativeJob<NativeDeployment[] | null>;
  query(
    stateroot: string | undefined,
  ): NativeJob<{ pending?: string; rollback?: string; merge?: string }>;
  unlockDeployment(id: string, state: string): NativeJob<NativeDeployment[]>;
  changeFinalization(id: string): NativeJob<NativeDeployment[]>;
  setKernelArgumentsInPlace(id: string, kernelArguments: string): NativeJob<NativeDeployment[]>;
  prepareCleanup(): NativeJob<void>;
  pruneRepo(options: {
    refsOnly?: boolean;
    dryRun?: boolean;
  }): NativeJob<{ objects: number; pruned: number; bytes: number }>;
  stageOverlayInitrd(path: string): NativeJob<string>;
  upgrade(
    options: object,
    progress: ((event: NativePullProgress) => void) | undefined,
  ): NativeJob<{ changed: boolean; deployed: boolean; deployments: NativeDeployment[] }>;
}

export interface NativeOstree extends NativeOstreeFunctions, NativeSysrootFunctions {
  readonly Sysroot: {
    open(path: string, initialize: boolean): NativeJob<NativeSysroot>;
  };
  readonly Repo: {
    open(path: string | Buffer): NativeJob<NativeRepo>;
    create(path: string | Buffer, mode: string): NativeJob<NativeRepo>;
  };
  readonly DevinoCache: {
    create(): NativeDevinoCache;
  };
  readonly MutableTree: {
    create(): NativeMutableTree;
    fromCommit(repo: NativeRepo, rev: string): NativeJob<NativeMutableTree>;
    fromChecksums(
      repo: NativeRepo,
      contents: string,
      metadata: string,
    ): NativeJob<NativeMutableTree>;
  };
}
