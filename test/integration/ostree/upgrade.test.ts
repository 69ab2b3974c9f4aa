import { writeFile } from 'node:fs/promises';
import { Repo, Sysroot } from 'apt-ostree/ostree';
import { afterAll, expect, test } from 'vitest';
import { bootableEdits, commitEdits, ostree } from '../../support/ostree.js';
import { temporaryDirectory } from '../../support/temp.js';

process.env.OSTREE_SYSROOT_DEBUG = 'mutable-deployments';

const scratch = await temporaryDirectory('upgrade');
afterAll(() => scratch.remove());

test('upgrade, refuse to go back, switch; ostree admin upgrade agrees', async () => {
  await using source = await Repo.create(scratch.join('source'), 'archive');
  const commit = (ref: string, version: string, seconds: number) =>
    commitEdits(source, ref, bootableEdits(version), { timestamp: new Date(seconds * 1000) });
  await using sysroot = await Sysroot.initialize(scratch.join('sysroot'));
  await sysroot.initStateroot('debian');
  const root = `--repo=${sysroot.path}/ostree/repo`;
  await ostree(root, 'remote', 'add', '--no-gpg-verify', 'origin', `file://${source.path}`);
  const one = await commit('stable', '1', 100);
  await ostree(root, 'pull', 'origin', 'stable');
  await sysroot.deploy({ stateroot: 'debian', rev: one, refspec: 'origin:stable' });
  await sysroot.setOrigin(`debian-${one}.0`, { mine: { a: 'b' } });
  const upgrade = (options = {}) => sysroot.upgrade({ stateroot: 'debian', ...options });

  expect(await upgrade()).toEqual({ changed: false, deployed: false });
  const two = await commit('stable', '2', 200);
  expect(await upgrade({ deploy: false })).toEqual({ changed: true, deployed: false });
  expect(await upgrade({ pull: false })).toEqual({ changed: true, deployed: true });
  expect(sysroot.deployments[0]).toMatchObject({ checksum: two, origin: { mine: { a: 'b' } } });
  expect(await ostree('admin', 'upgrade', `--sysroot=${sysroot.path}`, '--os=debian')).toContain(
    'No update',
  );
  await commit('stable', '0', 50);
  await expect(upgrade()).rejects.toMatchObject({ code: 'ERR_OSTREE_FAILED' });

  const other = await commit('testing', '3', 300);
  expect(await upgrade({ refspec: 'origin:testing' })).toMatchObject({ deployed: true });
  expect(sysroot.deployments[0]).toMatchObject({ checksum: other, refspec: 'origin:testing' });

  // A commit of one's choice, once: later upgrades go to the newest again.
  const command = (...args: string[]) =>
    ostree('admin', 'upgrade', `--sysroot=${sysroot.path}`, '--os=debian', ...args);
  const three = await commit('testing', '4', 400);
  await commit('testing', '5', 500);
  expect(await upgrade({ overrideCommit: three })).toMatchObject({ deployed: true });
  expect(sysroot.deployments[0]).toMatchObject({ checksum: three });
  expect(sysroot.deployments[0]?.origin.origin).toMatchObject({ refspec: 'origin:testing' });
  const ours = sysroot.deployments[0]?.origin;
  await command(`--override-commit=${other}`, '--allow-downgrade');
  await sysroot.reload();
  expect(sysroot.deployments[0]).toMatchObject({ checksum: other });
  expect(Object.keys(sysroot.deployments[0]?.origin.origin ?? {}).sort()).toEqual(
    Object.keys(ours?.origin ?? {}).sort(),
  );
  expect(await upgrade()).toMatchObject({ deployed: true });
  expect(sysroot.deployments[0]?.checksum).toBe(await source.resolveRev('testing'));

  // What the old origin says does not matter where a new one is given.
  const origin = `${sysroot.deployments[0]?.path}.origin`;
  await writeFile(origin, '[origin]\nrefspec=../../x\n[mine]\na=b\n');
  await expect(upgrade()).rejects.toMatchObject({ name: 'OstreeError' });
  expect(await upgrade({ refspec: 'origin:testing' })).toMatchObject({ deployed: true });
  expect(sysroot.deployments[0]).toMatchObject({
    refspec: 'origin:testing',
    origin: { mine: { a: 'b' } },
  });

  await expect(sysroot.upgrade()).rejects.toMatchObject({ code: 'ERR_INVALID_STATE' });
  await expect(upgrade({ stage: true })).rejects.toMatchObject({ code: 'ERR_INVALID_STATE' });
  await expect(upgrade({ stateroot: 'none' })).rejects.toMatchObject({
    code: expect.stringMatching(/^E/),
  });
});

test('an origin that is not configured yet stops upgrades, not a switch', async () => {
  await using source = await Repo.create(scratch.join('vendor'), 'archive');
  await commitEdits(source, 'stable', bootableEdits('1'));
  await using sysroot = await Sysroot.initialize(scratch.join('unconfigured'));
  await sysroot.initStateroot('debian');
  await using repo = await sysroot.repo();
  for (const name of ['free', 'paid']) {
    await repo.remotes.add(name, `file://${source.path}`, { gpgVerify: false });
    await repo.pull(name, { refs: ['stable'] });
  }
  const { id } = await sysroot.deploy({ stateroot: 'debian', rev: 'paid:stable' });
  const origin = { refspec: 'paid:stable', 'unconfigured-state': 'Ask the vendor' };
  await sysroot.setOrigin(id, { origin });
  const command = ['admin', 'upgrade', `--sysroot=${sysroot.path}`, '--os=debian'];
  await expect(ostree(...command)).rejects.toThrow('Ask the vendor');
  for (const options of [{}, { pull: false }, { deploy: false }]) {
    await expect(sysroot.upgrade({ stateroot: 'debian', ...options })).rejects.toMatchObject({
      code: 'ERR_OSTREE_FAILED',
      message: expect.stringContaining('Ask the vendor'),
    });
  }
  await sysroot.upgrade({ stateroot: 'debian', refspec: 'free:stable' });
  expect(sysroot.deployments[0]?.origin.origin).toEqual({ refspec: 'free:stable' });
  expect(await sysroot.upgrade({ stateroot: 'debian' })).toMatchObject({ changed: false });
});
