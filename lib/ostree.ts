/** `apt-ostree/ostree`: libostree. */

export type { ArchiveSource } from './ostree/archive_source.js';
export { BootConfig } from './ostree/boot_config.js';
export type { CheckoutOptions, CheckoutSource, ComposefsOptions } from './ostree/checkout.js';
export { breakHardlink, type ChecksumFileOptions, checksumFile } from './ostree/checksum_file.js';
export {
  type CollectionRefEntry,
  Collections,
  type FindRemotesOptions,
  type FoundRemote,
  type PullFromRemotesOptions,
} from './ostree/collections.js';
export type { Commit, CommitObject, LogOptions } from './ostree/commit.js';
export { RepoConfig } from './ostree/config.js';
export type { CookieName, RemoteCookie } from './ostree/cookies.js';
export type { ReadStreamOptions } from './ostree/cursor.js';
export { type Delta, type DeltaName, Deltas, type GenerateDeltaOptions } from './ostree/deltas.js';
export type { DeployOptions, KernelArgumentEdits } from './ostree/deploy_options.js';
export type { Deployment } from './ostree/deployment.js';
export { DevinoCache } from './ostree/devino_cache.js';
export type { Diff, DiffOptions, DiffSide } from './ostree/diff.js';
export type { ExportOptions } from './ostree/export.js';
export { type OstreeFeatures, ostreeFeatures } from './ostree/features.js';
export {
  type ImportOptions,
  type ImportProgress,
  type ImportResult,
  type ModeMask,
  parseStatOverrides,
  type StatOverride,
  type WriteDirectoryOptions,
  type XattrRule,
} from './ostree/import.js';
export type { ImportChanges, ImportEntry, ImportFilter } from './ostree/import_filter.js';
export { KernelArguments } from './ostree/kernel_arguments.js';
export type { KeyFile, KeyFileChanges } from './ostree/key_file.js';
export { type LockOptions, RepoLock, type RepoLockType, SysrootLock } from './ostree/lock.js';
export type {
  FsckError,
  FsckOptions,
  FsckProgress,
  FsckResult,
  PartialCommit,
  PruneOptions,
  PruneProgress,
  PruneResult,
} from './ostree/maintenance.js';
export { type EditOwnership, MutableTree, type TreeEdit } from './ostree/mutable_tree.js';
export {
  checksumFromBase64,
  checksumFromBytes,
  checksumToBase64,
  checksumToBytes,
  formatObjectName,
  type ObjectName,
  type ObjectType,
  parseObjectName,
} from './ostree/object_name.js';
export {
  type DirmetaObject,
  type DirtreeObject,
  type FileObject,
  type ListObjectsOptions,
  type LoadedObject,
  type ObjectComparison,
  type ObjectSizes,
  Objects,
  parseObject,
  type ReachableObject,
  type ReachableOptions,
} from './ostree/objects.js';
export type {
  CollectionRef,
  PullOptions,
  PullProgress,
  PullVerification,
} from './ostree/pull.js';
export type { ListRefsOptions } from './ostree/refs.js';
export {
  type AddRemoteOptions,
  type FetchedSummary,
  type FetchSummaryOptions,
  type GpgKey,
  type GpgSubkey,
  type GpgUserId,
  type Remote,
  type RemoteSettings,
  Remotes,
} from './ostree/remote.js';
export { Repo } from './ostree/repo.js';
export type { RepoFacts, RepoMode } from './ostree/repo_handle.js';
export { type RestoreconOptions, SePolicy } from './ostree/sepolicy.js';
export {
  type GpgKeyring,
  type GpgSignature,
  type GpgSigner,
  Signatures,
  type Signer,
  signEngines,
  type Verdict,
  type Verifier,
} from './ostree/signatures.js';
export { parseSummary, RepoSummary, type Summary, type SummaryRef } from './ostree/summary.js';
export { Sysroot } from './ostree/sysroot.js';
export {
  type FileWriter,
  type ObjectOptions,
  Transaction,
  type TransactionStats,
  type TreeChecksums,
  type WriteArchiveOptions,
  type WriteCommitOptions,
  type WriteCommitTreeOptions,
} from './ostree/transaction.js';
export type {
  EntryOptions,
  ListOptions,
  TreeEntry,
  WalkOptions,
  Xattr,
} from './ostree/tree_entry.js';
export type { UpgradeOptions } from './ostree/upgrade_options.js';
export type { CommitLayer, CommitResult, CommitTreesOptions } from './ostree/write_commit.js';
