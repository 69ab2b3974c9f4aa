/** The real apt-get on the state directory of an AptContext: the answers to compare with. */

import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type RunResult, run } from './run.js';

export interface AptGetOptions {
  /** Default: an empty system. */
  status?: string;
  extendedStates?: string;
  architectures?: readonly string[];
  preferences?: string;
}

/**
 * Runs apt-get with the sources and lists of the context in `directory`. It must not come to
 * installing anything: dpkg would do that to this machine, whatever status file is given.
 */
export async function aptGet(
  directory: string,
  args: readonly string[],
  options: AptGetOptions = {},
): Promise<RunResult> {
  const harmless = ['update', 'download', 'clean', 'indextargets', '-s', '--print-uris'];
  if (!args.some((one) => harmless.includes(one))) {
    throw new Error(`apt-get ${args.join(' ')} could change this machine`);
  }
  const own = path.join(directory, 'apt-get');
  await mkdir(own, { recursive: true });
  const settings: Record<string, string> = {
    'Dir::Etc::main': '/dev/null',
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
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";`);
  const architectures = options.architectures ?? [];
  if (architectures[0]) lines.push(`APT::Architecture "${architectures[0]}";`);
  for (const name of architectures) lines.push(`APT::Architectures:: "${name}";`);
  const file = path.join(own, 'apt.conf');
  await writeFile(file, `${lines.join('\n')}\n`);
  return run('apt-get', args, {
    env: { APT_CONFIG: file, LC_ALL: 'C', LANGUAGE: undefined },
    anyStatus: true,
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

export async function simulate(
  directory: string,
  args: readonly string[],
  options: AptGetOptions = {},
): Promise<Simulation> {
  const { status, stdout, stderr } = await aptGet(directory, ['-s', ...args], options);
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
