/**
 * `npm run test:differential`: layering against apt-get, on real packages.
 *
 *   --packages a,b+c  compare a alone, then b and c together
 *   --sets FILE       the same, one set a line
 *   --foreign i386    also packages of this architecture
 *   --cache DIR       where package files are kept
 *   --text            and, for text files, the lines
 *   --allowed         and what a rule allows
 *   --show N          so many differences of each set (40)
 *
 * Sets are written as `sets.ts` says.
 */

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Repo } from 'apt-ostree';
import { obstacle } from '../support/mirror.js';
import { run } from '../support/run.js';
import { temporaryDirectory } from '../support/temp.js';
import { kAllowed, kTexts } from './allowed.js';
import { archiveOf, kBasePackages } from './archive.js';
import { type Comparison, Differential } from './compare.js';
import { compareSteps, packagesOf } from './sets.js';

/** Cheap packages whose scripts do what is hard: alternatives, users, capabilities, debconf. */
const kSelection = ['htop', 'mawk gawk', 'iputils-ping', 'sudo', 'mksh', 'tcpdump', 'molly-guard'];

const { values } = parseArgs({
  options: {
    packages: { type: 'string' },
    sets: { type: 'string' },
    foreign: { type: 'string' },
    cache: { type: 'string', default: '/var/tmp/apt-ostree-differential' },
    text: { type: 'boolean', default: false },
    allowed: { type: 'boolean', default: false },
    show: { type: 'string', default: '40' },
  },
});

/** Reasons of rules that allowed something. */
const used = new Set<string>();
const print = (line: string) => process.stdout.write(`${line}\n`);
const reason = await obstacle();
if (reason === undefined) process.exitCode = await main();
else print(`differential: not run, ${reason}`);

async function main(): Promise<number> {
  const lines = [
    ...(values.packages?.replaceAll('+', ' ').split(',') ?? []),
    ...(values.sets ? (await readFile(values.sets, 'utf8')).split('\n') : []),
  ].filter((line) => line.trim() !== '');
  const sets = (lines.length > 0 ? lines : kSelection).map((line) => line.trim().split(/\s+/));
  const foreign = values.foreign?.split(',') ?? [];
  await using archive = await archiveOf(sets.flatMap(packagesOf), foreign, values.cache);
  for (const [set, why] of archive.impossible) print(`${set.join(' ')}: IMPOSSIBLE ${why}`);
  await using directory = await temporaryDirectory('differential');
  await using repo = await Repo.create(directory.join('repo'), 'bare');
  const differential = new Differential(repo, archive, directory.path, foreign);
  const base = await differential.base(kBasePackages);
  let failed = 0;
  for (const set of sets) {
    if (!(await compareSet(differential, base, set, archive.older))) failed += 1;
  }
  for (const rule of [...kAllowed, ...kTexts].map(({ reason: why }) => why)) {
    if (values.sets && !used.has(rule)) print(`rule without a use: ${rule}`);
  }
  print(`${sets.length} sets, ${failed} differ`);
  return failed === 0 ? 0 : 1;
}

/** Whether every step of the set gives what apt-get gives. */
async function compareSet(
  differential: Differential,
  base: string,
  set: readonly string[],
  older: ReadonlyMap<string, string>,
): Promise<boolean> {
  let same = true;
  try {
    for await (const { name, result } of compareSteps(differential, base, set, older)) {
      same = (await report(name, result)) && same;
    }
    return same;
  } catch (error) {
    const { stack, output } = error as Error & { output?: string };
    print([`${set.join(' ')}: FAILED ${stack}`, output ?? ''].join('\n'));
    return false;
  }
}

async function report(name: string, result: Comparison): Promise<boolean> {
  const { differences, tolerated, paths, complaints, fallbacks, seconds } = result;
  const same = differences.length + complaints.length === 0;
  for (const { reason: why } of tolerated) used.add(why);
  print(
    `${name}: ${same ? 'same' : 'DIFFERS'}, ${differences.length} of ${paths} paths differ, ` +
      `${tolerated.length} allowed, ${fallbacks.length} steps done again, ` +
      `${seconds.ours.toFixed(1)} s against ${seconds.theirs.toFixed(1)} s`,
  );
  for (const { path: file, ours, theirs } of differences.slice(0, Number(values.show))) {
    print(`    ${file}\n      ours   ${ours ?? '-'}\n      theirs ${theirs ?? '-'}`);
    if (values.text && ours?.startsWith('f') && theirs?.startsWith('f')) {
      print(await lineDifference(file, result.roots));
    }
  }
  for (const { packages, reason: why, paths: read } of fallbacks) {
    print(`    again: ${packages.join(' ')}: ${why} ${read?.join(' ') ?? ''}`);
  }
  if (values.allowed) {
    for (const { path: file, reason: why } of tolerated) print(`    allowed: ${file}: ${why}`);
  }
  for (const line of complaints) print(`    complaint: ${line}`);
  return same;
}

/** At most 40 lines of diff. */
async function lineDifference(
  file: string,
  roots: { ours: string; theirs: string },
): Promise<string> {
  const theirs = path.join(roots.theirs, file);
  const right = existsSync(theirs) ? theirs : '/dev/null';
  const left = path.join(roots.ours, file);
  const { stdout } = await run('diff', ['-U1', '--', left, right], { anyStatus: true });
  return stdout
    .split('\n')
    .slice(2, 42)
    .map((line) => `      ${line}`)
    .join('\n');
}
