import type { VersionNumber, VersionText } from '../../types/apt.js';
import type { Columns } from './batch.js';

/** How a package of one architecture goes with those of others; `Multi-Arch` in its record. */
export type MultiArch = 'no' | 'same' | 'foreign' | 'allowed';

/** Bits of the column "flags", as in native/apt/inspect.cc. */
export const kFlags = {
  installed: 1,
  candidate: 2,
  downloadable: 4,
  essential: 8,
  protected: 16,
  auto: 32,
  held: 64,
} as const;

/**
 * A version of a package, as a cheap view on a batch: members are read when they are asked for.
 * It belongs to the cache that it came from: another cache refuses it with
 * `ERR_APT_STALE_CACHE`. `{...version}` copies nothing; use `toJSON()`.
 */
export class AptVersion {
  readonly #columns: Columns<VersionText, VersionNumber>;
  readonly #row: number;
  readonly #owner: object;

  /** @internal */
  constructor(columns: Columns<VersionText, VersionNumber>, row: number, owner: object) {
    this.#columns = columns;
    this.#row = row;
    this.#owner = owner;
  }

  /** @internal The number of the version in the cache `owner`; undefined in any other cache. */
  static idIn(version: AptVersion, owner: object): number | undefined {
    return version.#owner === owner ? version.#number('id') : undefined;
  }

  /** @internal Whether `value` is a view made by this module. */
  static is(value: unknown): value is AptVersion {
    return typeof value === 'object' && value !== null && #columns in value;
  }

  #text(column: VersionText): string {
    return this.#columns.text(column, this.#row);
  }

  #number(column: VersionNumber): number {
    return this.#columns.number(column, this.#row);
  }

  #flag(flag: keyof typeof kFlags): boolean {
    return (this.#number('flags') & kFlags[flag]) !== 0;
  }

  /** Of the package. */
  get name(): string {
    return this.#text('name');
  }
  /** Of the package: never `all`. */
  get architecture(): string {
    return this.#text('packageArchitecture');
  }
  /** As Debian writes it, with epoch and revision. */
  get version(): string {
    return this.#text('version');
  }
  /** What the record says: `all`, or the architecture of the package. */
  get recordArchitecture(): string {
    return this.#text('architecture');
  }
  /** Such as `admin` or `contrib/net`; empty where none is given. */
  get section(): string {
    return this.#text('section');
  }
  /** `required`, `important`, `standard`, `optional` or `extra`; empty where none is given. */
  get priority(): string {
    return this.#text('priority');
  }
  /** How it goes together with other architectures. */
  get multiArch(): MultiArch {
    return this.#text('multiArch') as MultiArch;
  }
  /** The source package that it was built from. */
  get sourceName(): string {
    return this.#text('sourceName');
  }
  /** The version of that source package. */
  get sourceVersion(): string {
    return this.#text('sourceVersion');
  }
  /** Bytes of the .deb; 0 where only the status file has it. */
  get size(): number {
    return this.#number('size');
  }
  /** Bytes. */
  get installedSize(): number {
    return this.#number('installedSize');
  }
  /** The share of machines that are to get this update so far, in per cent; 100: all. */
  get phasedPercentage(): number {
    return this.#number('phasedPercentage');
  }
  /** Whether it is the version that is installed. */
  get installed(): boolean {
    return this.#flag('installed');
  }
  /** Whether this version would be installed. */
  get candidate(): boolean {
    return this.#flag('candidate');
  }
  /** Whether a source has it. */
  get downloadable(): boolean {
    return this.#flag('downloadable');
  }
  /** Whether the system needs the package at all times. */
  get essential(): boolean {
    return this.#flag('essential');
  }
  /** Whether the package may only be removed on purpose; `Protected` or `Important`. */
  get protected(): boolean {
    return this.#flag('protected');
  }
  /** Whether the package came only because something needs it. */
  get auto(): boolean {
    return this.#flag('auto');
  }
  /** Whether its package is held back from upgrades. */
  get held(): boolean {
    return this.#flag('held');
  }

  /** All members as a plain object. Synchronous. @throws nothing. */
  toJSON(): AptVersionData {
    return {
      name: this.name,
      architecture: this.architecture,
      version: this.version,
      recordArchitecture: this.recordArchitecture,
      section: this.section,
      priority: this.priority,
      multiArch: this.multiArch,
      sourceName: this.sourceName,
      sourceVersion: this.sourceVersion,
      size: this.size,
      installedSize: this.installedSize,
      phasedPercentage: this.phasedPercentage,
      installed: this.installed,
      candidate: this.candidate,
      downloadable: this.downloadable,
      essential: this.essential,
      protected: this.protected,
      auto: this.auto,
      held: this.held,
    };
  }
}

/** What an `AptVersion` says, as a plain object. */
export type AptVersionData = Omit<AptVersion, 'toJSON'>;

/** The rows of `columns` as versions of the cache `owner`. */
export function versionsOf(
  columns: Columns<VersionText, VersionNumber>,
  owner: object,
): AptVersion[] {
  return Array.from({ length: columns.rows }, (_, row) => new AptVersion(columns, row, owner));
}
