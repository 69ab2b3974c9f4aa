/**
 * Secrets that maintainer scripts make. In a tree that several machines will have, one machine
 * could then speak for all others: they are taken out, and made again where the tree first boots.
 * Every rule is here, each with its reason.
 */

import path from 'node:path';
import type { TreeEdit } from '../ostree/mutable_tree.js';
import type { TreeEntry } from '../ostree/tree_entry.js';

interface SecretRule {
  name: string;
  reason: string;
  /** Of the root form. */
  directory: string;
  matches: RegExp;
  /** Links in these directories that lead to what is removed go too. */
  linksIn?: string;
  /** The file that takes its place, and asks its owner for a new one. */
  instead?: { content: string; mode: number };
  /** Makes it again; absent where its owner does so by itself. */
  again?: {
    /** The program; without it there is nothing to make. */
    program: string;
    arguments: string;
    /** A file that is there when nothing has to be made. */
    unless: string;
    before: string;
    /** Who is to have that file, alone. @default root, as the program makes it */
    owner?: string;
  };
}

const kRules: readonly SecretRule[] = [
  {
    name: 'ssh-host-keys',
    reason: 'openssh-server makes the keys by which clients know one machine',
    directory: '/etc/ssh',
    matches: /^ssh_host_.*_key(\.pub)?$/,
    again: {
      program: '/usr/bin/ssh-keygen',
      arguments: '-A',
      unless: '/etc/ssh/ssh_host_ed25519_key',
      before: 'ssh.service ssh.socket',
    },
  },
  {
    name: 'snakeoil-key',
    reason: 'ssl-cert makes a private key that servers use until they get a real one',
    directory: '/etc/ssl/private',
    matches: /^ssl-cert-snakeoil\.key$/,
    again: {
      program: '/usr/sbin/make-ssl-cert',
      arguments: 'generate-default-snakeoil --force-overwrite',
      unless: '/etc/ssl/private/ssl-cert-snakeoil.key',
      before: 'apache2.service nginx.service postfix.service dovecot.service postgresql.service',
    },
  },
  {
    name: 'snakeoil-certificate',
    reason: 'belongs to the key that ssl-cert makes, and has the name of the machine',
    directory: '/etc/ssl/certs',
    matches: /^ssl-cert-snakeoil\.pem$/,
    linksIn: '/etc/ssl/certs',
  },
  {
    name: 'rndc-key',
    reason: 'bind9 makes the key that controls the name server',
    directory: '/etc/bind',
    matches: /^rndc\.key$/,
    again: {
      program: '/usr/sbin/rndc-confgen',
      arguments: '-a -u bind',
      unless: '/etc/bind/rndc.key',
      before: 'named.service',
    },
  },
  {
    name: 'erlang-cookie',
    reason: 'whoever has it commands the rabbitmq-server; Erlang makes it when it is missing',
    directory: '/var/lib/rabbitmq',
    matches: /^\.erlang\.cookie$/,
  },
  {
    name: 'munge-key',
    reason: 'munge takes whoever has the key for a machine of the same cluster',
    directory: '/etc/munge',
    matches: /^munge\.key$/,
    again: {
      program: '/usr/sbin/mungekey',
      arguments: '-c',
      unless: '/etc/munge/munge.key',
      before: 'munge.service',
      owner: 'munge:munge',
    },
  },
  {
    name: 'nsd-keys',
    reason: 'nsd makes the keys that control the name server',
    directory: '/etc/nsd',
    matches: /^nsd_(control|server)\.(key|pem)$/,
    again: {
      program: '/usr/sbin/nsd-control-setup',
      arguments: '-d /etc/nsd',
      unless: '/etc/nsd/nsd_control.key',
      before: 'nsd.service',
    },
  },
  {
    name: 'xrdp-keys',
    reason: 'xrdp makes the keys by which clients know one machine',
    directory: '/etc/xrdp',
    matches: /^rsakeys\.ini$/,
    again: {
      program: '/usr/bin/xrdp-keygen',
      arguments: 'xrdp auto',
      unless: '/etc/xrdp/rsakeys.ini',
      before: 'xrdp.service',
      owner: 'xrdp',
    },
  },
  {
    name: 'random-seed',
    reason: 'seeds of random numbers must differ between machines; systemd makes its own',
    directory: '/var/lib/systemd',
    matches: /^random-seed$/,
  },
  {
    name: 'credential-secret',
    reason: 'the key of encrypted credentials; systemd-creds makes it when it is needed',
    directory: '/var/lib/systemd',
    matches: /^credential\.secret$/,
  },
  {
    name: 'network-manager-key',
    reason: 'addresses and identifiers derive from it; NetworkManager makes it when it starts',
    directory: '/var/lib/NetworkManager',
    matches: /^secret_key$/,
  },
  {
    name: 'iscsi-initiator',
    reason: 'storage servers know a machine by this name; open-iscsi makes one when it starts',
    directory: '/etc/iscsi',
    matches: /^initiatorname\.iscsi$/,
    instead: { content: 'GenerateName=yes\n', mode: 0o600 },
  },
];

const kUnits = '/usr/lib/systemd/system';

/** Lists a directory of the tree in the root form; nothing where it is missing. */
export type ListDirectory = (directory: string) => Promise<readonly TreeEntry[]>;

/** A secret that a tree has. */
export interface Secret {
  /** Of the root form. */
  path: string;
  /** Its content object. */
  checksum: string;
}

/** The secrets of a tree. */
export async function secretsOf(list: ListDirectory): Promise<Secret[]> {
  const found: Secret[] = [];
  for (const rule of kRules) {
    for (const entry of await list(rule.directory)) {
      const file = path.basename(entry.path);
      if (entry.type === 'directory' || !entry.checksum || !rule.matches.test(file)) continue;
      found.push({ path: `${rule.directory}/${file}`, checksum: entry.checksum });
    }
  }
  return found;
}

/**
 * Edits on the root form that put earlier secrets in place of those that scripts made anew, so that
 * the machine stays who it was.
 */
export function carryOver(made: readonly Secret[], earlier: readonly Secret[]): TreeEdit[] {
  const checksums = new Map(earlier.map(({ path: file, checksum }) => [file, checksum]));
  return made.flatMap((secret): TreeEdit[] => {
    const checksum = checksums.get(secret.path) ?? secret.checksum;
    return checksum === secret.checksum ? [] : [{ op: 'link', path: secret.path, checksum }];
  });
}

/** Edits on the root form that take secrets out and have them made at first boot. */
export async function removeSecrets(list: ListDirectory): Promise<TreeEdit[]> {
  const edits: TreeEdit[] = [];
  for (const rule of kRules) {
    const entries = await list(rule.directory);
    const found = entries.filter((entry) => rule.matches.test(path.basename(entry.path)));
    if (found.length === 0) continue;
    const names = new Set(found.map((entry) => path.basename(entry.path)));
    edits.push(...found.map((entry) => withoutSecret(rule, entry.path)));
    for (const entry of rule.linksIn === undefined ? [] : await list(rule.linksIn)) {
      const leads = entry.type === 'symlink' && names.has(path.basename(entry.target ?? ''));
      if (leads && !names.has(path.basename(entry.path))) {
        edits.push({ op: 'remove', path: entry.path });
      }
    }
    edits.push(...(await makeAgain(rule, list)));
  }
  return edits;
}

function withoutSecret({ instead }: SecretRule, file: string): TreeEdit {
  if (!instead) return { op: 'remove', path: file };
  return { op: 'file', path: file, ...instead, uid: 0, gid: 0 };
}

async function makeAgain(rule: SecretRule, list: ListDirectory): Promise<TreeEdit[]> {
  if (!rule.again) return [];
  const { program, arguments: args, unless, before, owner } = rule.again;
  if ((await list(program)).length === 0) return [];
  const unit = `apt-ostree-${rule.name}.service`;
  const content = `# Made by apt-ostree: ${rule.reason}.
[Unit]
Description=Make ${rule.name} of this machine
ConditionPathExists=!${unless}
After=systemd-tmpfiles-setup.service
Before=${before}

[Service]
Type=oneshot
ExecStart=${program} ${args}
${owner === undefined ? '' : `ExecStartPost=chown ${owner} ${unless}\nUMask=0077\n`}`;
  return [
    { op: 'file', path: `${kUnits}/${unit}`, content, mode: 0o644, uid: 0, gid: 0 },
    { op: 'symlink', path: `${kUnits}/multi-user.target.wants/${unit}`, target: `../${unit}` },
  ];
}
