import type { NativeAptContext, NativeUpdateResult } from '../../types/apt.js';
import { binding } from '../binding.js';
import { checkPath, checkString, type PathLike } from '../checks.js';
import { type ErrorMessage, invalidArgType, invalidArgValue } from '../errors.js';
import { callNative, type JobOptions, runJob } from '../job.js';
import { AptCache } from './cache.js';
import { type AptSource, formatSources, parseSources } from './sources.js';
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
  /** The dpkg status file that says what is installed. Absent: nothing is. */
  dpkgStatus?: PathLike;
  /** apt's file of automatically installed packages. Absent: all count as wanted. */
  extendedStates?: PathLike;
  /** Debian's name of the native architecture. Default: this machine's. */
  architecture?: string;
  /** All architectures to consider, the native one first. Default: only that. */
  architectures?: readonly string[];
  /** Sources, or their text in deb822 format. */
  sources: readonly AptSource[] | string;
  /** Key files for sources that do not name their own (`signedBy`). */
  keyrings?: readonly PathLike[];
  /** Pins, as in apt_preferences(5). Default: those of `root`, or none. */
  preferences?: string;
  /** Whether recommended packages come in. Default: true, as apt has it. */
  recommends?: boolean;
  /**
   * Further options of apt.conf(5), such as `Acquire::http::Proxy`. Those that would run
   * programs, move directories or weaken checks are refused.
   */
  config?: Readonly<Record<string, string>>;
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

/** What became of one source. */
export interface UpdateSource {
  uri: string;
  suite: string;
  ok: boolean;
  kind?: 'network' | 'auth' | 'hash' | 'notfound' | 'other';
  message?: string;
}

export interface UpdateResult {
  sources: UpdateSource[];
  warnings: ErrorMessage[];
}

/** A configuration of libapt-pkg of its own; several may live in one process. */
export class AptContext {
  readonly #native: NativeAptContext;
  /** Where lists and packages are kept. */
  readonly directory: string;
  /** Debian's name of the native architecture. */
  readonly architecture: string;

  private constructor(native: NativeAptContext, directory: string, architecture: string) {
    this.#native = native;
    this.directory = directory;
    this.architecture = architecture;
  }

  /**
   * Makes a context. Reads no network; `update` does.
   *
   * @throws `ERR_APT_SOURCES` for a bad line in `sources`; `ERR_APT_LOCKED` while another
   * context uses the directory; `ERR_INVALID_ARG_VALUE` for an option that is not allowed.
   */
  static async create(options: AptContextOptions & JobOptions): Promise<AptContext> {
    if (typeof options !== 'object' || options === null) {
      throw invalidArgType('options', 'of type object', options);
    }
    const directory = checkPath(options.directory, 'options.directory');
    const architecture = options.architecture ?? binding().versions.architecture;
    checkArchitecture(architecture, 'options.architecture');
    const architectures = [...(options.architectures ?? [])];
    for (const name of architectures) checkArchitecture(name, 'options.architectures');
    const sources =
      typeof options.sources === 'string' ? parseSources(options.sources) : options.sources;
    if (!Array.isArray(sources)) {
      throw invalidArgType('options.sources', 'of type string or an instance of Array', sources);
    }
    const keyrings = (options.keyrings ?? []).map((path) => checkPath(path, 'options.keyrings'));
    const config = Object.entries(options.config ?? {}).flatMap(([name, value]) => {
      checkString(value, `options.config['${name}']`);
      return [name, value];
    });
    const native = await runJob(
      'apt',
      () =>
        binding().AptContext.create({
          directory,
          root: optionalPath(options.root, 'options.root')?.replace(/\/+$/, ''),
          dpkgStatus: optionalPath(options.dpkgStatus, 'options.dpkgStatus'),
          extendedStates: optionalPath(options.extendedStates, 'options.extendedStates'),
          architecture,
          architectures: [...new Set([architecture, ...architectures])],
          sources: formatSources(sources.map((source) => forContext(source, keyrings))),
          preferences: options.preferences,
          recommends: options.recommends,
          config,
        }),
      options,
    );
    return new AptContext(native, directory, architecture);
  }

  /**
   * Brings the package lists up to date. Caches that are open become stale.
   *
   * A source that cannot be reached does not spoil the others, see the result and `strict`.
   *
   * @throws `ERR_APT_NOT_AUTHENTICATED` with `uri` for a source that is not signed, or not by a
   * key that counts; `ERR_APT_NETWORK` where no source could be read; `ERR_APT_HASH_MISMATCH`.
   * @see `AcquireUpdate`
   */
  async update(options: UpdateOptions = {}): Promise<UpdateResult> {
    const result = await runJob<NativeUpdateResult, FetchEvent>(
      'apt',
      (progress) => this.#native.update(options.strict ?? false, progress),
      options,
      options.onProgress,
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
   * Reads package lists and dpkg status.
   *
   * @throws `ENOENT` where `dpkgStatus` does not exist; `ERR_APT_FAILED` for files that cannot be
   * parsed.
   * @see `pkgCacheFile::Open`
   */
  async open(options: OpenOptions = {}): Promise<AptCache> {
    const debs = (options.debs ?? []).map((deb) => checkPath(deb, 'options.debs'));
    return new AptCache(await runJob('apt', () => this.#native.open(debs), options));
  }

  /** Lets go of the directory as soon as no cache of this context is open any more. */
  close(): void {
    callNative('apt', () => this.#native.close());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}

function optionalPath(value: PathLike | undefined, name: string): string | undefined {
  return value === undefined ? undefined : checkPath(value, name);
}

function checkArchitecture(value: unknown, name: string): void {
  checkString(value, name);
  if (!/^[a-z0-9][a-z0-9-]*$/.test(value)) throw invalidArgValue(name, 'must be an architecture');
}

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
