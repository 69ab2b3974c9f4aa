/** Fuzzes one target; started by run.ts inside bubblewrap. */

import { readFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { damaged } from './mutate.js';
import { ProbeLog } from './probe.js';
import { targets } from './targets.js';

export interface FuzzRun {
  target: string;
  seed: number;
  /** Times the target's own number of runs. */
  factor: number;
  /** Milliseconds after which no further run begins. */
  limit: number;
  /** Milliseconds after which a call hangs. */
  hang: number;
  /** A directory of its own, the only one that may be written. */
  sandbox: string;
}

export interface FuzzReport {
  runs: number;
  /** What went wrong, with the smallest input found. */
  problem?: string;
}

const run: FuzzRun = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8'));
const target = targets[run.target];
if (!target) throw new Error(`no target ${run.target}`);
const inputs = await target.prepare(path.join(run.sandbox, 'work'));
const probe = new ProbeLog(
  { stderr: path.join(run.sandbox, 'stderr'), progress: path.join(run.sandbox, 'progress') },
  run.hang,
);

// Undamaged first: what fails then is the target itself.
for (const input of inputs) {
  probe.input(`${input.name}, undamaged`);
  await input.read(Buffer.from(input.bytes), probe);
}

const cases = fc
  .nat(inputs.length - 1)
  .chain((index) =>
    fc.record({ index: fc.constant(index), damage: inputs[index]?.damage ?? fc.constant([]) }),
  );
// An interrupted check leaves its last run under way.
let last: Promise<void> = Promise.resolve();
const property = fc.asyncProperty(cases, async ({ index, damage }) => {
  const input = inputs[index];
  if (!input) return;
  const bytes = damaged(input.bytes, damage);
  probe.input(`${input.name} (seed ${run.seed}): ${fc.stringify(damage)}`);
  last = input.read(bytes, probe);
  await last;
});
const settings = { seed: run.seed, markInterruptAsFailure: false };
let result = await fc.check(property, {
  ...settings,
  numRuns: Math.ceil(target.runs * run.factor),
  interruptAfterTimeLimit: run.limit,
});
// On a busy machine the first one may take longer than all may.
if (result.interrupted && result.numRuns === 0) {
  result = await fc.check(property, { ...settings, numRuns: 1 });
}
await last.catch(() => {});
const report: FuzzReport = { runs: result.numRuns };
if (result.failed) {
  const [smallest] = result.counterexample ?? [];
  const input = smallest && inputs[smallest.index];
  report.problem = [
    String((result.errorInstance as Error | null)?.message ?? 'nothing ran'),
    input && `${input.name}: ${fc.stringify(smallest.damage)}`,
    input && damaged(input.bytes, smallest.damage).subarray(0, 2000).toString('latin1'),
  ].join('\n');
}
writeSync(1, `${JSON.stringify(report)}\n`);
process.exit(0);
