/** `apt-ostree/compose`: from packages to commits. */
export type { Answers } from './compose/answers.js';
export {
  type CommitOptions,
  type ComposeOptions,
  type ComposeResult,
  Composer,
  type ComposerOptions,
  type LayerOptions,
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
  ImportEvent,
  OutputEvent,
  PhaseEndEvent,
  PhaseStartEvent,
  ScriptEvent,
  ScriptStartEvent,
  WarningEvent,
} from './compose/events.js';
export type { SandboxLimits } from './compose/limits.js';
export type { PhaseTime } from './compose/meter.js';
export type { ComposeRecord, PackageTime } from './compose/record.js';
export type { PackageSources } from './compose/resolver.js';
export type { ScriptCall } from './compose/scripts.js';
