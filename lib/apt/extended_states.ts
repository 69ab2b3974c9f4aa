/**
 * apt's record of packages that came in as dependencies only (`Dir::State::extended_states`), so
 * that apt on a machine, and the next solution here, can tell them from what was asked for.
 */

import { Deb822 } from './deb822.js';

/** A package, and whether it is there only because something needs it. */
export interface AutoMark {
  name: string;
  architecture: string;
  auto: boolean;
}

const kOwn = new Set(['package', 'architecture', 'auto-installed']);

/**
 * The file with these marks in it, as apt writes it but by name: the same marks make the same file.
 * What it says of other packages, and further fields, are kept.
 */
export function updateExtendedStates(
  before: string,
  marks: Iterable<AutoMark>,
  nativeArchitecture: string,
): string {
  // apt files packages for all architectures under the native one.
  const key = (name: string, architecture: string) =>
    `${name} ${architecture === 'all' ? nativeArchitecture : architecture}`;
  const stanzas = new Map<string, string>();
  const wanted = new Map<string, boolean>();
  for (const { name, architecture, auto } of marks) wanted.set(key(name, architecture), auto);
  for (const stanza of Deb822.parse(before).stanzas) {
    const id = key(stanza.get('Package') ?? '', stanza.get('Architecture') ?? nativeArchitecture);
    const auto = wanted.get(id) ?? stanza.get('Auto-Installed') === '1';
    wanted.delete(id);
    if (!auto && stanza.names().every((name) => kOwn.has(name.toLowerCase()))) continue;
    stanza.set('Auto-Installed', auto ? '1' : '0');
    stanzas.set(id, stanza.toString().trimEnd());
  }
  for (const [id, auto] of wanted) {
    const [name, architecture] = id.split(' ');
    if (auto) stanzas.set(id, `Package: ${name}\nArchitecture: ${architecture}\nAuto-Installed: 1`);
  }
  return [...stanzas.keys()]
    .sort()
    .map((id) => `${stanzas.get(id)}\n\n`)
    .join('');
}
