/** Opening the whole archive's package lists and solving a request, against `apt-get -s`. */

import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { AptContext, hostRelease, readSources, sourcesForRelease } from 'apt-ostree';
import { run } from '../test/support/run.js';
import { measure, median, printComparison } from './measure.js';

const kStatus = '/var/lib/dpkg/status';

export async function benchSolve(directory: string, name: string, rounds: number): Promise<void> {
  const sources = sourcesForRelease(readSources(), hostRelease() ?? 'stable');
  const state = path.join(directory, 'apt');
  await mkdir(state, { recursive: true });
  await using context = await AptContext.create({ directory: state, sources, dpkgStatus: kStatus });
  await context.update();
  // The machine's own caches and lists, as a user's apt-get has them.
  const aptGet = () => run('apt-get', ['-s', 'install', name]);
  const solve = async () => {
    await using cache = await context.open();
    await cache.solve({ install: [name] });
  };
  await aptGet();
  await solve();
  const ours = [];
  const theirs = [];
  for (let round = 0; round < rounds; round++) {
    ours.push(await measure(solve));
    theirs.push(await measure(aptGet));
  }
  printComparison(
    `Opening the lists and solving ${name}`,
    { name: 'apt-ostree', sample: median(ours) },
    [{ name: 'apt-get -s install', sample: median(theirs) }],
  );
}
