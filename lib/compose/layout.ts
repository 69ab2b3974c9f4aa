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
/** Where apt keeps which packages came in as dependencies only, in the root form. */
export const kExtendedStates = 'var/lib/apt/extended_states';
/** What packages have in /boot and /media, which are mounted over or linked away in an image. */
const kBoot = '/usr/lib/sysimage/boot';
const kMedia = '/usr/lib/sysimage/media';

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
  { root: '/media', image: kMedia, link: 'run/media' },
  { root: '/boot', image: kBoot },
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

/**
 * Edits from the root form to the image form.
 *
 * @param modules the versions under /usr/lib/modules
 * @param kernel the version that the image boots
 */
export function toImage(modules: readonly string[], kernel: string | undefined): TreeEdit[] {
  return [
    ...(kernel === undefined ? [] : kernelMoves(kernel)),
    // Made from the rest by tools that a deployment does not use.
    { op: 'remove', path: '/boot/grub', allowMissing: true },
    ...modules.map(
      (version): TreeEdit => ({
        op: 'remove',
        path: `/boot/initrd.img-${version}`,
        allowMissing: true,
      }),
    ),
    ...kMoves.flatMap(({ root, image, link }): TreeEdit[] => [
      { op: 'move', from: root, to: image, allowMissing: true },
      ...(link ? [{ op: 'symlink', path: root, target: link } as const] : []),
    ]),
    { op: 'mkdir', path: '/boot' },
    { op: 'mkdir', path: '/var' },
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

/** Edits from the image form to the root form. `modules` as for `toImage`. */
export function toRoot(modules: readonly string[]): TreeEdit[] {
  return [
    { op: 'remove', path: kTmpfiles, allowMissing: true },
    { op: 'remove', path: '/var', allowMissing: true },
    { op: 'remove', path: '/boot', allowMissing: true },
    ...[...kMoves]
      .reverse()
      .flatMap(({ root, image, link }): TreeEdit[] => [
        ...(link ? [{ op: 'remove', path: root, allowMissing: true } as const] : []),
        { op: 'move', from: image, to: root, allowMissing: true },
      ]),
    { op: 'mkdir', path: '/boot' },
    { op: 'mkdir', path: '/media' },
    { op: 'remove', path: '/sysroot', allowMissing: true },
    { op: 'remove', path: '/ostree', allowMissing: true },
    ...modules.flatMap((version) =>
      kernelMoves(version).map(({ from, to, ...move }) => ({ ...move, from: to, to: from })),
    ),
  ];
}

function kernelMoves(version: string) {
  return kKernelFiles.map((file) => ({
    op: 'move' as const,
    from: file.root(version),
    to: `/usr/lib/modules/${version}/${file.image}`,
    allowMissing: true,
  }));
}

/** Where a path of the root form is in an image. */
export function imagePath(file: string): string {
  return kMoves.reduce(
    (at, { root, image }) =>
      at === root || at.startsWith(`${root}/`) ? image + at.slice(root.length) : at,
    file,
  );
}

/** The versions of which a tree in either form has modules. */
export async function moduleVersions(repo: Repo, tree: MutableTree): Promise<string[]> {
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
