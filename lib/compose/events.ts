/** What a composition tells while it runs. */

import type { FetchEvent } from '../apt/context.js';
import type { ImportEvent } from './import.js';
import type { QuestionEvent } from './questions.js';
import type { ScriptEvent, ScriptStartEvent } from './scripts.js';

export type { ImportEvent, ScriptEvent, ScriptStartEvent };

/** The steps of a composition, in order; some are skipped when there is nothing to do. */
export type ComposePhase =
  | 'resolve'
  | 'download'
  | 'import'
  | 'assemble'
  | 'unpack'
  | 'configure'
  | 'kernel'
  | 'merge'
  | 'commit';

/** A phase began. */
export interface PhaseStartEvent {
  type: 'phase-start';
  phase: ComposePhase;
}

/** A phase ended; a phase that comes several times (unpack, configure) gives several events. */
export interface PhaseEndEvent {
  type: 'phase-end';
  phase: ComposePhase;
  /** Wall-clock seconds. */
  seconds: number;
  /** CPU seconds of this process and of its children that have ended. */
  cpuSeconds: number;
}

/** dpkg began to work on a package. */
export interface DpkgEvent {
  type: 'dpkg';
  action: 'unpack' | 'configure' | 'trigger' | 'remove' | 'purge';
  package: string;
  done: number;
  total: number;
}

/** A line that dpkg or a maintainer script printed. */
export interface OutputEvent {
  type: 'output';
  line: string;
}

/** Something that does not stop the work but that a person should see. */
export interface WarningEvent {
  type: 'warning';
  message: string;
}

/** Packages that the fast road could not take are unpacked again, as they are. */
export interface FallbackEvent {
  type: 'fallback';
  packages: readonly string[];
  /**
   * `content`: a script read, changed or removed files of a package that had only been unpacked,
   * without their content yet; `dpkg`: dpkg refused.
   */
  reason: 'content' | 'dpkg';
  /** Which files, where it is known; relative to the root. */
  paths?: readonly string[];
  /** How many of the last script calls belong to what is thrown away. */
  voided: number;
}

export type { QuestionEvent };

export type ComposeEvent =
  | PhaseStartEvent
  | PhaseEndEvent
  | FetchEvent
  | ImportEvent
  | DpkgEvent
  | ScriptStartEvent
  | ScriptEvent
  | QuestionEvent
  | OutputEvent
  | FallbackEvent
  | WarningEvent;

export type ComposeListener = (event: ComposeEvent) => void;
