/** `apt-ostree/ostree`: libostree. */

export {
  type CollectionRefEntry,
  Collections,
  type FindRemotesOptions,
  type FoundRemote,
  type PullFromRemotesOptions,
} from './ostree/collections.js';
export { type Delta, type DeltaName, Deltas, type GenerateDeltaOptions } from './ostree/deltas.js';
export type { Deployment, KeyFile, KeyFileChanges } from './ostree/deployment.js';
export { DevinoCache } from './ostree/devino_cache.js';
export { type OstreeFeatures, ostreeFeatures } from './ostree/features.js';
export { KernelArguments } from './ostree/kernel_arguments.js';
export { type EditOwnership, MutableTree, type TreeEdit } from './ostree/mutable_tree.js';
export type { CollectionRef, PullOptions, PullProgress } from './ostree/pull.js';
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
export {
  type CheckoutOptions,
  type Commit,
  type Diff,
  type DiffSide,
  type FsckOptions,
  type FsckResult,
  type ObjectType,
  type PruneOptions,
  Repo,
  type RepoMode,
} from './ostree/repo.js';
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
export {
  type DeployOptions,
  type KernelArgumentEdits,
  type LockOptions,
  Sysroot,
  SysrootLock,
} from './ostree/sysroot.js';
export { type SysrootFeatures, sysrootFeatures } from './ostree/sysroot_features.js';
export {
  type ImportOptions,
  Transaction,
  type TransactionStats,
  type TreeChecksums,
  type WriteArchiveOptions,
  type WriteCommitOptions,
  type WriteDirectoryOptions,
} from './ostree/transaction.js';
export type { TreeEntry } from './ostree/tree_entry.js';
export type { UpgradeOptions } from './ostree/upgrade_options.js';
