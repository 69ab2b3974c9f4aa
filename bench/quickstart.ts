/** The quickstart as a whole process: time, memory, and how long the event loop ever waited. */

import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../test/support/run.js';

const kScript = fileURLToPath(new URL('../examples/quickstart.ts', import.meta.url));

export async function benchQuickstart(directory: string): Promise<void> {
  const work = path.join(directory, 'quickstart');
  const { stdout } = await run(process.execPath, [
    ...['--import', 'tsx', kScript, '--json', '--directory', work],
  ]);
  const lines: { summary?: Summary }[] = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const summary = lines.find((line) => line.summary !== undefined)?.summary;
  if (!summary) throw new Error('the quickstart printed no summary');
  process.stdout.write('\nThe quickstart, on the real archive\n');
  for (const { step, seconds } of summary.seconds) {
    process.stdout.write(`  ${step.padEnd(40)} ${seconds.toFixed(2).padStart(8)} s\n`);
  }
  process.stdout.write(
    `  longest wait of the event loop ${summary.eventLoopDelayMs} ms (goal 20), peak memory ${summary.peakMegabytes} MB (goal 250)\n`,
  );
}

interface Summary {
  seconds: { step: string; seconds: number }[];
  eventLoopDelayMs: number;
  peakMegabytes: number;
}
