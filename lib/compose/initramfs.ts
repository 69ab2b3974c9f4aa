/**
 * The initramfs of an image: made by the tree's own initramfs-tools, with the hook that Debian
 * does not ship, which lets it boot an OSTree deployment.
 */

import { ComposeError } from '../errors.js';
import { placeFile } from './files.js';
import { effectiveLimits } from './limits.js';
import { limitError, runInSandbox, type SandboxRun, throwIfDiskFull } from './sandbox.js';

/** Copies the program that finds the deployment, and the modules for writable overlays. */
const kHook = `#!/bin/sh
# Made by apt-ostree: boots OSTree deployments.
[ "$1" = prereqs ] && exit 0
. /usr/share/initramfs-tools/hook-functions
copy_exec /usr/lib/ostree/ostree-prepare-root
manual_add_modules overlay
manual_add_modules erofs
`;

/**
 * local-bottom, not init-bottom: there udev has already moved /dev into a root that is not yet
 * the deployment.
 */
const kScript = `#!/bin/sh
# Made by apt-ostree: turns the mounted root into the deployment named on the kernel line.
[ "$1" = prereqs ] && exit 0
# The initramfs need not have grep.
read -r line < /proc/cmdline
case " $line" in
  *" ostree="*) ;;
  *) exit 0 ;;
esac
/usr/lib/ostree/ostree-prepare-root "$rootmnt"
`;

const kFiles: Readonly<Record<string, string>> = {
  'usr/share/initramfs-tools/hooks/ostree': kHook,
  'usr/share/initramfs-tools/scripts/local-bottom/ostree': kScript,
};

/** A script of initramfs-tools that makes an initramfs, now or by trigger (see INITRD in sandbox.ts). */
export function isInitramfsTool(call: { package: string; script: string }): boolean {
  return call.script === 'postinst' && call.package.split(':')[0] === 'initramfs-tools';
}

/** Writes the hook into a layer that is merged into the tree, so that a machine can use it too. */
export async function writeInitramfsHook(layer: string): Promise<void> {
  for (const [file, content] of Object.entries(kFiles)) {
    await placeFile(layer, file, content, 0o755);
  }
}

/**
 * @throws `ERR_COMPOSE_SCRIPT` with the tool's output; `ERR_SANDBOX_LIMIT` where it takes longer
 *   than a script may.
 */
export async function makeInitramfs(
  run: Omit<SandboxRun, 'command'>,
  kernel: string,
): Promise<void> {
  const limits = run.limits ?? effectiveLimits();
  const overdue = AbortSignal.timeout(limits.seconds * 1000);
  const signal = run.signal ? AbortSignal.any([run.signal, overdue]) : overdue;
  const command = ['mkinitramfs', '-o', `/usr/lib/modules/${kernel}/initramfs.img`, kernel];
  const result = await runInSandbox({ ...run, signal, command }).catch((error: unknown) => {
    const late = overdue.aborted && !run.signal?.aborted;
    throw late ? limitError('seconds', limits, '', { package: 'initramfs-tools' }) : error;
  });
  if (result.exitCode === 0) return;
  throwIfDiskFull(result.tail, run.upper);
  throw new ComposeError(
    'ERR_COMPOSE_SCRIPT',
    `mkinitramfs for ${kernel} ended with status ${result.exitCode}: ${result.tail.split('\n').at(-1) ?? ''}`,
    { output: result.tail },
  );
}
