/** Wall-clock and CPU time of work in this process and its children, and tables of it. */

import { cpuSeconds } from '../lib/compose/meter.js';

export interface Sample {
  /** Wall-clock seconds. */
  wall: number;
  /** CPU seconds, children included. */
  cpu: number;
}

export async function measure<T>(work: () => Promise<T>): Promise<Sample & { result: T }> {
  const cpu = cpuSeconds();
  const start = performance.now();
  const result = await work();
  return { wall: (performance.now() - start) / 1000, cpu: cpuSeconds() - cpu, result };
}

/** The sample with the median wall time. */
export function median<S extends Sample>(samples: readonly S[]): S {
  const sorted = [...samples].sort((a, b) => a.wall - b.wall);
  const middle = sorted[Math.floor((sorted.length - 1) / 2)];
  if (!middle) throw new RangeError('no samples');
  return middle;
}

export interface Row {
  name: string;
  sample: Sample;
}

/** Prints ours first, then each rival with `rival / ours`: above 1 we are faster. */
export function printComparison(title: string, ours: Row, rivals: readonly Row[]): void {
  const width = Math.max(...[ours, ...rivals].map(({ name }) => name.length));
  const line = ({ name, sample }: Row, ratio: string) =>
    `  ${name.padEnd(width)}  ${sample.wall.toFixed(3).padStart(9)} s  cpu ${sample.cpu.toFixed(2).padStart(7)} s  ${ratio}`;
  process.stdout.write(`\n${title}\n${line(ours, '')}\n`);
  for (const rival of rivals) {
    const wall = (rival.sample.wall / ours.sample.wall).toFixed(2);
    const cpu = (rival.sample.cpu / Math.max(ours.sample.cpu, 0.01)).toFixed(2);
    process.stdout.write(`${line(rival, `${wall}x wall, ${cpu}x cpu`)}\n`);
  }
}

export function printPhases(
  phases: readonly { phase: string; seconds: number; cpuSeconds: number }[],
): void {
  for (const { phase, seconds, cpuSeconds: cpu } of phases) {
    process.stdout.write(
      `      ${phase.padEnd(10)} ${seconds.toFixed(3).padStart(8)} s  cpu ${cpu.toFixed(2).padStart(6)} s\n`,
    );
  }
}
