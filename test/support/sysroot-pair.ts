/** Two equal sysroots, one for `ostree admin` and one for the library. */

import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { Sysroot } from 'apt-ostree/ostree';
import { bootableEdits, commitEdits, ostree } from './ostree.js';

export interface SysrootPair extends AsyncDisposable {
  readonly theirs: string;
  readonly ours: string;
  readonly sysroot: Sysroot;
  /** Commits a version to both; the checksum is the same. */
  commit(version: string, ref?: string): Promise<string>;
  /** `ostree admin` on `theirs`. */
  admin(command: string, ...args: string[]): Promise<string>;
}

/** `prepare` is run on both before anything is deployed. */
export async function sysrootPair(
  directory: string,
  prepare: (root: string) => Promise<unknown> = async () => {},
): Promise<SysrootPair> {
  const [theirs, ours] = [`${directory}/theirs`, `${directory}/ours`];
  for (const root of [theirs, ours]) {
    await using made = await Sysroot.initialize(root);
    await made.initStateroot('debian');
    await prepare(root);
  }
  const sysroot = await Sysroot.load(ours);
  return {
    theirs,
    ours,
    sysroot,
    async commit(version, ref = 'debian') {
      const checksums = await Promise.all(
        [theirs, ours].map(async (root) => {
          await using one = await Sysroot.load(root);
          await using repo = await one.repo();
          return await commitEdits(repo, ref, bootableEdits(version), {
            timestamp: new Date(Number(version) * 1000),
            metadata: { version: { type: 's', value: version } },
          });
        }),
      );
      return checksums[0] ?? '';
    },
    admin: (command, ...args) =>
      ostree('admin', ...command.split(' '), `--sysroot=${theirs}`, ...args),
    async [Symbol.asyncDispose]() {
      await sysroot.close();
    },
  };
}

/** Every path below `root/part`: kind, mode, target of links, and with `content` that of files. */
export async function treeOf(root: string, part: string, content = true): Promise<string[]> {
  const found: string[] = [];
  const walk = async (path: string) => {
    const stat = await lstat(`${root}/${path}`);
    const what = stat.isSymbolicLink()
      ? `-> ${await readlink(`${root}/${path}`)}`
      : stat.isDirectory()
        ? 'directory'
        : content
          ? await readFile(`${root}/${path}`, 'utf8')
          : 'file';
    found.push(`${path} ${(stat.mode & 0o7777).toString(8)} ${what}`);
    if (!stat.isDirectory()) return;
    for (const name of (await readdir(`${root}/${path}`)).sort()) await walk(`${path}/${name}`);
  };
  await walk(part);
  return found;
}
