/** `apt-ostree/compose`: from packages to commits. */
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
  WarningEvent,
} from './compose/events.js';
export type { PhaseTime } from './compose/meter.js';
export type { PackageSources } from './compose/resolver.js';
