/** apt-get as people run it in a chroot: on a copy of the base, with nothing of the engine. */

import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../support/run.js';

export interface ChrootRun {
  /** The tree that is copied. */
  base: string;
  /** Where to; must not exist. */
  root: string;
  /** Of the archive; seen inside as `kArchive`. */
  archive: string;
  /** For a shell inside. */
  script: string;
  environment: Readonly<Record<string, string>>;
}

export const kArchive = '/run/archive';

/** File systems that scripts expect, none of them the host's own. */
const kScript = `
set -e
root=$1 archive=$2
shift 2
# As in the sandbox: a name that resolves without a network.
hostname localhost
# SIOCSIFFLAGS with UP, LOOPBACK and RUNNING: bubblewrap brings up the interface of a new network.
perl -e '$request = pack("a16s x22", "lo", 0x49); socket(S, 2, 2, 0) && ioctl(S, 0x8914, $request) || die $!'
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
for name in dev run tmp; do mount -t tmpfs -o mode=755 tmpfs "$root/$name"; done
mkdir "$root/run/lock" "$root/dev/shm"
chmod 1777 "$root/tmp" "$root/run/lock" "$root/dev/shm"
mknod -m 666 "$root/dev/null" c 1 3
mknod -m 666 "$root/dev/zero" c 1 5
mknod -m 666 "$root/dev/full" c 1 7
mknod -m 666 "$root/dev/random" c 1 8
mknod -m 666 "$root/dev/urandom" c 1 9
mknod -m 666 "$root/dev/tty" c 5 0
ln -s /proc/self/fd "$root/dev/fd"
for pair in 0:stdin 1:stdout 2:stderr; do ln -s /proc/self/fd/\${pair%:*} "$root/dev/\${pair#*:}"; done
mkdir "$root/dev/pts" "$root${kArchive}"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount --bind "$archive" "$root${kArchive}"
exec chroot "$root" "$@"
`;

/** @throws with the output where the script fails. */
export async function runInChroot(options: ChrootRun): Promise<void> {
  const { base, root, archive, script, environment } = options;
  // Files of the same content are one in a checkout, and what writes to one would write to all.
  await run('cp', ['-a', '--no-preserve=links', '--reflink=auto', base, root]);
  const policy = path.join(root, 'usr/sbin/policy-rc.d');
  await writeFile(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  await run('unshare', [
    ...['--mount', '--pid', '--fork', '--kill-child', '--ipc', '--uts', '--net'],
    ...['--propagation=private', 'sh', '-c', kScript, 'chroot', root, archive],
    ...['env', '-i', ...variables, 'sh', '-ec', script],
  ]);
  await rm(policy);
}
