import { checkOneOf, checkStrings, type Members } from '../checks.js';
import type { JobOptions } from '../job.js';
import { KernelArguments } from './kernel_arguments.js';
import type { KeyFileChanges } from './key_file.js';
import { kLockOptions, type LockOptions } from './lock.js';

export interface DeployOptions extends JobOptions {
  /** The stateroot to deploy into. */
  stateroot: string;
  /** Commit, ref or other revision. */
  rev: string;
  /** What the origin file names as the source of updates. */
  refspec?: string;
  /** More groups and keys of the origin file. */
  origin?: KeyFileChanges;
  /** All kernel arguments. @default those of the deployment merged with */
  kernelArguments?: readonly string[];
  /**
   * The deployment whose changed /etc and kernel arguments are taken over: an id, `none`, or `auto`
   * for the booted one or else the newest of the stateroot. @default 'auto'
   */
  mergeDeployment?: string;
  /** Keep all other deployments on the boot list. By default the booted and the merged one stay. */
  retain?: boolean;
  /** Keep those newer than the booted one. */
  retainPending?: boolean;
  /** Keep those older than the booted one. */
  retainRollback?: boolean;
  /** Put it behind the booted or merged deployment. */
  notAsDefault?: boolean;
  /**
   * Changes of the kernel arguments, as the `--karg` options of `ostree admin deploy`; not together
   * with {@link kernelArguments}.
   */
  kernelArgumentEdits?: KernelArgumentEdits;
  /** Checksums of initrds that {@link Sysroot.stageOverlayInitrd} took in. */
  overlayInitrds?: readonly string[];
  /** Let the system's shutdown finish the deployment; `ERR_INVALID_STATE` unless booted from here. */
  stage?: boolean;
  /** With `stage`: do not finish it until the lock file in /run/ostree is removed. */
  lockFinalization?: boolean;
}

/** How the kernel arguments of a new deployment are made. */
export interface KernelArgumentEdits {
  /** What to start from: those of the merge deployment, of the running kernel, or none. @default 'merge' */
  base?: 'merge' | 'proc-cmdline' | 'none';
  /** Given one value each, first. @see {@link KernelArguments.set} */
  set?: readonly string[];
  /** Added, second. */
  append?: readonly string[];
  /** Removed, last; a missing one fails. */
  delete?: readonly string[];
}

/** @internal */
export const kDeployOptions: Members<DeployOptions & LockOptions> = {
  ...kLockOptions,
  stateroot: true,
  rev: true,
  refspec: true,
  origin: true,
  kernelArguments: true,
  mergeDeployment: true,
  retain: true,
  retainPending: true,
  retainRollback: true,
  notAsDefault: true,
  kernelArgumentEdits: true,
  overlayInitrds: true,
  stage: true,
  lockFinalization: true,
};

/** @internal */
export const kKernelArgumentEdits: Members<KernelArgumentEdits> = {
  base: true,
  set: true,
  append: true,
  delete: true,
};

/**
 * The kernel arguments of a new deployment. `ostree=`, if it is among those merged, keeps its place:
 * libostree writes its value.
 */
export function editKernelArguments(
  { base = 'merge', set = [], append = [], delete: remove = [] }: KernelArgumentEdits,
  merged: readonly string[],
): readonly string[] {
  checkOneOf(base, ['merge', 'proc-cmdline', 'none'], 'options.kernelArgumentEdits.base');
  let list = KernelArguments.from(base === 'merge' ? merged : []);
  if (base === 'proc-cmdline') list = KernelArguments.fromProcCmdline();
  return list
    .set(...checkStrings(set, 'options.kernelArgumentEdits.set'))
    .append(...checkStrings(append, 'options.kernelArgumentEdits.append'))
    .delete(...checkStrings(remove, 'options.kernelArgumentEdits.delete'))
    .toArray();
}
