/** Makes a test of each fuzz target. */

import { expect, test } from 'vitest';
import { fuzz } from './run.js';
import { targets } from './targets.js';

/**
 * Of the targets whose name begins with `prefix`. `APT_OSTREE_FUZZ_SEED` and `APT_OSTREE_FUZZ_RUNS`
 * (times the usual number) make a test run look elsewhere.
 */
export function fuzzTests(prefix: string): void {
  const { APT_OSTREE_FUZZ_SEED: seed, APT_OSTREE_FUZZ_RUNS: factor } = process.env;
  const options = {
    ...(seed && { seed: Number(seed) }),
    ...(factor && { factor: Number(factor), limit: 2000 * Number(factor) }),
  };
  const chosen = Object.keys(targets).filter((name) => name.startsWith(`${prefix}.`));
  test.each(chosen)('%s', { timeout: 600_000 }, async (target) => {
    const { problem } = await fuzz(target, options);
    expect(problem).toBeUndefined();
  });
}
