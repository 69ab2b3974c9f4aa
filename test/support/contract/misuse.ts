/** Runs misuse-child.ts over a part of the public interface, on and on after each death. */

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { runSandboxed } from '../sandboxed.js';
import { temporaryDirectory } from '../temp.js';
import type { ApiMember } from './api.js';
import type { MisuseReport, MisuseRun } from './misuse-child.js';

/** After this many deaths the rest is not looked at. */
const kDeaths = 20;

export interface MisuseResult {
  calls: number;
  problems: string[];
}

/** Calls all of `members` with bad values; `problems` should be empty. */
export async function misuse(members: ApiMember[], seconds = 240): Promise<MisuseResult> {
  await using directory = await temporaryDirectory('misuse');
  const problems: string[] = [];
  let skip = 0;
  for (let death = 0; death < kDeaths; death += 1) {
    const sandbox = directory.join(String(death));
    const { reports, end, said } = await runChild({ members, sandbox, skip }, seconds);
    const done = reports.find(({ member }) => member === 'done');
    for (const { member, call, problem } of reports) {
      if (member !== 'done') problems.push(`${member}: ${call}: ${problem}`);
    }
    problems.push(...leftovers(sandbox));
    if (done && end === '0') return { calls: Number(done.problem), problems };
    const [number, call] = readFileSync(path.join(sandbox, 'progress'), 'utf8').split('\n');
    problems.push(`ended with ${end} in ${call?.trim()}: ${said}`);
    if (end === 'SIGKILL' || !number || Number(number) <= skip) break;
    skip = Number(number);
  }
  return { calls: skip, problems };
}

/** What calls left in directories for temporary files. */
function leftovers(sandbox: string): string[] {
  return ['tmp', 'var-tmp'].flatMap((name) =>
    readdirSync(path.join(sandbox, name))
      // tsx keeps compiled sources; the other is where the sandbox itself is mounted.
      .filter((entry) => !/^(tsx-|node-compile-cache|apt-ostree-misuse-)/.test(entry))
      .map((entry) => `left behind: ${name}/${entry}`),
  );
}

async function runChild(
  run: MisuseRun,
  seconds: number,
): Promise<{ reports: MisuseReport[]; end: string; said: string }> {
  const { sandbox } = run;
  mkdirSync(sandbox);
  const file = path.join(sandbox, 'run.json');
  writeFileSync(file, JSON.stringify(run));
  const reported = path.join(sandbox, 'reports');
  writeFileSync(reported, '');
  const child = 'test/support/contract/misuse-child.ts';
  const { end, stderr } = await runSandboxed(sandbox, child, file, {
    timeout: seconds * 1000,
    bwrap: ['--cap-drop', 'CAP_SYS_ADMIN'],
    env: { G_DEBUG: 'fatal-criticals' },
  });
  const reports = readFileSync(reported, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as MisuseReport);
  return { reports, end, said: stderr.slice(-1500) };
}
