/** Programs on a system as it is after a boot, without a machine: a deployment as the root. */

import { projectRoot } from './child.js';
import { type RunResult, run } from './run.js';

// As ostree-prepare-root and systemd leave it: /sysroot and /boot are mounted read-only. The mounts
// end with the process.
const kBoot = `set -e
root=$1 deployment=$2 project=$3
shift 3
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
exec chroot . env -C "$project" "$@"`;

export const canUnshare =
  (await run('unshare', ['-m', '-p', '-f', '--mount-proc', 'true'], { anyStatus: true })).status ===
  0;

/** The program of this process has to be found in there, without a preloaded sanitizer. */
export const canBoot =
  canUnshare && process.execPath.startsWith('/usr/') && !process.env.APT_OSTREE_SANITIZER;

/** Runs a program in a deployment of a sysroot as if that were booted. */
export function runBooted(
  sysroot: string,
  deployment: string,
  ...args: string[]
): Promise<RunResult> {
  // A process namespace, since the command compares its mounts with those of process 1.
  const script = [
    '-m',
    '-p',
    '-f',
    '--mount-proc',
    'sh',
    '-c',
    kBoot,
    'sh',
    sysroot,
    deployment,
    projectRoot,
    ...args,
  ];
  return run('unshare', script);
}

/** As {@link runBooted}, an ES module that may import 'apt-ostree' and its subpaths. */
export function runModuleBooted(
  sysroot: string,
  deployment: string,
  source: string,
): Promise<RunResult> {
  const flags = ['--import', 'tsx', '--input-type=module', '-e', source];
  return runBooted(sysroot, deployment, process.execPath, ...flags);
}
