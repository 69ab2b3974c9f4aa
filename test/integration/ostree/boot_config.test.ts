import { readFile, writeFile } from 'node:fs/promises';
import { BootConfig, ostreeFeatures, Sysroot } from 'apt-ostree/ostree';
import { afterAll, expect, test } from 'vitest';
import { bootableEdits, commitEdits, ostree } from '../../support/ostree.js';
import { temporaryDirectory } from '../../support/temp.js';

process.env.OSTREE_SYSROOT_DEBUG = 'mutable-deployments';
const scratch = await temporaryDirectory('boot-config');
afterAll(() => scratch.remove());

test('an entry that the command wrote comes back byte for byte, and our change is seen', async () => {
  const root = scratch.join('root');
  await using sysroot = await Sysroot.initialize(root);
  await sysroot.initStateroot('debian');
  await using repo = await sysroot.repo();
  await commitEdits(repo, 'debian', bootableEdits('1'));
  await ostree('admin', 'deploy', `--sysroot=${root}`, '--os=debian', '--karg=quiet', 'debian');
  const file = `${root}/boot/loader/entries/ostree-1-debian.conf`;
  const before = await readFile(file, 'utf8');
  const entry = await BootConfig.read(file);
  await entry.write(scratch.join('copy'));
  expect(await readFile(scratch.join('copy'), 'utf8')).toBe(before);
  expect(entry.get('options')).toMatch(/^quiet ostree=/);
  expect(entry.get('linux')).toMatch(/vmlinuz-6\.1\.0$/);
  expect(entry.get('nothing')).toBeUndefined();
  entry.set('options', `${entry.get('options')} added=1`);
  await entry.write(file);
  await sysroot.withLock({}, () => sysroot.initStateroot('other'));
  await using again = await Sysroot.load(root);
  expect(again.deployments[0]?.kernelArguments).toEqual(['quiet', 'added=1']);
  await again.setKernelArguments(again.deployments[0]?.id ?? '', ['ro']);
  expect(await readFile(file.replace('-1-', '-1-'), 'utf8')).toContain('options ro ostree=');
});

test('unknown keys stay, comments and doubled keys go, initrds add up', async () => {
  const file = scratch.join('entry');
  await writeFile(
    file,
    '# a comment\nvendor thing\ntitle\tA title  with spaces\noptions a b\ninitrd /one\ninitrd /two\ninitrd /three\nnovalue\n 7 x\n',
  );
  const entry = await BootConfig.read(file);
  expect(entry.get('title')).toBe('A title  with spaces');
  expect(entry.get('novalue')).toBeUndefined();
  expect(entry.overlayInitrds).toEqual(['/two', '/three']);
  const copy = entry.clone();
  copy.setOverlayInitrds(['/other']);
  copy.set('version', '9');
  expect(entry.get('version')).toBeUndefined();
  await copy.write(file);
  expect(await readFile(file, 'utf8')).toBe(
    'title A title  with spaces\nversion 9\noptions a b\ninitrd /one\ninitrd /other\nvendor thing\n',
  );
  copy.setOverlayInitrds([]);
  expect(copy.overlayInitrds).toEqual([]);
});

test('what is refused', async () => {
  await expect(BootConfig.read(scratch.join('none'))).rejects.toMatchObject({ code: 'ENOENT' });
  const entry = BootConfig.create();
  const value = expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' });
  for (const key of ['', '1x', 'a b', 'a\n', '#a']) {
    expect(() => entry.set(key, 'v')).toThrow(value);
    expect(() => entry.get(key)).toThrow(value);
  }
  expect(() => entry.set('a', 'b\nc')).toThrow(value);
  expect(() => entry.set('a', 'b\0c')).toThrow(value);
  expect(() => entry.setOverlayInitrds(['/x'])).toThrow(
    expect.objectContaining({ name: 'OstreeError', code: 'ERR_INVALID_STATE' }),
  );
  entry.set('initrd', '/x');
  expect(() => entry.setOverlayInitrds(['/x\n'])).toThrow(value);
  expect(() => entry.setOverlayInitrds('x' as unknown as string[])).toThrow(TypeError);
  if (ostreeFeatures().functions.ostree_bootconfig_parser_get_tries_left) {
    expect(entry.tries).toEqual({ left: 0, done: 0 });
  } else {
    expect(() => entry.tries).toThrow(
      expect.objectContaining({ code: 'ERR_OSTREE_NOT_SUPPORTED' }),
    );
  }
});
