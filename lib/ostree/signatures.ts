import type {
  NativeGpgSignature,
  NativeKeyring,
  NativeRepoRemotes,
  NativeSigner,
  NativeVerifier,
} from '../../types/remotes.js';
import { binding } from '../binding.js';
import {
  checkArray,
  checkBytes,
  checkChecksum,
  checkMembers,
  checkPath,
  checkString,
  checkStrings,
  type Members,
  type PathLike,
} from '../checks.js';
import { callNative, type JobOptions, kJobOptions, runJob } from '../job.js';

/** A GPG signature and what is known of it (`OstreeGpgSignatureAttr`). */
export interface GpgSignature {
  /** Made by a key that is trusted here, over these bytes, and neither expired nor revoked. */
  readonly valid: boolean;
  readonly expired: boolean;
  readonly keyExpired: boolean;
  readonly keyRevoked: boolean;
  /** The key is not in the keyring: nothing is known about its owner. */
  readonly keyMissing: boolean;
  /** Of the key that signed, or only its id where it is missing. */
  readonly fingerprint?: string;
  /** Of the primary key, where a subkey signed. */
  readonly primaryFingerprint?: string;
  readonly publicKeyAlgorithm?: string;
  readonly hashAlgorithm?: string;
  readonly userName?: string;
  readonly userEmail?: string;
  readonly created?: Date;
  /** Absent: never. */
  readonly expires?: Date;
  readonly keyExpires?: Date;
  readonly primaryKeyExpires?: Date;
}

/** The keys to sign with, by fingerprint, id or address. */
export interface GpgSigner {
  keys: readonly string[];
  /** The directory with the secret keys. @default as gpg finds it */
  home?: PathLike;
}

/**
 * The public keys that count: those of a remote, as a pull would take them, or those of a directory
 * and a file.
 */
export interface GpgKeyring {
  remote?: string;
  keyringDirectory?: PathLike;
  keyring?: PathLike;
}

/** Secret keys of an engine other than GPG, in its own text form (base64 for ed25519). */
export interface Signer {
  /** One of {@link signEngines}. */
  engine: string;
  secretKeys: readonly string[];
}

/** Public keys of an engine other than GPG. */
export interface Verifier {
  engine: string;
  publicKeys?: readonly string[];
  /** A file with a key in each line. */
  keysFile?: PathLike;
  /** A directory with `trusted.ENGINE`, `trusted.ENGINE.d` and the like of revoked keys. */
  keysDirectory?: PathLike;
}

/** Whether a pull would take a commit. */
export interface Verdict {
  readonly accepted: boolean;
  readonly checksum: string;
  /** The signatures that were accepted, or what is wrong; for people. */
  readonly message: string;
  /** Where it is not accepted: `ERR_OSTREE_GPG_*`, or `ERR_OSTREE_FAILED`. */
  readonly code?: string;
}

/**
 * The signature engines that work here, without GPG. Debian's libostree has none but `dummy`, which
 * works only with `OSTREE_DUMMY_SIGN_ENABLED` in the environment. Synchronous.
 *
 * @throws nothing.
 * @see `ostree_sign_get_all`
 */
export function signEngines(): string[] {
  return callNative('ostree', () => binding().signEngines());
}

/**
 * Signatures of commits and of other data. Signing changes a commit's detached metadata.
 *
 * @throws `ERR_CLOSED` by every method, once the repository is closed.
 */
export class Signatures {
  readonly #native: NativeRepoRemotes;

  /** @internal */
  constructor(native: NativeRepoRemotes) {
    this.#native = native;
  }

  /**
   * Signs a commit with GPG.
   *
   * @throws `ENOENT`; `EEXIST` where a key has signed it already and the system's keyring has it.
   * @see `ostree_repo_sign_commit`
   */
  async signGpg(commit: string, signer: GpgSigner, options?: JobOptions): Promise<void> {
    checkChecksum(commit, 'commit');
    const { keys, home } = toGpgSigner(signer);
    for (const key of keys) {
      await runJob('ostree', () => this.#native.gpgSignCommit(commit, key, home), options);
    }
  }

  /** Adds a signature that was made elsewhere. @throws `ENOENT`. @see `ostree_repo_append_gpg_signature` */
  async appendGpg(commit: string, signature: Uint8Array, options?: JobOptions): Promise<void> {
    checkChecksum(commit, 'commit');
    checkBytes(signature, 'signature');
    await runJob('ostree', () => this.#native.gpgAppendSignature(commit, signature), options);
  }

  /**
   * Removes the GPG signatures of these keys, named by fingerprint or the end of one.
   *
   * @returns how many went.
   * @throws `ENOENT` for an unknown commit.
   * @see `ostree_repo_write_commit_detached_metadata`
   */
  async removeGpg(commit: string, keys: readonly string[], options?: JobOptions): Promise<number> {
    checkChecksum(commit, 'commit');
    const ids = checkStrings(keys, 'keys');
    return runJob('ostree', () => this.#native.gpgDeleteSignatures(commit, ids), options);
  }

  /**
   * The GPG signatures of a commit, good and bad.
   *
   * @throws `ENOENT`; `ERR_OSTREE_GPG_NO_SIGNATURE` for a commit without any.
   * @see `ostree_repo_verify_commit_for_remote`, `ostree_repo_verify_commit_ext`
   */
  async verifyGpg(commit: string, options: GpgKeyring & JobOptions = {}): Promise<GpgSignature[]> {
    checkChecksum(commit, 'commit');
    const keyring = toKeyring(options);
    const found = await runJob('ostree', () => this.#native.gpgVerifyCommit(commit, keyring), {
      signal: options.signal,
    });
    return toGpgSignatures(found);
  }

  /**
   * Detached signatures, one for each key.
   *
   * @throws `ERR_INVALID_ARG_VALUE` for a key that is not in `home`.
   * @see `ostree_repo_gpg_sign_data`
   */
  async signDataGpg(data: Uint8Array, signer: GpgSigner, options?: JobOptions): Promise<Buffer[]> {
    checkBytes(data, 'data');
    const { keys, home } = toGpgSigner(signer);
    return runJob('ostree', () => this.#native.gpgSignData(data, keys, home), options);
  }

  /**
   * What detached signatures of data are worth.
   *
   * @throws `ENOENT` for an unknown remote; `ERR_OSTREE_FAILED` for what is no signature.
   * @see `ostree_repo_gpg_verify_data`
   */
  async verifyDataGpg(
    data: Uint8Array,
    signatures: Uint8Array,
    options: GpgKeyring & JobOptions = {},
  ): Promise<GpgSignature[]> {
    checkBytes(data, 'data');
    checkBytes(signatures, 'signatures');
    const keyring = toKeyring(options);
    const found = await runJob(
      'ostree',
      () => this.#native.gpgVerifyData(data, signatures, keyring),
      { signal: options.signal },
    );
    return toGpgSignatures(found);
  }

  /**
   * Signs a commit with another engine.
   *
   * @throws `ENOENT`; `ERR_OSTREE_NOT_SUPPORTED` where there is no such engine.
   * @see `ostree_sign_commit`
   */
  async sign(commit: string, signer: Signer, options?: JobOptions): Promise<void> {
    checkChecksum(commit, 'commit');
    const native = toSigner(signer);
    await runJob('ostree', () => this.#native.signCommit(commit, native), options);
  }

  /**
   * Checks that one of the keys has signed a commit.
   *
   * @returns which one, for people.
   * @throws `ERR_OSTREE_FAILED` where none has; `ERR_OSTREE_NOT_SUPPORTED`.
   * @see `ostree_sign_commit_verify`
   */
  async verify(commit: string, verifier: Verifier, options?: JobOptions): Promise<string> {
    checkChecksum(commit, 'commit');
    const native = toVerifier(verifier);
    return runJob('ostree', () => this.#native.signVerifyCommit(commit, native), options);
  }

  /**
   * Signs data with another engine.
   *
   * @returns one signature for each key.
   * @throws `ERR_OSTREE_NOT_SUPPORTED` where there is no such engine.
   * @see `ostree_sign_data`
   */
  async signData(data: Uint8Array, signer: Signer, options?: JobOptions): Promise<Buffer[]> {
    checkBytes(data, 'data');
    const native = toSigner(signer);
    return runJob('ostree', () => binding().signData(data, native), options);
  }

  /**
   * Checks that one of the keys has made one of the signatures of data.
   *
   * @returns which one, for people.
   * @throws `ERR_OSTREE_FAILED` where none has; `ERR_OSTREE_NOT_SUPPORTED`.
   * @see `ostree_sign_data_verify`
   */
  async verifyData(
    data: Uint8Array,
    signatures: readonly Uint8Array[],
    verifier: Verifier,
    options?: JobOptions,
  ): Promise<string> {
    checkBytes(data, 'data');
    checkArray(signatures, 'signatures');
    const list = Array.from(signatures, (one, index) => {
      checkBytes(one, `signatures[${index}]`);
      return one;
    });
    const native = toVerifier(verifier);
    return runJob('ostree', () => binding().signVerifyData(data, list, native), options);
  }

  /**
   * Checks that one of the keys has signed a summary, of this repository or of a remote.
   *
   * @param signatures the bytes of `summary.sig`.
   * @returns which one, for people.
   * @throws `ERR_OSTREE_FAILED` where none has, and for other bytes; `ERR_OSTREE_NOT_SUPPORTED`.
   * @see `ostree_sign_data_verify`
   */
  async verifySummary(
    summary: Uint8Array,
    signatures: Uint8Array,
    verifier: Verifier,
    options?: JobOptions,
  ): Promise<string> {
    checkBytes(summary, 'summary');
    checkBytes(signatures, 'signatures');
    const native = toVerifier(verifier);
    return runJob('ostree', () => binding().signVerifyData(summary, signatures, native), options);
  }

  /**
   * Removes the signatures of these keys; gives how many went.
   *
   * @throws `ERR_OSTREE_NOT_SUPPORTED`.
   * @see `ostree_repo_write_commit_detached_metadata`
   */
  async remove(commit: string, verifier: Verifier, options?: JobOptions): Promise<number> {
    checkChecksum(commit, 'commit');
    const native = toVerifier(verifier);
    return runJob('ostree', () => this.#native.signDeleteSignatures(commit, native), options);
  }
}

/** @internal Checked, and as native code takes it. */
export function toGpgSigner(
  signer: GpgSigner,
  name = 'signer',
): { keys: string[]; home: string | undefined } {
  checkMembers(signer, kGpgSigner, name);
  return {
    keys: checkStrings(signer.keys, `${name}.keys`),
    home: signer.home === undefined ? undefined : checkPath(signer.home, `${name}.home`),
  };
}

const kGpgSigner: Members<GpgSigner> = { keys: true, home: true };
const kSigner: Members<Signer> = { engine: true, secretKeys: true };
const kVerifier: Members<Verifier> = {
  engine: true,
  publicKeys: true,
  keysFile: true,
  keysDirectory: true,
};

/** @internal */
export function toSigner(signer: Signer): NativeSigner {
  checkMembers(signer, kSigner, 'signer');
  checkString(signer.engine, 'signer.engine');
  return {
    engine: signer.engine,
    secretKeys: checkStrings(signer.secretKeys, 'signer.secretKeys'),
  };
}

/** @internal */
export function toVerifier(verifier: Verifier): NativeVerifier {
  checkMembers(verifier, kVerifier, 'verifier');
  checkString(verifier.engine, 'verifier.engine');
  const { engine, publicKeys, keysFile, keysDirectory } = verifier;
  return {
    engine,
    ...(publicKeys !== undefined && {
      publicKeys: checkStrings(publicKeys, 'verifier.publicKeys'),
    }),
    ...(keysFile !== undefined && { keysFile: checkPath(keysFile, 'verifier.keysFile') }),
    ...(keysDirectory !== undefined && {
      keysDirectory: checkPath(keysDirectory, 'verifier.keysDirectory'),
    }),
  };
}

const kKeyringOptions: Members<GpgKeyring & JobOptions> = {
  ...kJobOptions,
  remote: true,
  keyringDirectory: true,
  keyring: true,
};

/** @internal */
export function toKeyring(options: GpgKeyring & JobOptions, remotes = true): NativeKeyring {
  const { remote: _remote, ...local } = kKeyringOptions;
  checkMembers(options, remotes ? kKeyringOptions : local);
  const { remote, keyringDirectory, keyring } = options;
  if (remote !== undefined) checkString(remote, 'options.remote');
  return {
    ...(remote !== undefined && { remote }),
    ...(keyringDirectory !== undefined && {
      keyringDirectory: checkPath(keyringDirectory, 'options.keyringDirectory'),
    }),
    ...(keyring !== undefined && { keyring: checkPath(keyring, 'options.keyring') }),
  };
}

/** @internal */
export function toGpgSignatures(native: readonly NativeGpgSignature[]): GpgSignature[] {
  return native.map(({ created, expires, keyExpires, primaryKeyExpires, ...rest }) => {
    const times = Object.entries({ created, expires, keyExpires, primaryKeyExpires }).flatMap(
      ([key, seconds]) => (seconds === undefined ? [] : [[key, new Date(seconds * 1000)]]),
    );
    return { ...rest, ...Object.fromEntries(times) };
  });
}
