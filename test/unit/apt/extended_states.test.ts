import { describe, expect, it } from 'vitest';
import { type AutoMark, updateExtendedStates } from '../../../lib/apt/extended_states.js';

const mark = (name: string, auto: boolean, architecture = 'amd64'): AutoMark => ({
  name,
  architecture,
  auto,
});

const stanza = (name: string, architecture = 'amd64') =>
  `Package: ${name}\nArchitecture: ${architecture}\nAuto-Installed: 1\n\n`;

describe('updateExtendedStates', () => {
  it('adds dependencies and leaves requests out', () => {
    const marks = [mark('lib', true, 'all'), mark('tool', false)];
    expect(updateExtendedStates('', marks, 'amd64')).toBe(stanza('lib'));
  });

  it('keeps what was there, forgets what goes, and what is asked for now', () => {
    const before = stanza('kept') + stanza('gone') + stanza('asked') + stanza('foreign', 'i386');
    const marks = [mark('gone', false), mark('asked', false)];
    expect(updateExtendedStates(before, marks, 'amd64')).toBe(
      stanza('foreign', 'i386') + stanza('kept'),
    );
  });

  it('drops stanzas that say not automatic', () => {
    const before = 'Package: a\nArchitecture: amd64\nAuto-Installed: 0\n\n';
    expect(updateExtendedStates(before, [], 'amd64')).toBe('');
  });

  it('keeps fields that it does not know', () => {
    const before = 'Package: a\nArchitecture: amd64\nAuto-Installed: 1\nX-Note: ours\n\n';
    expect(updateExtendedStates(before, [mark('a', false)], 'amd64')).toBe(
      before.replace('Installed: 1', 'Installed: 0'),
    );
    expect(updateExtendedStates(before, [mark('a', true)], 'amd64')).toBe(before);
  });
});
