/** Packages made of what this machine has installed, for trees that need a real tool. */

import { lstat, readFile, readlink } from 'node:fs/promises';
import type { PackageSpec } from './deb.js';
import { debianBase } from './debian-base.js';
import { run } from './run.js';

const kPrograms = /^\/(usr\/(s?bin|lib|share\/(perl5|debconf))|etc)\//;

/** A package's programs and libraries, without its scripts, conffiles and documentation. */
export async function installedPackage(
  name: string,
  wanted: (file: string) => boolean = (file) => kPrograms.test(file),
): Promise<PackageSpec> {
  const { stdout } = await run('dpkg', ['-L', name]);
  const files: NonNullable<PackageSpec['files']> = {};
  const symlinks: Record<string, string> = {};
  for (const listed of stdout.split('\n')) {
    const file = inUsr(listed);
    if (!wanted(file)) continue;
    const info = await lstat(file).catch(() => undefined);
    if (info?.isSymbolicLink()) symlinks[file] = await readlink(file);
    else if (info?.isFile()) {
      files[file] = { content: await readFile(file), mode: info.mode & 0o7777 };
    }
  }
  return { name: `test-${name}`, files, symlinks, compression: 'gzip' };
}

/** The libraries of a program that the smallest base does not have, as a package. */
export async function librariesOf(program: string, name: string): Promise<PackageSpec> {
  const there = new Set((await debianBase()).flatMap((spec) => Object.keys(spec.files ?? {})));
  const { stdout } = await run('ldd', [program]);
  const files: NonNullable<PackageSpec['files']> = {};
  for (const [, library = ''] of stdout.matchAll(/=> (\/\S+) \(0x/g)) {
    const file = inUsr(library);
    if (!there.has(file)) files[file] = { content: await readFile(library) };
  }
  return { name, files };
}

function inUsr(file: string): string {
  return /^\/(bin|sbin|lib|lib64)\//.test(file) ? `/usr${file}` : file;
}
