import type { NativeTable } from '../../types/apt.js';
import {
  checkMembers,
  checkPath,
  checkString,
  checkStrings,
  type Members,
  type PathLike,
} from '../checks.js';
import type { ErrorMessage } from '../errors.js';
import { callNative, type JobOptions, kJobOptions, runJob } from '../job.js';
import { arrayOf, aString, objectOf } from '../shapes.js';
import { pages, sharedTexts } from './batch.js';
import type { FetchEvent } from './context.js';
import { AptMarks, kMarksOptions, type MarksOptions } from './marks.js';
import {
  type AptPlan,
  type PackageName,
  type SolveRequest,
  toNative,
  toPlan,
  withoutPseudo,
} from './plan.js';
import { AptSourceReader } from './source_packages.js';
import { type AptPackageState, stateOf } from './state.js';
import { rowsOf } from './table.js';
import { explain, kWhyNotOptions, type WhyNot, type WhyNotOptions } from './why_not.js';

export type {
  AptOperation,
  AptPlan,
  AptPlanPackage,
  AptReason,
  PackageName,
  SolveRequest,
} from './plan.js';

export interface AptPackageVersion {
  version: string;
  /** `all`, or the architecture of the package. */
  architecture: string;
  section: string;
  priority: string;
  /** Bytes of the .deb. */
  size: number;
  /** Bytes. */
  installedSize: number;
  /** Whether a source has it. */
  downloadable: boolean;
}

/** A package by name and architecture, with all its versions, newest first. */
export interface AptPackage extends PackageName {
  /** The version that would be installed. */
  candidate?: string;
  installed?: string;
  essential: boolean;
  /** Installed only because something needs it. */
  auto: boolean;
  held: boolean;
  state: AptPackageState;
  versions: AptPackageVersion[];
}

/** Rows that are made at once: what the event loop has time for. */
const kPage = 512;

/** One row of `AptCache.list`. */
export interface AptPackageSummary extends PackageName {
  /** The candidate, or the installed version where there is no candidate. */
  version: string;
  installed?: string;
  priority: string;
  section: string;
  essential: boolean;
  auto: boolean;
}

export interface ListFilter extends JobOptions {
  essential?: boolean;
  installed?: boolean;
  /** Priorities of the candidate: `required`, `important`, `standard`, `optional`, `extra`. */
  priorities?: readonly string[];
}

export interface WantedPackage extends PackageName {
  version: string;
}

export interface FetchOptions extends JobOptions {
  onProgress?: (event: FetchEvent) => void;
}

export interface FetchedPackage extends WantedPackage {
  /** The .deb: in the context's directory, or in place for `file:` sources. */
  path: string;
  sha256: string;
}

const kListFilter: Members<ListFilter> = {
  ...kJobOptions,
  essential: true,
  installed: true,
  priorities: true,
};
const kFetchOptions: Members<FetchOptions> = { ...kJobOptions, onProgress: true };
const checkWanted = arrayOf(objectOf({ name: aString, architecture: aString, version: aString }));

/**
 * The packages of a context as they were when it was opened. After an update, or a change of the
 * status file, methods throw `ERR_APT_STALE_CACHE`: open another. Close it, or use `await using`.
 *
 * @throws `ERR_CLOSED` by every method, once the cache is closed; `ERR_APT_STALE_CACHE` after an
 * update.
 * @see `pkgCacheFile`, docs/guide-apt.md
 */
export class AptCache extends AptSourceReader {
  /** What libapt-pkg had to remark when the cache was opened. */
  get warnings(): ErrorMessage[] {
    return callNative('apt', () => this.native.warnings()) as ErrorMessage[];
  }

  /**
   * A package, or undefined where no source and no status has a version of it.
   *
   * @see `pkgCache::PkgIterator`
   */
  async package(
    name: string,
    architecture?: string,
    options?: JobOptions,
  ): Promise<AptPackage | undefined> {
    checkString(name, 'name');
    if (architecture !== undefined) checkString(architecture, 'architecture');
    const found = await runJob('apt', () => this.native.package(name, architecture), options);
    if (found === null) return undefined;
    return {
      ...found,
      state: stateOf(found.state),
      versions: rowsOf(found.versions, (row) => ({
        ...row,
        size: Number(row.size),
        installedSize: Number(row.installedSize),
        downloadable: row.downloadable !== '',
      })),
    };
  }

  /**
   * Packages that pass the filter and have a candidate or are installed.
   *
   * @see `pkgCache::PkgIterator`
   */
  async list(filter: ListFilter = {}): Promise<AptPackageSummary[]> {
    checkMembers(filter, kListFilter, 'filter');
    const { signal, essential, installed } = filter;
    const priorities =
      filter.priorities == null ? undefined : checkStrings(filter.priorities, 'filter.priorities');
    const wanted = { essential, installed, ...(priorities && { priorities }) };
    const result: AptPackageSummary[] = [];
    const shared = sharedTexts();
    for await (const page of pages((after) =>
      runJob('apt', () => this.native.list({ ...wanted, after, limit: kPage }), { signal }),
    )) {
      for (let row = 0; row < page.rows; row++) {
        const current = page.text('installed', row);
        const flags = page.number('flags', row);
        const summary: AptPackageSummary = {
          name: page.text('name', row),
          architecture: shared(page.text('architecture', row)),
          version: page.text('version', row),
          priority: shared(page.text('priority', row)),
          section: shared(page.text('section', row)),
          essential: (flags & 1) !== 0,
          auto: (flags & 2) !== 0,
        };
        if (current !== '') summary.installed = current;
        result.push(summary);
      }
    }
    return result;
  }

  /**
   * Makes a plan; nothing is changed. The answer is apt-get's for the same request.
   *
   * @throws `ERR_APT_UNKNOWN_PACKAGE` with `package`; `ERR_APT_PATTERN`;
   * `ERR_APT_UNMET_DEPENDENCIES` with the broken dependencies in `messages` and, as data, in
   * `unmet`, of hundreds the first; `ERR_APT_REFUSED` with `package` where the plan would need
   * one of the `allow...` options.
   * @see `pkgProblemResolver`, `pkgPackageManager`
   */
  async solve(request: SolveRequest): Promise<AptPlan> {
    const native = toNative(request);
    const { signal } = request;
    return toPlan(await runJob('apt', () => this.native.solve(native), { signal }));
  }

  /**
   * Why a package cannot be installed: which dependency of which package is not met, and what is
   * wrong with each way to meet it, down to the last reason. Undefined where it can be.
   * `what` is a text as in `SolveRequest.install`.
   *
   * @example
   * const obstacle = await cache.whyNot('gnome-core');
   * for (const { name, type, alternatives } of obstacle?.why ?? []) {
   *   console.log(name, type, alternatives.map((one) => `${one.name}: ${one.reason}`));
   * }
   * @throws `ERR_APT_PATTERN` for a text that is none.
   * @see `pkgProblemResolver`, `pkgDepCache`
   */
  whyNot(what: string, options: WhyNotOptions = {}): Promise<WhyNot | undefined> {
    checkMembers(options, kWhyNotOptions);
    const { recommends, signal } = options;
    return explain(this, what, { signal }, () =>
      this.solve({ install: [what], order: false, recommends, signal }),
    );
  }

  /**
   * Marks of packages to edit step by step, as after opening the cache: what python-apt's DepCache
   * is. Any number of them may be had; each sees only its own edits.
   *
   * @see `pkgDepCache`
   */
  async marks(options: MarksOptions = {}): Promise<AptMarks> {
    checkMembers(options, kMarksOptions);
    const { recommends, signal } = options;
    const native = await runJob('apt', () => this.native.marks({ recommends }), { signal });
    return new AptMarks(native, this);
  }

  /**
   * Writes a request, and all that is known about packages, to `file` as apt hands it to external
   * solvers: what others need to see the same.
   *
   * @throws as {@link solve}; `ERR_APT_FAILED` for a file that cannot be written.
   * @see `EDSP::WriteScenario`
   */
  async scenario(request: SolveRequest, file: PathLike): Promise<void> {
    const native = withoutPseudo(request);
    const path = checkPath(file, 'file');
    await runJob('apt', () => this.native.scenario(native, path), { signal: request.signal });
  }

  /**
   * Downloads packages and checks their hashes. What is there already and has the right hash is
   * not fetched again. The result is in the order of `packages`.
   *
   * @throws `ERR_APT_HASH_MISMATCH` with `package` and `uri`; `ERR_APT_NETWORK`; `ENOSPC`;
   * `ERR_APT_UNKNOWN_PACKAGE`; `ERR_APT_NOT_AUTHENTICATED`.
   * @see `pkgAcqArchive`
   */
  async fetch(
    packages: readonly WantedPackage[],
    options: FetchOptions = {},
  ): Promise<FetchedPackage[]> {
    checkMembers(options, kFetchOptions);
    const { signal, onProgress } = options;
    checkWanted(packages, 'packages');
    const fields: string[] = [];
    for (const { name, architecture, version } of packages) {
      fields.push(name, architecture, version);
    }
    type Result = NativeTable<'name' | 'architecture' | 'version' | 'path' | 'sha256'>;
    const table = await runJob<Result, FetchEvent>(
      'apt',
      (progress) => this.native.fetch(fields, progress),
      { signal },
      onProgress,
    );
    return rowsOf(table, (row) => ({ ...row }));
  }

  /**
   * Frees the cache; calls that were made before finish first, later ones throw `ERR_CLOSED`. Synchronous;
   * closing twice is fine.
   */
  close(): void {
    callNative('apt', () => this.native.close());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}
