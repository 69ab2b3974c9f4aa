/**
 * One tree, two forms.
 *
 * The *root form* is what dpkg and maintainer scripts know: /etc, /var, /var/lib/dpkg. The
 * *image form* is what OSTree deploys: /usr/etc, an empty /var, the package database under
 * /usr/lib/sysimage, state directories as links into /var. Going from one to the other is a list
 * of moves, the same in both directions; nothing is copied or hashed.
 */

import { lstat, readdir, rename, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { removeTree } from '../files.js';
import type { TreeEdit } from '../ostree/mutable_tree.js';
import { placeDirectory } from './files.js';

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

/** Applies edits to a private checkout: only names and directories change, never file content. */
export async function applyToDirectory(root: string, edits: readonly TreeEdit[]): Promise<void> {
  for (const edit of edits) {
    switch (edit.op) {
      case 'move': {
        const from = path.join(root, edit.from);
        const to = path.join(root, edit.to);
        if (edit.allowMissing && !(await exists(from))) break;
        await placeDirectory(root, path.dirname(edit.to));
        if (await isDirectory(to)) await removeTree(to);
        await rename(from, to);
        break;
      }
      case 'mkdir':
        await placeDirectory(root, edit.path, edit.mode);
        break;
      case 'remove':
        await removeTree(path.join(root, edit.path));
        break;
      case 'symlink':
        await rm(path.join(root, edit.path), { force: true });
        await symlink(edit.target, path.join(root, edit.path));
        break;
      default:
        throw new TypeError(`A checkout cannot take the edit '${edit.op}'`);
    }
  }
}

/** Versions of the kernels whose modules a directory in either form has. */
export async function kernelVersions(root: string): Promise<string[]> {
  try {
    return (await readdir(path.join(root, 'usr/lib/modules'))).sort();
  } catch {
    return [];
  }
}

async function exists(file: string): Promise<boolean> {
  return lstat(file).then(
    () => true,
    () => false,
  );
}

async function isDirectory(file: string): Promise<boolean> {
  return lstat(file).then(
    (info) => info.isDirectory(),
    () => false,
  );
}
