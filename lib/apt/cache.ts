import type { NativeListPage, NativePlan, NativeRequest, NativeTable } from '../../types/apt.js';
import { checkOneOf, checkPath, checkString, type PathLike } from '../checks.js';
import { type ErrorMessage, invalidArgType, invalidArgValue } from '../errors.js';
import { callNative, type JobOptions, runJob } from '../job.js';
import type { FetchEvent } from './context.js';
import { AptReader } from './reader.js';
import { rowsOf } from './table.js';

export interface PackageName {
  name: string;
  architecture: string;
}

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
  versions: AptPackageVersion[];
}

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

/**
 * What to change. Texts are `name`, `name:arch`, `name=version` or `name/release`, each with `+`
 * or `-` at its end to install or remove it in spite of the list that it is in; `task^`; one of
 * apt-patterns(7); a glob; a regular expression; the absolute path of one of `OpenOptions.debs`.
 */
export interface SolveRequest extends JobOptions {
  /** In order: earlier ones are preferred among alternatives. */
  install?: readonly string[];
  remove?: readonly string[];
  /** Whether removed packages lose their configuration too. */
  purge?: boolean;
  /** Whether packages of `install` that are installed already are installed again. */
  reinstall?: boolean;
  /** `upgrade`: newer versions without new or removed packages; `full`: whatever it takes. */
  upgrade?: 'none' | 'upgrade' | 'full';
  /** Whether what nothing needs any more goes too. */
  autoremove?: boolean;
  /** Default: as the context has it. */
  recommends?: boolean;
  /** Whether packages may go that `remove` does not name. Default: true. */
  allowRemove?: boolean;
  /** Names of packages that may go though `remove` does not name them. Default: any. */
  allowedRemovals?: readonly string[];
  /** Names of packages that must stay unless `remove` names them. */
  forbiddenRemovals?: readonly string[];
  allowRemoveEssential?: boolean;
  allowDowngrade?: boolean;
  allowChangeHeld?: boolean;
}

export interface AptPlanPackage extends PackageName {
  /** The new version; of removals the one that goes. */
  version: string;
  action: 'install' | 'upgrade' | 'downgrade' | 'reinstall' | 'remove' | 'purge';
  oldVersion?: string;
  /** Whether it comes only because something needs it. */
  auto: boolean;
  essential: boolean;
  priority: string;
  section: string;
  /** Bytes of the .deb. */
  size: number;
  /** Bytes. */
  installedSize: number;
  sha256: string;
  /** Path of the .deb below the source's URI. */
  filename: string;
  uri: string;
  /** Packages of this plan that must be configured before this one is unpacked. */
  preDepends: string[];
}

/** One step, in the order in which apt would have dpkg take it. */
export interface AptOperation extends PackageName {
  action: 'unpack' | 'configure' | 'remove' | 'purge';
  version: string;
}

export interface AptPlan {
  /** By name. */
  packages: AptPlanPackage[];
  operations: AptOperation[];
  /** Bytes of all .deb files, those downloaded already included. */
  downloadSize: number;
  /** Bytes more (or fewer) that the system then takes. */
  installSizeDelta: number;
  /** Packages with a newer version that this plan does not bring. */
  keptBack: PackageName[];
  /** Packages that nothing needs; `autoremove` would remove them. */
  noLongerNeeded: PackageName[];
  /** Packages that were automatic and have been asked for by name. */
  madeManual: PackageName[];
  warnings: ErrorMessage[];
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

/**
 * The packages of a context as they were when it was opened. After an update, or a change of the
 * status file, methods throw `ERR_APT_STALE_CACHE`: open another. Close it, or use `await using`.
 */
export class AptCache extends AptReader {
  /** What libapt-pkg had to remark when the cache was opened. */
  get warnings(): ErrorMessage[] {
    return callNative('apt', () => this.native.warnings()) as ErrorMessage[];
  }

  /** A package, or undefined where no source and no status has a version of it. */
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
      versions: rowsOf(found.versions, (row) => ({
        ...row,
        size: Number(row.size),
        installedSize: Number(row.installedSize),
        downloadable: row.downloadable !== '',
      })),
    };
  }

  /** Packages that pass the filter and have a candidate or are installed. */
  async list(filter: ListFilter = {}): Promise<AptPackageSummary[]> {
    const { signal, essential, installed, priorities } = filter;
    const result: AptPackageSummary[] = [];
    for (let after = 0; ; ) {
      const page: NativeListPage = await runJob(
        'apt',
        () =>
          this.native.list({
            essential,
            installed,
            after,
            ...(priorities && { priorities: [...priorities] }),
          }),
        { signal },
      );
      const rows = rowsOf(page.packages, ({ installed: version, ...row }) => ({
        ...row,
        ...(version !== '' && { installed: version }),
        essential: row.essential !== '',
        auto: row.auto !== '',
      }));
      for (const row of rows) result.push(row);
      if (page.next === 0) return result;
      after = page.next;
    }
  }

  /**
   * Makes a plan; nothing is changed. The answer is apt-get's for the same request.
   *
   * @throws `ERR_APT_UNKNOWN_PACKAGE` with `package`; `ERR_APT_PATTERN`;
   * `ERR_APT_UNMET_DEPENDENCIES` with the broken dependencies in `messages` and, as data, in
   * `unmet`; `ERR_APT_REFUSED` with `package` where the plan would need
   * one of the `allow...` options.
   * @see `pkgProblemResolver`, `pkgPackageManager`
   */
  async solve(request: SolveRequest): Promise<AptPlan> {
    const native = toNative(request);
    const { signal } = request;
    return toPlan(await runJob('apt', () => this.native.solve(native), { signal }));
  }

  /**
   * Writes a request, and all that is known about packages, to `file` as apt hands it to external
   * solvers: what others need to see the same.
   *
   * @see `EDSP::WriteScenario`
   */
  async scenario(request: SolveRequest, file: PathLike): Promise<void> {
    const native = toNative(request);
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
    const fields: string[] = [];
    for (const { name, architecture, version } of packages) {
      checkString(name, 'packages[].name');
      checkString(architecture, 'packages[].architecture');
      checkString(version, 'packages[].version');
      fields.push(name, architecture, version);
    }
    type Result = NativeTable<'name' | 'architecture' | 'version' | 'path' | 'sha256'>;
    const table = await runJob<Result, FetchEvent>(
      'apt',
      (progress) => this.native.fetch(fields, progress),
      options,
      options.onProgress,
    );
    return rowsOf(table, (row) => ({ ...row }));
  }

  /** Frees the cache; running operations finish first, later calls throw `ERR_CLOSED`. */
  close(): void {
    callNative('apt', () => this.native.close());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}

function toNative(request: SolveRequest): NativeRequest {
  if (typeof request !== 'object' || request === null) {
    throw invalidArgType('request', 'of type object', request);
  }
  const { signal: _signal, install, remove, upgrade, ...rest } = request;
  const { allowedRemovals, forbiddenRemovals, ...flags } = rest;
  if (upgrade !== undefined) checkOneOf(upgrade, ['none', 'upgrade', 'full'], 'request.upgrade');
  return {
    ...flags,
    upgrade,
    install: checkNames(install, 'request.install'),
    remove: checkNames(remove, 'request.remove'),
    allowedRemovals: allowedRemovals && checkNames(allowedRemovals, 'request.allowedRemovals'),
    forbiddenRemovals: checkNames(forbiddenRemovals, 'request.forbiddenRemovals'),
  };
}

function checkNames(names: readonly string[] | undefined, argument: string): string[] {
  if (names === undefined) return [];
  if (!Array.isArray(names)) throw invalidArgType(argument, 'an instance of Array', names);
  for (const name of names) {
    checkString(name, argument);
    if (name === '') throw invalidArgValue(argument, 'must not contain an empty name');
  }
  return [...names];
}

function toPlan(native: NativePlan): AptPlan {
  const names = (table: NativeTable<'name' | 'architecture'>): PackageName[] =>
    rowsOf(table, (row) => row);
  return {
    packages: rowsOf(native.packages, ({ oldVersion, ...row }) => ({
      ...row,
      action: row.action as AptPlanPackage['action'],
      ...(oldVersion !== '' && { oldVersion }),
      auto: row.auto !== '',
      essential: row.essential !== '',
      size: Number(row.size),
      installedSize: Number(row.installedSize),
      preDepends: row.preDepends === '' ? [] : row.preDepends.split(' '),
    })),
    operations: rowsOf(native.operations, (row) => ({
      ...row,
      action: row.action as AptOperation['action'],
    })),
    downloadSize: native.downloadSize,
    installSizeDelta: native.installSizeDelta,
    keptBack: names(native.keptBack),
    noLongerNeeded: names(native.noLongerNeeded),
    madeManual: names(native.madeManual),
    warnings: native.warnings as ErrorMessage[],
  };
}
