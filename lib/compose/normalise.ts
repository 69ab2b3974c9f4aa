/**
 * What an image must not carry, and what it needs instead. Every rule is here, each with its
 * reason.
 */

import type { TreeEdit } from '../ostree/mutable_tree.js';
import type { TreeEntry } from '../ostree/tree_entry.js';
import { kFactoryVar, kTmpfiles } from './layout.js';

/** Paths of the root form that are dropped from every tree. */
const kDropped: readonly { path: string; reason: string }[] = [
  { path: '/etc/machine-id', reason: 'identity of one machine' },
  { path: '/var/lib/dbus/machine-id', reason: 'identity of one machine' },
  { path: '/etc/resolv.conf', reason: 'belongs to the network a machine is on' },
  { path: '/etc/hostname', reason: 'set by who deploys; the sandbox has one of its own' },
  { path: '/etc/.pwd.lock', reason: 'lock file' },
  { path: '/etc/passwd-', reason: 'backup written by the user tools' },
  { path: '/etc/group-', reason: 'backup written by the user tools' },
  { path: '/etc/shadow-', reason: 'backup written by the user tools' },
  { path: '/etc/gshadow-', reason: 'backup written by the user tools' },
  { path: '/etc/subuid-', reason: 'backup written by the user tools' },
  { path: '/etc/subgid-', reason: 'backup written by the user tools' },
  { path: '/var/cache/ldconfig/aux-cache', reason: 'holds inode numbers and times' },
  { path: '/var/cache/debconf/config.dat-old', reason: 'backup written by debconf' },
  { path: '/var/cache/debconf/templates.dat-old', reason: 'backup written by debconf' },
  { path: '/var/cache/debconf/passwords.dat-old', reason: 'backup written by debconf' },
  { path: '/var/lib/dpkg/status-old', reason: 'backup written by dpkg' },
  { path: '/var/lib/dpkg/diversions-old', reason: 'backup written by dpkg' },
  { path: '/var/lib/dpkg/statoverride-old', reason: 'backup written by dpkg' },
  { path: '/var/lib/dpkg/lock', reason: 'lock file' },
  { path: '/var/lib/dpkg/lock-frontend', reason: 'lock file' },
  { path: '/var/lib/dpkg/triggers/Lock', reason: 'lock file' },
  { path: '/var/log/dpkg.log', reason: 'log with times' },
  { path: '/var/log/alternatives.log', reason: 'log with times' },
  { path: '/var/log/bootstrap.log', reason: 'log with times' },
  { path: '/var/log/apt/history.log', reason: 'log with times' },
  { path: '/var/log/apt/term.log', reason: 'log with times' },
  { path: '/vmlinuz', reason: 'link into /boot; the boot loader entries are made by libostree' },
  { path: '/vmlinuz.old', reason: 'link into /boot' },
  { path: '/initrd.img', reason: 'link into /boot' },
  { path: '/initrd.img.old', reason: 'link into /boot' },
];

/** Directories of the root form that are emptied: scratch space of the scripts. */
const kEmptied: readonly { path: string; mode: number }[] = [
  { path: '/var/tmp', mode: 0o1777 },
  { path: '/var/backups', mode: 0o755 },
];

/** Edits on the root form, before it becomes an image. */
export function normalise(): TreeEdit[] {
  return [
    ...kDropped.map(({ path }): TreeEdit => ({ op: 'remove', path, allowMissing: true })),
    ...kEmptied.flatMap(({ path, mode }): TreeEdit[] => [
      { op: 'remove', path, allowMissing: true },
      { op: 'mkdir', path, mode },
    ]),
    // Present and empty: systemd then makes an identity at first boot (machine-id(5)).
    { op: 'file', path: '/etc/machine-id', content: '', mode: 0o444, uid: 0, gid: 0 },
  ];
}

/**
 * The tmpfiles.d lines that put the content of /var in place on a machine: directories with their
 * owners, links as links, files as copies that are made only where they are missing.
 *
 * @param entries the content of `kFactoryVar`, recursively
 * @param opt names in /usr/lib/opt
 */
export function tmpfiles(entries: readonly TreeEntry[], opt: readonly string[]): TreeEdit {
  const lines = [
    '# Made by apt-ostree from what packages put into /var.',
    'L+ /var/lib/dpkg - - - - ../../usr/lib/sysimage/dpkg',
    ...opt.map((name) => `L ${quote(`/var/opt/${name}`)} - - - - ../../usr/lib/opt/${name}`),
  ];
  const sorted = [...entries].sort((a, b) => (a.path < b.path ? -1 : 1));
  for (const entry of sorted) {
    const inside = entry.path.slice(kFactoryVar.length);
    if (inside === '') continue;
    const target = quote(`/var${inside}`);
    if (entry.type === 'directory') {
      const mode = (entry.mode & 0o7777).toString(8).padStart(4, '0');
      lines.push(`d ${target} ${mode} ${entry.uid} ${entry.gid} - -`);
    } else if (entry.type === 'symlink' && !entry.target?.includes('\n')) {
      lines.push(`L ${target} - - - - ${(entry.target ?? '').replaceAll('%', '%%')}`);
    } else {
      // Without an argument: from the same place below /usr/share/factory. An argument reaches to
      // the end of the line and knows no escapes.
      lines.push(`C ${target}`);
    }
  }
  return {
    op: 'file',
    path: kTmpfiles,
    content: `${lines.join('\n')}\n`,
    mode: 0o644,
    uid: 0,
    gid: 0,
  };
}

/** Specifiers start with %, fields end at white space, lines at a newline (tmpfiles.d(5)). */
function quote(file: string): string {
  const escaped = file
    .replaceAll('%', '%%')
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"')
    .replaceAll('\n', '\\n');
  return /\s|["'\\]/.test(escaped) ? `"${escaped}"` : escaped;
}
