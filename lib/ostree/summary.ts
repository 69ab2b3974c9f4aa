import path from 'node:path';

import type { NativeRefColumns, NativeRepoRemotes, NativeSummary } from '../../types/remotes.js';
import { binding } from '../binding.js';
import { checkBytes, checkMembers, type Members } from '../checks.js';
import { type NodeSystemErrorCode, OstreeError } from '../errors.js';
import { checkSignal, type JobOptions, kJobOptions, runJob } from '../job.js';
import { readRegularFile } from '../read-file.js';
import type { Variant } from '../variant.js';
import { ostreeFeatures } from './features.js';
import type { Maintenance } from './maintenance.js';
import type { Repo } from './repo.js';
import {
  type GpgKeyring,
  type GpgSignature,
  type GpgSigner,
  type Signer,
  toGpgSignatures,
  toGpgSigner,
  toKeyring,
  toSigner,
} from './signatures.js';

/** One ref of a summary. */
export interface SummaryRef {
  readonly ref: string;
  readonly checksum: string;
  /** Bytes of the commit object. */
  readonly commitSize: number;
  /** When the commit was made, where the summary says so. */
  readonly timestamp?: Date;
  /** `version` of the commit's metadata. */
  readonly version?: string;
}

/** What a repository offers, as its summary says. */
export interface Summary {
  readonly refs: readonly SummaryRef[];
  /** The refs of other collections. */
  readonly collections: readonly { collectionId: string; refs: readonly SummaryRef[] }[];
  /** Names of static deltas, `FROM-TO` or `TO`; newer servers list them in an index instead. */
  readonly deltas: readonly string[];
  readonly lastModified?: Date;
  readonly expires?: Date;
  /** Everything else, such as `ostree.summary.collection-id` and `ostree.summary.mode`. */
  readonly metadata: Readonly<Record<string, unknown>>;
}

/**
 * Reads a summary. Nothing is trusted: a signature has to be checked by itself.
 *
 * @throws `ERR_INVALID_ARG_VALUE` for anything that is no summary.
 * @see `ostree_repo_regenerate_summary`, which writes them
 */
export async function parseSummary(bytes: Uint8Array, options?: JobOptions): Promise<Summary> {
  checkBytes(bytes, 'bytes');
  return toSummary(await runJob('ostree', () => binding().parseSummary(bytes), options));
}

/**
 * The summary that a repository offers to those who pull from it.
 *
 * @throws `ERR_CLOSED` by every method, once the repository is closed.
 */
export class RepoSummary {
  readonly #native: NativeRepoRemotes;
  readonly #repo: Repo;
  readonly #maintenance: Maintenance;

  /** @internal */
  constructor(native: NativeRepoRemotes, repo: Repo, maintenance: Maintenance) {
    this.#native = native;
    this.#repo = repo;
    this.#maintenance = maintenance;
  }

  /**
   * Writes the summary anew, with the refs and deltas of now; old signatures go.
   *
   * @throws `ERR_BUSY` inside a transaction of this object; `EDEADLK` where the caller holds the
   * exclusive lock through another object; `ERR_OSTREE_LOCKED` after waiting for others.
   * @see `ostree_repo_regenerate_summary`
   */
  async regenerate(
    options: JobOptions & {
      /** Added to what libostree writes. */
      metadata?: Record<string, Variant>;
    } = {},
  ): Promise<void> {
    checkMembers(options, { ...kJobOptions, metadata: true } satisfies Members<typeof options>);
    const { metadata, signal } = options;
    await this.#maintenance.locked('shared', { signal }, () =>
      runJob('ostree', () => this.#native.summaryRegenerate(metadata), { signal }),
    );
  }

  /**
   * Writes the summary and, in a repository with a collection id, the commit of
   * `ostree-metadata`, and signs both: `ostree summary --update`. Before libostree 2023.1 that is
   * done here, one thing after the other.
   *
   * @throws `ERR_BUSY` inside a transaction of this object; what signing fails with.
   * @see `ostree_repo_regenerate_metadata`
   */
  async regenerateMetadata(
    options: JobOptions & {
      metadata?: Record<string, Variant>;
      gpg?: GpgSigner;
      signer?: Signer;
    } = {},
  ): Promise<void> {
    checkMembers(options, {
      ...kJobOptions,
      metadata: true,
      gpg: true,
      signer: true,
    } satisfies Members<typeof options>);
    const { metadata, gpg, signer, signal } = options;
    if (!ostreeFeatures().functions.ostree_repo_regenerate_metadata) {
      return this.#regenerateSteps(options);
    }
    const { keys, home } = gpg ? toGpgSigner(gpg, 'options.gpg') : {};
    const native = {
      ...(keys && { gpgKeys: keys }),
      ...(home !== undefined && { gpgHome: home }),
      ...(signer !== undefined && { signer: toSigner(signer) }),
    };
    await this.#maintenance.locked('shared', { signal }, () =>
      runJob('ostree', () => this.#native.regenerateMetadata(metadata, native), { signal }),
    );
  }

  /** What `ostree summary --update` does with a library that cannot do it at once. */
  async #regenerateSteps({
    metadata,
    gpg,
    signer,
    signal,
  }: Parameters<RepoSummary['regenerateMetadata']>[0] & object): Promise<void> {
    const repo = this.#repo;
    // What is wrong with a signer should not show after the commit.
    if (gpg !== undefined) toGpgSigner(gpg, 'options.gpg');
    if (signer !== undefined) toSigner(signer);
    if ((await repo.collections.getId({ signal })) !== undefined) {
      await repo.commit({
        ref: 'ostree-metadata',
        trees: [],
        metadata,
        signGpg: gpg,
        sign: signer && [signer],
        signal,
      });
    }
    await this.regenerate({ metadata, signal });
    if (gpg !== undefined) await this.signGpg(gpg, { signal });
    if (signer !== undefined) await this.sign(signer, { signal });
  }

  /** Signs the summary with GPG. @throws `ENOENT` without one. @see `ostree_repo_add_gpg_signature_summary` */
  async signGpg(signer: GpgSigner, options?: JobOptions): Promise<void> {
    const { keys, home } = toGpgSigner(signer);
    await runJob('ostree', () => this.#native.summarySignGpg(keys, home), options);
  }

  /** Signs the summary. @throws `ENOENT` without one; `ERR_OSTREE_NOT_SUPPORTED`. @see `ostree_sign_summary` */
  async sign(signer: Signer, options?: JobOptions): Promise<void> {
    const native = toSigner(signer);
    await runJob('ostree', () => this.#native.summarySign(native), options);
  }

  /**
   * The summary as it is now, or undefined where there is none.
   *
   * @throws `ERR_INVALID_ARG_VALUE` where the file is no summary.
   * @see {@link parseSummary}
   */
  async read(options?: JobOptions): Promise<Summary | undefined> {
    if (options !== undefined) {
      checkMembers(options, kJobOptions);
      checkSignal(options.signal);
    }
    const bytes = await this.readBytes();
    return bytes && parseSummary(bytes, options);
  }

  /** The bytes of the file, or undefined where there is none. @see ostree-summary(1) */
  async readBytes(): Promise<Buffer | undefined> {
    return this.#readFile('summary');
  }

  /** The signatures of all kinds, or undefined where there are none. @see ostree-summary(1) */
  async readSignatures(): Promise<Buffer | undefined> {
    return this.#readFile('summary.sig');
  }

  /**
   * The GPG signatures of the summary, checked with keys that belong to no remote; with those of a
   * remote, {@link Remotes.verifySummary} does it.
   *
   * @throws `ENOENT` without a summary or signatures; `ERR_OSTREE_NOT_SUPPORTED` before libostree
   * 2026.3.
   * @see `ostree_repo_verify_local_summary`
   * @example
   * await repo.summary.verifyGpg({ keyring: gpg.publicKey }).catch(console.error);
   */
  async verifyGpg(options: Omit<GpgKeyring, 'remote'> & JobOptions = {}): Promise<GpgSignature[]> {
    const keyring = toKeyring(options, false);
    const [bytes, signatures] = [await this.readBytes(), await this.readSignatures()];
    if (!bytes || !signatures) {
      const { path } = this.#repo;
      throw new OstreeError('ENOENT', `The summary of ${path} has no signatures`, { path });
    }
    const found = await runJob(
      'ostree',
      () => this.#native.verifyLocalSummary(bytes, signatures, keyring),
      { signal: options.signal },
    );
    return toGpgSignatures(found);
  }

  async #readFile(name: string): Promise<Buffer | undefined> {
    // ERR_CLOSED comes first.
    void this.#repo.mode;
    const file = path.join(this.#repo.path, name);
    try {
      return await readRegularFile(file);
    } catch (error) {
      const { code = 'EIO', message } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return undefined;
      throw new OstreeError(code as NodeSystemErrorCode, message, { path: file });
    }
  }
}

function split(text: string): string[] {
  return text === '' ? [] : text.split('\0');
}

function toRefs(columns: NativeRefColumns): SummaryRef[] {
  const checksums = columns.checksums.split('\0');
  const versions = columns.versions.split('\0');
  if (columns.numbers.length === 0) return [];
  return columns.names.split('\0').map((ref, index) => {
    const seconds = columns.numbers[2 * index + 1] ?? 0;
    const version = versions[index];
    return {
      ref,
      checksum: checksums[index] ?? '',
      commitSize: columns.numbers[2 * index] ?? 0,
      ...(seconds !== 0 && { timestamp: new Date(seconds * 1000) }),
      ...(version && { version }),
    };
  });
}

function toSummary(native: NativeSummary): Summary {
  const { refs, collections, deltas, lastModified, expires, metadata } = native;
  return {
    refs: toRefs(refs),
    collections: collections.map((entry) => ({ ...entry, refs: toRefs(entry.refs) })),
    deltas: split(deltas),
    metadata,
    ...(lastModified !== undefined && { lastModified: new Date(lastModified * 1000) }),
    ...(expires !== undefined && { expires: new Date(expires * 1000) }),
  };
}
