import { binding } from '../binding.js';

/** Functions that the libostree of this machine has beyond 2022.7. */
export interface SysrootFeatures {
  /** `ostree_sysroot_change_finalization`, 2023.8. */
  readonly changeFinalization: boolean;
  /** `ostree_sysroot_update_post_copy`, 2023.8. */
  readonly updatePostCopy: boolean;
  /** `ostree_sysroot_deployment_kexec_load`, 2025.1. */
  readonly kexecLoad: boolean;
  /** `ostree_sysroot_deployment_set_soft_reboot`, 2025.3. */
  readonly softReboot: boolean;
}

/** Which newer functions {@link Sysroot} can use here. */
export function sysrootFeatures(): SysrootFeatures {
  return binding().sysrootFeatures();
}
