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

type PullListener = ((progress: NativePullProgress) => void) | undefined;

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
  remoteGpgImport(name: string, keys: Uint8Array, keyIds: string[] | undefined): NativeJob<number>;
  remoteGpgKeys(name: string | undefined, keyIds: string[] | undefined): NativeJob<NativeGpgKey[]>;
  pull(remote: string, options: object, progress: PullListener): NativeJob<NativePullProgress>;
  pullLocal(path: string, options: object, progress: PullListener): NativeJob<NativePullProgress>;
}
