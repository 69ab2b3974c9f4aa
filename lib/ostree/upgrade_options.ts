import type { Members } from '../checks.js';
import { kLockOptions, type LockOptions } from './lock.js';
import type { PullProgress } from './pull.js';

/** What {@link Sysroot.upgrade} does. */
export interface UpgradeOptions {
  /** @default the booted one */
  stateroot?: string;
  /** Switch to this from now on, and deploy it in any case. */
  refspec?: string;
  /** Pull only this directory of the tree. */
  directory?: string;
  /** Deploy this commit rather than the newest: `ostree admin upgrade --override-commit`. */
  overrideCommit?: string;
  /** Weakens: accept a commit older than the deployed one. @default whether there is a `refspec` */
  allowOlder?: boolean;
  /** false: deploy what is in the repository already. @default true */
  pull?: boolean;
  /** false: only pull. @default true */
  deploy?: boolean;
  /** Let the shutdown finish the deployment. @default false */
  stage?: boolean;
  /** Called with the newest state of the pull now and then. */
  onProgress?: (progress: PullProgress) => void;
}

/** @internal */
export const kUpgradeOptions: Members<UpgradeOptions & LockOptions> = {
  ...kLockOptions,
  stateroot: true,
  refspec: true,
  directory: true,
  overrideCommit: true,
  allowOlder: true,
  pull: true,
  deploy: true,
  stage: true,
  onProgress: true,
};
