import type { NativeDeployment } from '../../types/ostree.js';
import {
  aBoolean,
  aNumber,
  arrayOf,
  aString,
  objectOf,
  oneOf,
  optional,
  recordOf,
} from '../shapes.js';
import type { KeyFile } from './key_file.js';

/** One deployment of a sysroot, as it was when last read; frozen. */
export interface Deployment {
  /** Place in the boot order; 0 boots next. */
  readonly index: number;
  /** `STATEROOT-CHECKSUM.SERIAL`: names the deployment in all calls. */
  readonly id: string;
  /** The operating system it belongs to; deployments of one stateroot share /var. */
  readonly stateroot: string;
  /** The commit. */
  readonly checksum: string;
  /** Tells deployments of the same commit apart. */
  readonly serial: number;
  /** Checksum of kernel and initramfs. */
  readonly bootChecksum: string;
  readonly bootSerial: number;
  /** Where it came from, as the origin file says in `origin.refspec`. */
  readonly refspec?: string;
  /** The whole origin file. */
  readonly origin: KeyFile;
  /** Without `ostree=`, which libostree writes itself. */
  readonly kernelArguments: readonly string[];
  /** Kept by clean-up and by later deploys. */
  readonly pinned: boolean;
  /** Waiting to be finished at shutdown. */
  readonly staged: boolean;
  /** Running now. */
  readonly booted: boolean;
  /** Staged, and the shutdown may not finish it yet. Absent before libostree 2023.8. */
  readonly finalizationLocked?: boolean;
  /** What the next soft reboot starts. Absent before libostree 2025.3. */
  readonly softRebootTarget?: boolean;
  /** Initrds beside the kernel's own, as the boot loader entry names them. */
  readonly overlayInitrds: readonly string[];
  readonly unlocked: 'none' | 'development' | 'hotfix' | 'transient';
  /** Absolute path of the deployed tree. */
  readonly path: string;
  /** `version` of the commit's metadata. */
  readonly version?: string;
}

export function toDeployments(native: readonly NativeDeployment[]): readonly Deployment[] {
  return Object.freeze(
    native.map((deployment) => {
      const refspec = deployment.origin.origin?.refspec;
      for (const group of Object.values(deployment.origin)) Object.freeze(group);
      return Object.freeze({
        ...deployment,
        origin: Object.freeze(deployment.origin),
        kernelArguments: Object.freeze(deployment.kernelArguments),
        overlayInitrds: Object.freeze(deployment.overlayInitrds),
        ...(refspec !== undefined && { refspec }),
      });
    }),
  );
}

/** @internal Of one that a caller handed in. */
export const checkDeployment = objectOf({
  index: aNumber,
  id: aString,
  stateroot: aString,
  checksum: aString,
  serial: aNumber,
  bootChecksum: aString,
  bootSerial: aNumber,
  refspec: optional(aString),
  origin: recordOf(recordOf(aString)),
  kernelArguments: arrayOf(aString),
  pinned: aBoolean,
  staged: aBoolean,
  booted: aBoolean,
  finalizationLocked: optional(aBoolean),
  softRebootTarget: optional(aBoolean),
  overlayInitrds: optional(arrayOf(aString)),
  unlocked: oneOf('none', 'development', 'hotfix', 'transient'),
  path: aString,
  version: optional(aString),
});
