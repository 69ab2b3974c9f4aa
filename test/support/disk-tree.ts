/** A directory on disk with a little of everything that a commit keeps. */

import { chmod, chown, mkdir, symlink, writeFile } from 'node:fs/promises';
import { run } from './run.js';

export async function makeDiskTree(root: string): Promise<void> {
  await mkdir(`${root}/etc/empty-directory`, { recursive: true });
  await mkdir(`${root}/usr/bin`, { recursive: true });
  await mkdir(`${root}/usr/share/doc/ünï code`, { recursive: true });
  await writeFile(`${root}/etc/hostname`, 'debian\n', { mode: 0o600 });
  await writeFile(`${root}/etc/empty`, '');
  await writeFile(`${root}/etc/zero`, '');
  await writeFile(`${root}/usr/bin/tool`, '#!/bin/sh\n');
  await writeFile(`${root}/usr/bin/big`, Buffer.alloc(700_001, 'abcdefg'));
  await writeFile(`${root}/usr/share/doc/ünï code/a file`, 'text');
  await symlink('usr/bin', `${root}/bin`);
  await symlink('nowhere/ün', `${root}/usr/share/dangling`);
  await chmod(`${root}/usr/bin/tool`, 0o755);
  await chmod(`${root}/usr/share`, 0o750);
  if (process.getuid?.() === 0) {
    await chown(`${root}/etc/hostname`, 1, 2);
    await chown(`${root}/usr/share`, 7, 8);
    await chmod(`${root}/usr/bin/tool`, 0o4755);
  }
  await run('python3', [
    '-c',
    `import os, sys
root = sys.argv[1]
os.setxattr(root + "/etc/hostname", "user.text", b"value")
os.setxattr(root + "/etc/hostname", "user.bytes", bytes([0, 255, 10]))
os.setxattr(root + "/usr", "user.directory", b"")`,
    root,
  ]);
}
