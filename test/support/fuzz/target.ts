/** What can be fuzzed. */

import type fc from 'fast-check';
import type { Mutation } from './mutate.js';
import type { Probe } from './probe.js';

/** A sound input, and what reads it. */
export interface FuzzInput {
  name: string;
  bytes: Uint8Array;
  damage: fc.Arbitrary<Mutation[]>;
  /** Reads the damaged bytes in every way there is. */
  read(bytes: Buffer, probe: Probe): Promise<void>;
}

export interface FuzzTarget {
  /** Times the inputs are damaged, unless asked otherwise. */
  runs: number;
  /** Makes sound inputs below a directory of its own. */
  prepare(directory: string): Promise<FuzzInput[]>;
}
