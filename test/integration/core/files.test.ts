/** Removing trees that scripts made; making directories. */

import { access, stat, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { makeDirectories, removeTree } from '../../../lib/files.js';
import { run } from '../../support/run.js';
import { temporaryDirectory } from '../../support/temp.js';

/** More levels than a process may have descriptors, by default. */
const kDeep = `
import os, sys
os.chdir(sys.argv[1])
for level in range(3000):
    os.mkdir("d" * 20)
    open("file", "w").close()
    os.chdir("d" * 20)
`;

test('a tree deeper than there are descriptors goes', async () => {
  await using directory = await temporaryDirectory('files');
  const top = directory.join('top');
  await run('mkdir', ['-p', top]);
  await run('python3', ['-c', kDeep, top]);
  await removeTree(top);
  await expect(access(top)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('directories are made with those that they are in', async () => {
  await using directory = await temporaryDirectory('files');
  await makeDirectories(directory.join('a/b/c'));
  await makeDirectories(directory.join('a/b/c'));
  expect((await stat(directory.join('a/b/c'))).isDirectory()).toBe(true);
  await writeFile(directory.join('file'), '');
  await expect(makeDirectories(directory.join('file'))).rejects.toMatchObject({ code: 'EEXIST' });
  await expect(makeDirectories(directory.join('file/x'))).rejects.toMatchObject({
    code: 'ENOTDIR',
  });
  // Node's own never comes back from this.
  await expect(makeDirectories('/proc/none/x')).rejects.toMatchObject({ code: 'ENOENT' });
});
