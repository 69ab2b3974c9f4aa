/** What stands below the packages: the directories of an empty Debian root, and scaffolding. */

import { symlink } from 'node:fs/promises';
import path from 'node:path';
import { placeDirectory, placeFile } from './files.js';

/** Top-level names that lead into /usr, by Debian architecture. */
function usrLinks(architecture: string): string[] {
  const lib64 = ['amd64', 'ppc64', 'ppc64el', 'loong64'].includes(architecture);
  return ['bin', 'lib', 'sbin', ...(lib64 ? ['lib64'] : [])];
}

/** Directories that base-files would make, needed before it is unpacked. */
const kDirectories: readonly { path: string; mode?: number }[] = [
  { path: 'boot' },
  { path: 'dev' },
  { path: 'etc' },
  { path: 'home' },
  { path: 'media' },
  { path: 'mnt' },
  { path: 'opt' },
  { path: 'proc' },
  { path: 'root', mode: 0o700 },
  { path: 'run' },
  { path: 'srv' },
  { path: 'sys' },
  { path: 'tmp', mode: 0o1777 },
  { path: 'usr/local' },
  { path: 'var/lib/dpkg/info' },
  { path: 'var/lib/dpkg/updates' },
  { path: 'var/tmp', mode: 0o1777 },
];

/** Every directory that the skeleton has, absolute, parents included. */
export function skeletonDirectories(): string[] {
  const paths = [...kDirectories.map((entry) => entry.path), ...usrLinks('amd64').map(inUsr)];
  const parents = paths.flatMap((file) =>
    file.split('/').map((_, index, names) => `/${names.slice(0, index + 1).join('/')}`),
  );
  return [...new Set(parents)];
}

function inUsr(name: string): string {
  return `usr/${name}`;
}

/** The root that the first packages are unpacked into: merged /usr, an empty package database. */
export async function writeSkeleton(
  directory: string,
  architecture: string,
  foreign: readonly string[],
): Promise<void> {
  for (const name of usrLinks(architecture)) {
    await placeDirectory(directory, inUsr(name));
    await symlink(inUsr(name), path.join(directory, name));
  }
  for (const entry of kDirectories) {
    await placeDirectory(directory, entry.path, entry.mode);
  }
  await placeFile(directory, 'var/lib/dpkg/status', '');
  await placeFile(directory, 'var/lib/dpkg/available', '');
  if (foreign.length > 0) {
    const known = `${[architecture, ...foreign].join('\n')}\n`;
    await placeFile(directory, 'var/lib/dpkg/arch', known);
  }
}

/**
 * A layer below everything, never merged into a tree: it denies scripts to start services
 * (policy-rc.d of invoke-rc.d(8)).
 */
export async function writeScaffolding(directory: string): Promise<void> {
  await placeFile(directory, 'usr/sbin/policy-rc.d', '#!/bin/sh\nexit 101\n', 0o755);
}
