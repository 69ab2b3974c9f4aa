/** The addon's libostree classes (native/ostree). */

import type { NativeJob } from './binding.js';
import type { NativeOstreeFunctions, NativePullProgress, NativeRepoRemotes } from './remotes.js';
import type { NativeBootConfig, NativeSysrootFunctions } from './sysroot.js';
import type { NativeEntryBatch, NativeRepoTree, NativeTreeFunctions, NativeXattr } from './tree.js';

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
  metadataChecksum?: string;
  xattrs?: NativeXattr[];
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
  contentChecksum: string;
  partial: boolean;
  partialReason?: 'incomplete' | 'fsck';
}

export interface NativeWriteCommitOptions {
  contents: string;
  metadata: string;
  parent?: string;
  subject?: string;
  body?: string;
  commitMetadata?: Record<string, { type: string; value: unknown }>;
  timestamp?: number;
  bootable?: boolean;
  composefs?: boolean;
  keepMetadata?: string[];
}

export interface NativeXattrInput {
  name: string;
  value: Uint8Array;
}

export interface NativeObjectAttributes {
  uid?: number;
  gid?: number;
  /** Permission bits. */
  mode?: number;
  xattrs?: NativeXattrInput[];
}

export interface NativeModeMask {
  clear?: number;
  set?: number;
}

export interface NativeImportOptions {
  prefix?: string;
  uid?: number;
  gid?: number;
  fileModes?: NativeModeMask;
  directoryModes?: NativeModeMask;
  readOnlyExecutables?: boolean;
  statOverrides?: { path: string; mode: number; replace?: boolean }[];
  skip?: string[];
  skipPatterns?: string[];
  /** The listener answers questions. */
  filter?: boolean;
  skipXattrs?: boolean;
  /** Of `file`, `directory`, `symlink`; without `types`, of the first two. */
  xattrs?: { path: string; types?: string[]; drop?: string[]; set?: NativeXattrInput[] }[];
  canonicalPermissions?: boolean;
  generateSizes?: boolean;
  selinuxPolicy?: string;
  selinuxPolicyFromTree?: boolean;
  selinuxPolicyObject?: NativeSePolicy;
  errorOnUnlabeled?: boolean;
  /** The rest is of writeDirectory only. */
  consume?: boolean;
  devinoCache?: NativeDevinoCache;
  devinoCanonical?: boolean;
  scanHardlinks?: boolean;
  /** 0: one for each processor */
  threads?: number;
}

export interface NativeArchiveOptions extends NativeImportOptions {
  createParents?: boolean;
  skipDevices?: boolean;
  usrEtc?: boolean;
  /** From, to, from, to, ... */
  moves?: string[];
  pattern?: string;
  replacement?: string;
}

export interface NativeImportResult {
  directories: number;
  files: number;
  hashed: number;
  bytes: number;
  known: number;
  /** Joined by NUL. */
  unmatched: string;
}

export type NativeImportEvent =
  | { directories: number; files: number; bytes: number }
  | {
      /** Joined by NUL. */
      paths: string;
      /** mode with the file type, uid, gid, size of each */
      numbers: Float64Array;
      /** skip (0 or 1), uid, gid, permission bits of each */
      answer(values: Float64Array): void;
    };

type ImportListener = ((event: NativeImportEvent) => void) | undefined;

export interface NativeSePolicy {
  name(): string;
  checksum(): string | undefined;
  label(path: string, mode: number): NativeJob<string | undefined>;
  restorecon(
    path: string,
    target: string,
    options: { allowNoLabel?: boolean; keepExisting?: boolean },
  ): NativeJob<string | undefined>;
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

export interface NativeFsckOptions {
  all?: boolean;
  unreachable?: boolean;
  delete?: boolean;
  addTombstones?: boolean;
  verifyBindings?: boolean;
  verifyBackRefs?: boolean;
}

export interface NativeFsckProgress {
  phase: 'objects';
  done: number;
  total: number;
}

export interface NativeFsckResult {
  objects: number;
  commits: number;
  errorCount: number;
  errors: {
    kind: 'missing' | 'corrupt' | 'binding' | 'back-ref';
    message: string;
    object?: string;
    ref?: string;
    collectionId?: string;
    commits: string[];
    deleted: boolean;
  }[];
  partial: { commit: string; reason: 'incomplete' | 'fsck' }[];
  markedPartial: string[];
  tombstones: string[];
}

export interface NativePruneOptions {
  refsOnly?: boolean;
  commitOnly?: boolean;
  depth?: number;
  dryRun?: boolean;
  /** Seconds since 1970. */
  keepYoungerThan?: number;
  retainBranchDepth?: Readonly<Record<string, number>>;
  onlyBranches?: string[];
  deleteCommit?: string;
  staticDeltasOnly?: boolean;
  /** Lines CHECKSUM.TYPE: exactly these are kept. */
  keep?: Uint8Array[];
}

export interface NativePruneProgress {
  phase: 'commits' | 'objects';
  done: number;
  total?: number;
}

/** null removes a key or a group. */
export type NativeKeyFileChanges = Record<string, Record<string, string | null> | null>;

export interface NativeCheckoutOptions {
  mode?: string;
  overwrite?: string;
  hardlinksOnly?: boolean;
  forceCopy?: boolean;
  forceCopyZeroSized?: boolean;
  canonicalDirectories?: boolean;
  whiteouts?: boolean;
  passthroughWhiteouts?: boolean;
  fsync?: boolean;
  allowMissing?: boolean;
  selinuxPolicy?: string;
  selinuxPrefix?: string;
  skip?: readonly string[];
  devinoCache?: NativeDevinoCache;
}

type EntryListener = ((batch: NativeEntryBatch) => void) | undefined;

export interface NativeRepoFacts {
  writable: boolean;
  system: boolean;
  bootloader: string;
  minFreeSpaceBytes: number;
  finders: string[];
  /** A path. */
  parent?: string;
}

export interface NativeRepo extends NativeRepoRemotes, NativeRepoTree {
  close(): void;
  mode(): string;
  facts(): NativeJob<NativeRepoFacts>;
  equals(other: NativeRepo): boolean;
  getFsync(): boolean;
  setFsync(fsync: boolean): NativeJob<void>;
  setCacheDirectory(path: string): NativeJob<void>;
  resolveRev(rev: string, allowMissing: boolean): NativeJob<string | null>;
  setRef(ref: string, checksum: string | null): NativeJob<void>;

  beginTransaction(): NativeJob<void>;
  commitTransaction(): NativeJob<NativeTransactionStats>;
  abortTransaction(): NativeJob<void>;
  transactionSetRef(ref: string, checksum: string | null): NativeJob<void>;
  transactionSetCollectionRef(
    collectionId: string,
    ref: string,
    checksum: string | null,
  ): NativeJob<void>;
  writeTree(tree: NativeMutableTree): NativeJob<NativeTreeChecksums>;
  writeCommit(options: NativeWriteCommitOptions): NativeJob<string>;
  writeDirectory(
    path: string,
    tree: NativeMutableTree,
    options: NativeImportOptions,
    listener: ImportListener,
  ): NativeJob<NativeImportResult>;
  /** From a path, or a descriptor of which the addon makes its own copy. */
  writeArchive(
    source: string | number,
    tree: NativeMutableTree,
    options: NativeArchiveOptions,
    listener: ImportListener,
  ): NativeJob<NativeImportResult>;
  /** From bytes, or from a descriptor of which the addon makes its own copy. */
  writeFile(content: Uint8Array | number, attributes: NativeObjectAttributes): NativeJob<string>;
  writeSymlink(target: string, attributes: NativeObjectAttributes): NativeJob<string>;
  writeMetadata(type: string, bytes: Uint8Array, checksum: string | undefined): NativeJob<string>;
  writeCommitTree(
    rev: string,
    subpath: string,
    tree: NativeMutableTree,
    options: NativeImportOptions,
    listener: ImportListener,
  ): NativeJob<NativeImportResult>;

  /** false: somebody else holds it. */
  tryLock(exclusive: boolean): NativeJob<boolean>;
  unlock(exclusive: boolean): NativeJob<void>;
  /** The same for every object of one repository. */
  identity(): string;
  markPartial(commit: string, partial: boolean, byFsck: boolean): NativeJob<void>;
  /** With `delete` or `addTombstones` under the exclusive lock. */
  fsck(
    options: NativeFsckOptions,
    progress: ((event: NativeFsckProgress) => void) | undefined,
  ): NativeJob<NativeFsckResult>;
  /** Under the exclusive lock; with `dryRun` any. */
  prune(
    options: NativePruneOptions,
    progress: ((event: NativePruneProgress) => void) | undefined,
  ): NativeJob<{ objects: number; pruned: number; bytes: number }>;
  getConfig(): NativeJob<Record<string, Record<string, string>>>;
  setConfig(changes: NativeKeyFileChanges): NativeJob<void>;
  /** The file itself. */
  configText(): NativeJob<string>;
  reloadConfig(): NativeJob<void>;
}

/** Of use once. */
export interface NativeTreeEdits {
  /** The next ones; throws for those that are malformed. Content may be `NativePieces`. */
  add(edits: readonly object[]): void;
}

export interface NativeMutableTree {
  apply(repo: NativeRepo, edits: NativeTreeEdits): NativeJob<void>;
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
  finalizationLocked?: boolean;
  softRebootTarget?: boolean;
  overlayInitrds: string[];
  unlocked: 'none' | 'development' | 'hotfix' | 'transient';
  path: string;
  version?: string;
}

export interface NativeDeployOptions {
  stateroot: string;
  rev: string;
  refspec?: string;
  origin?: NativeKeyFileChanges;
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
  /** The exclusive one of its repository; a number: somebody else has it, wait so many seconds. */
  tryLockRepo(): NativeJob<number | null>;
  unlockRepo(): NativeJob<void>;
  unlock(): NativeJob<void>;
  initStateroot(name: string): NativeJob<NativeDeployment[]>;
  deploy(options: NativeDeployOptions): NativeJob<{ id: string; deployments: NativeDeployment[] }>;
  writeDeployments(ids: string[], clean: boolean): NativeJob<NativeDeployment[]>;
  setPinned(id: string, pinned: boolean): NativeJob<NativeDeployment[]>;
  setMutable(id: string, mutable: boolean): NativeJob<NativeDeployment[]>;
  setOrigin(id: string, changes: NativeKeyFileChanges): NativeJob<NativeDeployment[]>;
  setKernelArguments(id: string, kernelArguments: string[]): NativeJob<NativeDeployment[]>;
  cleanup(): NativeJob<NativeDeployment[]>;
  /** null: nothing changed. */
  refresh(): NativeJob<NativeDeployment[] | null>;
  query(
    stateroot: string | undefined,
  ): NativeJob<{ pending?: string; rollback?: string; merge?: string }>;
  unlockDeployment(id: string, state: string): NativeJob<NativeDeployment[]>;
  changeFinalization(id: string): NativeJob<NativeDeployment[]>;
  updatePostCopy(): NativeJob<NativeDeployment[]>;
  kexecLoad(id: string): NativeJob<void>;
  /** null: clear it. */
  setSoftReboot(id: string | null, allowKernelSkew: boolean): NativeJob<NativeDeployment[]>;
  canSoftReboot(id: string): NativeJob<boolean>;
  setKernelArgumentsInPlace(id: string, kernelArguments: string[]): NativeJob<NativeDeployment[]>;
  /** With libostree's own. */
  bootArguments(id: string): NativeJob<string[]>;
  bootEntry(id: string): NativeJob<NativeBootConfig>;
  bootVersions(): NativeJob<{ boot: number; subboot: number }>;
  takeMessages(): NativeJob<string[]>;
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

export interface NativeOstree
  extends NativeOstreeFunctions,
    NativeSysrootFunctions,
    NativeTreeFunctions {
  /** As libostree finds them by the working directory and the environment. */
  defaultRepoPath(): string;
  defaultSysrootPath(): string;
  readonly Sysroot: {
    open(path: string, initialize: boolean, privateNamespace: boolean): NativeJob<NativeSysroot>;
  };
  readonly Repo: {
    open(path: string | Buffer): NativeJob<NativeRepo>;
    create(
      path: string | Buffer,
      mode: string,
      collectionId: string | undefined,
    ): NativeJob<NativeRepo>;
  };
  readonly SePolicy: {
    fromDirectory(path: string): NativeJob<NativeSePolicy>;
    fromCommit(repo: NativeRepo, rev: string): NativeJob<NativeSePolicy>;
  };
  readonly DevinoCache: {
    create(): NativeDevinoCache;
  };
  readonly TreeEdits: {
    create(): NativeTreeEdits;
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
