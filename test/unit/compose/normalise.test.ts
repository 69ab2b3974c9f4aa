import { describe, expect, it } from 'vitest';
import { kFactoryVar } from '../../../lib/compose/layout.js';
import { tmpfiles } from '../../../lib/compose/normalise.js';
import type { TreeEntry } from '../../../lib/ostree/tree_entry.js';

function entry(path: string, more: Partial<TreeEntry> = {}): TreeEntry {
  return {
    path: `${kFactoryVar}${path}`,
    type: 'file',
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: 0,
    ...more,
  };
}

describe('tmpfiles', () => {
  it('writes a line for every entry of /var, parents first', () => {
    const edit = tmpfiles(
      [
        entry('/mail', { type: 'directory', mode: 0o2775, gid: 8 }),
        entry('/lib/app/db'),
        entry('/lib/app', { type: 'directory', mode: 0o750, uid: 33 }),
        entry('/run', { type: 'symlink', target: '/run' }),
        entry('/odd name%', { type: 'directory', mode: 0o755 }),
        entry("/o'clock"),
      ],
      ['vendor'],
    );
    if (edit.op !== 'file') throw new Error('not a file');
    expect(String(edit.content).trimEnd().split('\n').slice(1)).toEqual([
      'L+ /var/lib/dpkg - - - - ../../usr/lib/sysimage/dpkg',
      'L /var/opt/vendor - - - - ../../usr/lib/opt/vendor',
      'd /var/lib/app 0750 33 0 - -',
      'C /var/lib/app/db',
      'd /var/mail 2775 0 8 - -',
      `C "/var/o'clock"`,
      'd "/var/odd name%%" 0755 0 0 - -',
      'L /var/run - - - - /run',
    ]);
  });
});
