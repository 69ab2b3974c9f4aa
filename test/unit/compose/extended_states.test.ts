import { describe, expect, it } from 'vitest';
import type { AptPlanPackage } from '../../../lib/apt/cache.js';
import { updateExtendedStates } from '../../../lib/compose/extended_states.js';

function entry(name: string, more: Partial<AptPlanPackage> = {}): AptPlanPackage {
  return { name, architecture: 'amd64', action: 'install', auto: true, ...more } as AptPlanPackage;
}

const stanza = (name: string, architecture = 'amd64') =>
  `Package: ${name}\nArchitecture: ${architecture}\nAuto-Installed: 1\n\n`;

describe('updateExtendedStates', () => {
  it('adds dependencies and leaves requests out', () => {
    const packages = [entry('lib', { architecture: 'all' }), entry('tool', { auto: false })];
    expect(updateExtendedStates('', packages, 'amd64')).toBe(stanza('lib'));
  });

  it('keeps what was there, forgets what goes, and what is asked for now', () => {
    const before = stanza('kept') + stanza('gone') + stanza('asked') + stanza('foreign', 'i386');
    const packages = [
      entry('gone', { action: 'remove' }),
      entry('asked', { action: 'upgrade', auto: false }),
    ];
    expect(updateExtendedStates(before, packages, 'amd64')).toBe(
      stanza('foreign', 'i386') + stanza('kept'),
    );
  });

  it('drops stanzas that say not automatic', () => {
    const before = 'Package: a\nArchitecture: amd64\nAuto-Installed: 0\n\n';
    expect(updateExtendedStates(before, [], 'amd64')).toBe('');
  });
});
