/** The addon's functions for packages and layers (native/deb). */

import type { NativeJob } from './binding.js';
import type { NativeMutableTree, NativeRepo } from './ostree.js';

export interface NativeImportedDeb {
  commit: string;
  ref: string;
  package: string;
  version: string;
  architecture: string;
  sha256: string;
  size: number;
  installedSize: number;
  files: number;
  bytes: number;
  hardlinks: number;
  conffiles: string[];
  scripts: string[];
  preDepends: string;
  essential: boolean;
}

declare const layerLinks: unique symbol;

/** Which files of a filled layer have which objects; opaque. */
export interface NativeLayerLinks {
  readonly [layerLinks]: never;
}

export interface NativeFilledLayer {
  links: NativeLayerLinks;
  filled: number;
  copied: number;
  bytes: number;
}

export interface NativeMergedLayer {
  files: number;
  hashed: number;
  hashedBytes: number;
  reused: number;
  removed: number;
  directories: number;
}

export interface NativeDeb {
  importDeb(
    repo: NativeRepo,
    path: string | Buffer,
    options: { sha256?: string },
  ): NativeJob<NativeImportedDeb>;
  writeHollowDebs(
    repo: NativeRepo,
    requests: readonly { commit: string; destination: string | Buffer }[],
    options: { preinst?: boolean },
  ): NativeJob<void>;
  packageRef(name: string, version: string, architecture: string): string;
  fillLayer(
    repo: NativeRepo,
    directory: string | Buffer,
    commits: readonly string[],
  ): NativeJob<NativeFilledLayer>;
  mergeLayer(
    repo: NativeRepo,
    tree: NativeMutableTree,
    directory: string | Buffer,
    options: { links?: NativeLayerLinks; skip?: readonly string[] },
  ): NativeJob<NativeMergedLayer>;
}
