/** `apt-ostree/apt`: libapt-pkg. */
export {
  AptCache,
  type AptOperation,
  type AptPackage,
  type AptPackageSummary,
  type AptPackageVersion,
  type AptPlan,
  type AptPlanPackage,
  type FetchedPackage,
  type FetchOptions,
  type ListFilter,
  type PackageName,
  type SolveRequest,
  type WantedPackage,
} from './apt/cache.js';
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
export {
  type AptSource,
  formatSources,
  hostRelease,
  parseSources,
  readSources,
  sourcesForRelease,
} from './apt/sources.js';
export { compareVersions } from './apt/version.js';
export { AptVersion, type AptVersionData, type MultiArch } from './apt/version-row.js';
