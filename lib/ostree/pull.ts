import type { NativeGpgSignature } from '../../types/remotes.js';
import { checkFunction, checkPath, checkStrings } from '../checks.js';
import type { JobOptions } from '../job.js';
import { type GpgSignature, toGpgSignatures } from './signatures.js';

/** A ref of a collection: the same wherever it is pulled from. */
export interface CollectionRef {
  collectionId: string;
  ref: string;
}

/**
 * How far a pull is. Counters of deltas stay 0 in a pull without deltas.
 *
 * @see `OstreeAsyncProgress`
 */
export interface PullProgress {
  /** What is being done now, for people; most phases have no text. */
  readonly status?: string;
  readonly outstandingFetches: number;
  readonly outstandingMetadataFetches: number;
  readonly outstandingWrites: number;
  /** Objects that arrived, of {@link requested}. */
  readonly fetched: number;
  /** Objects asked for until now; grows while metadata is read. */
  readonly requested: number;
  readonly metadataFetched: number;
  readonly scannedMetadata: number;
  /** Bytes that arrived. */
  readonly bytesTransferred: number;
  /** Microseconds of the monotonic clock. */
  readonly startTime: number;
  readonly fetchedDeltaParts: number;
  readonly totalDeltaParts: number;
  /** Bytes. */
  readonly fetchedDeltaPartSize: number;
  /** Bytes. */
  readonly totalDeltaPartSize: number;
  /** Bytes. */
  readonly totalDeltaPartUncompressedSize: number;
  readonly totalDeltaSuperblocks: number;
  readonly fetchedDeltaFallbacks: number;
  readonly totalDeltaFallbacks: number;
  /** Objects copied from `localCacheRepos`. */
  readonly contentFetchedLocalCache: number;
  readonly scanning: boolean;
  readonly caughtError: boolean;
}

/**
 * Options of a pull; each is one of `ostree_repo_pull_with_options`. A member that is not listed
 * here is refused with `ERR_INVALID_ARG_VALUE`. Left out is `max-outstanding-fetcher-requests`, which
 * libostree describes as a number but reads as a boolean, so that no number gets through.
 * `--disable-fsync` and `--cache-dir` of the command are {@link Repo.setFsync} and
 * {@link Repo.setCacheDirectory}.
 */
export interface PullOptions extends JobOptions {
  /** Refs or commit checksums. @default the remote's `branches`; all with `mirror` */
  refs?: readonly string[];
  /** Refs of collections, perhaps at one commit; not together with {@link refs}. */
  collectionRefs?: readonly (CollectionRef & { commit?: string })[];
  /** Write refs under their own names, not as those of the remote; without `refs`, all of them. */
  mirror?: boolean;
  /** Only commit objects, which are partial then. */
  commitOnly?: boolean;
  /** Check the content of every object of a local source; objects from servers always are. */
  untrusted?: boolean;
  /** Refuse files that mode `bare-user-only` could not store safely (set-id bits). */
  bareUserOnlyFiles?: boolean;
  /** Weakens: trust the checksums of a server, for mirrors behind verified TLS. */
  trustedHttp?: boolean;
  /** Only these directories of the tree; the commits are partial then. */
  subdirs?: readonly string[];
  /** Store refs as those of this remote, and use its keys. */
  remote?: string;
  /** @default what the remote says: true for a remote, false for a local source */
  gpgVerify?: boolean;
  /** @default what the remote says: false */
  gpgVerifySummary?: boolean;
  /** Weakens: do not check the signatures that the remote's `sign-verify` asks for. */
  disableSignVerify?: boolean;
  /** Weakens: the same for `sign-verify-summary`. */
  disableSignVerifySummary?: boolean;
  /** How many parents to pull with each commit; -1 for all. @default 0 */
  depth?: number;
  /** Write each object to disk at once: slower, without long stalls for other writers. */
  perObjectFsync?: boolean;
  disableStaticDeltas?: boolean;
  /** Fail rather than fetch objects one by one. */
  requireStaticDeltas?: boolean;
  /** The commit to pull for each of `refs`; '' for the newest. */
  overrideCommits?: readonly string[];
  /** Refuse commits that are older than the ref's current one; needs a depth of 0. */
  timestampCheck?: boolean;
  /** Refuse commits that are older than this revision. */
  timestampCheckFromRev?: string;
  /** Bytes; 0 for no limit. */
  maxMetadataSize?: number;
  /** Count what would be fetched; needs `requireStaticDeltas`. */
  dryRun?: boolean;
  /** Fetch from this URL instead of the remote's. */
  overrideUrl?: string;
  /** Pull as part of the open transaction of this object, which commits or drops it. */
  inheritTransaction?: boolean;
  /** Names and values, added to every request. */
  httpHeaders?: readonly (readonly [name: string, value: string])[];
  /** Milliseconds between reports of progress. @default 100 */
  updateFrequency?: number;
  /** Repositories of this machine to take objects from. */
  localCacheRepos?: readonly string[];
  appendUserAgent?: string;
  /** How often to try a failed request again. @default 5 */
  networkRetries?: number;
  /** The remote whose keys a collection's ref must be signed with. */
  refKeyrings?: readonly (CollectionRef & { remote: string })[];
  /** A summary fetched before; needs `summarySignatureBytes`. */
  summaryBytes?: Uint8Array;
  /** Empty for none. */
  summarySignatureBytes?: Uint8Array;
  /** Weakens: accept a commit that its signer bound to other refs. */
  disableVerifyBindings?: boolean;
  /** libostree 2023.7. */
  lowSpeedLimitBytes?: number;
  /** libostree 2023.7. */
  lowSpeedTimeSeconds?: number;
  /** libostree 2023.7. */
  retryAllNetworkErrors?: boolean;
  /** Called with the newest state now and then. */
  onProgress?: (progress: PullProgress) => void;
  /** Called with each commit whose GPG signatures were looked at, accepted or not. */
  onVerified?: (verification: PullVerification) => void;
}

/** The GPG signatures of a commit that was pulled. */
export interface PullVerification {
  readonly commit: string;
  readonly signatures: readonly GpgSignature[];
}

/** @internal What native code tells of a pull. */
export type PullEvent = PullProgress | { commit: string; signatures: NativeGpgSignature[] };

/** @internal */
export function pullListener({
  onProgress,
  onVerified,
}: PullOptions): ((event: PullEvent) => void) | undefined {
  if (onProgress !== undefined) checkFunction(onProgress, 'options.onProgress');
  if (onVerified !== undefined) checkFunction(onVerified, 'options.onVerified');
  if (!onProgress && !onVerified) return undefined;
  return (event) => {
    if (!('commit' in event)) onProgress?.(event);
    else onVerified?.({ ...event, signatures: toGpgSignatures(event.signatures) });
  };
}

/** What native code takes: everything but the job's own members. */
export function pullOptions(options: PullOptions): object {
  const {
    signal: _signal,
    onProgress,
    onVerified: _onVerified,
    localCacheRepos,
    ...native
  } = options;
  return {
    ...(onProgress && { updateFrequency: 100 }),
    ...native,
    ...(localCacheRepos !== undefined && {
      localCacheRepos: checkStrings(localCacheRepos, 'options.localCacheRepos').map((repo) =>
        checkPath(repo, 'options.localCacheRepos'),
      ),
    }),
  };
}
