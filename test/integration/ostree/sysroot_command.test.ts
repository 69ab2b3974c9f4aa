/** `ostree admin` and Sysroot doing the same to equal sysroots; each reads what the other wrote. */

import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { type Deployment, ostreeFeatures, type PullProgress, Sysroot } from 'apt-ostree/ostree';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { bootableEdits, commitEdits, ostree } from '../../support/ostree.js';
import { run } from '../../support/run.js';
import { type SysrootPair, sysrootPair, treeOf } from '../../support/sysroot-pair.js';
import { temporaryDirectory } from '../../support/temp.js';

process.env.OSTREE_SYSROOT_DEBUG = 'mutable-deployments';
const scratch = await temporaryDirectory('sysroot-command');
afterAll(() => scratch.remove());
let count = 0;
let pair: SysrootPair;
beforeEach(async () => {
  pair = await sysrootPair(scratch.join(`pair-${++count}`));
  return () => pair[Symbol.asyncDispose]();
});

const status = (root: string) => ostree('admin', 'status', `--sysroot=${root}`);
/** Without what tells two sysroots apart. */
const plain = (deployments: readonly Deployment[]) =>
  deployments.map(({ path: _path, ...rest }) => rest);

/** Both are the same to the command, to the library and on disk. */
async function same() {
  await using read = await Sysroot.load(pair.theirs);
  await pair.sysroot.reload();
  expect(plain(pair.sysroot.deployments)).toEqual(plain(read.deployments));
  expect(await status(pair.ours)).toBe(await status(pair.theirs));
  expect(await treeOf(pair.ours, 'boot')).toEqual(await treeOf(pair.theirs, 'boot'));
  // The links that boot: ostree/boot.0, boot.0.1, ...
  const links = async (root: string) =>
    (
      await run(
        'find',
        ['ostree', '-maxdepth', '6', '-path', 'ostree/boot*', '-printf', '%p %l\n'],
        { cwd: root },
      )
    ).stdout
      .split('\n')
      .sort();
  expect(await links(pair.ours)).toEqual(await links(pair.theirs));
}

const deployBoth = async (version: string, flags: string[] = [], options: object = {}) => {
  const rev = await pair.commit(version);
  await pair.admin('deploy', '--os=debian', ...flags, 'debian');
  const deployment = await pair.sysroot.deploy({
    stateroot: 'debian',
    rev,
    refspec: 'debian',
    ...options,
  });
  await pair.sysroot.cleanup();
  return deployment;
};

test('init-fs and os-init, old and new', async () => {
  for (const layout of ['modern', 'traditional'] as const) {
    const [theirs, ours] = [scratch.join(`${layout}-theirs`), scratch.join(`${layout}-ours`)];
    await mkdir(theirs);
    await ostree('admin', 'init-fs', ...(layout === 'modern' ? ['--modern'] : []), theirs);
    await ostree('admin', 'os-init', `--sysroot=${theirs}`, 'debian');
    await using sysroot = await Sysroot.initialize(ours, { layout });
    await sysroot.initStateroot('debian');
    const list = async (root: string) =>
      (await treeOf(root, '.', false)).filter((line) => !line.includes('/lock '));
    expect(await list(ours)).toEqual(await list(theirs));
    // Once more is fine.
    await (await Sysroot.initialize(ours, { layout })).close();
  }
  await expect(
    Sysroot.initialize(scratch.join('odd'), { layout: 'odd' as 'modern' }),
  ).rejects.toBeInstanceOf(TypeError);
});

test('deploy with its flags, undeploy, pin, cleanup: the same list each time', async () => {
  await deployBoth('1', ['--karg=quiet'], { kernelArguments: ['quiet'] });
  await same();
  const two = await deployBoth('2');
  await same();
  await deployBoth('3', ['--retain'], { retain: true });
  await same();
  await pair.admin('pin', '1');
  await pair.sysroot.setPinned(two.id, true);
  await same();
  await deployBoth('4', ['--not-as-default'], { notAsDefault: true });
  await same();
  await deployBoth('5');
  await same();
  expect(pair.sysroot.deployments.some(({ id, pinned }) => id === two.id && pinned)).toBe(true);
  await deployBoth('6', ['--no-merge'], { mergeDeployment: 'none' });
  await same();
  const index = pair.sysroot.deployments.findIndex(({ id }) => id === two.id);
  await pair.admin('pin', '-u', String(index));
  await pair.sysroot.setPinned(two.id, false);
  await same();
  await pair.admin('undeploy', '0');
  await pair.sysroot.undeploy(pair.sysroot.deployments[0]?.id ?? '');
  await pair.sysroot.cleanup();
  await same();
  // What is on no list is gone from both.
  await pair.admin('cleanup');
  const left = (root: string) => treeOf(root, 'ostree/deploy/debian/deploy', false);
  expect((await left(pair.ours)).length).toBe((await left(pair.theirs)).length);
  await ostree('fsck', `--repo=${pair.ours}/ostree/repo`);
});

test('the order of deployments: default, rollback, writing the list', async () => {
  for (const version of ['1', '2', '3']) {
    await pair.commit(version);
    await pair.sysroot.deploy({ stateroot: 'debian', rev: 'debian', retain: true });
  }
  const { sysroot } = pair;
  const versions = () => sysroot.deployments.map(({ version }) => version);
  expect(versions()).toEqual(['3', '2', '1']);
  await sysroot.rollback();
  expect(versions()).toEqual(['2', '3', '1']);
  await sysroot.setDefault(sysroot.deployments[2]?.id ?? '');
  expect(versions()).toEqual(['1', '2', '3']);
  expect(await status(pair.ours)).toMatch(/Version: 1.*Version: 2.*Version: 3/s);
  const [first, second, third] = sysroot.deployments.map(({ id }) => id);
  await sysroot.writeDeployments([third ?? '', first ?? '']);
  expect(versions()).toEqual(['3', '1']);
  // Without clean-up the tree stays on disk; with it, it goes.
  const tree = `${pair.ours}/ostree/deploy/debian/deploy/${second?.slice('debian-'.length)}`;
  await readFile(`${tree}/usr/etc/hostname`);
  await sysroot.writeDeployments([third ?? ''], { clean: true });
  await expect(readFile(`${tree}/usr/etc/hostname`)).rejects.toMatchObject({ code: 'ENOENT' });
  await expect(sysroot.writeDeployments([second ?? ''])).rejects.toMatchObject({ code: 'ENOENT' });
  await expect(sysroot.writeDeployments([third ?? '', third ?? ''])).rejects.toBeInstanceOf(
    TypeError,
  );
  // The command goes on from here.
  await ostree('admin', 'deploy', `--sysroot=${pair.ours}`, '--os=debian', 'debian');
  expect(await sysroot.refresh()).toBe(true);
  expect(await sysroot.refresh()).toBe(false);
  expect(versions()).toEqual(['3', '3']);
});

test('origin files keep order, comments and unknown keys, through upgrades as well', async () => {
  const deployment = await deployBoth('1');
  const file = `${deployment.path}.origin`;
  await writeFile(
    file,
    '# mine\n[other]\nz=1\na=2\n\n[origin]\n# where from\nrefspec=debian\nextra=yes\n',
  );
  await pair.sysroot.setOrigin(deployment.id, { other: { z: '3' }, new: { key: 'value' } });
  const text = (await readFile(file, 'utf8')).replace(/\n+/g, '\n');
  expect(text).toBe(
    '# mine\n[other]\nz=3\na=2\n[origin]\n# where from\nrefspec=debian\nextra=yes\n[new]\nkey=value\n',
  );
  expect(Object.keys(pair.sysroot.deployments[0]?.origin ?? {})).toEqual([
    'other',
    'origin',
    'new',
  ]);
  await pair.sysroot.setOrigin(deployment.id, { new: null });
  expect(await readFile(file, 'utf8')).toMatch(/\nextra=yes\n$/);
  // As `ostree admin set-origin` leaves it.
  await pair.admin('set-origin --index=0', 'remote', 'https://example.com/repo', 'branch');
  await using repo = await pair.sysroot.repo();
  await repo.remotes.add('remote', 'https://example.com/repo', { gpgVerify: false });
  await pair.sysroot.setOrigin(deployment.id, { origin: { refspec: 'remote:branch' } });
  const theirs = await readFile(
    `${pair.theirs}/ostree/deploy/debian/deploy/${deployment.id.slice(7)}.origin`,
    'utf8',
  );
  expect(theirs).toContain('refspec=remote:branch');
  expect(await status(pair.ours)).toContain('remote:branch');
  await pair.sysroot.setOrigin(deployment.id, { origin: { refspec: 'debian' } });
  await pair.commit('2');
  const { deployed } = await pair.sysroot.upgrade({ stateroot: 'debian' });
  expect(deployed).toBe(true);
  const upgraded = await readFile(`${pair.sysroot.deployments[0]?.path}.origin`, 'utf8');
  expect(upgraded).toContain('# where from');
  expect(upgraded).toContain('extra=yes');
  await expect(pair.sysroot.setOrigin(deployment.id, { 'a]': { b: 'c' } })).rejects.toBeInstanceOf(
    TypeError,
  );
});

describe('upgrade and switch', () => {
  /** A repository that both sysroots know as `remote`. */
  async function serve() {
    const server = await Sysroot.initialize(scratch.join(`server-${count}`));
    const repo = await server.repo();
    const publish = (version: string, ref: string) =>
      commitEdits(repo, ref, bootableEdits(version), {
        timestamp: new Date(Number(version) * 1e6),
      });
    await publish('1', 'stable');
    for (const root of [pair.theirs, pair.ours]) {
      await ostree(
        'remote',
        'add',
        `--repo=${root}/ostree/repo`,
        '--no-gpg-verify',
        'remote',
        `file://${repo.path}`,
      );
      await ostree('pull', `--repo=${root}/ostree/repo`, 'remote', 'stable');
    }
    await pair.admin('deploy', '--os=debian', 'remote:stable');
    await pair.sysroot.deploy({
      stateroot: 'debian',
      rev: 'remote:stable',
      refspec: 'remote:stable',
    });
    await same();
    return {
      repo,
      publish,
      async [Symbol.asyncDispose]() {
        repo.close();
        await server.close();
      },
    };
  }

  test('give what the commands give', async () => {
    await using server = await serve();
    await server.publish('2', 'stable');
    await pair.admin('upgrade', '--os=debian');
    const seen: PullProgress[] = [];
    expect(
      await pair.sysroot.upgrade({ stateroot: 'debian', onProgress: (event) => seen.push(event) }),
    ).toEqual({ changed: true, deployed: true });
    await pair.sysroot.cleanup();
    await same();
    await pair.admin('upgrade', '--os=debian');
    expect(await pair.sysroot.upgrade({ stateroot: 'debian' })).toMatchObject({ changed: false });
    await same();
    await server.publish('3', 'testing');
    await pair.admin('switch', '--os=debian', 'remote:testing');
    await pair.sysroot.upgrade({ stateroot: 'debian', refspec: 'remote:testing' });
    await pair.sysroot.cleanup();
    await same();
    expect(pair.sysroot.deployments[0]?.refspec).toBe('remote:testing');
    // Another branch may be older.
    for (const refspec of ['remote:stable', 'remote:testing']) {
      await pair.admin('switch', '--os=debian', refspec);
      await pair.sysroot.upgrade({ stateroot: 'debian', refspec });
      await pair.sysroot.cleanup();
      await same();
    }
    const older = { stateroot: 'debian', refspec: 'remote:stable', allowOlder: false };
    await expect(pair.sysroot.upgrade(older)).rejects.toMatchObject({ code: 'ERR_OSTREE_FAILED' });
    // The same branch, older, is refused by both, unless it is asked for.
    await server.publish('1', 'testing');
    await expect(pair.admin('upgrade', '--os=debian')).rejects.toThrow('timestamp');
    await expect(pair.sysroot.upgrade({ stateroot: 'debian' })).rejects.toMatchObject({
      code: 'ERR_OSTREE_FAILED',
    });
    await pair.admin('upgrade', '--os=debian', '--allow-downgrade');
    await pair.sysroot.upgrade({ stateroot: 'debian', allowOlder: true });
    await pair.sysroot.cleanup();
    await same();
    // Pull now, deploy later.
    await server.publish('5', 'testing');
    await pair.admin('upgrade', '--os=debian', '--pull-only');
    expect(await pair.sysroot.upgrade({ stateroot: 'debian', deploy: false })).toEqual({
      changed: true,
      deployed: false,
    });
    await pair.admin('upgrade', '--os=debian', '--deploy-only');
    await pair.sysroot.upgrade({ stateroot: 'debian', pull: false });
    await pair.sysroot.cleanup();
    await same();
  });

  test('an aborted upgrade changes nothing', async () => {
    await using server = await serve();
    await server.publish('2', 'stable');
    const before = await pair.sysroot.reload();
    const options = { stateroot: 'debian', signal: AbortSignal.abort('no') };
    await expect(pair.sysroot.upgrade(options)).rejects.toMatchObject({ cause: 'no' });
    const controller = new AbortController();
    const upgrading = pair.sysroot.upgrade({ stateroot: 'debian', signal: controller.signal });
    setTimeout(() => controller.abort('late'), 1);
    await upgrading.then(
      () => {},
      async (error) => {
        expect(error).toMatchObject({ name: 'AbortError', cause: 'late' });
        expect(await pair.sysroot.reload()).toEqual(before);
      },
    );
    // The lock is free again.
    await (await pair.sysroot.lock({ timeout: 0 })).release();
    await pair.sysroot.upgrade({ stateroot: 'debian' });
    expect(pair.sysroot.deployments[0]?.checksum).toBe(await server.repo.resolveRev('stable'));
  });
});

test('kernel arguments and config-diff', async () => {
  const deployment = await deployBoth('1', ['--karg=a', '--karg=b=1'], {
    kernelArguments: ['a', 'b=1'],
  });
  await pair.admin('kargs edit-in-place', '--append-if-missing=c');
  await pair.sysroot.setKernelArgumentsInPlace(deployment.id, ['a', 'b=1', 'c']);
  await same();
  for (const root of [pair.theirs, pair.ours]) {
    const etc = `${root}/ostree/deploy/debian/deploy/${deployment.id.slice(7)}/etc`;
    await appendFile(`${etc}/hostname`, 'more\n');
    await writeFile(`${etc}/added`, '');
  }
  const text = await pair.admin('config-diff', '--os=debian');
  const diff = await pair.sysroot.configDiff(deployment.id);
  expect(
    [
      ...diff.added.map((path) => `A    ${path.slice(1)}`),
      ...diff.modified.map((path) => `M    ${path.slice(1)}`),
      ...diff.removed.map((path) => `D    ${path.slice(1)}`),
    ].sort(),
  ).toEqual(text.split('\n').sort());
  // The next deployment merges both files, in the same way.
  await deployBoth('2');
  await same();
});

test('staging, unlocking and newer calls: what this system or library lacks is said', async () => {
  const { id } = await deployBoth('1');
  const state = { code: 'ERR_INVALID_STATE' };
  await expect(pair.admin('deploy', '--os=debian', '--stage', 'debian')).rejects.toThrow();
  await expect(
    pair.sysroot.deploy({ stateroot: 'debian', rev: 'debian', stage: true }),
  ).rejects.toMatchObject(state);
  await expect(pair.admin('unlock')).rejects.toThrow();
  await expect(pair.sysroot.unlock(id, 'hotfix')).rejects.toMatchObject(state);
  await expect(pair.sysroot.upgrade({ stateroot: 'debian', stage: true })).rejects.toMatchObject(
    state,
  );
  const { functions, version, compiled } = ostreeFeatures();
  expect(version).toMatch(/^\d{4}\.\d+$/);
  expect(compiled).toMatch(/^\d{4}\.\d+$/);
  const calls: [string, () => Promise<unknown>][] = [
    ['ostree_sysroot_change_finalization', () => pair.sysroot.changeFinalization(id)],
    ['ostree_sysroot_update_post_copy', () => pair.sysroot.updatePostCopy()],
    ['ostree_sysroot_deployment_kexec_load', () => pair.sysroot.kexecLoad('no-such.0')],
    ['ostree_sysroot_deployment_can_soft_reboot', () => pair.sysroot.canSoftReboot(id)],
    ['ostree_sysroot_deployment_set_soft_reboot', () => pair.sysroot.setSoftReboot(id)],
    ['ostree_sysroot_clear_soft_reboot', () => pair.sysroot.setSoftReboot(null)],
  ];
  for (const [name, call] of calls) {
    if (functions[name]) continue;
    await expect(call()).rejects.toMatchObject({
      name: 'OstreeError',
      code: 'ERR_OSTREE_NOT_SUPPORTED',
      message: expect.stringContaining(
        name === 'ostree_sysroot_clear_soft_reboot' ? 'soft_reboot' : name,
      ),
    });
  }
});
