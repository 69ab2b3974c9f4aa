/**
 * One tree, two forms.
 *
 * The *root form* is what dpkg and maintainer scripts know: /etc, /var, /var/lib/dpkg. The
 * *image form* is what OSTree deploys: /usr/etc, an empty /var, the package database under
 * /usr/lib/sysimage, state directories as links into /var. Going from one to the other is a list
 * of moves, the same in both directions; nothing is copied or hashed.
 */

import path from 'node:path';
import type { MutableTree, TreeEdit } from '../ostree/mutable_tree.js';
import type { Repo } from '../ostree/repo.js';
import type { TreeEntry } from '../ostree/tree_entry.js';

/** Where the content of /var is kept in an image; tmpfiles.d puts it in place (tmpfiles.d(5)). */
export const kFactoryVar = '/usr/share/factory/var';
/** Written for each image from the content of `kFactoryVar`. */
export const kTmpfiles = '/usr/lib/tmpfiles.d/apt-ostree.conf';
/** The package database in an image. */
export const kDatabase = '/usr/lib/sysimage/dpkg';
export const kAptState = '/usr/lib/sysimage/apt';

interface Move {
  root: string;
  image: string;
  /** What stands at `root` in an image. */
  link?: string;
}

/** In the order that makes an image; parts of /var come before /var itself. */
const kMoves: readonly Move[] = [
  { root: '/etc', image: '/usr/etc' },
  { root: '/var/lib/dpkg', image: kDatabase },
  { root: '/var/lib/apt/extended_states', image: `${kAptState}/extended_states` },
  { root: '/opt', image: '/usr/lib/opt', link: 'var/opt' },
  { root: '/home', image: '/var/home', link: 'var/home' },
  { root: '/srv', image: '/var/srv', link: 'var/srv' },
  { root: '/mnt', image: '/var/mnt', link: 'var/mnt' },
  { root: '/root', image: '/var/roothome', link: 'var/roothome' },
  { root: '/usr/local', image: '/var/usrlocal', link: '../var/usrlocal' },
  { root: '/var', image: kFactoryVar },
];

/** Kernel files, in /boot in the root form and with their modules in an image. */
const kKernelFiles: readonly { root: (version: string) => string; image: string }[] = [
  { root: (version) => `/boot/vmlinuz-${version}`, image: 'vmlinuz' },
  { root: (version) => `/boot/config-${version}`, image: 'config' },
  { root: (version) => `/boot/System.map-${version}`, image: 'System.map' },
];

/** Always empty in an image; mounted over at boot. */
const kMountPoints = ['/dev', '/proc', '/run', '/sys'];

/** Edits from the root form to the image form. `kernels` are the versions under /usr/lib/modules. */
export function toImage(kernels: readonly string[]): TreeEdit[] {
  return [
    ...kernels.flatMap((version) =>
      kKernelFiles.map(
        (file): TreeEdit => ({
          op: 'move',
          from: file.root(version),
          to: `/usr/lib/modules/${version}/${file.image}`,
          allowMissing: true,
        }),
      ),
    ),
    // What is left there is made from the above: initramfs images, boot loader files.
    { op: 'remove', path: '/boot', allowMissing: true },
    { op: 'mkdir', path: '/boot' },
    ...kMoves.flatMap(({ root, image, link }): TreeEdit[] => [
      { op: 'move', from: root, to: image, allowMissing: true },
      ...(link ? [{ op: 'symlink', path: root, target: link } as const] : []),
    ]),
    { op: 'mkdir', path: '/var' },
    { op: 'remove', path: '/media', allowMissing: true },
    { op: 'symlink', path: '/media', target: 'run/media' },
    { op: 'mkdir', path: '/sysroot' },
    { op: 'symlink', path: '/ostree', target: 'sysroot/ostree' },
    ...kMountPoints.flatMap((name): TreeEdit[] => [
      { op: 'remove', path: name, allowMissing: true },
      { op: 'mkdir', path: name },
    ]),
    { op: 'remove', path: '/tmp', allowMissing: true },
    { op: 'mkdir', path: '/tmp', mode: 0o1777 },
  ];
}

/** Edits from the image form to the root form. */
export function toRoot(kernels: readonly string[]): TreeEdit[] {
  return [
    { op: 'remove', path: kTmpfiles, allowMissing: true },
    { op: 'remove', path: '/var', allowMissing: true },
    ...[...kMoves]
      .reverse()
      .flatMap(({ root, image, link }): TreeEdit[] => [
        ...(link ? [{ op: 'remove', path: root, allowMissing: true } as const] : []),
        { op: 'move', from: image, to: root, allowMissing: true },
      ]),
    { op: 'remove', path: '/media', allowMissing: true },
    { op: 'mkdir', path: '/media' },
    { op: 'remove', path: '/sysroot', allowMissing: true },
    { op: 'remove', path: '/ostree', allowMissing: true },
    ...kernels.flatMap((version) =>
      kKernelFiles.map(
        (file): TreeEdit => ({
          op: 'move',
          from: `/usr/lib/modules/${version}/${file.image}`,
          to: file.root(version),
          allowMissing: true,
        }),
      ),
    ),
  ];
}

/** Versions of the kernels whose modules a tree in either form has. */
export async function kernelVersions(repo: Repo, tree: MutableTree): Promise<string[]> {
  const modules = await listIfPresent(repo, tree, '/usr/lib/modules');
  return modules
    .filter((entry) => entry.type === 'directory')
    .map((entry) => path.basename(entry.path))
    .sort();
}

/** The entries of a directory that may not be there. */
export async function listIfPresent(
  repo: Repo,
  tree: MutableTree,
  file: string,
): Promise<TreeEntry[]> {
  try {
    return await tree.list(repo, file);
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return [];
    throw error;
  }
}
