/** `apt-ostree/ostree`: libostree. */
export type { Deployment, KeyFile, KeyFileChanges } from './ostree/deployment.js';
export { type EditOwnership, MutableTree, type TreeEdit } from './ostree/mutable_tree.js';
export {
  type CheckoutOptions,
  type Commit,
  type ObjectType,
  Repo,
  type RepoMode,
} from './ostree/repo.js';
export { type DeployOptions, type LockOptions, Sysroot, SysrootLock } from './ostree/sysroot.js';
export {
  Transaction,
  type TransactionStats,
  type TreeChecksums,
  type WriteCommitOptions,
  type WriteDirectoryOptions,
} from './ostree/transaction.js';
export type { TreeEntry } from './ostree/tree_entry.js';
