/** The real apt-get on the state directory of an AptContext: the answers to compare with. */

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { AptPlan } from 'apt-ostree/apt';
import { type RunResult, run } from './run.js';

export interface AptGetOptions {
  /** Default: an empty system. */
  status?: string;
  extendedStates?: string;
  architectures?: readonly string[];
  preferences?: string;
  /** Further options of apt.conf. */
  config?: Readonly<Record<string, string>>;
  /**
   * Not to wait for the simulated dpkg where more packages than this change: it doubles the time,
   * and takes seconds for hundreds. `Simulation.steps` is then empty.
   */
  patience?: number;
}

/** What apt ships for `autoremove`, beside what its libraries know. */
const kAutoremove = '/etc/apt/apt.conf.d/01autoremove';

/** Makes apt's tools, python-apt among them, use the sources and lists of a context. */
export async function aptEnvironment(
  directory: string,
  options: AptGetOptions = {},
): Promise<Record<string, string | undefined>> {
  const own = path.join(directory, 'apt-get');
  await mkdir(own, { recursive: true });
  const settings: Record<string, string> = {
    'Dir::Etc::main': existsSync(kAutoremove) ? kAutoremove : '/dev/null',
    'Dir::Etc::parts': '/dev/null',
    'Dir::State': directory,
    'Dir::State::lists': path.join(directory, 'lists'),
    'Dir::State::status': options.status ?? path.join(own, 'no-status'),
    'Dir::State::extended_states': options.extendedStates ?? path.join(own, 'no-states'),
    'Dir::Cache': own,
    'Dir::Cache::archives': path.join(directory, 'archives'),
    'Dir::Etc::sourcelist': path.join(directory, 'etc/context.sources'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::Etc::preferences': options.preferences ?? '/dev/null',
    'Dir::Etc::preferencesparts': '/dev/null',
    'Dir::Etc::trusted': '/dev/null',
    'Dir::Etc::trustedparts': '/dev/null',
    'Dir::Log::Planner': '/dev/null',
    'Dir::Bin::dpkg': '/bin/false',
    'Debug::NoLocking': 'true',
    'Acquire::Languages': 'none',
    ...options.config,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";`);
  const architectures = options.architectures ?? [];
  if (architectures[0]) lines.push(`APT::Architecture "${architectures[0]}";`);
  for (const name of architectures) lines.push(`APT::Architectures:: "${name}";`);
  const text = `${lines.join('\n')}\n`;
  // Several may run at the same time.
  const file = path.join(own, `apt-${createHash('sha256').update(text).digest('hex')}.conf`);
  if (!existsSync(file)) {
    await writeFile(`${file}.${process.pid}.${lines.length}`, text);
    await rename(`${file}.${process.pid}.${lines.length}`, file);
  }
  return { APT_CONFIG: file, LC_ALL: 'C', LANGUAGE: undefined };
}

/**
 * Runs apt-get with the sources and lists of the context in `directory`. It must not come to
 * installing anything: dpkg would do that to this machine, whatever status file is given.
 */
export async function aptGet(
  directory: string,
  args: readonly string[],
  options: AptGetOptions = {},
  enough?: (chunk: string) => boolean,
): Promise<RunResult> {
  const harmless = ['update', 'download', 'clean', 'indextargets', '-s', '--print-uris'];
  if (!args.some((one) => harmless.includes(one))) {
    throw new Error(`apt-get ${args.join(' ')} could change this machine`);
  }
  // Line by line where somebody listens.
  const command = enough ? ['stdbuf', '-oL', 'apt-get'] : ['apt-get'];
  const [program = '', ...words] = [...command, ...args];
  return run(program, words, {
    env: await aptEnvironment(directory, options),
    anyStatus: true,
    enough,
  });
}

/** What `apt-get -s` would do. */
export interface Simulation {
  ok: boolean;
  /** `+name=version` comes or changes, `-name` goes; sorted. */
  changes: string[];
  /** The steps in apt-get's order: `unpack name`, `configure name`, `remove name`, `purge name`. */
  steps: string[];
  output: string;
}

/** The headings of what apt-get says before it simulates. */
const kHeadings: Record<string, '+' | '-'> = {
  'The following NEW packages will be installed:': '+',
  'The following packages will be upgraded:': '+',
  'The following packages will be DOWNGRADED:': '+',
  'The following packages will be REMOVED:': '-',
};

function summarised(stdout: string): string[] {
  const changes: string[] = [];
  let sign: '+' | '-' | undefined;
  for (const line of stdout.split('\n')) {
    if (!line.startsWith(' ')) sign = kHeadings[line];
    const match = /^ +(\S+?)\*? ?(?:\((?:\S+ => )?(\S+)\))?$/.exec(line);
    if (sign === undefined || !match) continue;
    changes.push(sign === '+' ? `+${match[1]}=${match[2]}` : `-${match[1]}`);
  }
  return changes;
}

/** The changes of a plan, as those of a simulation. */
export function changesOf({ packages }: Pick<AptPlan, 'packages'>): string[] {
  return packages
    .map(({ name, version, action }) =>
      action === 'remove' || action === 'purge' ? `-${name}` : `+${name}=${version}`,
    )
    .sort();
}

export async function simulate(
  directory: string,
  args: readonly string[],
  options: AptGetOptions = {},
): Promise<Simulation> {
  const { patience } = options;
  let seen = '';
  let decided = false;
  let impatient = false;
  const enough = (chunk: string) => {
    if (decided) return false;
    seen += chunk;
    // The last words before the simulation.
    decided = /^\d+ upgraded, .*\n/m.test(seen);
    impatient = decided && summarised(seen).length > (patience ?? 0);
    return impatient;
  };
  const { status, stdout, stderr } = await aptGet(
    directory,
    ['-s', ...(patience === undefined ? [] : ['-V']), ...args],
    options,
    patience === undefined ? undefined : enough,
  );
  if (impatient) {
    const changes = [...new Set(summarised(seen))].sort();
    return { ok: true, changes, steps: [], output: stdout + stderr };
  }
  const changes: string[] = [];
  const steps: string[] = [];
  const verbs: Record<string, string> = {
    Inst: 'unpack',
    Conf: 'configure',
    Remv: 'remove',
    Purg: 'purge',
  };
  for (const line of stdout.split('\n')) {
    const match = /^(Inst|Conf|Remv|Purg) (\S+)(?: \[[^\]]*\])?(?: \((\S+))?/.exec(line);
    const [, verb = '', name, version] = match ?? [];
    if (!name) continue;
    steps.push(`${verbs[verb]} ${name}`);
    if (verb === 'Inst') changes.push(`+${name}=${version}`);
    if (verb === 'Remv' || verb === 'Purg') changes.push(`-${name}`);
  }
  return {
    ok: status === 0,
    changes: [...new Set(changes)].sort(),
    steps,
    output: stdout + stderr,
  };
}
