/** Requests to change a system, and the plans that meet them. */

import type { NativePlan, NativeRequest, NativeTable } from '../../types/apt.js';
import {
  checkArchitecture,
  checkMembers,
  checkOneOf,
  checkString,
  type Members,
} from '../checks.js';
import { type ErrorMessage, invalidArgType, invalidArgValue } from '../errors.js';
import { type JobOptions, kJobOptions } from '../job.js';
import { rowsOf } from './table.js';

const kUpgrades = ['none', 'upgrade', 'with-new', 'full'] as const;

export interface PackageName {
  name: string;
  architecture: string;
}

/**
 * What to change. Texts are `name`, `name:arch`, `name=version` or `name/release`, each with `+`
 * or `-` at its end to install or remove it in spite of the list that it is in; instead of a name
 * also `task^`, one of apt-patterns(7), a glob or a regular expression; or the absolute path of one
 * of `OpenOptions.debs`. They are read as apt-get reads them. What is both installed and removed is
 * installed.
 *
 * Whatever may be an expression has at most 4096 bytes, 256 parentheses and no back references;
 * its length times its repetitions (`{1,20}`, and 2 for each further `+`) is at most 8192.
 */
export interface SolveRequest extends JobOptions {
  /** In order: earlier ones are preferred among alternatives. */
  install?: readonly string[];
  remove?: readonly string[];
  /**
   * Dependencies to meet, as in control files: `foo (>= 2), bar | baz`; with `Conflicts:` before
   * them, ones that must not be met. As `apt-get satisfy`. Opens the lists once more, which takes
   * some tenths of a second; not for `AptMarks.solve` or `scenario`.
   */
  satisfy?: readonly string[];
  /**
   * Source packages whose build dependencies are to be met, as `apt-get build-dep` does: names,
   * for which a source must have the type `deb-src`, with `=version` or `/release`; or absolute
   * paths of `.dsc` files and of directories with `debian/control`.
   */
  buildDepends?: readonly string[];
  /** How `buildDepends` are read. */
  build?: {
    /** Only what building packages of one architecture needs. */
    archOnly?: boolean;
    /** Only what building packages for all architectures needs. */
    indepOnly?: boolean;
    /** Such as `nocheck`. Default: those of the context. */
    profiles?: readonly string[];
    /** What the packages are built for: one of the context's. Default: the native architecture. */
    hostArchitecture?: string;
  };
  /** Whether removed packages lose their configuration too. */
  purge?: boolean;
  /** Whether packages of `install` that are installed already are installed again. */
  reinstall?: boolean;
  /**
   * `upgrade`: newer versions without new or removed packages, as `apt-get upgrade`; `with-new`:
   * with new packages, as `apt upgrade`; `full`: whatever it takes.
   */
  upgrade?: (typeof kUpgrades)[number];
  /**
   * Whether unmet dependencies of installed packages are repaired first, as by `apt-get -f`. As
   * there, only where nothing is named that could be the repair, or with `upgrade`. Default: false.
   */
  fixBroken?: boolean;
  /** Whether what nothing needs any more goes too. */
  autoremove?: boolean;
  /** Default: as the context has it. */
  recommends?: boolean;
  /** Whether packages may go that neither `remove` nor `autoremove` means. Default: true. */
  allowRemove?: boolean;
  /** Names of packages that may go though `remove` does not name them. Default: any. */
  allowedRemovals?: readonly string[];
  /** Names of packages that must stay unless `remove` names them. */
  forbiddenRemovals?: readonly string[];
  allowRemoveEssential?: boolean;
  allowDowngrade?: boolean;
  allowChangeHeld?: boolean;
  /**
   * Whether dependencies are met by candidates only, as apt's own solver has it. False: where
   * nothing else would do, another version of a package comes. Default: true.
   */
  strictPinning?: boolean;
  /**
   * Whether the plan is to have its `operations`. Finding the order of hundreds of packages takes
   * several times as long as choosing them. Default: true.
   */
  order?: boolean;
}

const kRequest: Members<SolveRequest> = {
  ...kJobOptions,
  install: true,
  remove: true,
  satisfy: true,
  buildDepends: true,
  build: true,
  purge: true,
  reinstall: true,
  upgrade: true,
  fixBroken: true,
  autoremove: true,
  recommends: true,
  allowRemove: true,
  allowedRemovals: true,
  forbiddenRemovals: true,
  allowRemoveEssential: true,
  allowDowngrade: true,
  allowChangeHeld: true,
  strictPinning: true,
  order: true,
};
const kBuild: Members<NonNullable<SolveRequest['build']>> = {
  archOnly: true,
  indepOnly: true,
  profiles: true,
  hostArchitecture: true,
};

/** Why a package is in a plan. */
export interface AptReason {
  /**
   * `requested`; `dependency`: the package `name` has a dependency of `type` on it; `conflict`:
   * `name` stays or comes and does not go with it; `broken`: its own dependency of `type` on
   * `name` cannot be met any more; `unneeded`: nothing needs it; `upgrade`: there is a newer
   * version; `unfinished`: dpkg has begun with it and must unpack it again, or remove it.
   */
  kind: 'requested' | 'dependency' | 'conflict' | 'broken' | 'unneeded' | 'upgrade' | 'unfinished';
  name?: string;
  architecture?: string;
  /** As in `AptDependency`. */
  type?: string;
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
  /** What brought it in or drove it out: the nearest to the request, where there are several. */
  reason: AptReason;
}

/** One step, in the order in which apt would have dpkg take it. */
export interface AptOperation extends PackageName {
  action: 'unpack' | 'configure' | 'remove' | 'purge';
  version: string;
}

export interface AptPlan {
  /** By name. */
  packages: AptPlanPackage[];
  /** Empty where `order` is false. */
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

/** @internal For those that cannot make packages up. */
export function withoutPseudo(request: SolveRequest): NativeRequest {
  const native = toNative(request);
  for (const name of ['satisfy', 'buildDepends'] as const) {
    if (native[name]?.length)
      throw invalidArgValue(`request.${name}`, 'is only for AptCache.solve');
  }
  return native;
}

/** @internal */
export function toNative(request: SolveRequest): NativeRequest {
  checkMembers(request, kRequest, 'request');
  const { signal: _signal, install, remove, upgrade, ...rest } = request;
  const { allowedRemovals, forbiddenRemovals, satisfy, buildDepends, build = {}, ...flags } = rest;
  checkMembers(build, kBuild, 'request.build');
  const { archOnly, indepOnly, profiles, hostArchitecture } = build;
  if (hostArchitecture !== undefined) {
    checkArchitecture(hostArchitecture, 'request.build.hostArchitecture');
  }
  if (upgrade !== undefined) checkOneOf(upgrade, kUpgrades, 'request.upgrade');
  return {
    ...flags,
    upgrade,
    satisfy: checkNames(satisfy, 'request.satisfy'),
    buildDepends: checkNames(buildDepends, 'request.buildDepends'),
    archOnly,
    indepOnly,
    buildProfiles: profiles && checkNames(profiles, 'request.build.profiles'),
    hostArchitecture,
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

/** @internal */
export function toPlan(native: NativePlan): AptPlan {
  const names = (table: NativeTable<'name' | 'architecture'>): PackageName[] =>
    rowsOf(table, (row) => row);
  return {
    packages: rowsOf(native.packages, (native) => {
      const { oldVersion, reason, reasonName, reasonArchitecture, reasonType, ...row } = native;
      return {
        ...row,
        action: row.action as AptPlanPackage['action'],
        ...(oldVersion !== '' && { oldVersion }),
        auto: row.auto !== '',
        essential: row.essential !== '',
        size: Number(row.size),
        installedSize: Number(row.installedSize),
        preDepends: row.preDepends === '' ? [] : row.preDepends.split(' '),
        reason: {
          kind: reason as AptReason['kind'],
          ...(reasonName !== '' && {
            name: reasonName,
            architecture: reasonArchitecture,
            type: reasonType,
          }),
        },
      };
    }),
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
