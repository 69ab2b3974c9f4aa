import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { NativeDelta, NativeRepoRemotes } from '../../types/remotes.js';
import {
  checkChecksum,
  checkMembers,
  checkOneOf,
  checkOptions,
  checkPath,
  type Members,
  type PathLike,
} from '../checks.js';
import { OstreeError } from '../errors.js';
import { type JobOptions, kJobOptions, runJob } from '../job.js';
import type { Maintenance } from './maintenance.js';
import { type Signer, toSigner, toVerifier, type Verifier } from './signatures.js';

/** What a static delta leads from and to; without `from`, it holds the whole commit. */
export interface DeltaName {
  from?: string;
  to: string;
}

export interface GenerateDeltaOptions extends JobOptions {
  /** The commit that those who apply it have; without one, the delta holds everything. */
  from?: string;
  /** Megabytes; larger files are left to be fetched by themselves; 0 for none. @default 4 */
  minFallbackSize?: number;
  /** Megabytes; larger files are not compared byte by byte. @default 128 */
  maxBsdiffSize?: number;
  /** Megabytes of a part. @default 32 */
  maxChunkSize?: number;
  /** Compare files byte by byte: small deltas, much time and memory. @default true */
  bsdiff?: boolean;
  /** Put the parts into the head. */
  inlineParts?: boolean;
  /**
   * Of the numbers in it; `--swap-endianness` of the command is the one that `os.endianness()` is not.
   * @default that of this machine
   */
  endianness?: 'little' | 'big';
  /** A file for it, in place of the repository; parts must be inline to be in it. */
  file?: PathLike;
  /**
   * Signs it as it is made. Not later: what libostree has for that (`ostree_repo_sign_delta`) says
   * that it is not there.
   */
  signer?: Signer;
  /** Rather quick than small. */
  lowLatency?: boolean;
}

const kGenerateOptions: Members<GenerateDeltaOptions> = {
  ...kJobOptions,
  from: true,
  minFallbackSize: true,
  maxBsdiffSize: true,
  maxChunkSize: true,
  bsdiff: true,
  inlineParts: true,
  endianness: true,
  file: true,
  signer: true,
  lowLatency: true,
};

/** The head of a static delta. */
export interface Delta extends DeltaName {
  readonly signed: boolean;
  /** Absent in old ones. */
  readonly endianness?: 'little' | 'big';
  readonly timestamp: Date;
  readonly parts: readonly {
    checksum: string;
    version: number;
    /** Bytes. */
    size: number;
    /** Bytes of the objects it makes. */
    uncompressedSize: number;
    /** How many objects it makes. */
    objects: number;
    /** Inside the head. */
    inline: boolean;
  }[];
  /** Objects that it does not hold. */
  readonly fallbacks: readonly {
    type: string;
    checksum: string;
    size: number;
    uncompressedSize: number;
  }[];
}

/**
 * Static deltas: files that lead from one commit to another in a few large downloads. libostree
 * trusts much of what is in them, so apply only those whose source you trust or whose signature
 * was verified.
 *
 * @throws `ERR_CLOSED` by every method, once the repository is closed.
 */
export class Deltas {
  readonly #native: NativeRepoRemotes;
  readonly #path: string;
  readonly #maintenance: Maintenance;

  /** @internal */
  constructor(native: NativeRepoRemotes, repo: string, maintenance: Maintenance) {
    this.#native = native;
    this.#path = repo;
    this.#maintenance = maintenance;
  }

  /**
   * Makes a delta to a commit. Takes much time and memory; an abort is heeded between objects.
   *
   * @throws `ENOENT` for an unknown commit; `ERR_OSTREE_NOT_SUPPORTED` for an unknown engine.
   * @see `ostree_repo_static_delta_generate`
   */
  async generate(to: string, options: GenerateDeltaOptions = {}): Promise<void> {
    checkMembers(options, kGenerateOptions);
    checkChecksum(to, 'to');
    const { signal, from, file, signer, ...rest } = options;
    if (from !== undefined) checkChecksum(from, 'options.from');
    if (rest.endianness !== undefined) {
      checkOneOf(rest.endianness, ['little', 'big'], 'options.endianness');
    }
    const native = {
      ...rest,
      ...(file !== undefined && { file: checkPath(file, 'options.file') }),
      ...(signer !== undefined && { signer: toSigner(signer) }),
    };
    await runJob('ostree', () => this.#native.deltaGenerate(from, to, native), { signal });
  }

  /** The deltas of the repository. @see `ostree_repo_list_static_delta_names` */
  async list(options?: JobOptions): Promise<DeltaName[]> {
    const names = await runJob('ostree', () => this.#native.deltaList(), options);
    return names.sort().map((name) => {
      const [first = '', second] = name.split('-');
      return second === undefined ? { to: first } : { from: first, to: second };
    });
  }

  /** The commits that have an index of deltas. @see `ostree_repo_list_static_delta_indexes` */
  async listIndexes(options?: JobOptions): Promise<string[]> {
    return (await runJob('ostree', () => this.#native.deltaIndexes(), options)).sort();
  }

  /**
   * Writes the indexes by which clients find deltas without a summary, for one commit or all, and
   * notes in the configuration that there are some.
   *
   * @throws `EDEADLK` where the caller holds the exclusive lock through another object;
   * `ERR_OSTREE_LOCKED` after waiting for others.
   * @see `ostree_repo_static_delta_reindex`
   */
  async reindex(options: JobOptions & { to?: string } = {}): Promise<void> {
    checkMembers(options, { ...kJobOptions, to: true } satisfies Members<typeof options>);
    const { to, signal } = options;
    if (to !== undefined) checkChecksum(to, 'options.to');
    await this.#maintenance.locked('shared', options, () =>
      runJob('ostree', () => this.#native.deltaReindex(to), { signal }),
    );
  }

  /**
   * The head of a delta of the repository or of a file or directory.
   *
   * @throws `ENOENT`; `ERR_INVALID_ARG_VALUE` for what is no delta.
   * @see ostree-static-delta(1)
   */
  async show(delta: DeltaName | PathLike, options?: JobOptions): Promise<Delta> {
    const file = this.#locate(delta);
    const native = await runJob('ostree', () => this.#native.deltaShow(file), options);
    return toDelta(native);
  }

  /**
   * Applies a delta that is a file or a directory, in a transaction of its own. No ref moves.
   *
   * @returns the commit.
   * @throws `ENOENT`; `ERR_INVALID_ARG_VALUE` for what is no delta; `ERR_OSTREE_FAILED` where the
   * commit it starts from is missing or, with a verifier, where no key has signed it; `EDEADLK`
   * and `ERR_OSTREE_LOCKED` as {@link reindex}.
   * @see `ostree_repo_static_delta_execute_offline_with_signature`
   */
  async apply(
    source: PathLike,
    options: JobOptions & {
      /** Weakens: do not compare parts and objects with their checksums. */
      skipValidation?: boolean;
      /** Refuse it unless one of these keys has signed it. */
      verifier?: Verifier;
    } = {},
  ): Promise<string> {
    checkMembers(options, {
      ...kJobOptions,
      skipValidation: true,
      verifier: true,
    } satisfies Members<typeof options>);
    const file = checkPath(source, 'source');
    const { skipValidation, verifier, signal } = options;
    const native = {
      ...(skipValidation !== undefined && { skipValidation }),
      ...(verifier !== undefined && { verifier: toVerifier(verifier) }),
    };
    return this.#maintenance.locked('shared', options, () =>
      runJob('ostree', () => this.#native.deltaApply(file, native), { signal }),
    );
  }

  /**
   * Checks that one of the keys has signed a delta.
   *
   * @returns which one, for people.
   * @throws `ENOENT`; `ERR_OSTREE_FAILED` where none has; `ERR_OSTREE_NOT_SUPPORTED`.
   * @see `ostree_repo_static_delta_verify_signature`
   */
  async verify(
    delta: DeltaName | PathLike,
    verifier: Verifier,
    options?: JobOptions,
  ): Promise<string> {
    const file = this.#locate(delta);
    const native = toVerifier(verifier);
    return runJob('ostree', () => this.#native.deltaVerify(file, native), options);
  }

  /**
   * Removes a delta of the repository, and from the index if there is one.
   *
   * @throws `ENOENT`.
   * @see `ostree_repo_static_delta_reindex`
   */
  async remove(delta: DeltaName, options?: JobOptions): Promise<void> {
    // Never a path: what is there would be removed.
    checkOptions(delta, 'delta');
    const directory = this.#locate(delta);
    const indexes = await this.listIndexes(options);
    try {
      await rm(directory, { recursive: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      throw new OstreeError('ENOENT', `No such static delta: ${directory}`, { path: directory });
    }
    if (indexes.includes(delta.to)) await this.reindex({ ...options, to: delta.to });
  }

  #locate(delta: DeltaName | PathLike): string {
    if (typeof delta === 'string' || delta instanceof URL || Buffer.isBuffer(delta)) {
      return checkPath(delta, 'delta');
    }
    checkChecksum(delta?.to, 'delta.to');
    if (delta.from !== undefined) checkChecksum(delta.from, 'delta.from');
    const parts = [delta.from, delta.to].filter((checksum) => checksum !== undefined);
    const name = parts.map(toBase64).join('-');
    return path.join(this.#path, 'deltas', name.slice(0, 2), name.slice(2));
  }
}

/** As ostree names the files of deltas. */
function toBase64(checksum: string): string {
  return Buffer.from(checksum, 'hex').toString('base64').replaceAll('/', '_').replace(/=+$/, '');
}

function toDelta(native: NativeDelta): Delta {
  return { ...native, timestamp: new Date(native.timestamp * 1000) };
}
