/** The real `ostree` command, and trees to try things on. */

import { MutableTree, type Repo, type TreeEdit, type WriteCommitOptions } from 'apt-ostree/ostree';
import { run } from './run.js';

/** The output of the `ostree` command, without the last newline. */
export async function ostree(...args: string[]): Promise<string> {
  const { stdout } = await run('ostree', args, {
    env: { LC_ALL: 'C.UTF-8', OSTREE_SYSROOT_DEBUG: 'mutable-deployments' },
  });
  return stdout.trimEnd();
}

/** Commits a tree made of edits, on top of `base` if there is one, and returns its checksum. */
export async function commitEdits(
  repo: Repo,
  ref: string,
  edits: readonly TreeEdit[],
  options: Partial<WriteCommitOptions> & { base?: string } = {},
): Promise<string> {
  const { base, ...commit } = options;
  const { result } = await repo.transaction(async (transaction) => {
    const tree = base ? await MutableTree.fromCommit(repo, base) : MutableTree.create();
    await tree.apply(repo, edits);
    const checksum = await transaction.writeCommit({
      timestamp: new Date(0),
      ...commit,
      tree: await transaction.writeTree(tree),
    });
    await transaction.setRef(ref, checksum);
    return checksum;
  });
  return result;
}

/** A little of everything that a tree can hold. */
export const someEdits: readonly TreeEdit[] = [
  { op: 'mkdir', path: '/', mode: 0o755 },
  { op: 'mkdir', path: '/srv', uid: 7, gid: 8, mode: 0o2750 },
  { op: 'file', path: '/etc/hostname', content: 'debian\n', mode: 0o600, uid: 1, gid: 2 },
  { op: 'file', path: '/etc/empty', content: new Uint8Array() },
  { op: 'symlink', path: '/bin', target: 'usr/bin' },
  { op: 'file', path: '/usr/bin/tool', content: '#!/bin/sh\n', mode: 0o4755 },
  { op: 'file', path: '/usr/share/doc/ünï code', content: 'text' },
];

/** What libostree wants of a tree that can be deployed. */
export function bootableEdits(version: string, kernel = true): TreeEdit[] {
  const release = `NAME=Debian\nID=debian\nVERSION="${version}"\nPRETTY_NAME="Debian ${version}"\n`;
  const edits: TreeEdit[] = ['boot', 'dev', 'proc', 'run', 'sys', 'sysroot', 'tmp', 'var'].map(
    (name) => ({ op: 'mkdir', path: `/${name}` }),
  );
  edits.push(
    { op: 'symlink', path: '/ostree', target: 'sysroot/ostree' },
    { op: 'file', path: '/usr/etc/hostname', content: 'debian\n' },
    { op: 'file', path: '/usr/lib/os-release', content: release },
  );
  if (kernel) {
    edits.push(
      { op: 'file', path: '/usr/lib/modules/6.1.0/vmlinuz', content: 'kernel' },
      { op: 'file', path: '/usr/lib/modules/6.1.0/initramfs.img', content: 'initramfs' },
    );
  }
  return edits;
}
