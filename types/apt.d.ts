/** The addon's libapt-pkg classes (native/apt). */

import type { NativeJob } from './binding.js';

/** Like objects, one string per member: values separated by line feeds. */
export interface NativeTable<Column extends string> {
  rows: number;
  columns: Record<Column, string>;
}

/** Many rows; see native/apt/columns.h. */
export interface NativeColumns<Text extends string, Numeric extends string> {
  rows: number;
  /** Where the next page starts; 0 after the last one. */
  next: number;
  texts: Record<Text, string>;
  /** Where the part of each row ends in its text. */
  ends: Record<Text, Uint32Array>;
  numbers: Record<Numeric, Float64Array>;
}

export type VersionText =
  | 'name'
  | 'packageArchitecture'
  | 'version'
  | 'architecture'
  | 'section'
  | 'priority'
  | 'multiArch'
  | 'sourceName'
  | 'sourceVersion';
export type VersionNumber = 'id' | 'size' | 'installedSize' | 'phasedPercentage' | 'flags';
export type NativeVersionRows = NativeColumns<VersionText, VersionNumber>;

export interface NativeSearch {
  terms: string[];
  kind: string;
  names: boolean;
  descriptions: boolean;
}

export interface NativeMessage {
  severity: string;
  text: string;
}

export interface NativeAptContextOptions {
  directory: string;
  root?: string;
  dpkgStatus?: string;
  extendedStates?: string;
  architecture: string;
  architectures: string[];
  /** deb822. */
  sources: string;
  /** The text of an apt_auth.conf(5). */
  auth?: string;
  preferences?: string;
  recommends?: boolean;
  rootConfig?: boolean;
  runningKernel?: string;
  /** Names and values in turns; `#clear` with a name drops what that had. */
  config: string[];
}

export interface NativeUpdateResult {
  sources: NativeTable<'uri' | 'suite' | 'ok' | 'kind' | 'message'>;
  warnings: NativeMessage[];
}

export interface NativeAptContext {
  update(
    strict: boolean,
    progress: ((event: never) => void) | undefined,
  ): NativeJob<NativeUpdateResult>;
  /** `debs`: paths of package files to read as one more source. */
  open(debs: string[]): NativeJob<NativeAptCache>;
  /** The shape is in lib/apt/source_list.ts. */
  sourceList(): NativeJob<unknown>;
  ignoredConfig(): string[];
  close(): void;
}

export interface NativePackage {
  name: string;
  architecture: string;
  candidate?: string;
  installed?: string;
  essential: boolean;
  auto: boolean;
  held: boolean;
  /** See lib/apt/state.ts. */
  state: number;
  versions: NativeTable<
    'version' | 'architecture' | 'section' | 'priority' | 'size' | 'installedSize' | 'downloadable'
  >;
}

export interface NativeListFilter {
  essential?: boolean;
  installed?: boolean;
  priorities?: string[];
  /** `next` of the page before. */
  after?: number;
  limit?: number;
}

export interface NativeRequest {
  install?: string[];
  remove?: string[];
  satisfy?: string[];
  buildDepends?: string[];
  archOnly?: boolean;
  indepOnly?: boolean;
  buildProfiles?: string[];
  hostArchitecture?: string;
  purge?: boolean;
  reinstall?: boolean;
  autoremove?: boolean;
  upgrade?: string;
  fixBroken?: boolean;
  recommends?: boolean;
  allowRemove?: boolean;
  allowedRemovals?: string[];
  forbiddenRemovals?: string[];
  allowRemoveEssential?: boolean;
  allowDowngrade?: boolean;
  allowChangeHeld?: boolean;
  strictPinning?: boolean;
  order?: boolean;
}

export interface NativePlan {
  packages: NativeTable<
    | 'name'
    | 'architecture'
    | 'version'
    | 'action'
    | 'oldVersion'
    | 'auto'
    | 'essential'
    | 'priority'
    | 'section'
    | 'size'
    | 'installedSize'
    | 'sha256'
    | 'filename'
    | 'uri'
    | 'preDepends'
    | 'reason'
    | 'reasonName'
    | 'reasonArchitecture'
    | 'reasonType'
  >;
  operations: NativeTable<'action' | 'name' | 'architecture' | 'version'>;
  downloadSize: number;
  installSizeDelta: number;
  keptBack: NativeTable<'name' | 'architecture'>;
  noLongerNeeded: NativeTable<'name' | 'architecture'>;
  madeManual: NativeTable<'name' | 'architecture'>;
  warnings: NativeMessage[];
}

export interface NativeAptCache {
  package(name: string, architecture?: string): NativeJob<NativePackage | null>;
  list(
    filter: NativeListFilter,
  ): NativeJob<
    NativeColumns<
      'name' | 'architecture' | 'version' | 'installed' | 'priority' | 'section',
      'flags'
    >
  >;
  versions(after: number, limit: number): NativeJob<NativeVersionRows>;
  packages(
    after: number,
    limit: number,
  ): NativeJob<
    NativeColumns<
      'name' | 'architecture' | 'installed' | 'candidate' | 'section',
      'id' | 'flags' | 'versions' | 'state'
    >
  >;
  packageVersions(name: string, architecture?: string): NativeJob<NativeVersionRows>;
  reverseDependencies(
    name: string,
    architecture: string | undefined,
    after: number,
    limit: number,
  ): NativeJob<
    NativeColumns<'name' | 'architecture' | 'version' | 'type' | 'comparison' | 'wanted', 'id'>
  >;
  whatProvides(name: string): NativeJob<NativeVersionRows>;
  /** `id`: of a version in this cache. The shapes of the answers are in lib/apt/reader.ts. */
  describe(
    what: 'dependencies' | 'provides' | 'origins' | 'record',
    id: number,
  ): NativeJob<unknown>;
  indexFiles(): NativeJob<unknown>;
  policy(name: string, architecture?: string): NativeJob<unknown>;
  /** Numbers of versions, for `rows`. */
  search(search: NativeSearch): NativeJob<Uint32Array>;
  match(pattern: string, allVersions: boolean): NativeJob<Uint32Array>;
  rows(ids: Uint32Array): NativeJob<NativeVersionRows>;
  marks(options: { recommends?: boolean }): NativeJob<NativeAptMarks>;
  solve(request: NativeRequest): NativeJob<NativePlan>;
  /** Writes EDSP. */
  scenario(request: NativeRequest, path: string): NativeJob<void>;
  /** `packages`: name, architecture and version of one after the other. */
  fetch(
    packages: string[],
    progress: ((event: never) => void) | undefined,
  ): NativeJob<NativeTable<'name' | 'architecture' | 'version' | 'path' | 'sha256'>>;
  /** One as apt-get source takes it, or all versions. The shape is in lib/apt/source_packages.ts. */
  source(wanted: string, all: boolean): NativeJob<unknown>;
  /** `next` is 0 after the last page. */
  sources(after: number, limit: number): NativeJob<{ sources: unknown[]; next: number }>;
  fetchSource(
    wanted: string,
    progress: ((event: never) => void) | undefined,
  ): NativeJob<{ name: string; version: string; directory: string; files: string[] }>;
  /** The path of a file that is the caller's. */
  fetchChangelog(id: number, progress: ((event: never) => void) | undefined): NativeJob<string>;
  warnings(): NativeMessage[];
  close(): void;
}

export interface NativeMarkEdit {
  kind: string;
  package: string;
  purge?: boolean;
  dependencies?: boolean;
  auto?: boolean;
}

export interface NativeMarkCounts {
  installs: number;
  removals: number;
  keeps: number;
  broken: number;
  downloadSize: number;
  installSizeDelta: number;
}

export interface NativeAptMarks {
  edit(edits: NativeMarkEdit[]): NativeJob<NativeMarkCounts>;
  resolve(how: string): NativeJob<NativeMarkCounts>;
  counts(): NativeJob<NativeMarkCounts>;
  /** The shapes of these answers are in lib/apt/marks.ts. */
  of(name: string, architecture?: string): NativeJob<unknown>;
  unmet(): NativeJob<unknown>;
  why(name: string, architecture?: string): NativeJob<unknown>;
  changes(): NativeJob<
    NativeColumns<'name' | 'architecture' | 'action' | 'installed' | 'version', 'flags' | 'state'>
  >;
  states(
    after: number,
    limit: number,
  ): NativeJob<NativeColumns<'name' | 'architecture' | 'action', 'state' | 'flags'>>;
  unneeded(): NativeJob<NativeTable<'name' | 'architecture'>>;
  plan(order: boolean): NativeJob<NativePlan>;
  solve(request: NativeRequest): NativeJob<NativePlan>;
  copy(): NativeJob<NativeAptMarks>;
  /** Of the same cache. */
  assign(source: NativeAptMarks): NativeJob<void>;
  close(): void;
}

export interface NativeApt {
  readonly AptContext: {
    create(options: NativeAptContextOptions): NativeJob<NativeAptContext>;
  };
  /** Made by AptContext.open. */
  readonly AptCache: Record<never, never>;
  /** Made by AptCache.marks and AptMarks.copy. */
  readonly AptMarks: Record<never, never>;
  compareVersions(a: string, b: string): number;
}
