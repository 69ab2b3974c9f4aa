/** Layering by both engines, which must come to one tree. */

import type { ComposeResult } from 'apt-ostree';
import { expect } from 'vitest';
import type { ComposeFixture } from './compose.js';
import { run } from './run.js';

const kTimestamp = new Date(1_700_000_000_000);

/** The same request by the fast engine, then by the reference. */
export async function layerBothWays(
  { composer, repo }: ComposeFixture,
  request: Parameters<ComposeFixture['composer']['layer']>[0],
): Promise<[fast: ComposeResult, reference: ComposeResult]> {
  const layer = (engine: 'fast' | 'reference') =>
    composer.layer({ timestamp: kTimestamp, ...request, engine });
  const [fast, reference] = [await layer('fast'), await layer('reference')];
  const at = `--repo=${repo.path}`;
  const { stdout } = await run('ostree', [at, 'diff', reference.commit, fast.commit]);
  expect(stdout).toBe('');
  const list = async ({ commit }: ComposeResult) =>
    (await run('ostree', [at, 'ls', '-RCX', commit])).stdout;
  expect(await list(fast)).toBe(await list(reference));
  return [fast, reference];
}
