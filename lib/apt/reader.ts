/** What there is to know about the packages of a cache. `AptCache` extends this class. */

import type { NativeAptCache, NativeColumns, VersionNumber, VersionText } from '../../types/apt.js';
import type { NativeJob } from '../../types/binding.js';
import { checkMembers, checkOneOf, checkString, checkStrings, type Members } from '../checks.js';
import { AptError, invalidArgType, invalidArgValue } from '../errors.js';
import { type JobOptions, kJobOptions, runJob } from '../job.js';
import { Columns, pages } from './batch.js';
import { type AptPackageState, stateOf } from './state.js';
import { AptVersion, versionsOf } from './version-row.js';

/** A version by its names: the plain form of `AptVersion`, good in any cache. */
export interface VersionName {
  name: string;
  architecture: string;
  version: string;
}

/** One way to satisfy a dependency. */
export interface AptAlternative {
  name: string;
  architecture: string;
  /** `<<`, `<=`, `=`, `>=` or `>>`, with `version`. */
  comparison?: string;
  version?: string;
  /** All versions that would do, providers included; of negative ones all that are in the way. */
  targets: VersionName[];
}

export interface AptDependency {
  /** `Depends`, `PreDepends`, `Recommends`, `Suggests`, `Conflicts`, `Breaks`, `Replaces`, ... */
  type: string;
  /** Whether apt made it up to keep the architectures of a package in step. */
  implied: boolean;
  /** One of them is enough. */
  alternatives: AptAlternative[];
}

export interface AptReverseDependency extends VersionName {
  /** As in `AptDependency`. */
  type: string;
  /** What the dependency asks for, where it asks for a version. */
  comparison?: string;
  wanted?: string;
}

export interface AptProvided {
  name: string;
  architecture: string;
  version?: string;
}

/** An index file of a source, or the status file; what `apt-cache policy` lists. */
export interface AptIndexFile {
  path: string;
  type: string;
  /** What policy makes of it, pins included. */
  priority: number;
  /** The suite: `stable`. */
  archive: string;
  codename: string;
  component: string;
  origin: string;
  label: string;
  releaseVersion: string;
  site: string;
  architecture: string;
  /** Whether it says what is installed; nothing can be fetched from it. */
  status: boolean;
  notAutomatic: boolean;
  butAutomaticUpgrades: boolean;
  /** Bytes. */
  size: number;
  /** Whether a signature that counts stands behind it. */
  trusted: boolean;
  description?: string;
}

/** Why a candidate is the candidate; what `apt-cache policy NAME` says. */
export interface AptPolicy {
  name: string;
  architecture: string;
  installed?: string;
  candidate?: string;
  /** Newest first. */
  versions: (VersionName & {
    /** The highest priority wins; a negative one rules the version out. */
    priority: number;
    /** Whether a pin for the package decided, not those of the files. */
    pinned: boolean;
    origins: AptIndexFile[];
  })[];
}

export interface AptRecord {
  /** Every field of the record as it is spelled there, in its order. */
  fields: Record<string, string>;
  /** One for each language; the first line is the synopsis. */
  descriptions: { language: string; md5: string; text: string }[];
}

/** One row of `AptCache.packages`. */
export interface AptPackageRow {
  name: string;
  architecture: string;
  installed?: string;
  candidate?: string;
  section: string;
  essential: boolean;
  protected: boolean;
  auto: boolean;
  held: boolean;
  state: AptPackageState;
  /** How many there are. */
  versions: number;
}

export interface BatchOptions extends JobOptions {
  /**
   * Rows of one batch, at most 4096; a batch of the default size keeps the event loop busy for 1 to
   * 2 ms. Default: 2048.
   */
  batchSize?: number;
}

export interface SearchOptions extends JobOptions {
  /**
   * `text`: the words as they are; `glob`: shell patterns, for the whole of a name and a part of
   * a description; `regex`: POSIX extended regular expressions. Never case-sensitive.
   * Default: `text`.
   */
  kind?: 'text' | 'glob' | 'regex';
  /** Where to look. Default: `both`. */
  in?: 'names' | 'descriptions' | 'both';
}

export interface MatchOptions extends JobOptions {
  /** Whether to give every version that matches, not one for each package. Default: false. */
  allVersions?: boolean;
}

const kBatchOptions: Members<BatchOptions> = { ...kJobOptions, batchSize: true };
const kSearchOptions: Members<SearchOptions> = { ...kJobOptions, kind: true, in: true };
const kMatchOptions: Members<MatchOptions> = { ...kJobOptions, allVersions: true };

/** Rows that are made at once. */
const kRows = 4096;

type VersionColumns = NativeColumns<VersionText, VersionNumber>;

/** @internal What the context of a cache knows and the cache does not. */
export interface CacheSource {
  architecture: string;
  extendedStates: string | undefined;
}

/** @internal */
export class AptReader {
  /** @internal */
  protected readonly native: NativeAptCache;
  /** @internal */
  readonly about: CacheSource;

  /** @internal */
  constructor(native: NativeAptCache, about: CacheSource) {
    this.native = native;
    this.about = about;
  }

  /**
   * All versions of all packages, in batches.
   *
   * @throws `ERR_INVALID_ARG_VALUE` for a `batchSize` below 1 or above 4096.
   * @see `pkgCache::VerIterator`
   */
  async *versions(options: BatchOptions = {}): AsyncGenerator<AptVersion[], void, void> {
    checkMembers(options, kBatchOptions);
    const { signal, batchSize } = options;
    const size = checkBatchSize(batchSize);
    for await (const page of pages((after) =>
      runJob('apt', () => this.native.versions(after, size), { signal }),
    )) {
      yield versionsOf(page, this);
    }
  }

  /**
   * All packages that have a version, in batches.
   *
   * @throws as {@link versions}.
   * @see `pkgCache::PkgIterator`
   */
  async *packages(options: BatchOptions = {}): AsyncGenerator<AptPackageRow[], void, void> {
    checkMembers(options, kBatchOptions);
    const { signal, batchSize } = options;
    const size = checkBatchSize(batchSize);
    for await (const page of pages((after) =>
      runJob('apt', () => this.native.packages(after, size), { signal }),
    )) {
      yield Array.from({ length: page.rows }, (_, row) => {
        const flags = page.number('flags', row);
        const installed = page.text('installed', row);
        const candidate = page.text('candidate', row);
        return {
          name: page.text('name', row),
          architecture: page.text('architecture', row),
          ...(installed !== '' && { installed }),
          ...(candidate !== '' && { candidate }),
          section: page.text('section', row),
          essential: (flags & 8) !== 0,
          protected: (flags & 16) !== 0,
          auto: (flags & 32) !== 0,
          held: (flags & 64) !== 0,
          state: stateOf(page.number('state', row)),
          versions: page.number('versions', row),
        };
      });
    }
  }

  /**
   * The versions of one package, newest first; none for an unknown one.
   *
   * @see `pkgCache::VerIterator`
   */
  versionsOf(name: string, architecture?: string, options?: JobOptions): Promise<AptVersion[]> {
    checkString(name, 'name');
    if (architecture !== undefined) checkString(architecture, 'architecture');
    return this.#versions(() => this.native.packageVersions(name, architecture), options);
  }

  /** Versions that have the name or provide it. @see `pkgCache::PrvIterator` */
  whatProvides(name: string, options?: JobOptions): Promise<AptVersion[]> {
    checkString(name, 'name');
    return this.#versions(() => this.native.whatProvides(name), options);
  }

  /**
   * Packages in whose name or description all of `terms` are found: the candidate of each, or
   * its newest version. The first search reads all descriptions, later ones are quick.
   *
   * @throws `ERR_APT_PATTERN` for a regular expression that is none.
   * @see `pkgRecords`, apt-cache(8)
   */
  search(terms: string | readonly string[], options: SearchOptions = {}): Promise<AptVersion[]> {
    checkMembers(options, kSearchOptions);
    const { signal, kind = 'text', in: where = 'both' } = options;
    checkOneOf(kind, ['text', 'glob', 'regex'], 'options.kind');
    checkOneOf(where, ['names', 'descriptions', 'both'], 'options.in');
    const list = checkStrings(typeof terms === 'string' ? [terms] : terms, 'terms');
    if (list.length === 0 || list.includes('')) {
      throw invalidArgValue('terms', 'must not be empty');
    }
    const search = {
      terms: list,
      kind,
      names: where !== 'descriptions',
      descriptions: where !== 'names',
    };
    return this.#found(() => this.native.search(search), { signal });
  }

  /**
   * Packages that match one of apt-patterns(7): `?installed`, `~n^lib ~i`.
   *
   * @throws `ERR_APT_PATTERN` with `start` and `end`, offsets of what is wrong.
   * @see `APT::CacheFilter::ParsePattern`
   */
  match(pattern: string, options: MatchOptions = {}): Promise<AptVersion[]> {
    checkMembers(options, kMatchOptions);
    checkString(pattern, 'pattern');
    const { signal, allVersions = false } = options;
    return this.#found(() => this.native.match(pattern, allVersions), { signal });
  }

  /**
   * What a version needs, recommends, conflicts with, and which versions would do.
   *
   * @throws `ERR_APT_UNKNOWN_PACKAGE` for a name without such a version; `ERR_APT_STALE_CACHE` for
   * a version of another cache.
   * @see `pkgCache::DepIterator`
   */
  async dependencies(
    version: AptVersion | VersionName,
    options?: JobOptions,
  ): Promise<AptDependency[]> {
    const id = await this.#id(version, options);
    return runJob('apt', () => this.native.describe('dependencies', id), options) as Promise<
      AptDependency[]
    >;
  }

  /**
   * Virtual packages of a version.
   *
   * @throws as {@link dependencies}.
   * @see `pkgCache::PrvIterator`
   */
  async provides(version: AptVersion | VersionName, options?: JobOptions): Promise<AptProvided[]> {
    const id = await this.#id(version, options);
    return runJob('apt', () => this.native.describe('provides', id), options) as Promise<
      AptProvided[]
    >;
  }

  /**
   * The index files that have a version.
   *
   * @throws as {@link dependencies}.
   * @see `pkgCache::VerFileIterator`
   */
  async origins(version: AptVersion | VersionName, options?: JobOptions): Promise<AptIndexFile[]> {
    const id = await this.#id(version, options);
    return runJob('apt', () => this.native.describe('origins', id), options) as Promise<
      AptIndexFile[]
    >;
  }

  /**
   * The record of a version: all its fields, hashes among them, and its descriptions.
   *
   * @throws as {@link dependencies}.
   * @see `pkgRecords`
   */
  async record(version: AptVersion | VersionName, options?: JobOptions): Promise<AptRecord> {
    const id = await this.#id(version, options);
    return runJob('apt', () => this.native.describe('record', id), options) as Promise<AptRecord>;
  }

  /**
   * Versions with a dependency of any kind on a package, which may be a virtual one.
   *
   * @see `pkgCache::DepIterator`, apt-cache(8)
   */
  async reverseDependencies(
    name: string,
    architecture?: string,
    options?: JobOptions,
  ): Promise<AptReverseDependency[]> {
    checkString(name, 'name');
    if (architecture !== undefined) checkString(architecture, 'architecture');
    const result: AptReverseDependency[] = [];
    for await (const page of pages((after) =>
      runJob(
        'apt',
        () => this.native.reverseDependencies(name, architecture, after, 1024),
        options,
      ),
    )) {
      for (let row = 0; row < page.rows; row++) {
        const comparison = page.text('comparison', row);
        result.push({
          name: page.text('name', row),
          architecture: page.text('architecture', row),
          version: page.text('version', row),
          type: page.text('type', row),
          ...(comparison !== '' && { comparison, wanted: page.text('wanted', row) }),
        });
      }
    }
    return result;
  }

  /** All index files and the status file. @see `pkgCache::PkgFileIterator` */
  async indexFiles(options?: JobOptions): Promise<AptIndexFile[]> {
    const files = await runJob('apt', () => this.native.indexFiles(), options);
    return files as AptIndexFile[];
  }

  /**
   * Versions of a package with their priorities; undefined for an unknown one.
   *
   * @see `pkgPolicy`
   */
  async policy(
    name: string,
    architecture?: string,
    options?: JobOptions,
  ): Promise<AptPolicy | undefined> {
    checkString(name, 'name');
    if (architecture !== undefined) checkString(architecture, 'architecture');
    const found = await runJob('apt', () => this.native.policy(name, architecture), options);
    return (found as AptPolicy | null) ?? undefined;
  }

  async #versions(
    start: () => ReturnType<NativeAptCache['whatProvides']>,
    options?: JobOptions,
  ): Promise<AptVersion[]> {
    const columns: VersionColumns = await runJob('apt', start, options);
    return versionsOf(new Columns(columns), this);
  }

  /** As many versions as there may be, in slices that the event loop has time for. */
  async #found(start: () => NativeJob<Uint32Array>, options?: JobOptions): Promise<AptVersion[]> {
    const ids = await runJob('apt', start, options);
    const result: AptVersion[] = [];
    for (let at = 0; at < ids.length; at += kRows) {
      const slice = ids.subarray(at, at + kRows);
      for (const version of await this.#versions(() => this.native.rows(slice), options)) {
        result.push(version);
      }
    }
    return result;
  }

  /** @internal The number of a version in this cache. */
  protected idOf(version: AptVersion | VersionName, options?: JobOptions): Promise<number> {
    return this.#id(version, options);
  }

  async #id(version: AptVersion | VersionName, options?: JobOptions): Promise<number> {
    if (AptVersion.is(version)) {
      const id = AptVersion.idIn(version, this);
      if (id !== undefined) return id;
      throw new AptError(
        'ERR_APT_STALE_CACHE',
        `${version.name} ${version.version} belongs to another package cache`,
        { package: version.name },
      );
    }
    if (typeof version !== 'object' || version === null) {
      throw invalidArgType('version', 'of type object', version);
    }
    const { name, architecture, version: wanted } = version;
    checkString(name, 'version.name');
    checkString(architecture, 'version.architecture');
    checkString(wanted, 'version.version');
    const all = await this.versionsOf(name, architecture, options);
    const found = all.find((one) => one.version === wanted);
    const id = found && AptVersion.idIn(found, this);
    if (id !== undefined) return id;
    throw new AptError(
      'ERR_APT_UNKNOWN_PACKAGE',
      `There is no version ${wanted} of ${name}:${architecture}`,
      { package: name },
    );
  }
}

function checkBatchSize(size = 2048): number {
  if (!Number.isInteger(size) || size < 1 || size > kRows) {
    throw invalidArgValue('options.batchSize', `must be an integer from 1 to ${kRows}`);
  }
  return size;
}
