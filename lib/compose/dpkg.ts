/** dpkg in the sandbox: how it is called, what it tells, what its failures mean. */

import { ComposeError } from '../errors.js';
import type { DpkgEvent } from './events.js';
import { throwIfDiskFull } from './sandbox.js';
import { kDebugScripts } from './scripts.js';
import { runScripts, type SupervisedRun } from './supervise.js';

/** Where the packages to unpack are seen inside. */
export const kDebsInside = '/run/apt-ostree/debs';

const kAlways = [
  '--status-fd',
  '3',
  kDebugScripts,
  // The tree is private until it is a commit, which is synced as a whole.
  '--force-unsafe-io',
  // Nobody answers questions: a file changed in the tree stays as it is.
  '--force-confdef',
  '--force-confold',
];

/** Arguments for unpacking files of `kDebsInside`, in this order. */
export function unpackCommand(files: readonly string[], options: readonly string[] = []): string[] {
  return [
    'dpkg',
    ...kAlways,
    ...options,
    '--no-triggers',
    '--auto-deconfigure',
    '--unpack',
    ...files.map((file) => `${kDebsInside}/${file}`),
  ];
}

/** Arguments for configuring everything unpacked, then all triggers once. */
export function configureCommand(): string[] {
  return ['dpkg', ...kAlways, '--configure', '--pending'];
}

/** Arguments for configuring some packages before others are unpacked. */
export function configureSomeCommand(
  packages: readonly string[],
  options: readonly string[] = [],
): string[] {
  return ['dpkg', ...kAlways, ...options, '--configure', ...packages];
}

/** Arguments for removing packages, with their configuration files if `purge`. */
export function removeCommand(packages: readonly string[], purge: boolean): string[] {
  return [
    'dpkg',
    ...kAlways,
    // The solver has decided; the order of a group needs not satisfy dpkg at every moment.
    '--force-depends',
    '--force-remove-essential',
    '--force-remove-protected',
    purge ? '--purge' : '--remove',
    ...packages,
  ];
}

export interface DpkgRun extends Omit<SupervisedRun, 'onStatus'> {
  /** How many packages the run is about, for progress. */
  total: number;
}

/**
 * Runs dpkg.
 *
 * @throws `ERR_COMPOSE_SCRIPT` where a maintainer script failed, `ERR_COMPOSE_DPKG` for anything
 *   else that dpkg refused; `package` and `output` say which and what it printed. `ENOSPC` where
 *   the file system is full.
 */
export async function runDpkg(run: DpkgRun): Promise<void> {
  const { total, ...supervised } = run;
  const { archives = [], onEvent } = run;
  const failures: { package: string; message: string }[] = [];
  const seen = new Set<string>();
  const result = await runScripts({
    ...supervised,
    onStatus: (line) => {
      const failure = /^status: (\S+) : error : (.*)$/.exec(line);
      if (failure) {
        const [, name = '', message = ''] = failure;
        // Of what it was unpacking, dpkg tells the file.
        const index = /(\d+)\.deb$/.exec(name)?.[1];
        failures.push({ package: archives[Number(index)] ?? name, message });
      }
      const event = toEvent(line);
      if (!event || !onEvent) return;
      seen.add(`${event.action} ${event.package}`);
      onEvent({ ...event, done: Math.min(seen.size, total), total });
    },
  });
  if (result.exitCode === 0) return;
  const first = failures[0];
  throwIfDiskFull(result.tail, run.upper, first?.package);
  const script = first && /subprocess|script/.test(first.message);
  const name = result.lastScript?.script;
  throw new ComposeError(
    script ? 'ERR_COMPOSE_SCRIPT' : 'ERR_COMPOSE_DPKG',
    first
      ? `${first.package}: ${first.message}`
      : `dpkg ended with status ${result.exitCode}: ${result.tail.split('\n').at(-1) ?? ''}`,
    { package: first?.package, ...(script && name ? { script: name } : {}), output: result.tail },
  );
}

const kActions: Readonly<Record<string, DpkgEvent['action']>> = {
  install: 'unpack',
  upgrade: 'unpack',
  configure: 'configure',
  trigproc: 'trigger',
  remove: 'remove',
  purge: 'purge',
  disappear: 'remove',
};

function toEvent(line: string): Omit<DpkgEvent, 'done' | 'total'> | undefined {
  const match = /^processing: (\S+): (\S+)$/.exec(line);
  const action = kActions[match?.[1] ?? ''];
  return match && action ? { type: 'dpkg', action, package: match[2] ?? '' } : undefined;
}
