/** What may differ between the fast road and apt-get. Every rule is here, each with its reason. */

import { normalise } from '../../lib/compose/normalise.js';

export interface Rule {
  /** Paths of the root form. */
  path: RegExp;
  /** `content`: both have it, with the same kind, mode and owner. `any`: whatever. */
  may: 'content' | 'any';
  reason: string;
}

const literal = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** What the engine drops or empties on purpose; the reasons are in normalise.ts. */
const kNormalised: readonly Rule[] = normalise()
  .flatMap((edit) => ('path' in edit ? [edit.path] : []))
  .map((path) => ({
    path: new RegExp(`^${literal(path)}(/|$)`),
    may: 'any',
    reason: 'normalised',
  }));

export const kAllowed: readonly Rule[] = [
  ...kNormalised,
  {
    path: /^\/(dev|proc|run|sys|tmp)(\/|$)/,
    may: 'any',
    reason: 'mount points, empty in an image',
  },
  {
    path: /^\/usr\/lib\/(sysimage\/apt-ostree\/|sysusers\.d\/00-apt-ostree\.conf$)/,
    may: 'any',
    reason: 'the ledger of accounts, which apt-get does not keep',
  },
  { path: /^\/media(\/|$)/, may: 'any', reason: 'a link into /run in an image' },
  { path: /^\/boot\/initrd\.img-/, may: 'any', reason: 'made beside the modules by the engine' },
  {
    path: /^\/usr\/lib\/modules\/[^/]+\/initramfs\.img$/,
    may: 'any',
    reason: 'made beside the modules by the engine',
  },
  {
    path: /^\/usr\/share\/initramfs-tools\/(hooks\/ostree|scripts\/local-bottom(\/ostree)?)$/,
    may: 'any',
    reason: 'added by the engine with an initramfs: Debian has nothing that boots a deployment',
  },
  { path: /\/__pycache__(\/|$)|\.pyc$/, may: 'content', reason: 'bytecode holds times' },
  { path: /^\/var\/cache\/man\//, may: 'content', reason: 'database with times' },
  { path: /^\/var\/cache\/fontconfig\//, may: 'any', reason: 'named and filled by times' },
  { path: /^\/etc\/ssl\/certs\/java\/cacerts$/, may: 'content', reason: 'key store with times' },
  { path: /^\/etc\/ssh\/ssh_host_.*_key(\.pub)?$/, may: 'content', reason: 'random key' },
  {
    path: /^\/etc\/ssl\/(private|certs)\/ssl-cert-snakeoil\.(key|pem)$/,
    may: 'content',
    reason: 'random key',
  },
  { path: /^\/etc\/bind\/rndc\.key$/, may: 'content', reason: 'random key' },
  {
    path: /^\/etc\/(munge\/munge\.key|nsd\/nsd_(control|server)\.(key|pem)|xrdp\/rsakeys\.ini)$/,
    may: 'content',
    reason: 'random key',
  },
  { path: /^\/var\/lib\/rabbitmq\/\.erlang\.cookie$/, may: 'content', reason: 'random key' },
  {
    path: /^\/var\/log\/munin\/munin-node-configure\.log$/,
    may: 'content',
    reason: 'log with times',
  },
  {
    path: /^\/var\/lib\/texmf\/web2c\/.*\.(fmt|base|log)$/,
    may: 'content',
    reason: 'formats of TeX, and the logs of making them, have times',
  },
  {
    path: /^\/(etc\/ejabberd\/ejabberd|var\/lib\/quassel\/quasselCert)\.pem$/,
    may: 'content',
    reason: 'random key',
  },
  { path: /^\/etc\/\.git\//, may: 'any', reason: 'etckeeper commits with the time' },
  {
    path: /^\/etc\/iptables\/rules\.v[46]$/,
    may: 'any',
    reason: "iptables-persistent saves the rules of the machine that runs it: none of the tree's",
  },
  {
    path: /^\/etc\/aliases\.db$/,
    may: 'content',
    reason: 'Berkeley DB names each file by its inode, the time and the process',
  },
  {
    path: /^\/var\/lib\/postgresql\/\d+\/main\/(global\/pg_control|pg_stat\/pgstat\.stat|pg_wal\/)/,
    may: 'content',
    reason: 'a cluster has an identifier made of time and process, and its log has times',
  },
  {
    path: /^\/var\/lib\/mysql\//,
    may: 'content',
    reason: 'tables have the times at which they were made, and the log its numbers',
  },
  {
    path: /^\/(etc\/ldap\/slapd\.d\/.*\.ldif|var\/lib\/ldap\/data\.mdb)$/,
    may: 'content',
    reason: 'entries of a directory have identifiers and times, and its first password is random',
  },
  {
    path: /^\/boot\/grub(\/|$)/,
    may: 'any',
    reason: "boot loaders are the deployment's, not the tree's",
  },
  { path: /^\/etc\/iscsi\/initiatorname\.iscsi$/, may: 'content', reason: 'random name' },
  {
    path: /^\/usr\/share\/info\/dir\.old$/,
    may: 'any',
    reason: 'backup of an index made by turns',
  },
  {
    path: /^\/var\/lib\/mysql\/aria_log(_control|\.\d+)$/,
    may: 'content',
    reason: 'a database has a random identifier, and its log has times',
  },
];

export interface TextRule {
  path: string;
  reason: string;
  /** Where a request is repeated on another base, and nowhere else. */
  relayeredOnly?: boolean;
  /** Both texts must be equal after it. */
  same: (text: string) => string;
}

const withoutNumbers = (text: string) =>
  text
    .split('\n')
    .map((line) => line.replace(/:\d+(?=:)/g, ':'))
    .sort()
    .join('\n');

/** Files of which only a part is compared. */
export const kTexts: readonly TextRule[] = [
  {
    path: '/var/lib/apt/extended_states',
    reason: 'apt appends new marks in the order of its cache; the engine sorts, so as to repeat',
    same: (text) => text.trim().split('\n\n').sort().join('\n\n'),
  },
  {
    path: '/var/lib/texmf/ls-R',
    reason: 'mktexlsr lists directories in the order of the disk',
    same: (text) =>
      text
        .split('\n\n')
        .map((block) => block.trim().split('\n').sort().join('\n'))
        .sort()
        .join('\n\n'),
  },
  ...['passwd', 'passwd-', 'group', 'group-'].map((name) => ({
    path: `/etc/${name}`,
    reason: 'a repeated request never gives a number to another account than the one that had it',
    relayeredOnly: true,
    same: withoutNumbers,
  })),
];

/** The rule for a difference; undefined where there is none. */
export function allowed(file: string, ours: string | undefined, theirs: string | undefined) {
  // Kind, mode, owner: all but the hash at the end.
  const without = (text: string | undefined) => text?.replace(/ [0-9a-f]{64}(?= |$)/, '');
  const sameKind = ours !== undefined && without(ours) === without(theirs);
  return kAllowed.find((rule) => rule.path.test(file) && (rule.may === 'any' || sameKind));
}
