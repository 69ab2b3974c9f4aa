/** What a composition did, kept with its result: script calls, the time of each package, the log. */

import type { ComposeEvent, ComposeListener, FallbackEvent } from './events.js';
import type { Question } from './questions.js';
import { BoundedText, type ScriptEvent } from './scripts.js';

/** Where the time of one package went, in wall-clock seconds. */
export interface PackageTime {
  package: string;
  unpack: number;
  configure: number;
  /** Handling triggers. */
  trigger: number;
  remove: number;
  /** Of all these: inside its scripts. */
  scripts: number;
  /** Sum of the first four. */
  total: number;
}

/** A call of a maintainer script. */
export interface RecordedScript extends ScriptEvent {
  /** Whether the step was thrown away and done again: what it did is not in the tree. */
  voided: boolean;
}

export interface ComposeRecord {
  /** Every maintainer script that was called, in order. */
  scripts: RecordedScript[];
  /** One line for each package that dpkg worked on, the slowest first. */
  packages: PackageTime[];
  /** Questions that scripts wanted answered, each once. */
  questions: Question[];
  /** Steps that were done again with `engine: 'reference'`. */
  fallbacks: FallbackEvent[];
  /** What dpkg and the scripts printed; the middle is left out where it was more than 2 MiB. */
  log: string;
  /** The scratch space, where it is kept. */
  workDirectory?: string;
}

const kLogHalf = 1 << 20;

type Kind = 'unpack' | 'configure' | 'trigger' | 'remove';

/** Listens to a composition and passes every event on. */
export class Recorder {
  readonly #next: ComposeListener | undefined;
  readonly #now: () => number;
  readonly #scripts: RecordedScript[] = [];
  readonly #questions = new Map<string, Question>();
  readonly #packages = new Map<string, PackageTime>();
  readonly #fallbacks: FallbackEvent[] = [];
  readonly #log = new BoundedText(kLogHalf);
  #current: { time: PackageTime; kind: Kind; begin: number } | undefined;

  readonly #architecture: string;

  /**
   * @param architecture that dpkg need not say
   * @param now milliseconds; for tests
   */
  constructor(
    architecture: string,
    next?: ComposeListener,
    now: () => number = () => performance.now(),
  ) {
    this.#architecture = architecture;
    this.#next = next;
    this.#now = now;
  }

  readonly listener = (event: ComposeEvent): void => {
    switch (event.type) {
      case 'dpkg':
        this.#stop();
        this.#current = {
          time: this.#time(event.package),
          kind: event.action === 'purge' ? 'remove' : event.action,
          begin: this.#now(),
        };
        break;
      case 'phase-end':
        this.#stop();
        break;
      case 'script': {
        this.#scripts.push({ ...event, voided: false });
        this.#time(event.package).scripts += event.seconds;
        break;
      }
      case 'question': {
        const { type: _, ...question } = event;
        this.#questions.set(`${question.package} ${question.question}`, question);
        break;
      }
      case 'fallback':
        this.#fallbacks.push(event);
        // slice(-0) would be all of them.
        for (const call of event.voided > 0 ? this.#scripts.slice(-event.voided) : []) {
          call.voided = true;
        }
        break;
      case 'output':
        this.#log.add(event.line);
        break;
    }
    this.#next?.(event);
  };

  get record(): ComposeRecord {
    this.#stop();
    return {
      scripts: this.#scripts,
      packages: [...this.#packages.values()].sort((a, b) => b.total - a.total),
      questions: [...this.#questions.values()],
      fallbacks: this.#fallbacks,
      log: this.#log.toString(),
    };
  }

  #time(name: string): PackageTime {
    // dpkg says the architecture in some places and not in others.
    const [plain = name, architecture] = name.split(':');
    const key = architecture === 'all' || architecture === this.#architecture ? plain : name;
    let time = this.#packages.get(key);
    if (!time) {
      const none = { unpack: 0, configure: 0, trigger: 0, remove: 0, scripts: 0, total: 0 };
      time = { package: key, ...none };
      this.#packages.set(key, time);
    }
    return time;
  }

  #stop(): void {
    if (!this.#current) return;
    const { time, kind, begin } = this.#current;
    const seconds = Math.max(0, this.#now() - begin) / 1000;
    time[kind] += seconds;
    time.total += seconds;
    this.#current = undefined;
  }
}
