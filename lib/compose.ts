/** `apt-ostree/compose`: from packages to commits. */
export type { Answers } from './compose/answers.js';
export {
  type CommitOptions,
  type ComposeOptions,
  type ComposeResult,
  Composer,
  type ComposerOptions,
  type LayerOptions,
  type RefreshOptions,
  type RelayerOptions,
} from './compose/composer.js';
export {
  diffPackages,
  type InstalledPackage,
  type PackageChange,
  type PackageDiff,
  packagesOf,
} from './compose/database.js';
export type {
  ComposeEvent,
  ComposeListener,
  ComposePhase,
  DpkgEvent,
  FallbackEvent,
  ImportEvent,
  OutputEvent,
  PhaseEndEvent,
  PhaseStartEvent,
  QuestionEvent,
  ScriptEvent,
  ScriptStartEvent,
  WarningEvent,
} from './compose/events.js';
export {
  type AdoptOptions,
  adoptPackages,
  type DebImportOptions,
  type DebToImport,
  type ImportedDeb,
  importDebs,
  type PackageIdentity,
  packageRef,
  parsePackageRef,
} from './compose/import.js';
export type { SandboxLimits } from './compose/limits.js';
export type { PhaseTime } from './compose/meter.js';
export type { Question, QuestionPriority } from './compose/questions.js';
export type { ComposeRecord, PackageTime, RecordedScript } from './compose/record.js';
export type { PackageSources } from './compose/resolver.js';
export type { ScriptCall } from './compose/scripts.js';
