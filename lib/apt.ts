/** `apt-ostree/apt`: libapt-pkg. */
export {
  AptCache,
  type AptPackage,
  type AptPackageSummary,
  type AptPackageVersion,
  type FetchedPackage,
  type FetchOptions,
  type ListFilter,
  type WantedPackage,
} from './apt/cache.js';
export type { CommitTree } from './apt/commit_database.js';
export {
  AptContext,
  type AptContextOptions,
  type FetchEvent,
  type FetchItemEvent,
  type FetchProgressEvent,
  type OpenOptions,
  type UpdateOptions,
  type UpdateResult,
  type UpdateSource,
} from './apt/context.js';
export {
  type DebConffile,
  type DebContentEntry,
  type DebControlMember,
  type DebEntry,
  type DebExtracted,
  type DebExtractOptions,
  DebFile,
  type DebScript,
} from './apt/deb_file.js';
export { Deb822, Deb822Stanza } from './apt/deb822.js';
export {
  type DependencyAlternative,
  type DependencyGroup,
  formatDepends,
  type ParseDependsOptions,
  parseDepends,
  satisfies,
  upstreamVersion,
  type VersionComparison,
} from './apt/dependencies.js';
export {
  type AptMark,
  type AptMarkChange,
  AptMarks,
  AptMarksSnapshot,
  type AptNeed,
  type MarkCounts,
  type MarkEdit,
  type MarksOptions,
} from './apt/marks.js';
export type {
  AptOperation,
  AptPlan,
  AptPlanPackage,
  AptReason,
  PackageName,
  SolveRequest,
} from './apt/plan.js';
export { type AptCredentials, type PortableOptions, portableSources } from './apt/portable.js';
export type {
  AptAlternative,
  AptDependency,
  AptIndexFile,
  AptPackageRow,
  AptPolicy,
  AptProvided,
  AptRecord,
  AptReverseDependency,
  BatchOptions,
  MatchOptions,
  SearchOptions,
  VersionName,
} from './apt/reader.js';
export type { AptIndexTarget, AptRelease, AptSourceEntry } from './apt/source_list.js';
export type {
  AptBuildDependency,
  AptSourceFile,
  AptSourcePackage,
  ChangelogOptions,
  FetchedSource,
  FetchSourceOptions,
} from './apt/source_packages.js';
export {
  type AptSource,
  formatSources,
  hostRelease,
  parseSources,
  readSources,
  sourcesForRelease,
} from './apt/sources.js';
export type { AptPackageState } from './apt/state.js';
export {
  compareVersions,
  type DebianVersion,
  formatVersion,
  parseVersion,
} from './apt/version.js';
export { AptVersion, type AptVersionData, type MultiArch } from './apt/version-row.js';
export type { WhyNot, WhyNotOptions } from './apt/why_not.js';
