import { describe, expect, it } from 'vitest';
import { diffPackages, parseStatus } from '../../../lib/compose/database.js';

const kStatus = `Package: b
Status: install ok installed
Architecture: amd64
Version: 1:2.0-1

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: a
Status: install ok installed
Description: short
 Package: not-a-field
Architecture: all
Version: 3~rc1
`;

describe('parseStatus', () => {
  it('gives installed packages, by name', () => {
    expect(parseStatus(kStatus)).toEqual([
      { name: 'a', version: '3~rc1', architecture: 'all' },
      { name: 'b', version: '1:2.0-1', architecture: 'amd64' },
    ]);
  });

  it('gives nothing for an empty database', () => {
    expect(parseStatus('')).toEqual([]);
  });
});

describe('diffPackages', () => {
  it('sorts changes into added, removed, upgraded and downgraded', () => {
    const entry = (name: string, version: string) => ({ name, version, architecture: 'amd64' });
    const from = [entry('down', '2'), entry('old', '1'), entry('same', '1'), entry('up', '1')];
    const to = [entry('down', '1'), entry('new', '1'), entry('same', '1'), entry('up', '2')];
    const difference = diffPackages(from, to, (a, b) => Number(a) - Number(b));
    expect(difference).toEqual({
      added: [entry('new', '1')],
      removed: [entry('old', '1')],
      upgraded: [{ name: 'up', architecture: 'amd64', from: '1', to: '2' }],
      downgraded: [{ name: 'down', architecture: 'amd64', from: '2', to: '1' }],
    });
  });
});
