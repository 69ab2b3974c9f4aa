/** Builds .deb files from a description, with the real dpkg-deb. */

import { chmod, chown, link, mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from './run.js';
import { temporaryDirectory } from './temp.js';

export interface FileSpec {
  content: string | Buffer;
  /** Default 0o644. */
  mode?: number;
  uid?: number;
  gid?: number;
}

export interface DirectorySpec {
  mode?: number;
  uid?: number;
  gid?: number;
}

/** Maintainer scripts; `#!/bin/sh` and `set -e` are added unless the text starts with `#!`. */
export interface Scripts {
  preinst?: string;
  postinst?: string;
  prerm?: string;
  postrm?: string;
  config?: string;
}

export type Compression = 'none' | 'gzip' | 'xz' | 'zstd';

export interface PackageSpec {
  name: string;
  /** Default `1.0`. */
  version?: string;
  /** Default `all`. */
  architecture?: string;
  depends?: string;
  preDepends?: string;
  recommends?: string;
  suggests?: string;
  conflicts?: string;
  breaks?: string;
  replaces?: string;
  provides?: string;
  essential?: boolean;
  multiArch?: 'same' | 'foreign' | 'allowed';
  section?: string;
  priority?: string;
  description?: string;
  /** Further fields of the control file. */
  control?: Record<string, string>;
  /** Absolute path to content. */
  files?: Record<string, string | FileSpec>;
  /** Absolute path to target. */
  symlinks?: Record<string, string>;
  /** Absolute path to another file of the package. */
  hardLinks?: Record<string, string>;
  /** Empty directories, or those whose mode or owner matters. */
  directories?: Record<string, DirectorySpec>;
  conffiles?: readonly string[];
  scripts?: Scripts;
  /** Content of the control member `triggers`. */
  triggers?: string;
  /** Content of the control member `templates`. */
  templates?: string;
  /** Default `xz`. */
  compression?: Compression;
}

/** File name as archives use it: the epoch is left out. */
export function debName(spec: PackageSpec): string {
  const version = (spec.version ?? '1.0').replace(/^\d+:/, '');
  return `${spec.name}_${version}_${spec.architecture ?? 'all'}.deb`;
}

/** Writes the package into `directory` and gives the path of the .deb. */
export async function buildDeb(spec: PackageSpec, directory: string): Promise<string> {
  await using stage = await temporaryDirectory('deb');
  const root = stage.join('root');
  await writeTree(spec, root);
  await writeControl(spec, path.join(root, 'DEBIAN'));
  const output = path.join(directory, debName(spec));
  // Owners stay as staged for root; nobody else can stage any but their own.
  const owners = process.getuid?.() === 0 ? [] : ['--root-owner-group'];
  await run('dpkg-deb', [...owners, `-Z${spec.compression ?? 'xz'}`, '-z1', '-b', root, output]);
  return output;
}

async function writeTree(spec: PackageSpec, root: string): Promise<void> {
  await mkdir(root, { mode: 0o755 });
  for (const [name, directory] of Object.entries(spec.directories ?? {})) {
    await makeDirectory(root, name);
    await setOwner(path.join(root, name), directory, 0o755);
  }
  for (const [name, file] of Object.entries(spec.files ?? {})) {
    const { content, ...owner } = typeof file === 'string' ? { content: file } : file;
    await makeDirectory(root, path.dirname(name));
    await writeFile(path.join(root, name), content);
    await setOwner(path.join(root, name), owner, 0o644);
  }
  for (const [name, target] of Object.entries(spec.symlinks ?? {})) {
    await makeDirectory(root, path.dirname(name));
    await symlink(target, path.join(root, name));
  }
  for (const [name, target] of Object.entries(spec.hardLinks ?? {})) {
    await makeDirectory(root, path.dirname(name));
    await link(path.join(root, target), path.join(root, name));
  }
}

/** Like `mkdir -p`, with mode 755 whatever the umask is. */
async function makeDirectory(root: string, name: string): Promise<void> {
  let current = root;
  for (const part of name.split('/').filter(Boolean)) {
    current = path.join(current, part);
    try {
      await mkdir(current);
      await chmod(current, 0o755);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

async function setOwner(file: string, spec: DirectorySpec, mode: number): Promise<void> {
  if (spec.uid !== undefined || spec.gid !== undefined) {
    await chown(file, spec.uid ?? 0, spec.gid ?? 0);
  }
  // After chown, which clears set-user-id.
  await chmod(file, spec.mode ?? mode);
}

async function writeControl(spec: PackageSpec, directory: string): Promise<void> {
  await mkdir(directory);
  await chmod(directory, 0o755);
  const put = async (name: string, content: string, mode = 0o644) => {
    await writeFile(path.join(directory, name), content);
    await chmod(path.join(directory, name), mode);
  };
  await put('control', controlText(spec));
  if (spec.conffiles) await put('conffiles', spec.conffiles.map((name) => `${name}\n`).join(''));
  if (spec.triggers) await put('triggers', spec.triggers);
  if (spec.templates) await put('templates', spec.templates);
  for (const [name, text] of Object.entries(spec.scripts ?? {})) {
    if (text === undefined) continue;
    await put(name, text.startsWith('#!') ? text : `#!/bin/sh\nset -e\n${text}\n`, 0o755);
  }
}

function controlText(spec: PackageSpec): string {
  const fields: Record<string, string | undefined> = {
    Package: spec.name,
    Version: spec.version ?? '1.0',
    Architecture: spec.architecture ?? 'all',
    Maintainer: 'Test <test@example.com>',
    Section: spec.section ?? 'misc',
    Priority: spec.priority ?? 'optional',
    Essential: spec.essential ? 'yes' : undefined,
    'Multi-Arch': spec.multiArch,
    'Pre-Depends': spec.preDepends,
    Depends: spec.depends,
    Recommends: spec.recommends,
    Suggests: spec.suggests,
    Conflicts: spec.conflicts,
    Breaks: spec.breaks,
    Replaces: spec.replaces,
    Provides: spec.provides,
    ...spec.control,
    Description: spec.description ?? `the test package ${spec.name}`,
  };
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}\n`)
    .join('');
}
