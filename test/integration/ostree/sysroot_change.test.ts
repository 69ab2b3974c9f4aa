import { readlink, rm, writeFile } from 'node:fs/promises';
import { type Deployment, ostreeFeatures, Sysroot } from 'apt-ostree/ostree';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { bootableEdits, commitEdits, ostree } from '../../support/ostree.js';
import { run } from '../../support/run.js';
import { temporaryDirectory } from '../../support/temp.js';

process.env.OSTREE_SYSROOT_DEBUG = 'mutable-deployments';

const scratch = await temporaryDirectory('sysroot-change');
afterAll(() => scratch.remove());
let count = 0;
let sysroot: Sysroot;
let first: Deployment;
beforeEach(async () => {
  sysroot = await Sysroot.initialize(scratch.join(`sysroot-${++count}`));
  await sysroot.initStateroot('debian');
  await using repo = await sysroot.repo();
  await commitEdits(repo, 'debian', bootableEdits('1'));
  first = await sysroot.deploy({
    stateroot: 'debian',
    rev: 'debian',
    refspec: 'debian',
    kernelArguments: ['root=x', 'console=a', 'console=b', 'quiet'],
  });
  return () => sysroot.close();
});

const admin = (command: string, ...args: string[]) =>
  ostree('admin', ...command.split(' '), `--sysroot=${sysroot.path}`, ...args);

const theirs = async () => {
  await sysroot.reload();
  return sysroot.deployments[0]?.kernelArguments;
};

test('kernel arguments are edited as ostree admin deploy does', async () => {
  for (const [edits, options] of [
    [{ append: ['ro', 'x=1'] }, ['--karg-append=ro', '--karg-append=x=1']],
    [{ set: ['console=c'] }, ['--karg=console=c']],
    [{ delete: ['console=a'] }, ['--karg-delete=console=a']],
    [{ base: 'none', append: ['only'] }, ['--karg-none', '--karg-append=only']],
    [{ base: 'proc-cmdline' }, ['--karg-proc-cmdline']],
  ] as const) {
    const ours = await sysroot.deploy({
      stateroot: 'debian',
      rev: 'debian',
      mergeDeployment: first.id,
      kernelArgumentEdits: edits,
      retain: true,
    });
    await sysroot.writeDeployments([first.id], { clean: true });
    await admin('deploy', '--os=debian', ...options, 'debian');
    expect(await theirs()).toEqual(ours.kernelArguments);
    await sysroot.writeDeployments([first.id], { clean: true });
  }
  await expect(
    sysroot.deploy({
      stateroot: 'debian',
      rev: 'debian',
      kernelArgumentEdits: { delete: ['nothing'] },
    }),
  ).rejects.toMatchObject({ code: expect.stringMatching(/^E/) });
});

test('kernel arguments that would write more than themselves are refused', async () => {
  const entry = async () =>
    (await run('sh', ['-c', `cat ${sysroot.path}/boot/loader/entries/*`])).stdout;
  const before = await entry();
  const target = { stateroot: 'debian', rev: 'debian' };
  for (const bad of ['a=b\nlinux /evil', 'a\rb', 'a\x1b', 'a\x7f', '', 'a\0b', 7 as never]) {
    for (const call of [
      () => sysroot.deploy({ ...target, kernelArguments: ['ok', bad] }),
      () => sysroot.deploy({ ...target, kernelArguments: ['ok', bad], stage: true }),
      () => sysroot.deploy({ ...target, kernelArgumentEdits: { append: [bad] } }),
      () => sysroot.deploy({ ...target, kernelArgumentEdits: { set: [bad] } }),
      () => sysroot.setKernelArguments(first.id, ['ok', bad]),
      () => sysroot.setKernelArgumentsInPlace(first.id, ['ok', bad]),
    ]) {
      await expect(call()).rejects.toMatchObject({
        name: 'TypeError',
        code: expect.stringMatching(/^ERR_INVALID_ARG_/),
      });
    }
  }
  expect(await entry()).toBe(before);
  expect((await sysroot.reload()).map(({ id }) => id)).toEqual([first.id]);
});

test('an origin names refs only', async () => {
  for (const refspec of ['../../x', '', 'a:b:c', 'x\n[y]']) {
    for (const call of [
      () => sysroot.setOrigin(first.id, { origin: { refspec } }),
      () => sysroot.deploy({ stateroot: 'debian', rev: 'debian', origin: { origin: { refspec } } }),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
    }
  }
  await sysroot.setOrigin(first.id, { origin: { refspec: 'origin:debian', note: '../../x' } });
  expect(sysroot.deployments[0]).toMatchObject({ refspec: 'origin:debian' });
  await sysroot.setOrigin(first.id, { origin: { refspec: null } });
});

test('without its repository it says so, and whether it is closed', async () => {
  await rm(`${sysroot.path}/ostree/repo`, { recursive: true });
  for (const call of [() => sysroot.cleanup(), () => sysroot.pruneRepo()]) {
    await expect(call()).rejects.toMatchObject({ name: 'OstreeError' });
  }
  await sysroot.close();
  for (const call of [() => sysroot.cleanup(), () => sysroot.pruneRepo()]) {
    await expect(call()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  }
});

test('kernel arguments change in place', async () => {
  await sysroot.setKernelArgumentsInPlace(first.id, ['a', 'b=c']);
  expect(sysroot.deployments[0]?.kernelArguments).toEqual(['a', 'b=c']);
  await admin('kargs edit-in-place', '--append-if-missing=ro');
  await using other = await Sysroot.load(sysroot.path);
  expect(other.deployments[0]?.kernelArguments).toEqual(['a', 'b=c', 'ro']);
  await admin('status');
});

test('configDiff says what ostree admin config-diff says', async () => {
  await writeFile(`${first.path}/etc/added`, '');
  await writeFile(`${first.path}/etc/hostname`, 'changed\n');
  const diff = await sysroot.configDiff(first.id);
  expect(diff).toMatchObject({ added: ['/added'], modified: ['/hostname'], removed: [] });
  const text = await admin('config-diff', '--os=debian');
  expect(text.split('\n').sort()).toEqual(['A    added', 'M    hostname']);
  await rm(`${first.path}/etc/hostname`);
  expect((await sysroot.configDiff(first.id)).removed).toEqual(['/hostname']);
});

test('overlay initrds are written into the boot loader entry', async () => {
  await writeFile(scratch.join('overlay'), 'more');
  await using lock = await sysroot.lock();
  const checksum = await sysroot.stageOverlayInitrd(scratch.join('overlay'));
  await sysroot.deploy({ stateroot: 'debian', rev: 'debian', overlayInitrds: [checksum] });
  await lock.release();
  const { readdir, readFile } = await import('node:fs/promises');
  const entries = `${sysroot.path}/boot/loader/entries`;
  const texts = await Promise.all(
    (await readdir(entries)).map((name) => readFile(`${entries}/${name}`, 'utf8')),
  );
  expect(texts.join()).toContain(checksum);
  const [newest, ...others] = sysroot.deployments;
  if (!newest) throw new Error('nothing was deployed');
  expect(newest.overlayInitrds).toEqual([expect.stringContaining(checksum)]);
  expect(others.map(({ overlayInitrds }) => overlayInitrds)).toEqual(others.map(() => []));
  const entry = await sysroot.bootEntry(newest.id);
  expect(entry.overlayInitrds).toEqual(newest.overlayInitrds);
  expect(texts.join('\n').split('\n')).toContain(`linux ${entry.get('linux')}`);
  // A copy: the deployment stays as it is.
  entry.set('title', 'changed');
  expect((await sysroot.bootEntry(newest.id)).get('title')).not.toBe('changed');
  await expect(sysroot.bootEntry('no')).rejects.toMatchObject({ code: 'ENOENT' });
  const { functions } = ostreeFeatures();
  const known = (name: string) => (functions[name] ? false : undefined);
  expect(newest.finalizationLocked).toBe(known('ostree_deployment_is_finalization_locked'));
  expect(newest.softRebootTarget).toBe(known('ostree_deployment_is_soft_reboot_target'));
});

test('the boot versions are those of the links', async () => {
  const { boot, subboot } = await sysroot.bootVersions();
  expect(await readlink(`${sysroot.path}/boot/loader`)).toBe(`loader.${boot}`);
  expect(await readlink(`${sysroot.path}/ostree/boot.${boot}`)).toBe(`boot.${boot}.${subboot}`);
});

test('questions, clean-up and changes seen by another handle', async () => {
  await using other = await Sysroot.load(sysroot.path);
  expect(await other.refresh()).toBe(false);
  const second = await sysroot.deploy({ stateroot: 'debian', rev: 'debian' });
  expect(await other.refresh()).toBe(true);
  expect(other.deployments).toEqual(sysroot.deployments);
  expect((await sysroot.queryDeployments('debian')).merge?.id).toBe(second.id);
  await sysroot.prepareCleanup();
  expect(await sysroot.pruneRepo({ dryRun: true })).toMatchObject({ pruned: 0 });
  await using repo = await sysroot.repo();
  const lost = await commitEdits(repo, 'lost', [{ op: 'file', path: '/lost', content: 'x' }]);
  await repo.deltas.generate(lost);
  await repo.setRef('lost', null);
  // What it would do, and nothing done: static deltas stay too.
  const would = await sysroot.pruneRepo({ dryRun: true });
  expect(would.pruned).toBeGreaterThan(2);
  expect(await repo.deltas.list()).toEqual([{ to: lost }]);
  expect(await sysroot.pruneRepo()).toEqual(would);
  expect(await repo.deltas.list()).toEqual([]);
  expect(sysroot.staged).toBeUndefined();
});

test('what needs the running system or a newer library is refused', async () => {
  const state = { code: 'ERR_INVALID_STATE' };
  expect(() => sysroot.requireBooted()).toThrow(expect.objectContaining(state));
  await expect(sysroot.queryDeployments()).rejects.toMatchObject(state);
  for (const way of ['development', 'hotfix', 'transient'] as const) {
    await expect(sysroot.unlock(first.id, way)).rejects.toMatchObject(state);
  }
  await expect(
    sysroot.deploy({ stateroot: 'debian', rev: 'debian', stage: true }),
  ).rejects.toMatchObject(state);
  await expect(sysroot.changeFinalization(first.id)).rejects.toMatchObject({
    code: ostreeFeatures().functions.ostree_sysroot_change_finalization
      ? 'ERR_INVALID_STATE'
      : 'ERR_OSTREE_NOT_SUPPORTED',
  });
  await expect(sysroot.configDiff('no')).rejects.toMatchObject({ code: 'ENOENT' });
});
