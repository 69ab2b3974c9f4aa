/** What libostree writes for each boot loader, by `ostree admin` and by the library. */

import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { Repo, Sysroot } from 'apt-ostree/ostree';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { runModule } from '../../support/child.js';
import { sysrootPair, treeOf } from '../../support/sysroot-pair.js';
import { temporaryDirectory } from '../../support/temp.js';

process.env.OSTREE_SYSROOT_DEBUG = 'mutable-deployments';
const scratch = await temporaryDirectory('bootloader');
afterAll(() => scratch.remove());
afterEach(() => {
  delete process.env.OSTREE_GRUB2_EXEC;
});
let count = 0;

/** What marks a boot loader: its configuration file, as a link into the current loader directory. */
async function mark(root: string, file: string, link: string, target: string) {
  await mkdir(`${root}/boot/loader.0`);
  await symlink('loader.0', `${root}/boot/loader`);
  await writeFile(`${root}/boot/loader/${file}`, '# made by hand\nTIMEOUT 5\n');
  await symlink(target, `${root}/boot/${link}`);
}

const marks: Record<string, (root: string) => Promise<unknown>> = {
  none: async () => {},
  syslinux: async (root) => {
    await mkdir(`${root}/boot/syslinux`);
    await mark(root, 'syslinux.cfg', 'syslinux/syslinux.cfg', '../loader/syslinux.cfg');
  },
  uboot: (root) => mark(root, 'uEnv.txt', 'uEnv.txt', 'loader/uEnv.txt'),
  grub2: async (root) => {
    await mkdir(`${root}/boot/grub2`);
    await mark(root, 'grub.cfg', 'grub2/grub.cfg', '../loader/grub.cfg');
  },
};

const configure = async (root: string, loader: string) => {
  await using repo = await Repo.open(`${root}/ostree/repo`);
  await repo.config.set('sysroot', 'bootloader', loader);
};

/** Stands for grub-mkconfig: says what it was asked for. */
async function fakeGrub(): Promise<string> {
  const file = scratch.join(`grub-mkconfig-${count}`);
  await writeFile(file, '#!/bin/sh\nprintf "%s %s\\n" "$1" "$_OSTREE_GRUB2_BOOTVERSION" > "$2"\n');
  await chmod(file, 0o755);
  return file;
}

describe.each([
  ['none', 'none'],
  ['syslinux', 'syslinux'],
  ['uboot', 'uboot'],
  ['grub2', 'grub2'],
  ['none', 'auto'],
  ['syslinux', 'auto'],
  ['uboot', 'auto'],
  ['grub2', 'auto'],
])('%s, asked for as %s', (kind, setting) => {
  test('is written file by file as by the command', async () => {
    await using pair = await sysrootPair(scratch.join(`pair-${++count}`), async (root) => {
      await marks[kind]?.(root);
      await configure(root, setting);
    });
    if (kind === 'grub2') process.env.OSTREE_GRUB2_EXEC = await fakeGrub();
    const { sysroot, admin } = pair;
    const same = async () =>
      expect(await treeOf(pair.ours, 'boot')).toEqual(await treeOf(pair.theirs, 'boot'));
    await pair.commit('1');
    await admin('deploy', '--os=debian', '--karg=root=LABEL=x', '--karg=quiet', 'debian');
    await sysroot.deploy({
      stateroot: 'debian',
      rev: 'debian',
      refspec: 'debian',
      kernelArguments: ['root=LABEL=x', 'quiet'],
    });
    await sysroot.cleanup();
    await same();
    // It has been found; from here on all is as where it is asked for.
    if (setting === 'auto') return;
    await pair.commit('2');
    await admin('deploy', '--os=debian', '--karg-append=ro', 'debian');
    await sysroot.deploy({
      stateroot: 'debian',
      rev: 'debian',
      refspec: 'debian',
      kernelArgumentEdits: { append: ['ro'] },
    });
    await sysroot.cleanup();
    await same();
    expect((await treeOf(pair.ours, 'boot')).join('\n')).toMatch(
      /options root=LABEL=x quiet ostree=\S+ ro$/m,
    );
    await admin('undeploy', '0');
    await sysroot.undeploy(sysroot.deployments[0]?.id ?? '');
    await sysroot.cleanup();
    await same();
    if (kind === 'syslinux') {
      const config = await readFile(`${pair.ours}/boot/syslinux/syslinux.cfg`, 'utf8');
      expect(config).toContain('TIMEOUT 5');
    }
  });
});

test.each([
  ['grub2', 'ENOENT'],
  ['syslinux', 'ENOENT'],
  ['uboot', 'ENOENT'],
])('%s without its tool or file: a typed error, and both leave the same', async (kind, code) => {
  await using pair = await sysrootPair(scratch.join(`pair-${++count}`), (root) =>
    configure(root, kind),
  );
  process.env.OSTREE_GRUB2_EXEC = '/no/such/grub-mkconfig';
  await pair.commit('1');
  await expect(pair.admin('deploy', '--os=debian', 'debian')).rejects.toThrow('No such file');
  await expect(
    pair.sysroot.deploy({ stateroot: 'debian', rev: 'debian', refspec: 'debian' }),
  ).rejects.toMatchObject({ name: 'OstreeError', code, path: pair.ours });
  expect(await treeOf(pair.ours, 'boot')).toEqual(await treeOf(pair.theirs, 'boot'));
  expect(await pair.sysroot.reload()).toEqual([]);
});

test('zipl, which ends the command elsewhere than on the running system, is refused', async () => {
  await using pair = await sysrootPair(scratch.join(`pair-${++count}`), (root) =>
    configure(root, 'zipl'),
  );
  await pair.commit('1');
  await expect(pair.admin('deploy', '--os=debian', 'debian')).rejects.toThrow(/SIG|134/);
  const child = await runModule(
    `import { Sysroot } from 'apt-ostree/ostree';
     const sysroot = await Sysroot.load(process.argv[1]);
     for (const call of [
       () => sysroot.deploy({ stateroot: 'debian', rev: 'debian' }),
       () => sysroot.upgrade({ stateroot: 'debian', refspec: 'debian' }),
       () => sysroot.writeDeployments([]),
     ]) await call().catch(({ code }) => console.log(code));`,
    { args: [pair.ours] },
  );
  expect(child.stderr).toBe('');
  expect(child).toMatchObject({ status: 0, stdout: 'ERR_INVALID_STATE\n'.repeat(3) });
});

test('an unknown boot loader is refused when the repository is read', async () => {
  await using pair = await sysrootPair(scratch.join(`pair-${++count}`));
  await using repo = await pair.sysroot.repo();
  await expect(repo.config.set('sysroot', 'bootloader', 'lilo')).rejects.toMatchObject({
    code: 'ERR_OSTREE_FAILED',
  });
  await expect(Sysroot.load(pair.ours)).rejects.toMatchObject({ code: 'ERR_OSTREE_FAILED' });
});
