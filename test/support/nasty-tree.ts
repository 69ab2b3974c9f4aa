/** A directory with everything that an import can meet and OSTree can hold. */

import { chmod, chown, lchown, link, mkdir, symlink, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from './run.js';

/** Needs root, and a file system with user xattrs. */
export async function nastyTree(root: string): Promise<void> {
  const at = (...parts: string[]) => path.join(root, ...parts);
  const file = async (name: string, content: string | Buffer, mode: number) => {
    await writeFile(at(name), content);
    await chmod(at(name), mode);
  };
  for (const name of ['dir/deep/er', 'empty', 'many', 'usr/bin', 'same', 'owned', 'sticky']) {
    await mkdir(at(name), { recursive: true });
  }
  await file('zero', '', 0o644);
  await file('same/zero', '', 0o600);
  await file('usr/bin/tool', '#!/bin/sh\n', 0o4755);
  await file('usr/bin/writable', '#!/bin/sh\n', 0o775);
  await file('usr/bin/group', 'x', 0o2711);
  await file('dir/secret', 'hidden', 0o000);
  await file('dir/open', 'all', 0o777);
  await file('dir/deep/er/.hidden', 'x', 0o644);
  await file('ünï code', 'name', 0o644);
  await file('new\nline', 'name', 0o644);
  await file(`long-${'n'.repeat(240)}`, 'name', 0o644);
  await file('limit', Buffer.alloc(1024 * 1024, 'ab'), 0o644);
  await file('limit-1', Buffer.alloc(1024 * 1024 - 1, 'ab'), 0o644);
  await file('large', Buffer.alloc(5_000_001, 'large file '), 0o640);
  await file('sparse', 'x', 0o644);
  await truncate(at('sparse'), 9_000_000);
  for (let i = 0; i < 150; i++) await file(`many/${i}`, `file ${i % 50}`, 0o644);
  await link(at('large'), at('dir/hard link'));
  await symlink('dir/deep', at('link'));
  await symlink('/nowhere/at all', at('dir/broken ünï'));
  await symlink('x'.repeat(3000), at('dir/long link'));
  await file('owned/file', 'owned', 0o640);
  await chown(at('owned/file'), 1234, 4_000_000_000);
  await symlink('file', at('owned/link'));
  await lchown(at('owned/link'), 7, 8);
  await chown(at('owned'), 1000, 100);
  await chmod(at('sticky'), 0o1777);
  await chmod(at('owned'), 0o2750);
  await file('owned/tagged', 'xattrs', 0o644);
  await setAttributes(root, [
    ['owned/tagged', 'user.zz', 'last'],
    ['owned/tagged', 'user.aa', '\0\x01bytes'],
    ['owned/tagged', 'trusted.mm', ''],
    ['owned/link', 'trusted.link', 'on a link'],
    ['sticky', 'user.dir', 'directory'],
    ['large', 'user.large', 'v'.repeat(500)],
  ]);
}

/** Extended attributes `[path, name, value]`; Node has no call for them. */
export async function setAttributes(
  root: string,
  attributes: readonly (readonly [path: string, name: string, value: string])[],
): Promise<void> {
  const script = `import json, os, sys
for path, name, value in json.load(sys.stdin):
    os.setxattr(os.path.join(sys.argv[1], path), name, value.encode(), follow_symlinks=False)`;
  await run('python3', ['-c', script, root], { input: JSON.stringify(attributes) });
}
