/** The part of the addon's Repo that reads trees, objects and refs, and what goes with it. */

import type { NativeJob } from './binding.js';
import type {
  NativeCheckoutOptions,
  NativeCommit,
  NativeDiff,
  NativeDiffSide,
  NativeRepo,
  NativeTreeEntry,
} from './ostree.js';

/** Something to read piece by piece. */
export interface NativeCursor<T> {
  /** About `limit` bytes or entries, at least one; null at the end. */
  next(limit: number): NativeJob<T | null>;
  close(): NativeJob<void>;
}

export interface NativeXattr {
  name: string;
  value: Buffer;
}

/** Entries as columns: text columns joined by NUL, six numbers for each entry. */
export interface NativeEntryBatch {
  paths: string;
  targets: string;
  /** Empty where they were not asked for. */
  checksums: string;
  metadata: string;
  /** type (0 file, 1 directory, 2 symlink), mode, uid, gid, size, index in xattrSets or -1 */
  numbers: Float64Array;
  xattrSets: NativeXattr[][];
}

export interface NativeCommitObject {
  parent?: string;
  subject: string;
  body: string;
  /** Seconds since 1970. */
  timestamp: number;
  metadata: Record<string, unknown>;
  contents: string;
  metadataChecksum: string;
  contentChecksum: string;
}

/** Columns, joined by NUL. */
export interface NativeDirtree {
  files: string;
  fileChecksums: string;
  directories: string;
  contents: string;
  metadata: string;
}

export interface NativeDirmeta {
  uid: number;
  gid: number;
  mode: number;
  xattrs: NativeXattr[];
}

export type NativeObject = NativeCommitObject | NativeDirtree | NativeDirmeta;

/** Names `CHECKSUM.TYPE`, joined by NUL; of each its commits, joined by spaces. */
export interface NativeReachableBatch {
  names: string;
  commits?: string;
}

export interface NativeRepoTree {
  listRefs(
    prefix: string | undefined,
    options: { aliases?: boolean; excludeRemotes?: boolean; excludeMirrors?: boolean },
  ): NativeJob<Record<string, string>>;
  setAlias(alias: string, target: string | null): NativeJob<void>;
  hasObject(type: string, checksum: string): NativeJob<boolean>;

  walk(
    rev: string,
    path: string,
    options: { recursive?: boolean; self?: boolean; xattrs?: boolean; checksums?: boolean },
  ): NativeJob<NativeCursor<NativeEntryBatch>>;
  stat(rev: string, path: string, xattrs: boolean): NativeJob<NativeTreeEntry>;
  readFile(rev: string, path: string): NativeJob<Buffer>;
  openFile(
    rev: string,
    path: string,
    options: { start?: number; end?: number },
  ): NativeJob<NativeCursor<Buffer>>;
  exportArchive(
    rev: string,
    fd: number,
    options: { subpath?: string; prefix?: string; noXattrs?: boolean; pax?: boolean },
  ): NativeJob<void>;
  checkout(
    sources: readonly { rev: string; subpath?: string }[],
    destination: string,
    options: NativeCheckoutOptions,
  ): NativeJob<void>;
  checkoutComposefs(rev: string, destination: string, verity: string): NativeJob<void>;
  diff(
    from: NativeDiffSide,
    to: NativeDiffSide,
    options: { ignoreXattrs?: boolean; uid?: number; gid?: number },
  ): NativeJob<NativeDiff>;

  loadCommit(rev: string): NativeJob<NativeCommit>;
  openObject(type: string, checksum: string): NativeJob<NativeCursor<Buffer>>;
  loadObject(type: string, checksum: string): NativeJob<NativeObject>;
  loadFileObject(checksum: string): NativeJob<NativeTreeEntry>;
  objectSize(type: string, checksum: string): NativeJob<number>;
  deleteObject(type: string, checksum: string): NativeJob<void>;
  importObject(
    source: NativeRepo,
    type: string,
    checksum: string,
    trusted: boolean,
  ): NativeJob<void>;
  /** null: the commit says nothing of sizes. */
  commitSizes(rev: string): NativeJob<{ names: string; sizes: Float64Array } | null>;
  listObjects(
    types: readonly string[],
    prefix: string,
    parents: boolean,
  ): NativeJob<NativeCursor<string>>;
  listReachable(
    revs: readonly string[] | undefined,
    options: { depth?: number; commitOnly?: boolean; commits?: boolean },
  ): NativeJob<NativeCursor<NativeReachableBatch>>;
  compareObjects(
    from: string,
    to: string,
  ): NativeJob<{ from: number; to: number; common: number; newBytes: number }>;
}

export interface NativeTreeFunctions {
  /** Has no members of its own; jobs make its instances. */
  // biome-ignore lint/complexity/noBannedTypes: the constructor itself is of no use to anybody.
  readonly Cursor: {};
  parseObject(type: string, bytes: Uint8Array): NativeObject;
  checksumFile(
    path: string,
    options: { ignoreXattrs?: boolean; canonicalPermissions?: boolean },
  ): NativeJob<string>;
  breakHardlink(path: string, skipXattrs: boolean): NativeJob<void>;
}
