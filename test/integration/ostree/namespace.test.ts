import { readdir, readFile, readlink } from 'node:fs/promises';
import { Sysroot } from 'apt-ostree/ostree';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { projectRoot } from '../../support/child.js';
import { bootableEdits, commitEdits } from '../../support/ostree.js';
import { run } from '../../support/run.js';
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

const possible = (await run('unshare', ['-m', 'true'], { anyStatus: true })).status === 0;

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

test.runIf(possible)('a mount namespace of its own, for one thread', async () => {
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

// As ostree-prepare-root and systemd leave a booted system: the root is a deployment, and /sysroot
// and /boot are mounted read-only. The mounts end with the process.
const kBoot = `set -e
root=$1 deployment=$2 project=$3 node=$4 program=$5
cd "$deployment"
mount --bind . .
cd "$deployment"
mkdir -p sysroot boot proc dev run tmp usr etc
mount --rbind /usr usr
mount --rbind /proc proc
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mkdir -p "./$project"
mount --bind "$project" "./$project"
for name in bin lib lib64; do test -L $name || ln -s usr/$name $name; done
test -L ostree || ln -s sysroot/ostree ostree
mount --bind "$root" sysroot
mount -o remount,bind,ro sysroot
mount --bind "$root/boot" boot
mount -o remount,bind,ro boot
touch run/ostree-booted
exec chroot . env -C "$project" "$node" --import tsx --input-type=module -e "$program"`;

// The program of this process has to be found in there, without a preloaded sanitizer.
const bootable =
  possible && process.execPath.startsWith('/usr/') && !process.env.APT_OSTREE_SANITIZER;

test.runIf(bootable)('the booted system is written to though /sysroot is read-only', async () => {
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
  const { stdout } = await run('unshare', [
    '-m',
    'sh',
    '-c',
    kBoot,
    'sh',
    sysroot.path,
    deployment.path,
    projectRoot,
    process.execPath,
    program,
  ]);
  expect(JSON.parse(stdout)).toEqual({ refused: 'EROFS', same: true, booted: deployment.id });
  const [first, second] = await sysroot.reload();
  expect(first).toMatchObject({ checksum: commit, serial: 1, kernelArguments: ['quiet'] });
  expect(second).toMatchObject({ id: deployment.id, pinned: true });
});
