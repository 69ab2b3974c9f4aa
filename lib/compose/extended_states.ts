/**
 * apt's record of packages that came in as dependencies only (`Dir::State::extended_states`), so
 * that apt on a machine, and the next solution here, can tell them from what was asked for.
 */

import type { AptPlanPackage } from '../apt/cache.js';

/** Where apt keeps it, in the root form. */
export const kExtendedStates = 'var/lib/apt/extended_states';

const kAutomatic = /^Auto-Installed: 1$/m;

/** The file after a plan has been carried out; apt writes it the same way. */
export function updateExtendedStates(
  before: string,
  packages: readonly AptPlanPackage[],
  nativeArchitecture: string,
): string {
  const marks = new Set<string>();
  for (const stanza of before.split('\n\n')) {
    const name = /^Package: (.*)$/m.exec(stanza)?.[1];
    const architecture = /^Architecture: (.*)$/m.exec(stanza)?.[1] ?? nativeArchitecture;
    if (name && kAutomatic.test(stanza)) marks.add(`${name} ${architecture}`);
  }
  for (const { name, architecture, action, auto } of packages) {
    // apt files packages for all architectures under the native one.
    const id = `${name} ${architecture === 'all' ? nativeArchitecture : architecture}`;
    const gone = action === 'remove' || action === 'purge';
    if (gone || !auto) marks.delete(id);
    else marks.add(id);
  }
  return [...marks]
    .sort()
    .map((mark) => {
      const [name, architecture] = mark.split(' ');
      return `Package: ${name}\nArchitecture: ${architecture}\nAuto-Installed: 1\n\n`;
    })
    .join('');
}
