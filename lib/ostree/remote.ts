import type { NativeRemoteValue, NativeRepoRemotes } from '../../types/remotes.js';
import {
  checkArray,
  checkBytes,
  checkMembers,
  checkOneOf,
  checkOptions,
  checkPath,
  checkString,
  checkStrings,
  type Members,
  type PathLike,
} from '../checks.js';
import { invalidArgType, invalidArgValue, OstreeError } from '../errors.js';
import { type JobOptions, kJobOptions, runJob } from '../job.js';
import { readRegularFile } from '../read-file.js';
import type { CollectionRefEntry } from './collections.js';
import {
  addCookie,
  type CookieName,
  listCookies,
  type RemoteCookie,
  removeCookie,
} from './cookies.js';
import type { PullOptions } from './pull.js';
import { type GpgSignature, toGpgSignatures } from './signatures.js';
import { parseSummary, type Summary } from './summary.js';

/** How a remote is set up, as ostree.repo-config(5) says; absent members are not set. */
export interface RemoteSettings {
  /** Check GPG signatures of commits. @default true */
  gpgVerify?: boolean;
  /** Check GPG signatures of the summary. @default false */
  gpgVerifySummary?: boolean;
  /** Check signatures of the sign API: of any engine with keys, or of each of these. */
  signVerify?: boolean | readonly string[];
  signVerifySummary?: boolean | readonly string[];
  /** Files or directories with more GPG keys. */
  gpgKeyPath?: readonly string[];
  /** Refs to pull where a pull names none. */
  branches?: readonly string[];
  collectionId?: string;
  /** A server for content other than the one for metadata. */
  contentUrl?: string;
  /** Why it cannot be pulled from (a subscription, say); pulls fail with this text. */
  unconfiguredState?: string;
  customBackend?: string;
  proxy?: string;
  http2?: boolean;
  /** Weakens: do not check TLS certificates. */
  tlsPermissive?: boolean;
  tlsClientCertPath?: string;
  tlsClientKeyPath?: string;
  tlsCaPath?: string;
  /**
   * Options by their names in the file, such as `verification-ed25519-key`; not those that have a
   * member here.
   */
  other?: Readonly<Record<string, string | boolean | readonly string[]>>;
}

/** A remote as it is set up. */
export interface Remote extends Omit<RemoteSettings, 'other'> {
  readonly name: string;
  /** Absent for one that has only a metalink, or a backend that needs none. */
  readonly url?: string;
  readonly metalink?: string;
}

export interface AddRemoteOptions extends RemoteSettings, JobOptions {
  /** What to do with a remote of that name. @default 'refuse' */
  existing?: 'refuse' | 'keep' | 'replace';
}

export interface FetchSummaryOptions
  extends JobOptions,
    Pick<PullOptions, 'overrideUrl' | 'httpHeaders' | 'appendUserAgent' | 'networkRetries'> {}

const kFetchSummaryOptions: Members<FetchSummaryOptions> = {
  ...kJobOptions,
  overrideUrl: true,
  httpHeaders: true,
  appendUserAgent: true,
  networkRetries: true,
};

/** A summary and the bytes it came as, which a pull takes as `summaryBytes`. */
export interface FetchedSummary {
  readonly summary: Summary;
  readonly bytes: Buffer;
  readonly signatureBytes?: Buffer;
}

/** A key that signatures may be checked with. */
export interface GpgKey {
  /** The first is the primary key. */
  readonly subkeys: readonly GpgSubkey[];
  readonly userIds: readonly GpgUserId[];
}

export interface GpgSubkey {
  /** Hexadecimal. */
  readonly fingerprint: string;
  readonly created?: Date;
  /** Absent: never. */
  readonly expires?: Date;
  readonly revoked: boolean;
  readonly expired: boolean;
  readonly invalid: boolean;
}

export interface GpgUserId {
  /** All of it: `Name (comment) <email>`. */
  readonly uid: string;
  readonly name?: string;
  readonly comment?: string;
  readonly email?: string;
  readonly revoked: boolean;
  readonly invalid: boolean;
  /** Where a Web Key Directory would have it. */
  readonly advancedUrl?: string;
  readonly directUrl?: string;
}

type OptionType = 'string' | 'boolean' | 'list' | 'verify';

const kSettings: Record<Exclude<keyof Remote, 'name'>, [key: string, type: OptionType]> = {
  url: ['url', 'string'],
  metalink: ['metalink', 'string'],
  gpgVerify: ['gpg-verify', 'boolean'],
  gpgVerifySummary: ['gpg-verify-summary', 'boolean'],
  signVerify: ['sign-verify', 'verify'],
  signVerifySummary: ['sign-verify-summary', 'verify'],
  gpgKeyPath: ['gpgkeypath', 'list'],
  branches: ['branches', 'list'],
  collectionId: ['collection-id', 'string'],
  contentUrl: ['contenturl', 'string'],
  unconfiguredState: ['unconfigured-state', 'string'],
  customBackend: ['custom-backend', 'string'],
  proxy: ['proxy', 'string'],
  http2: ['http2', 'boolean'],
  tlsPermissive: ['tls-permissive', 'boolean'],
  tlsClientCertPath: ['tls-client-cert-path', 'string'],
  tlsClientKeyPath: ['tls-client-key-path', 'string'],
  tlsCaPath: ['tls-ca-path', 'string'],
};

/**
 * The remotes of a repository. Changes and reads of one repository object run one after the other,
 * and not beside a pull of it.
 *
 * @throws `ERR_CLOSED` by every method, once the repository is closed.
 */
export class Remotes {
  readonly #native: NativeRepoRemotes;
  readonly #path: string;

  /** @internal */
  constructor(native: NativeRepoRemotes, path: string) {
    this.#native = native;
    this.#path = path;
  }

  /** The names, sorted. @see `ostree_repo_remote_list` */
  async list(options?: JobOptions): Promise<string[]> {
    return runJob('ostree', () => this.#native.remoteList(), options);
  }

  /**
   * Adds a remote. A URL `metalink=URL` is one of a metalink; null: it has none, which some of
   * `customBackend` do not need.
   *
   * @returns whether something changed; false where it was there and `existing` is `keep`.
   * @throws `EEXIST` where it exists and `existing` is `refuse`.
   * @see `ostree_repo_remote_change`
   */
  async add(name: string, url: string | null, options: AddRemoteOptions = {}): Promise<boolean> {
    checkOptions(options);
    checkString(name, 'name');
    if (url !== null) checkString(url, 'url');
    if (url === '') throw invalidArgValue('url', 'must not be empty');
    const { signal, existing = 'refuse', ...settings } = options;
    checkString(existing, 'options.existing');
    const change = { refuse: 'add', keep: 'add-if-not-exists', replace: 'replace' }[existing];
    if (change === undefined) {
      throw invalidArgValue('options.existing', "must be one of 'refuse', 'keep', 'replace'");
    }
    const entries = toEntries(settings);
    const start = () => this.#native.remoteChange(change, name, url ?? undefined, entries);
    return runJob('ostree', start, { signal });
  }

  /**
   * Removes a remote and its keys, not its refs.
   *
   * @returns whether it was there; false only with `missing: 'ignore'`.
   * @throws `ENOENT` where it does not exist.
   * @see `ostree_repo_remote_change`
   */
  async remove(
    name: string,
    options: JobOptions & { missing?: 'refuse' | 'ignore' } = {},
  ): Promise<boolean> {
    checkMembers(options, { ...kJobOptions, missing: true } satisfies Members<typeof options>);
    checkString(name, 'name');
    const { missing = 'refuse', signal } = options;
    checkOneOf(missing, ['refuse', 'ignore'], 'options.missing');
    const change = missing === 'ignore' ? 'delete-if-exists' : 'delete';
    return runJob('ostree', () => this.#native.remoteChange(change, name, undefined, undefined), {
      signal,
    });
  }

  /** Where it is. @throws `ENOENT`. @see `ostree_repo_remote_get_url` */
  async url(name: string, options?: JobOptions): Promise<string> {
    checkString(name, 'name');
    return runJob('ostree', () => this.#native.remoteUrl(name), options);
  }

  /**
   * How a remote is set up.
   *
   * @throws `ENOENT`.
   * @see `ostree_repo_get_remote_option`, `ostree_repo_get_remote_boolean_option`,
   * `ostree_repo_get_remote_list_option`
   */
  async get(name: string, options?: JobOptions): Promise<Remote> {
    checkString(name, 'name');
    const members = Object.entries(kSettings);
    const queries = members.map(([, [key, type]]): [string, string] => [
      key,
      type === 'verify' ? 'string' : type,
    ]);
    const values = await runJob('ostree', () => this.#native.remoteOptions(name, queries), options);
    const found = members.flatMap(([member, [, type]], index) => {
      const value = values[index];
      if (value === undefined) return [];
      return [[member, type === 'verify' ? toVerify(String(value)) : value]];
    });
    return { name, ...Object.fromEntries(found) };
  }

  /**
   * One option as the file has it, or undefined.
   *
   * @throws `ENOENT` for an unknown remote.
   * @see `ostree_repo_get_remote_option`
   */
  async getOption(name: string, option: string, options?: JobOptions): Promise<string | undefined> {
    checkString(name, 'name');
    checkString(option, 'option');
    const [value] = await runJob(
      'ostree',
      () => this.#native.remoteOptions(name, [[option, 'string']]),
      options,
    );
    return value as string | undefined;
  }

  /**
   * What pulls from it check with GPG, with libostree's defaults.
   *
   * @throws `ENOENT` for an unknown remote.
   * @see `ostree_repo_remote_get_gpg_verify`, `ostree_repo_remote_get_gpg_verify_summary`
   */
  async gpgVerification(
    name: string,
    options?: JobOptions,
  ): Promise<{ commits: boolean; summary: boolean }> {
    checkString(name, 'name');
    return runJob('ostree', () => this.#native.remoteGpgVerify(name), options);
  }

  /**
   * Adds OpenPGP keys, binary or armoured, to the keyring of a remote. Once a remote has a keyring,
   * the system's is not consulted for it.
   *
   * @param keys files, or their content; several are read as one. null: the keyring that gpg has for
   * this user.
   * @returns how many keys were new.
   * @throws `ENOENT` where the remote or a file does not exist.
   * @see `ostree_repo_remote_gpg_import`
   */
  async importKeys(
    name: string,
    keys: PathLike | Uint8Array | readonly (PathLike | Uint8Array)[] | null,
    options: JobOptions & { keyIds?: readonly string[] } = {},
  ): Promise<number> {
    checkMembers(options, { ...kJobOptions, keyIds: true } satisfies Members<typeof options>);
    checkString(name, 'name');
    const { signal } = options;
    const keyIds = options.keyIds && checkStrings(options.keyIds, 'options.keyIds');
    const add = (bytes: Uint8Array | undefined) =>
      runJob('ostree', () => this.#native.remoteGpgImport(name, bytes, keyIds), { signal });
    if (keys === null) return add(undefined);
    const parts = await Promise.all(
      (Array.isArray(keys) ? keys : [keys]).map((key: unknown) =>
        key instanceof Uint8Array ? key : readRegularFile(checkPath(key, 'keys'), { signal }),
      ),
    );
    // One at a time where that is possible: armoured and binary keys cannot be joined.
    const batches = keyIds ? [Buffer.concat(parts)] : parts;
    let count = 0;
    for (const batch of batches) count += await add(batch);
    return count;
  }

  /**
   * The keys that signatures of a remote are checked with; without a name, the system's.
   *
   * @throws `ENOENT` for an unknown remote.
   * @see `ostree_repo_remote_get_gpg_keys`
   */
  async keys(
    name?: string,
    options: JobOptions & { keyIds?: readonly string[] } = {},
  ): Promise<GpgKey[]> {
    checkMembers(options, { ...kJobOptions, keyIds: true } satisfies Members<typeof options>);
    if (name !== undefined) checkString(name, 'name');
    const keyIds = options.keyIds && checkStrings(options.keyIds, 'options.keyIds');
    const keys = await runJob('ostree', () => this.#native.remoteGpgKeys(name, keyIds), {
      signal: options.signal,
    });
    return keys.map(({ subkeys, userIds }) => ({
      subkeys: subkeys.map(({ created, expires, ...rest }) => ({
        ...rest,
        ...(created !== undefined && { created: new Date(created * 1000) }),
        ...(expires !== undefined && { expires: new Date(expires * 1000) }),
      })),
      userIds,
    }));
  }

  /**
   * Fetches the summary of a remote, and checks its signatures where the remote's settings ask for
   * that.
   *
   * @returns undefined where the remote has none.
   * @throws `ENOENT` for an unknown remote; `ERR_OSTREE_GPG_*`, `ERR_OSTREE_FAILED`.
   * @see `ostree_repo_remote_fetch_summary_with_options`
   */
  async fetchSummary(
    name: string,
    options: FetchSummaryOptions = {},
  ): Promise<FetchedSummary | undefined> {
    checkMembers(options, kFetchSummaryOptions);
    checkString(name, 'name');
    const { signal, ...native } = options;
    const { summary: bytes, signatures: signatureBytes } = await runJob(
      'ostree',
      () => this.#native.remoteFetchSummary(name, native),
      { signal },
    );
    if (!bytes) return undefined;
    const summary = await parseSummary(bytes, { signal });
    return { summary, bytes, ...(signatureBytes && { signatureBytes }) };
  }

  /**
   * The GPG signatures of a summary, checked with the keys of a remote.
   *
   * @throws `ERR_OSTREE_GPG_NO_SIGNATURE` where there are none.
   * @see `ostree_repo_verify_summary`
   */
  async verifySummary(
    name: string,
    summary: Uint8Array,
    signatures: Uint8Array,
    options?: JobOptions,
  ): Promise<GpgSignature[]> {
    checkString(name, 'name');
    checkBytes(summary, 'summary');
    checkBytes(signatures, 'signatures');
    const found = await runJob(
      'ostree',
      () => this.#native.summaryVerify(name, summary, signatures),
      options,
    );
    return toGpgSignatures(found);
  }

  /**
   * Sends a cookie with requests to a remote, in place of the one of the same name, if there is one.
   *
   * @throws `ENOENT` for an unknown remote; `ERR_INVALID_ARG_VALUE` for text with white space.
   * @see ostree-remote(1)
   * @example
   * const token = { domain: '.example.org', path: '/', name: 'token' };
   * await repo.remotes.addCookie('origin', { ...token, value: 'secret', secure: true });
   * const [{ value } = {}] = await repo.remotes.listCookies('origin');
   * assert.equal(value, 'secret');
   * await repo.remotes.removeCookie('origin', token);
   */
  async addCookie(name: string, cookie: RemoteCookie, options?: JobOptions): Promise<void> {
    await addCookie(await this.#cookieJar(name, options), cookie);
  }

  /**
   * Removes a cookie.
   *
   * @throws `ENOENT` for an unknown remote or cookie.
   * @see ostree-remote(1)
   */
  async removeCookie(name: string, cookie: CookieName, options?: JobOptions): Promise<void> {
    await removeCookie(await this.#cookieJar(name, options), cookie);
  }

  /** The cookies of a remote. @throws `ENOENT` for an unknown remote. @see ostree-remote(1) */
  async listCookies(name: string, options?: JobOptions): Promise<RemoteCookie[]> {
    return listCookies(await this.#cookieJar(name, options));
  }

  /** Where libostree's fetcher looks for them. */
  async #cookieJar(name: string, options?: JobOptions): Promise<string> {
    checkString(name, 'name');
    if (!(await this.list(options)).includes(name)) {
      throw new OstreeError('ENOENT', `There is no remote ${name}`, { remote: name });
    }
    return `${this.#path}/${name}.cookies.txt`;
  }

  /**
   * The refs that a remote offers, by its summary.
   *
   * @throws `ENOENT` for an unknown remote; `ERR_OSTREE_FAILED` for one without a summary, or with
   * one that is damaged or has names that no ref can have.
   * @see `ostree_repo_remote_list_refs`, `ostree_repo_remote_fetch_summary_with_options`
   */
  async listRefs(name: string, options?: JobOptions): Promise<Record<string, string>> {
    checkString(name, 'name');
    return runJob('ostree', () => this.#native.remoteListRefs(name), options);
  }

  /**
   * The refs of collections that a remote offers.
   *
   * @throws `ENOENT` for an unknown remote.
   * @see `ostree_repo_remote_list_collection_refs`
   */
  async listCollectionRefs(name: string, options?: JobOptions): Promise<CollectionRefEntry[]> {
    checkString(name, 'name');
    return runJob('ostree', () => this.#native.remoteListCollectionRefs(name), options);
  }
}

/** `true`, `false`, or engines. */
function toVerify(text: string): boolean | string[] {
  if (text === 'true' || text === '1') return true;
  if (text === 'false' || text === '0') return false;
  return text.split(/[,;]/).filter((engine) => engine !== '');
}

function toEntries(settings: RemoteSettings): [string, NativeRemoteValue][] {
  const { other = {}, ...known } = settings;
  checkOptions(other, 'options.other');
  const entries: [string, unknown][] = Object.entries(known)
    .filter(([, value]) => value !== undefined)
    .map(([member, value]) => {
      const setting = kSettings[member as keyof typeof kSettings];
      if (!setting || member === 'url' || member === 'metalink') {
        throw invalidArgValue('options', `has an unknown member: ${member}`);
      }
      const [key, type] = setting;
      checkSetting(value, type, `options.${member}`);
      return [key, value];
    });
  for (const key of Object.keys(other)) {
    // It would have the last word, over a check that the member asks for.
    const own = Object.entries(kSettings).find(([, [name]]) => name === key);
    if (own) throw invalidArgValue('options.other', `must not have ${key}: that is ${own[0]}`);
  }
  return [...entries, ...Object.entries(other)].map(([key, value]) => [
    key,
    // Lists end with a separator, as key files have it.
    Array.isArray(value) ? checkStrings(value, `options.${key}`) : (value as string | boolean),
  ]);
}

function checkSetting(value: unknown, type: OptionType, name: string): void {
  if (type === 'string') checkString(value, name);
  if (type === 'list') checkArray(value, name);
  if (type === 'boolean' && typeof value !== 'boolean') {
    throw invalidArgType(name, 'of type boolean', value);
  }
}
