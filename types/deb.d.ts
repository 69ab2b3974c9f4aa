/** The addon's functions for packages and layers (native/deb). */

import type { NativeJob, NativePieces } from './binding.js';
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
  touched: string[];
}

export interface NativeMergedLayer {
  files: number;
  hashed: number;
  hashedBytes: number;
  reused: number;
  removed: number;
  directories: number;
  dropped: string[];
}

export interface NativeDebEntry {
  type: 'file' | 'hardlink' | 'symlink' | 'directory' | 'character' | 'block' | 'pipe';
  name: string;
  /** Where `name` is not what the archive has, because that is no UTF-8. */
  nameBytes?: Buffer;
  mode: number;
  uid: number;
  gid: number;
  user: string;
  group: string;
  size: number;
  /** Seconds. */
  mtime: number;
  link?: string;
  major?: number;
  minor?: number;
}

export interface NativeDebFile {
  extract(
    directory: string | Buffer,
    owners: boolean,
  ): NativeJob<{ files: number; directories: number; links: number; bytes: number }>;
  reader(): NativeDebCursor;
}

/** Its jobs run one after the other. */
export interface NativeDebCursor {
  /** Skips what was not read of the last entry; empty at the end. */
  next(limit: number): NativeJob<NativeDebEntry[]>;
  /** Content of the last entry of `next`; empty at its end. */
  read(limit: number): NativeJob<Buffer>;
  /** The archive itself, instead of `next` and `read`. */
  readArchive(limit: number): NativeJob<Buffer>;
  close(): void;
}

export interface NativeOpenedDeb {
  file: NativeDebFile;
  size: number;
  /** `.xz`; empty for none. */
  controlCompression: string;
  dataCompression: string;
  members: { name: string; mode: number; content: Buffer }[];
}

export interface NativeDeb {
  readonly DebFile: {
    open(path: string | Buffer): NativeJob<NativeOpenedDeb>;
    read(bytes: Uint8Array | NativePieces): NativeJob<NativeOpenedDeb>;
  };
  readonly DebCursor: Record<never, never>;
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
