import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { NativeRefColumns, NativeRepoRemotes, NativeSummary } from '../../types/remotes.js';
import { binding } from '../binding.js';
import { checkBytes, checkOptions, checkStrings } from '../checks.js';
import { checkSignal, type JobOptions, runJob } from '../job.js';
import type { Variant } from '../variant.js';
import { type GpgSigner, gpgHome, type Signer, toSigner } from './signatures.js';

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
  readonly #path: string;

  /** @internal */
  constructor(native: NativeRepoRemotes, path: string) {
    this.#native = native;
    this.#path = path;
  }

  /**
   * Writes the summary anew, with the refs and deltas of now; old signatures go.
   *
   * @throws `ERR_BUSY` inside a transaction of this object.
   * @see `ostree_repo_regenerate_summary`
   */
  async regenerate(
    options: JobOptions & {
      /** Added to what libostree writes. */
      metadata?: Record<string, Variant>;
    } = {},
  ): Promise<void> {
    checkOptions(options);
    await runJob('ostree', () => this.#native.summaryRegenerate(options.metadata), options);
  }

  /**
   * Writes the summary and, in a repository with a collection id, the commit of
   * `ostree-metadata`, and signs both.
   *
   * @throws `ERR_OSTREE_NOT_SUPPORTED` before libostree 2023.1.
   * @see `ostree_repo_regenerate_metadata`
   */
  async regenerateMetadata(
    options: JobOptions & {
      metadata?: Record<string, Variant>;
      gpg?: GpgSigner;
      signer?: Signer;
    } = {},
  ): Promise<void> {
    checkOptions(options);
    const { metadata, gpg, signer } = options;
    const native = {
      ...(gpg && { gpgKeys: checkStrings(gpg.keys, 'options.gpg.keys') }),
      ...(gpg?.home !== undefined && { gpgHome: gpgHome(gpg.home) }),
      ...(signer !== undefined && { signer: toSigner(signer) }),
    };
    await runJob('ostree', () => this.#native.regenerateMetadata(metadata, native), options);
  }

  /** Signs the summary with GPG. @throws `ENOENT` without one. @see `ostree_repo_add_gpg_signature_summary` */
  async signGpg(signer: GpgSigner, options?: JobOptions): Promise<void> {
    const keys = checkStrings(signer?.keys, 'signer.keys');
    const home = gpgHome(signer.home);
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
      checkOptions(options);
      checkSignal(options.signal);
    }
    const bytes = await this.readBytes();
    return bytes && parseSummary(bytes, options);
  }

  /** The bytes of the file, or undefined where there is none. @see ostree-summary(1) */
  async readBytes(): Promise<Buffer | undefined> {
    try {
      return await readFile(path.join(this.#path, 'summary'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
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
