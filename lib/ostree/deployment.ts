import type { NativeDeployment } from '../../types/ostree.js';

/** Groups of a key file, such as an origin: group, key, value. */
export type KeyFile = Record<string, Record<string, string>>;

/** Changes of a key file; null removes a key. Everything not named stays. */
export type KeyFileChanges = Record<string, Record<string, string | null>>;

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
        ...(refspec !== undefined && { refspec }),
      });
    }),
  );
}
