/**
 * The smallest Debian that composes: this machine's own dpkg, shell and core tools in a few
 * packages, so that tests run real dpkg in real roots without a mirror.
 */

import { readFile, realpath } from 'node:fs/promises';
import path from 'node:path';
import type { PackageSpec } from './deb.js';
import { run } from './run.js';

const kPrograms = [
  ...['awk', 'basename', 'bash', 'cat', 'chmod', 'chown', 'cmp', 'cp', 'cut', 'dash', 'date'],
  ...['diff', 'dirname', 'dpkg', 'dpkg-deb', 'dpkg-divert', 'dpkg-query', 'dpkg-split'],
  ...['dpkg-statoverride', 'dpkg-trigger', 'dpkg-realpath', 'echo', 'env', 'expr', 'false', 'find'],
  ...['grep', 'head', 'id', 'install', 'ln', 'ls', 'mkdir', 'mknod', 'mktemp', 'mv', 'printf'],
  ...['readlink', 'realpath', 'rm', 'rmdir', 'sed', 'sh', 'sha256sum', 'sleep', 'sort', 'stat'],
  ...['tail', 'tar', 'tee', 'test', 'touch', 'tr', 'true', 'uname', 'update-alternatives'],
  ...['wc', 'xargs', 'xz', 'gzip', 'zstd', 'setsid', 'invoke-rc.d'],
];
const kSbinPrograms = ['ldconfig', 'start-stop-daemon', 'useradd', 'groupadd'];

const kPasswd = [
  'root:*:0:0:root:/root:/bin/bash',
  'daemon:*:1:1:daemon:/usr/sbin:/usr/sbin/nologin',
  'www-data:*:33:33:www-data:/var/www:/usr/sbin/nologin',
  'nobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin',
];
const kGroup = ['root:*:0:', 'daemon:*:1:', 'shadow:*:42:', 'www-data:*:33:', 'nogroup:*:65534:'];

/** Packages of priority required and `Essential: yes`, for `createAptRepository`. */
export async function debianBase(): Promise<PackageSpec[]> {
  const essential = { essential: true, priority: 'required', section: 'base' } as const;
  return [
    {
      ...essential,
      name: 'base-passwd',
      files: {
        '/usr/share/base-passwd/passwd.master': `${kPasswd.join('\n')}\n`,
        '/usr/share/base-passwd/group.master': `${kGroup.join('\n')}\n`,
      },
      scripts: {
        postinst: 'for n in passwd group; do cp /usr/share/base-passwd/$n.master /etc/$n; done',
      },
    },
    {
      ...essential,
      name: 'base-files',
      files: {
        '/etc/os-release': 'ID=debian\nVERSION_CODENAME=test\n',
        '/etc/debian_version': 'test\n',
        '/var/lib/base/state': 'state\n',
      },
      directories: { '/var/mail': { mode: 0o2775, gid: 1 }, '/var/log': {}, '/opt': {} },
      conffiles: ['/etc/debian_version'],
      scripts: { preinst: 'mkdir -p /etc; echo "$1" > /etc/base-files.preinst' },
    },
    {
      ...essential,
      name: 'base-system',
      architecture: await architecture(),
      preDepends: 'base-passwd',
      files: await systemFiles(),
      directories: { '/var/lib/dpkg/alternatives': {}, '/etc/alternatives': {} },
      scripts: { preinst: 'test -e /etc/passwd', postinst: 'ldconfig' },
      compression: 'gzip',
    },
    { name: 'apt', priority: 'important', description: 'stands for apt in a minimal base' },
  ];
}

/** A kernel as far as composing and deploying look at one. */
export function kernelPackage(version = '6.1.0-test'): PackageSpec {
  return {
    name: `linux-image-${version}`,
    files: {
      [`/boot/vmlinuz-${version}`]: `kernel ${version}`,
      [`/boot/config-${version}`]: 'CONFIG_TEST=y\n',
      [`/usr/lib/modules/${version}/modules.dep`]: '',
      [`/usr/lib/modules/${version}/initramfs.img`]: 'initramfs',
    },
  };
}

async function architecture(): Promise<string> {
  return (await run('dpkg', ['--print-architecture'])).stdout.trim();
}

/** Programs and what they link. */
async function systemFiles(): Promise<NonNullable<PackageSpec['files']>> {
  const files: NonNullable<PackageSpec['files']> = {};
  const add = async (target: string, source: string) => {
    files[target] ??= { content: await readFile(source), mode: 0o755 };
  };
  for (const [directory, names] of [
    ['/usr/bin', kPrograms],
    ['/usr/sbin', kSbinPrograms],
  ] as const) {
    for (const name of names) {
      const source = await realpath(path.join(directory, name)).catch(() => undefined);
      if (source === undefined) continue;
      await add(path.join(directory, name), source);
      for (const library of await libraries(source)) await add(usr(library), library);
    }
  }
  return files;
}

async function libraries(program: string): Promise<string[]> {
  const { stdout } = await run('ldd', [program], { anyStatus: true });
  return [...stdout.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map((match) => match[1] as string);
}

/** The place of a library on a merged-/usr system. */
function usr(file: string): string {
  return file.startsWith('/usr/') ? file : `/usr${file}`;
}
