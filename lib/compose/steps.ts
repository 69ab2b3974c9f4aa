/**
 * From apt's order of operations to as few runs of dpkg as it allows: one run for unpacking, one
 * for configuring, unless a Pre-Depends or a removal forces a cut.
 */

import type { AptPlan, AptPlanPackage } from '../apt/cache.js';

export type Step =
  | { kind: 'unpack'; packages: readonly AptPlanPackage[] }
  /** Without packages: everything that is pending, and the triggers. */
  | { kind: 'configure'; packages?: readonly string[] }
  | { kind: 'remove'; packages: readonly string[]; purge: boolean };

/** @param exact as apt calls dpkg: no operation before or after another of a different kind */
export function planSteps(plan: AptPlan, nativeArchitecture: string, exact = false): Step[] {
  // dpkg wants the architecture only where a name alone could mean two packages.
  const packageId = (entry: { name: string; architecture: string }) =>
    entry.architecture === nativeArchitecture || entry.architecture === 'all'
      ? entry.name
      : key(entry);
  const byName = new Map(plan.packages.map((entry) => [key(entry), entry]));
  const steps: Step[] = [];
  /** Of what is unpacked, by name: a Pre-Depends does not say of which architecture. */
  const waiting = new Map<string, Set<string>>();
  for (const entry of plan.packages) {
    if (entry.action === 'remove' || entry.action === 'purge') continue;
    const keys = waiting.get(entry.name) ?? new Set();
    waiting.set(entry.name, keys.add(key(entry)));
  }
  let unpack: AptPlanPackage[] = [];
  let configure: { name: string; key: string; id: string }[] = [];

  const flushUnpack = () => {
    if (unpack.length > 0) steps.push({ kind: 'unpack', packages: unpack });
    unpack = [];
  };
  const flushConfigure = () => {
    if (configure.length > 0) {
      steps.push({ kind: 'configure', packages: configure.map(({ id }) => id) });
      for (const { name, key: done } of configure) waiting.get(name)?.delete(done);
    }
    configure = [];
  };

  for (const operation of plan.operations) {
    const { action, name } = operation;
    if (action === 'unpack') {
      const entry = byName.get(key(operation));
      if (!entry) throw new TypeError(`The plan unpacks ${name}, which it does not list`);
      const waits = entry.preDepends.some((needed) => (waiting.get(needed)?.size ?? 0) > 0);
      if (waits || (exact && configure.length > 0)) {
        flushUnpack();
        flushConfigure();
      }
      unpack.push(entry);
    } else if (action === 'configure') {
      configure.push({ name, key: key(operation), id: packageId(operation) });
    } else {
      flushUnpack();
      flushConfigure();
      const last = steps.at(-1);
      const purge = action === 'purge';
      const id = packageId(operation);
      if (last?.kind === 'remove' && last.purge === purge) {
        steps[steps.length - 1] = { ...last, packages: [...last.packages, id] };
      } else {
        steps.push({ kind: 'remove', packages: [id], purge });
      }
    }
  }
  flushUnpack();
  steps.push({ kind: 'configure' });
  return steps;
}

function key(entry: { name: string; architecture: string }): string {
  return `${entry.name}:${entry.architecture}`;
}
