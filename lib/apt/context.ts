import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { NativeAptContext, NativeUpdateResult } from '../../types/apt.js';
import { binding } from '../binding.js';
import {
  checkArchitecture,
  checkArray,
  checkFunction,
  checkMembers,
  checkOptions,
  checkPath,
  checkString,
  checkStrings,
  type Members,
  type PathLike,
} from '../checks.js';
import { AptError, type ErrorMessage, invalidArgType, invalidArgValue } from '../errors.js';
import { callNative, type JobOptions, kJobOptions, runJob } from '../job.js';
import { AptCache } from './cache.js';
import { type CommitDatabase, type CommitTree, databaseOfCommit } from './commit_database.js';
import { type AptCredentials, formatCredentials, splitCredentials } from './portable.js';
import { type AptSourceEntry, toSourceEntries } from './source_list.js';
import { type AptSource, checkSources, formatSources, parseSources } from './sources.js';
import { rowsOf } from './table.js';

/** What makes a context: nothing else of the host's apt configuration is read. */
export interface AptContextOptions {
  /**
   * A directory of the context's own, created where it is missing: package lists, downloaded
   * packages and the binary cache. Keep it, and later updates and fetches are quick.
   */
  directory: PathLike;
  /**
   * A root file system whose `etc/apt` gives trusted keys, preferences and credentials. Its
   * sources are read with `readSources(root)`, its packages with `dpkgStatus`. Absent: none.
   */
  root?: PathLike;
  /**
   * The dpkg status file that says what is installed, or a commit that has one: it is read now,
   * without a checkout. Absent: nothing is.
   */
  dpkgStatus?: PathLike | CommitTree;
  /** apt's file of automatically installed packages. Absent: that of the commit, or none. */
  extendedStates?: PathLike;
  /** Debian's name of the native architecture. Default: this machine's. */
  architecture?: string;
  /** All architectures to consider, the native one first. Default: only that. */
  architectures?: readonly string[];
  /** Sources, or their text in deb822 format. None of `cdrom:`, `rsh:`, `ssh:`: they run programs. */
  sources: readonly AptSource[] | string;
  /** Key files for sources that do not name their own (`signedBy`). */
  keyrings?: readonly PathLike[];
  /**
   * Logins for sources, before those of `root`. Users and passwords of URIs count as such too:
   * they are kept in a file that only the owner of the directory can read, and no message has
   * them.
   */
  auth?: readonly AptCredentials[];
  /** Pins, as in apt_preferences(5). Default: those of `root`, or none. */
  preferences?: string;
  /** Whether recommended packages come in. Default: as `config` or the root has it, or true. */
  recommends?: boolean;
  /**
   * What `uname -r` says in the system that is planned for: `autoremove` keeps this kernel beside
   * the newest one. Default: none runs, and the two newest stay; never this machine's.
   */
  runningKernel?: string;
  /**
   * Whether upgrades take updates that are given to a share of all machines first (Ubuntu's
   * phased updates; security updates never wait): all of them, none, or those that the machine of
   * this id gets, be it this one or another. Default: as `root`'s machine id has it; without one,
   * all. @see `APT::Machine-ID`
   */
  phasedUpdates?: 'always' | 'never' | { machineId: string };
  /**
   * Whether the `etc/apt/apt.conf` and `etc/apt/apt.conf.d` of `root` count, as for its own
   * apt-get: what it recommends, keeps and prefers, proxies, languages. What would run programs,
   * move directories or weaken checks never does, see `AptContext.ignoredConfig`. Default: false.
   */
  rootConfig?: boolean;
  /**
   * Further options of apt.conf(5), such as `Acquire::http::Proxy`; they come after those of
   * `root`. A list of texts takes the place of the list that an option has by default, null drops
   * what it has. Taken are `Acquire::`, the solver's (`APT::Install-`, `APT::Default-Release`,
   * `APT::NeverAutoRemove`, `pkgProblemResolver::`, ...), `APT::Cache-`, `APT::Build-Profiles`,
   * `APT::Machine-ID` and those of phased updates. Of these are refused what runs programs
   * (`Proxy-Auto-Detect`, hooks, `Acquire::cdrom`, `rsh` and `ssh`, `Acquire::gpgv` and other
   * `::Options`), other index files (`IndexTargets`), and what weakens checks of repositories
   * (`AllowInsecureRepositories` and the like), of servers (`Verify-Peer`, `Verify-Host`,
   * `SslForceVersion`) or of hashes (`ForceHash`); and values that no expression may have, see
   * `SolveRequest`. `Acquire::Check-Valid-Until` is taken: snapshots of archives need it.
   */
  config?: Readonly<Record<string, string | readonly string[] | null>>;
}

/** How far a download is. */
export interface FetchProgressEvent {
  type: 'fetch-progress';
  bytesDone: number;
  /** 0 while it is not known. */
  bytesTotal: number;
  itemsDone: number;
  itemsTotal: number;
  bytesPerSecond: number;
  /** What is being read. */
  current?: string;
}

/** Something happened to one file. */
export interface FetchItemEvent {
  type: 'fetch-item';
  uri: string;
  /** `hit`: what is there is up to date. */
  status: 'started' | 'done' | 'hit' | 'failed';
  message?: string;
}

export type FetchEvent = FetchProgressEvent | FetchItemEvent;

export interface UpdateOptions extends JobOptions {
  onProgress?: (event: FetchEvent) => void;
  /** Whether one source that cannot be read fails the whole update. Default: false. */
  strict?: boolean;
}

export interface OpenOptions extends JobOptions {
  /**
   * Package files to read as one more source; their paths may then stand in
   * `SolveRequest.install`.
   */
  debs?: readonly PathLike[];
}

const kUpdateOptions: Members<UpdateOptions> = { ...kJobOptions, onProgress: true, strict: true };
const kContextOptions: Members<AptContextOptions & JobOptions> = {
  ...kJobOptions,
  directory: true,
  root: true,
  dpkgStatus: true,
  extendedStates: true,
  architecture: true,
  architectures: true,
  sources: true,
  keyrings: true,
  auth: true,
  preferences: true,
  recommends: true,
  runningKernel: true,
  phasedUpdates: true,
  rootConfig: true,
  config: true,
};
const kCredentials: Members<AptCredentials> = { machine: true, login: true, password: true };

/** What became of one source. */
export interface UpdateSource {
  uri: string;
  suite: string;
  ok: boolean;
  /**
   * `auth`: not signed, or by no key that counts; `expired`: its Release file is no longer valid,
   * or not yet; `denied`: the server or a proxy wants another login.
   */
  kind?: 'network' | 'auth' | 'hash' | 'expired' | 'denied' | 'notfound' | 'other';
  message?: string;
}

export interface UpdateResult {
  sources: UpdateSource[];
  warnings: ErrorMessage[];
}

/**
 * A configuration of libapt-pkg of its own; several may live in one process.
 *
 * @throws `ERR_CLOSED` by every method, once the context is closed.
 * @see docs/guide-apt.md
 */
export class AptContext {
  readonly #native: NativeAptContext;
  readonly #extendedStates: string | undefined;
  /** Where lists and packages are kept. */
  readonly directory: string;
  /** Debian's name of the native architecture. */
  readonly architecture: string;

  private constructor(
    native: NativeAptContext,
    directory: string,
    architecture: string,
    extendedStates: string | undefined,
  ) {
    this.#native = native;
    this.directory = directory;
    this.architecture = architecture;
    this.#extendedStates = extendedStates;
  }

  /**
   * Makes a context. Reads no network; `update` does.
   *
   * @throws `ERR_APT_SOURCES` for a bad line in `sources`; `ERR_APT_LOCKED` with `pid` while
   * another context uses the directory; `ERR_INVALID_ARG_VALUE` for an option that is not allowed;
   * `ENOENT` for a commit without a package database; `ERR_APT_FAILED` with `path` for a file of
   * `rootConfig` that apt could not read either.
   * @see `pkgSourceList`, apt.conf(5)
   */
  static async create(options: AptContextOptions & JobOptions): Promise<AptContext> {
    checkMembers(options, kContextOptions);
    const directory = checkPath(options.directory, 'options.directory');
    const architecture = options.architecture ?? binding().versions.architecture;
    checkArchitecture(architecture, 'options.architecture');
    const architectures = checkStrings(options.architectures ?? [], 'options.architectures');
    for (const name of architectures) checkArchitecture(name, 'options.architectures');
    if (architectures.length > kMostArchitectures) {
      throw invalidArgValue('options.architectures', `must be at most ${kMostArchitectures}`);
    }
    const sources =
      typeof options.sources === 'string' ? parseSources(options.sources) : options.sources;
    if (!Array.isArray(sources)) {
      throw invalidArgType('options.sources', 'of type string or an instance of Array', sources);
    }
    checkSources(sources, 'options.sources');
    checkArray(options.keyrings ?? [], 'options.keyrings');
    checkArray(options.auth ?? [], 'options.auth');
    const keyrings = Array.from(options.keyrings ?? [], (file) =>
      checkPath(file, 'options.keyrings'),
    );
    const logins: AptCredentials[] = [...(options.auth ?? [])];
    for (const login of logins) checkMembers(login, kCredentials, 'options.auth[]');
    const bare = sources.map((source) => withoutCredentials(source, logins));
    if (options.runningKernel !== undefined) {
      checkString(options.runningKernel, 'options.runningKernel');
    }
    if (options.config != null) checkOptions(options.config, 'options.config');
    const config = toSettings({
      ...(options.recommends !== undefined && {
        'APT::Install-Recommends': String(options.recommends),
      }),
      ...phasing(options.phasedUpdates),
      ...options.config,
    });
    const database = await readDatabase(options);
    const files = new DatabaseFiles(directory, options, database);
    const native = await runJob(
      'apt',
      () =>
        binding().AptContext.create({
          directory,
          root: optionalPath(options.root, 'options.root')?.replace(/\/+$/, ''),
          dpkgStatus: files.status,
          extendedStates: files.extendedStates,
          architecture,
          architectures: [...new Set([architecture, ...architectures])],
          sources: formatSources(bare.map((source) => forContext(source, keyrings))),
          auth: logins.length > 0 ? formatCredentials(logins) : undefined,
          preferences: options.preferences,
          recommends: options.recommends,
          rootConfig: options.rootConfig,
          runningKernel: options.runningKernel,
          config,
        }),
      { signal: options.signal },
    );
    const context = new AptContext(native, directory, architecture, files.extendedStates);
    try {
      await files.write();
    } catch (error) {
      context.close();
      throw error;
    }
    return context;
  }

  /**
   * Brings the package lists up to date. Caches that are open become stale.
   *
   * A source that cannot be reached does not spoil the others, see the result and `strict`.
   *
   * @throws `ERR_APT_NOT_AUTHENTICATED` with `uri` for a source that is not signed, or not by a
   * key that counts. Where no source could be read: `ERR_APT_NETWORK`, `ERR_APT_HASH_MISMATCH`,
   * `ERR_APT_EXPIRED`; `ENOSPC`.
   * @see `AcquireUpdate`
   */
  async update(options: UpdateOptions = {}): Promise<UpdateResult> {
    checkMembers(options, kUpdateOptions);
    const { signal, onProgress, strict = false } = options;
    const result = await runJob<NativeUpdateResult, FetchEvent>(
      'apt',
      (progress) => this.#native.update(strict, progress),
      { signal },
      onProgress,
    );
    return {
      sources: rowsOf(result.sources, (row) => ({
        uri: row.uri,
        suite: row.suite,
        ok: row.ok !== '',
        ...(row.ok === '' && {
          kind: row.kind as NonNullable<UpdateSource['kind']>,
          message: row.message,
        }),
      })),
      warnings: result.warnings as ErrorMessage[],
    };
  }

  /**
   * The sources, one for each suite of each address: what vouches for them, what their Release file
   * says, and which of their indexes are there.
   *
   * @throws `ERR_APT_SOURCES` for sources that libapt-pkg cannot read.
   * @see `pkgSourceList`, `metaIndex`, `IndexTarget`
   */
  async sourceList(options?: JobOptions): Promise<AptSourceEntry[]> {
    return toSourceEntries(await runJob('apt', () => this.#native.sourceList(), options));
  }

  /**
   * Options of the root's apt.conf that do not count here, for `rootConfig`: `#include` stands for
   * such lines. Synchronous.
   *
   * @see apt.conf(5)
   */
  get ignoredConfig(): string[] {
    return callNative('apt', () => this.#native.ignoredConfig());
  }

  /**
   * Reads package lists and dpkg status.
   *
   * @throws `ENOENT` where `dpkgStatus` does not exist; `ERR_APT_FAILED` for files that cannot be
   * parsed.
   * @see `pkgCacheFile::Open`
   */
  async open(options: OpenOptions = {}): Promise<AptCache> {
    checkMembers(options, { ...kJobOptions, debs: true } satisfies Members<typeof options>);
    checkArray(options.debs ?? [], 'options.debs');
    const debs = Array.from(options.debs ?? [], (deb) => checkPath(deb, 'options.debs'));
    return new AptCache(
      await runJob('apt', () => this.#native.open(debs), { signal: options.signal }),
      {
        architecture: this.architecture,
        extendedStates: this.#extendedStates,
      },
    );
  }

  /**
   * Lets go of the directory as soon as no cache of this context is open any more. Synchronous;
   * closing twice is fine.
   */
  close(): void {
    callNative('apt', () => this.#native.close());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}

function withoutCredentials(source: AptSource, logins: AptCredentials[]): AptSource {
  const uris = source.uris.map((text) => {
    const { uri, credentials } = splitCredentials(text);
    if (credentials) logins.push(credentials);
    return uri;
  });
  return { ...source, uris };
}

/** That of the commit, where one is asked for. */
async function readDatabase(options: AptContextOptions): Promise<CommitDatabase | undefined> {
  const { dpkgStatus } = options;
  if (!isCommitTree(dpkgStatus)) return undefined;
  const members = { repo: true, commit: true } satisfies Members<CommitTree>;
  checkMembers(dpkgStatus, members, 'options.dpkgStatus');
  checkString(dpkgStatus.commit, 'options.dpkgStatus.commit');
  checkFunction(dpkgStatus.repo?.readFile, 'options.dpkgStatus.repo.readFile');
  const found = await databaseOfCommit(dpkgStatus);
  if (found.status === undefined) {
    throw new AptError('ENOENT', `The commit ${dpkgStatus.commit} has no package database`, {
      path: 'var/lib/dpkg/status',
    });
  }
  return found;
}

function isCommitTree(value: AptContextOptions['dpkgStatus']): value is CommitTree {
  if (typeof value !== 'object' || value === null) return false;
  return !(value instanceof URL || Buffer.isBuffer(value));
}

/** Status files: where they are, or in the directory of the context. */
class DatabaseFiles {
  readonly status: string | undefined;
  readonly extendedStates: string | undefined;
  readonly #contents: (readonly [string, Buffer])[] = [];

  constructor(directory: string, options: AptContextOptions, database?: CommitDatabase) {
    const { dpkgStatus } = options;
    this.extendedStates = optionalPath(options.extendedStates, 'options.extendedStates');
    if (!database || !isCommitTree(dpkgStatus)) {
      this.status = optionalPath(dpkgStatus as PathLike | undefined, 'options.dpkgStatus');
      return;
    }
    this.status = path.join(directory, 'etc/status');
    if (database.status) this.#contents.push([this.status, database.status]);
    if (this.extendedStates !== undefined || !database.extendedStates) return;
    this.extendedStates = path.join(directory, 'etc/extended_states');
    this.#contents.push([this.extendedStates, database.extendedStates]);
  }

  /** Once the directory is the context's. The same content keeps its file: caches go by that. */
  async write(): Promise<void> {
    for (const [file, content] of this.#contents) {
      const old = await readFile(file).catch(() => undefined);
      if (!old?.equals(content)) await writeFile(file, content);
    }
  }
}

function optionalPath(value: PathLike | undefined, name: string): string | undefined {
  return value === undefined ? undefined : checkPath(value, name);
}

function phasing(wish: AptContextOptions['phasedUpdates']): Record<string, string> {
  if (wish === undefined) return {};
  if (wish === 'always' || wish === 'never') {
    const word = wish === 'always' ? 'Always' : 'Never';
    return { [`APT::Get::${word}-Include-Phased-Updates`]: 'true' };
  }
  if (typeof wish !== 'object' || wish === null) {
    throw invalidArgValue('options.phasedUpdates', "must be 'always', 'never' or a machine id");
  }
  checkMembers(wish, { machineId: true }, 'options.phasedUpdates');
  checkString(wish.machineId, 'options.phasedUpdates.machineId');
  return { 'APT::Machine-ID': wish.machineId };
}

/** Names and values in turns, as apt.conf(5) would have them one after the other. */
function toSettings(config: NonNullable<AptContextOptions['config']>): string[] {
  return Object.entries(config).flatMap(([name, value]) => {
    if (typeof value !== 'string' && value !== null && !Array.isArray(value)) {
      const expected = 'of type string, an instance of Array or null';
      throw invalidArgType(`options.config['${name}']`, expected, value);
    }
    if (typeof value === 'string') {
      checkString(value, `options.config['${name}']`);
      return [name, value];
    }
    const values = checkStrings(value ?? [], `options.config['${name}']`);
    return ['#clear', name, ...values.flatMap((one) => [`${name}::`, one])];
  });
}

const kMostArchitectures = 64;

/** Options by which a source could switch checks off; only `Trusted` counts, set on purpose. */
const kWeakening = /^allow-(insecure|weak|downgrade-to-insecure)$/i;

function forContext(source: AptSource, keyrings: readonly string[]): AptSource {
  const options = Object.entries(source.options ?? {}).filter(([name]) => !kWeakening.test(name));
  return {
    ...source,
    signedBy: source.signedBy ?? (keyrings.length > 0 ? keyrings.join(',') : undefined),
    options: Object.fromEntries(options),
  };
}
