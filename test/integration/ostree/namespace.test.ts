import { readdir, readFile, readlink } from 'node:fs/promises';
import { Sysroot } from 'apt-ostree/ostree';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { canBoot, canUnshare, runModuleBooted } from '../../support/booted.js';
import { bootableEdits, commitEdits } from '../../support/ostree.js';
import { temporaryDirectory } from '../../support/temp.js';

// Deployment roots would be immutable, which only root outside of containers may undo.
process.env.OSTREE_SYSROOT_DEBUG = 'mutable-deployments';

const scratch = await temporaryDirectory('namespace');
afterAll(() => scratch.remove());
let count = 0;
let sysroot: Sysroot;
beforeEach(async () => {
  sysroot = await Sysroot.initialize(scratch.join(`sysroot-${++count}`));
  await sysroot.initStateroot('debian');
  return () => sysroot.close();
});

async function commitVersion(): Promise<string> {
  await using repo = await sysroot.repo();
  return await commitEdits(repo, 'debian', bootableEdits('1'));
}

/** The mount namespaces of the threads of this process. */
async function namespaces(): Promise<string[]> {
  const threads = await readdir('/proc/self/task');
  const links = threads.map((id) => readlink(`/proc/self/task/${id}/ns/mnt`).catch(() => ''));
  return (await Promise.all(links)).filter((link) => link !== '');
}

test.runIf(canUnshare)('a mount namespace of its own, for one thread', async () => {
  const own = await readlink('/proc/self/ns/mnt');
  const others = async () => (await namespaces()).filter((link) => link !== own);
  const mounts = await readFile('/proc/self/mountinfo', 'utf8');
  const commit = await commitVersion();
  const apart = await Sysroot.load(sysroot.path, { mountNamespace: 'private' });
  await using second = await Sysroot.load(sysroot.path, { mountNamespace: 'private' });
  expect(new Set(await others()).size).toBe(2);
  await second.initStateroot('other');
  const deployment = await apart.deploy({ stateroot: 'debian', rev: commit });
  await apart.setKernelArguments(deployment.id, ['quiet']);
  await using repo = await apart.repo();
  await repo.setRef('from/there', commit);
  await apart.cleanup();
  expect(await second.reload()).toMatchObject([{ checksum: commit, kernelArguments: ['quiet'] }]);
  expect(await sysroot.reload()).toMatchObject([{ checksum: commit, kernelArguments: ['quiet'] }]);
  expect(new Set(await others()).size).toBe(2);
  expect(await readFile('/proc/self/mountinfo', 'utf8')).toBe(mounts);

  // The thread ends with the object.
  const last = apart.reload();
  await apart.close();
  await last;
  await expect(apart.reload()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  await apart.close();
  while ((await others()).length > 1) await new Promise((resolve) => setTimeout(resolve, 5));
  await second.close();
  while ((await others()).length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await expect(
    Sysroot.load(scratch.join('nothing'), { mountNamespace: 'private' }),
  ).rejects.toMatchObject({ code: 'ERR_OSTREE_NOT_A_SYSROOT' });
});

test.runIf(canBoot)('the booted system is written to though /sysroot is read-only', async () => {
  const commit = await commitVersion();
  const deployment = await sysroot.deploy({ stateroot: 'debian', rev: commit });
  const program = `
    import { readFileSync } from 'node:fs';
    import { Sysroot } from 'apt-ostree/ostree';
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
    const plain = await Sysroot.load('/');
    const refused = await plain.setPinned(plain.booted.id, true).then(() => '', (error) => error.code);
    const apart = await Sysroot.load('/', { mountNamespace: 'private' });
    await apart.setPinned(apart.booted.id, true);
    await apart.deploy({ stateroot: 'debian', rev: '${commit}', kernelArguments: ['quiet'] });
    await apart.cleanup();
    const repo = await apart.repo();
    await repo.commit({ ref: 'more', trees: [] });
    const same = readFileSync('/proc/self/mountinfo', 'utf8') === mounts;
    const booted = apart.booted.id;
    repo.close();
    await apart.close();
    await plain.close();
    console.log(JSON.stringify({ refused, same, booted }));`;
  const { stdout } = await runModuleBooted(sysroot.path, deployment.path, program);
  expect(JSON.parse(stdout)).toEqual({ refused: 'EROFS', same: true, booted: deployment.id });
  const [first, second] = await sysroot.reload();
  expect(first).toMatchObject({ checksum: commit, serial: 1, kernelArguments: ['quiet'] });
  expect(second).toMatchObject({ id: deployment.id, pinned: true });
});
