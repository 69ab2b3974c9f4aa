/** What work costs, and how long the event loop did not turn meanwhile. */

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { measure, type Sample } from './measure.js';

export interface Watched extends Sample {
  /** The longest time for which the event loop did not turn, in milliseconds. */
  delay: number;
}

/** The monitor samples every millisecond, and takes that much for granted. */
const kResolution = 1;

export async function watched<T>(work: () => Promise<T>): Promise<Watched & { result: T }> {
  const delays = monitorEventLoopDelay({ resolution: kResolution });
  delays.enable();
  // What came before is no part of it.
  await sleep(10);
  delays.reset();
  const sample = await measure(work);
  delays.disable();
  return { ...sample, delay: Math.max(0, delays.max / 1e6 - kResolution) };
}
