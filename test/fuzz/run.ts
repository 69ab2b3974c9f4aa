/**
 * Fuzzes for as long as one likes: `npm run test:fuzz -- --seed 7 --runs 10 --target ostree`.
 * `--runs` multiplies the usual number; without a seed each call has another.
 */

import { parseArgs } from 'node:util';
import { fuzz } from '../support/fuzz/run.js';
import { targets } from '../support/fuzz/targets.js';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    runs: { type: 'string', default: '1' },
    target: { type: 'string', default: '' },
  },
});
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
const factor = Number(values.runs);
let failed = false;
for (const target of Object.keys(targets).filter((name) => name.startsWith(values.target))) {
  const started = performance.now();
  const { runs, problem } = await fuzz(target, { seed, factor, limit: 600_000 * factor });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${target}: seed ${seed}, ${runs} runs in ${seconds} s${problem ? ', FAILED' : ''}`);
  if (problem) console.log(problem);
  failed ||= problem !== undefined;
}
process.exitCode = failed ? 1 : 0;
