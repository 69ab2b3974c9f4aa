import { mkdir, readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { toImage, toRoot } from '../../../lib/compose/layout.js';
import { writeSkeleton } from '../../../lib/compose/skeleton.js';
import { applyToDirectory, kernelVersions } from '../../support/layout.js';
import { temporaryDirectory } from '../../support/temp.js';

async function tree(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return Promise.all(
    entries.map(async (entry) => {
      const file = path.join(entry.parentPath ?? entry.path, entry.name);
      const relative = path.relative(root, file);
      return entry.isSymbolicLink() ? `${relative} -> ${await readlink(file)}` : relative;
    }),
  ).then((names) => names.sort());
}

describe('the two forms of a tree', () => {
  it('gives the root form back after going to the image form', async () => {
    await using directory = await temporaryDirectory();
    const root = directory.join('root');
    await mkdir(root);
    await writeSkeleton(root, 'amd64', []);
    await mkdir(path.join(root, 'usr/lib/modules/6.1'), { recursive: true });
    await writeFile(path.join(root, 'boot/vmlinuz-6.1'), 'kernel');
    await mkdir(path.join(root, 'usr/lib/modules/5.9'), { recursive: true });
    await writeFile(path.join(root, 'boot/vmlinuz-5.9'), 'older kernel');
    await writeFile(path.join(root, 'boot/readme'), 'boot');
    await writeFile(path.join(root, 'media/readme'), 'media');
    await writeFile(path.join(root, 'etc/passwd'), 'users');
    await writeFile(path.join(root, 'opt/file'), 'opt');
    await writeFile(path.join(root, 'usr/local/file'), 'local');
    const before = await tree(root);

    await applyToDirectory(root, toImage(await kernelVersions(root), '6.1'));
    expect(await readFile(path.join(root, 'usr/lib/modules/6.1/vmlinuz'), 'utf8')).toBe('kernel');
    expect(await readFile(path.join(root, 'usr/etc/passwd'), 'utf8')).toBe('users');
    expect(await readdir(path.join(root, 'var'))).toEqual([]);
    expect(await readdir(path.join(root, 'boot'))).toEqual([]);
    expect(await readlink(path.join(root, 'opt'))).toBe('var/opt');
    // libostree would boot whichever it meets first.
    expect(await readdir(path.join(root, 'usr/lib/modules/5.9'))).toEqual([]);

    await applyToDirectory(root, toRoot(await kernelVersions(root)));
    const extra = ['usr/lib/sysimage', 'usr/share', 'usr/share/factory'];
    expect((await tree(root)).filter((name) => !extra.includes(name))).toEqual(before);
  });
});
