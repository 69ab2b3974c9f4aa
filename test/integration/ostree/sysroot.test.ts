import { readFile, writeFile } from 'node:fs/promises';
import { Sysroot } from 'apt-ostree/ostree';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { bootableEdits, commitEdits, ostree } from '../../support/ostree.js';
import { run } from '../../support/run.js';
import { temporaryDirectory } from '../../support/temp.js';

// Deployment roots would be immutable, which only root outside of containers may undo.
process.env.OSTREE_SYSROOT_DEBUG = 'mutable-deployments';

const scratch = await temporaryDirectory('sysroot');
afterAll(() => scratch.remove());
let count = 0;
let sysroot: Sysroot;
beforeEach(async () => {
  sysroot = await Sysroot.initialize(scratch.join(`sysroot-${++count}`));
  return () => sysroot.close();
});

async function commitVersion(version: string, kernel = true): Promise<string> {
  await using repo = await sysroot.repo();
  return await commitEdits(repo, 'debian', bootableEdits(version, kernel), {
    metadata: { version: { type: 's', value: version } },
  });
}

test('is made as the ostree command makes it', async () => {
  const theirs = scratch.join(`theirs-${count}`);
  await run('mkdir', [theirs]);
  await ostree('admin', 'init-fs', '--modern', theirs);
  await ostree('admin', 'os-init', `--sysroot=${theirs}`, 'debian');
  await sysroot.initStateroot('debian');
  const tree = async (root: string) =>
    (await run('find', ['.', '-printf', '%p %y %m %U %G\n'], { cwd: root })).stdout
      .split('\n')
      .filter((line) => !line.includes('/ostree/lock '))
      .sort();
  expect(await tree(sysroot.path)).toEqual(await tree(theirs));
  await expect(sysroot.initStateroot('debian')).rejects.toMatchObject({
    path: sysroot.path,
  });
});

test('deploy, deploy again, set the default, undeploy, clean up', async () => {
  await sysroot.initStateroot('debian');
  const one = await commitVersion('1');
  const first = await sysroot.deploy({
    stateroot: 'debian',
    rev: 'debian',
    refspec: 'debian',
    origin: { packages: { requested: 'htop;nginx-light' } },
    kernelArguments: ['root=LABEL=root', 'quiet'],
  });
  expect(first).toMatchObject({
    index: 0,
    id: `debian-${one}.0`,
    checksum: one,
    serial: 0,
    version: '1',
    refspec: 'debian',
    origin: { origin: { refspec: 'debian' }, packages: { requested: 'htop;nginx-light' } },
    kernelArguments: ['root=LABEL=root', 'quiet'],
    booted: false,
    pinned: false,
    staged: false,
    unlocked: 'none',
  });
  expect(await readFile(`${first.path}/usr/lib/os-release`, 'utf8')).toContain('Debian 1');
  await writeFile(`${first.path}/etc/hostname`, 'changed\n');

  const two = await commitVersion('2');
  const second = await sysroot.deploy({ stateroot: 'debian', rev: two });
  expect(sysroot.deployments.map(({ id }) => id)).toEqual([second.id, first.id]);
  expect(second.kernelArguments).toEqual(['root=LABEL=root', 'quiet']);
  expect(await readFile(`${second.path}/etc/hostname`, 'utf8')).toBe('changed\n');

  const status = await ostree('admin', 'status', `--sysroot=${sysroot.path}`);
  expect(status.match(/[0-9a-f]{64}\.\d/g)).toEqual([`${two}.0`, `${one}.0`]);

  expect(await sysroot.rollback()).toMatchObject({ id: first.id, index: 0 });
  expect(await sysroot.rollback()).toMatchObject({ id: second.id, index: 0 });
  await sysroot.setDefault(first.id);
  expect(sysroot.deployments.map(({ version }) => version)).toEqual(['1', '2']);
  await sysroot.setPinned(first.id, true);
  expect(sysroot.deployments[0]?.pinned).toBe(true);
  await sysroot.setKernelArguments(first.id, ['ro']);
  const entry = await readFile(`${sysroot.path}/boot/loader/entries/ostree-2-debian.conf`, 'utf8');
  expect(entry).toMatch(/^options ro ostree=/m);

  const isImmutable = async () =>
    (await run('lsattr', ['-d', first.path])).stdout.split(' ')[0]?.includes('i');
  await sysroot.setMutable(first.id, false);
  expect(await isImmutable()).toBe(true);
  await sysroot.setMutable(first.id, true);
  expect(await isImmutable()).toBe(false);

  await sysroot.takeMessages();
  await sysroot.undeploy(second.id);
  await sysroot.cleanup();
  expect(sysroot.deployments).toHaveLength(1);
  expect(await sysroot.takeMessages()).toEqual([expect.stringContaining('Bootloader updated')]);
  expect(await sysroot.takeMessages()).toEqual([]);
  await expect(readFile(`${second.path}/etc/hostname`)).rejects.toMatchObject({ code: 'ENOENT' });
  await ostree('fsck', `--repo=${sysroot.path}/ostree/repo`);
  await expect(sysroot.undeploy(second.id)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('what the ostree command deploys is seen, with unknown origin keys kept', async () => {
  const at = `--sysroot=${sysroot.path}`;
  await ostree('admin', 'os-init', at, 'debian');
  const checksum = await commitVersion('3');
  await ostree('admin', 'deploy', at, '--os=debian', '--karg=quiet', 'debian');
  await sysroot.reload();
  const [deployment] = sysroot.deployments;
  expect(deployment).toMatchObject({ checksum, version: '3', kernelArguments: ['quiet'] });
  await sysroot.setOrigin(deployment?.id ?? '', { mine: { a: '1', b: '2' } });
  await sysroot.setOrigin(deployment?.id ?? '', { mine: { a: null } });
  await using other = await Sysroot.load(sysroot.path);
  expect(other.deployments[0]?.origin).toEqual({
    origin: { refspec: 'debian' },
    mine: { b: '2' },
  });
  const { stdout } = await run('cat', [`${deployment?.path}.origin`]);
  expect(stdout).toContain('b=2');
});

describe('refuses', () => {
  test('trees without a kernel, unknown names, partial commits', async () => {
    await sysroot.initStateroot('debian');
    await commitVersion('1', false);
    const deploy = (options: object) =>
      sysroot.deploy({ stateroot: 'debian', rev: 'debian', ...options });
    await expect(deploy({})).rejects.toMatchObject({ code: 'ERR_OSTREE_NO_KERNEL' });
    await expect(sysroot.rollback()).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(deploy({ rev: 'nothing' })).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(deploy({ stateroot: 'other' })).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(deploy({ stateroot: '../other' })).rejects.toBeInstanceOf(TypeError);
    await expect(deploy({ origin: { 'a]': { b: 'c' } } })).rejects.toBeInstanceOf(TypeError);
    const checksum = await commitVersion('2');
    await expect(deploy({ mergeDeployment: 'no-such.0' })).rejects.toMatchObject({
      code: 'ENOENT',
      ref: 'no-such.0',
    });
    await writeFile(`${sysroot.path}/ostree/repo/state/${checksum}.commitpartial`, '');
    await expect(deploy({})).rejects.toMatchObject({ code: 'ERR_INVALID_STATE' });
    expect(sysroot.deployments).toEqual([]);
  });

  test('a second lock, with a limit or a signal', async () => {
    await using other = await Sysroot.load(sysroot.path);
    await using lock = await sysroot.lock();
    await expect(other.lock({ timeout: 150 })).rejects.toMatchObject({
      code: 'ERR_OSTREE_LOCKED',
      path: sysroot.path,
    });
    const signal = AbortSignal.timeout(150);
    await expect(other.lock({ signal })).rejects.toMatchObject({ name: 'AbortError' });
    const waiting = other.lock();
    await lock.release();
    await (await waiting).release();
  });

  test('a change by two calls at once: one waits for the other', async () => {
    await Promise.all(['one', 'two', 'three'].map((name) => sysroot.initStateroot(name)));
    const lock = await sysroot.lock();
    await sysroot.initStateroot('four');
    await sysroot.close();
    await lock.release();
    await using other = await Sysroot.load(sysroot.path);
    await (await other.lock({ timeout: 0 })).release();
  });

  test('a directory that is none, and calls after close', async () => {
    await expect(Sysroot.load('/etc')).rejects.toMatchObject({
      code: 'ERR_OSTREE_NOT_A_SYSROOT',
      path: '/etc',
    });
    const closed = await Sysroot.load(sysroot.path);
    await closed.close();
    for (const call of [
      () => closed.reload(),
      () => closed.repo(),
      () => closed.lock(),
      () => closed.cleanup(),
      () => closed.takeMessages(),
      () => closed.deploy({ stateroot: 'a', rev: 'b' }),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    }
  });
});
