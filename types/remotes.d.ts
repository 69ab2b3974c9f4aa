/** What the addon's Repo has for remotes, signatures, deltas and collections (native/ostree). */

import type { NativeJob } from './binding.js';

export interface NativePullProgress {
  outstandingFetches: number;
  outstandingMetadataFetches: number;
  outstandingWrites: number;
  fetched: number;
  requested: number;
  metadataFetched: number;
  scannedMetadata: number;
  bytesTransferred: number;
  startTime: number;
  fetchedDeltaParts: number;
  totalDeltaParts: number;
  fetchedDeltaPartSize: number;
  totalDeltaPartSize: number;
  totalDeltaPartUncompressedSize: number;
  totalDeltaSuperblocks: number;
  fetchedDeltaFallbacks: number;
  totalDeltaFallbacks: number;
  contentFetchedLocalCache: number;
  scanning: boolean;
  caughtError: boolean;
  status?: string;
}

export interface NativeGpgKey {
  /** The first is the primary key; times in seconds. */
  subkeys: {
    fingerprint: string;
    created?: number;
    expires?: number;
    revoked: boolean;
    expired: boolean;
    invalid: boolean;
  }[];
  userIds: {
    uid: string;
    name?: string;
    comment?: string;
    email?: string;
    revoked: boolean;
    invalid: boolean;
    advancedUrl?: string;
    directUrl?: string;
  }[];
}

export type NativeRemoteValue = string | boolean | string[];

/** Refs as columns: text joined by NUL, and two numbers each: size and seconds. */
export interface NativeRefColumns {
  names: string;
  checksums: string;
  versions: string;
  numbers: Float64Array;
}

export interface NativeSummary {
  refs: NativeRefColumns;
  collections: { collectionId: string; refs: NativeRefColumns }[];
  /** Joined by NUL. */
  deltas: string;
  metadata: Record<string, unknown>;
  lastModified?: number;
  expires?: number;
}

export interface NativeGpgSignature {
  valid: boolean;
  expired: boolean;
  keyExpired: boolean;
  keyRevoked: boolean;
  keyMissing: boolean;
  fingerprint?: string;
  primaryFingerprint?: string;
  publicKeyAlgorithm?: string;
  hashAlgorithm?: string;
  userName?: string;
  userEmail?: string;
  created?: number;
  expires?: number;
  keyExpires?: number;
  primaryKeyExpires?: number;
}

export interface NativeKeyring {
  remote?: string;
  keyringDirectory?: string;
  keyring?: string;
}

export interface NativeSigner {
  engine: string;
  secretKeys: string[];
}

export interface NativeVerifier {
  engine: string;
  publicKeys?: string[];
  keysFile?: string;
  keysDirectory?: string;
}

export interface NativeDelta {
  from?: string;
  to: string;
  signed: boolean;
  endianness?: 'little' | 'big';
  /** Seconds. */
  timestamp: number;
  parts: {
    checksum: string;
    version: number;
    size: number;
    uncompressedSize: number;
    objects: number;
    inline: boolean;
  }[];
  fallbacks: { type: string; checksum: string; size: number; uncompressedSize: number }[];
}

/** Opaque. */
export type NativeFoundRemotes = object;

export interface NativeFoundRemote {
  name: string;
  url?: string;
  priority: number;
  /** Seconds. */
  lastModified?: number;
  refs: { collectionId: string; ref: string; checksum: string; timestamp?: number }[];
}

export interface NativeCollectionRef {
  collectionId: string;
  ref: string;
  checksum: string;
}

type NativeVardict = Record<string, { type: string; value: unknown }>;

type PullListener =
  | ((event: NativePullProgress | { commit: string; signatures: NativeGpgSignature[] }) => void)
  | undefined;

/** Part of NativeRepo. */
export interface NativeRepoRemotes {
  /** Gives whether something changed. */
  remoteChange(
    change: string,
    name: string,
    url: string | undefined,
    options: [string, NativeRemoteValue][] | undefined,
  ): NativeJob<boolean>;
  remoteList(): NativeJob<string[]>;
  remoteUrl(name: string): NativeJob<string>;
  /** `[name, 'string' | 'boolean' | 'list']`; undefined for what the remote does not set. */
  remoteOptions(
    name: string,
    queries: [string, string][],
  ): NativeJob<(NativeRemoteValue | undefined)[]>;
  remoteGpgVerify(name: string): NativeJob<{ commits: boolean; summary: boolean }>;
  /** undefined: those of the user's own keyring. */
  remoteGpgImport(
    name: string,
    keys: Uint8Array | undefined,
    keyIds: string[] | undefined,
  ): NativeJob<number>;
  remoteGpgKeys(name: string | undefined, keyIds: string[] | undefined): NativeJob<NativeGpgKey[]>;
  pull(remote: string, options: object, progress: PullListener): NativeJob<NativePullProgress>;
  pullLocal(path: string, options: object, progress: PullListener): NativeJob<NativePullProgress>;

  readDetachedMetadata(checksum: string): NativeJob<Record<string, unknown> | null>;
  writeDetachedMetadata(checksum: string, metadata: NativeVardict | null): NativeJob<void>;
  gpgSignCommit(checksum: string, key: string, gpgHome: string | undefined): NativeJob<void>;
  gpgAppendSignature(checksum: string, signature: Uint8Array): NativeJob<void>;
  gpgDeleteSignatures(checksum: string, keys: string[]): NativeJob<number>;
  gpgVerifyCommit(checksum: string, keyring: NativeKeyring): NativeJob<NativeGpgSignature[]>;
  gpgSignData(data: Uint8Array, keys: string[], gpgHome: string | undefined): NativeJob<Buffer[]>;
  gpgVerifyData(
    data: Uint8Array,
    signatures: Uint8Array,
    keyring: NativeKeyring,
  ): NativeJob<NativeGpgSignature[]>;
  verify(
    rev: string,
    remote: string,
    gpg: boolean,
    sign: boolean,
  ): NativeJob<{ accepted: boolean; checksum: string; message: string; code?: string }>;
  signCommit(checksum: string, signer: NativeSigner): NativeJob<void>;
  signVerifyCommit(checksum: string, verifier: NativeVerifier): NativeJob<string>;
  signDeleteSignatures(checksum: string, verifier: NativeVerifier): NativeJob<number>;

  summaryRegenerate(metadata: NativeVardict | undefined): NativeJob<void>;
  regenerateMetadata(
    metadata: NativeVardict | undefined,
    options: { gpgKeys?: string[]; gpgHome?: string; signer?: NativeSigner },
  ): NativeJob<void>;
  remoteFetchSummary(
    name: string,
    options: object,
  ): NativeJob<{ summary?: Buffer; signatures?: Buffer }>;
  remoteListRefs(name: string): NativeJob<Record<string, string>>;
  summaryVerify(
    remote: string,
    summary: Uint8Array,
    signatures: Uint8Array,
  ): NativeJob<NativeGpgSignature[]>;
  verifyLocalSummary(
    summary: Uint8Array,
    signatures: Uint8Array,
    keyring: NativeKeyring,
  ): NativeJob<NativeGpgSignature[]>;
  summarySignGpg(keys: string[], gpgHome: string | undefined): NativeJob<void>;
  summarySign(signer: NativeSigner): NativeJob<void>;

  deltaGenerate(from: string | undefined, to: string, options: object): NativeJob<void>;
  /** `FROM-TO` or `TO`. */
  deltaList(): NativeJob<string[]>;
  deltaIndexes(): NativeJob<string[]>;
  deltaReindex(to: string | undefined): NativeJob<void>;
  /** Gives the commit. */
  deltaApply(
    path: string,
    options: { skipValidation?: boolean; verifier?: NativeVerifier },
  ): NativeJob<string>;
  deltaVerify(path: string, verifier: NativeVerifier): NativeJob<string>;
  deltaShow(path: string): NativeJob<NativeDelta>;

  findRemotes(
    refs: { collectionId: string; ref: string }[],
    finders: { config?: boolean; mount?: boolean; uris?: string[] },
    options: object,
  ): NativeJob<{ remotes: NativeFoundRemote[]; handle: NativeFoundRemotes }>;
  pullFromRemotes(
    found: NativeFoundRemotes,
    options: object,
    progress: PullListener,
  ): NativeJob<NativePullProgress>;
  /** Gives the name of a remote. */
  resolveKeyring(collectionId: string): NativeJob<string>;

  getCollectionId(): NativeJob<string | null>;
  setCollectionId(id: string | null): NativeJob<void>;
  /** `remotes`: those pulled from remotes too. */
  listCollectionRefs(
    collectionId: string | undefined,
    remotes: boolean,
  ): NativeJob<NativeCollectionRef[]>;
  resolveCollectionRef(collectionId: string, ref: string): NativeJob<string | null>;
  setCollectionRef(collectionId: string, ref: string, checksum: string | null): NativeJob<void>;
  remoteListCollectionRefs(name: string): NativeJob<NativeCollectionRef[]>;
}

/** Part of NativeOstree. */
export interface NativeOstreeFunctions {
  readonly FoundRemotes: object;
  signEngines(): string[];
  signData(data: Uint8Array, signer: NativeSigner): NativeJob<Buffer[]>;
  /** Bytes are those of a summary.sig. */
  signVerifyData(
    data: Uint8Array,
    signatures: readonly Uint8Array[] | Uint8Array,
    verifier: NativeVerifier,
  ): NativeJob<string>;
  ostreeFeatures(): {
    compiled: string;
    version: string;
    built: string[];
    functions: Record<string, boolean>;
    signEngines: string[];
  };
  parseSummary(bytes: Uint8Array): NativeJob<NativeSummary>;
}
