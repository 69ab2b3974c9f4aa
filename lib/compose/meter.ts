/** Wall-clock and CPU time of phases. */

import { readFileSync } from 'node:fs';
import type { ComposeListener, ComposePhase } from './events.js';
import { sandboxCpuSeconds } from './sandbox.js';

/** One phase of a finished composition. */
export interface PhaseTime {
  phase: ComposePhase;
  /** Wall-clock seconds. */
  seconds: number;
  /** CPU seconds, children included. */
  cpuSeconds: number;
}

/** Clock ticks per second in /proc; fixed at 100 for user space on Linux (proc(5), sysconf(3)). */
const kTicks = 100;

/** CPU seconds of this process, of its children that have ended (proc(5), stat) and of sandboxes. */
export function cpuSeconds(): number {
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // utime, stime, cutime, cstime: fields 14 to 17, counted from the first.
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return ticks / kTicks + sandboxCpuSeconds();
}

export class Meter {
  readonly #times = new Map<ComposePhase, PhaseTime>();
  readonly #onEvent: ComposeListener | undefined;

  constructor(onEvent?: ComposeListener) {
    this.#onEvent = onEvent;
  }

  /** The sum for each phase, in the order they first began. */
  get times(): PhaseTime[] {
    return [...this.#times.values()];
  }

  async measure<T>(phase: ComposePhase, work: () => Promise<T>): Promise<T> {
    this.#onEvent?.({ type: 'phase-start', phase });
    const wall = performance.now();
    const cpu = cpuSeconds();
    try {
      return await work();
    } finally {
      const seconds = (performance.now() - wall) / 1000;
      const used = cpuSeconds() - cpu;
      const sum = this.#times.get(phase) ?? { phase, seconds: 0, cpuSeconds: 0 };
      sum.seconds += seconds;
      sum.cpuSeconds += used;
      this.#times.set(phase, sum);
      this.#onEvent?.({ type: 'phase-end', phase, seconds, cpuSeconds: used });
    }
  }
}
