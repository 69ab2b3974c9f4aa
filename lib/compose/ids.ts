/**
 * Numbers of users and groups. Scripts take the next free one, so the same package gets another
 * number on another base, and files in /var of a machine then belong to somebody else. Every tree
 * carries a ledger of all names that it or the trees before it had, and names that come back get
 * their old numbers.
 */

import { symlink } from 'node:fs/promises';
import path from 'node:path';
import { ComposeError } from '../errors.js';
import type { TreeEdit } from '../ostree/mutable_tree.js';
import type { Repo } from '../ostree/repo.js';
import { placeDirectory, placeFile } from './files.js';
import { orMissing } from './tree_database.js';

/** Numbers by name, in objects without a prototype: `constructor` is a name like others. */
export interface IdLedger {
  users: Readonly<Record<string, number>>;
  groups: Readonly<Record<string, number>>;
}

/** Where a tree keeps its ledger. */
export const kLedger = '/usr/lib/sysimage/apt-ostree/ids.json';
/**
 * The accounts of the tree for systemd-sysusers: a machine that has changed its /etc/passwd gets
 * them too. Read before the files of packages, so that their numbers are these.
 */
export const kSysusers = '/usr/lib/sysusers.d/00-apt-ostree.conf';

type Ids = IdLedger['users'];

function idsOf(entries: Iterable<readonly [string, number]>): Ids {
  const ids: Record<string, number> = Object.create(null);
  for (const [name, id] of entries) ids[name] = id;
  return ids;
}

export const kNoIds: IdLedger = { users: idsOf([]), groups: idsOf([]) };

/** Below 100 base-passwd assigns, from 1000 on people do (Debian policy, 9.2.2). */
const kFirstDynamic = 100;
const kLastDynamic = 999;

/**
 * The ledger of a commit; empty where it has none.
 *
 * @throws `ERR_COMPOSE_LAYOUT` where it is damaged.
 */
export async function ledgerOf(repo: Repo, rev: string): Promise<IdLedger> {
  const text = await orMissing(repo.readFile(rev, kLedger));
  if (text === undefined) return kNoIds;
  const ledger = parseLedger(text.toString('utf8'));
  if (ledger) return ledger;
  throw new ComposeError('ERR_COMPOSE_LAYOUT', `${kLedger} of ${rev} is damaged`, {
    path: kLedger,
    ref: rev,
  });
}

/** Undefined for anything else than `ledgerText` makes. */
export function parseLedger(text: string): IdLedger | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const part = (key: 'users' | 'groups') => {
      const entries = Object.entries((value as Record<string, object>)[key] ?? {});
      // The names go into files that the shell and awk read.
      const sound = entries.every(([name, id]) => kName.test(name) && Number.isSafeInteger(id));
      if (!sound) throw new SyntaxError('not a ledger');
      return idsOf(entries);
    };
    return { users: part('users'), groups: part('groups') };
  } catch {
    return undefined;
  }
}

const kName = /^[A-Za-z0-9_][A-Za-z0-9_.-]*\$?$/;

export function ledgerText({ users, groups }: IdLedger): string {
  const sorted = (ids: Ids) => idsOf(Object.entries(ids).sort(([a], [b]) => (a < b ? -1 : 1)));
  return `${JSON.stringify({ users: sorted(users), groups: sorted(groups) }, null, 1)}\n`;
}

/** One ledger of several; the number of a name is that of the first that has it. */
export function mergeLedgers(...ledgers: readonly IdLedger[]): IdLedger {
  const last = [...ledgers].reverse();
  const merged = (kind: keyof IdLedger) =>
    idsOf(last.flatMap((ledger) => Object.entries(ledger[kind])));
  return { users: merged('users'), groups: merged('groups') };
}

/** Whether the first has every name of the second, with the same number. */
export function covers(all: IdLedger, some: IdLedger): boolean {
  return (['users', 'groups'] as const).every((kind) =>
    Object.entries(some[kind]).every(([name, id]) => all[kind][name] === id),
  );
}

/** The accounts of a tree. */
export interface Accounts {
  /** /etc/passwd (passwd(5)). */
  passwd: string;
  /** /etc/group (group(5)). */
  group: string;
}

/** @param read a file of the tree in the root form; one that is missing counts as empty */
export async function readAccounts(read: (file: string) => Promise<Buffer>): Promise<Accounts> {
  const text = async (file: string) => (await orMissing(read(file)))?.toString('utf8') ?? '';
  return { passwd: await text('etc/passwd'), group: await text('etc/group') };
}

/** What a ledger records of a tree: all system accounts. */
export function accountIds({ passwd, group }: Accounts): IdLedger {
  const ids = (text: string) =>
    idsOf(
      lines(text)
        .map(([name = '', , id = '']) => [name, Number(id)] as const)
        .filter(([name, id]) => kName.test(name) && id > 0 && id <= kLastDynamic),
    );
  return { users: ids(passwd), groups: ids(group) };
}

/** sysusers.d(5) lines for the accounts that scripts made. */
export function sysusersText({ passwd, group }: Accounts): string {
  const dynamic = (id: string) => Number(id) >= kFirstDynamic && Number(id) <= kLastDynamic;
  const groups = lines(group).filter(([name = '', , id = '']) => kName.test(name) && dynamic(id));
  const users = lines(passwd).filter(([name = '', , id = '']) => kName.test(name) && dynamic(id));
  const made = new Set(users.map(([name]) => name));
  return [
    '# Made by apt-ostree from the accounts that packages made in this tree.',
    ...groups.map(([name, , gid]) => `g ${name} ${gid}`),
    ...users.map(([name, , uid, gid, comment = '', home = '', shell = '']) =>
      ['u', name, `${uid}:${gid}`, quote(comment), quote(home), quote(shell)].join(' '),
    ),
    // Memberships that scripts gave.
    ...lines(group).flatMap(([name, , , members = '']) =>
      members
        .split(',')
        .filter((member) => made.has(member))
        .map((member) => `m ${member} ${name}`),
    ),
    '',
  ].join('\n');
}

/** Edits that put the ledger and the accounts into a tree. */
export function idEdits(ledger: IdLedger, accounts: Accounts): TreeEdit[] {
  const file = { op: 'file', mode: 0o644, uid: 0, gid: 0 } as const;
  return [
    { ...file, path: kLedger, content: ledgerText(ledger) },
    { ...file, path: kSysusers, content: sysusersText(accounts) },
  ];
}

function lines(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(':'));
}

function quote(text: string): string {
  if (text === '') return '-';
  if (/^[\w/.-]+$/.test(text)) return text;
  return `"${text.replaceAll('%', '%%').replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

const kPools = 'usr/local/lib/apt-ostree';
const kTools = ['adduser', 'addgroup', 'useradd', 'groupadd', 'systemd-sysusers'];

/**
 * In front of the tools that make accounts, where the ledger knows names that the tree lacks. Each
 * is told the old number of a name, or, for a new name, one that no name of the ledger has had; it
 * does the rest as ever. An old number that is taken by now is not asked for.
 */
const kTool = `#!/bin/sh
pools=/${kPools}
name=\${0##*/}

# The number of account $2 in pool $1, unless somebody in file $3 has it.
known() {
  id=$(sed -n "s/^$2:\\([0-9]*\\)\\$/\\1/p" "$pools/$1")
  [ -n "$id" ] && ! grep -q "^[^:]*:[^:]*:$id:" "$3"
}

# Pool $1 without the numbers that file $2 has.
usable() {
  cut -d: -f3 "$2" | awk -F: 'NR == FNR { taken[$1] = 1; next } !($2 in taken)' - "$pools/$1"
}

# The first number from $1 to $2 in steps of $3 that nobody has or had.
free() {
  { cut -d: -f3 /etc/passwd /etc/group; cut -d: -f2 "$pools/users" "$pools/groups"; } |
    awk -v id="$1" -v last="$2" -v step="$3" '
      { taken[$1] = 1 }
      END { while (id in taken && id != last) id += step; print id }'
}

case $name in
adduser|addgroup)
  work=$(mktemp -d) || exit 1
  usable users /etc/passwd > "$work/users"
  usable groups /etc/group > "$work/groups"
  next=100
  for account; do
    # Which argument is the name is for the tool to know; others of these lines do no harm.
    case $account in [!a-z_]*|*[!A-Za-z0-9_.-]*) continue ;; esac
    grep -q "^$account:" "$work/users" "$work/groups" /etc/passwd /etc/group && continue
    next=$(free $next 999 1)
    echo "$account:$next" | tee -a "$work/users" >> "$work/groups"
    next=$((next + 1))
  done
  # Of two settings the later counts, so the tree's own stay.
  { echo "UID_POOL=$work/users"; echo "GID_POOL=$work/groups"; } > "$work/conf"
  [ ! -r /etc/adduser.conf ] || cat /etc/adduser.conf >> "$work/conf"
  /usr/sbin/$name --conf "$work/conf" "$@"
  ;;
useradd)
  system=
  for account; do
    case $account in
    -u*|--uid*|-R*|--root*|-P*|--prefix*|-D) exec /usr/sbin/$name "$@" ;;
    -r|--system) system=1 ;;
    esac
  done
  if known users "$account" /etc/passwd || { [ -n "$system" ] && id=$(free 999 100 -1); }; then
    exec /usr/sbin/$name -u "$id" "$@"
  fi
  exec /usr/sbin/$name "$@"
  ;;
groupadd)
  system=
  for account; do
    case $account in
    -g*|--gid*|-R*|--root*|-P*|--prefix*) exec /usr/sbin/$name "$@" ;;
    -r|--system) system=1 ;;
    esac
  done
  if known groups "$account" /etc/group || { [ -n "$system" ] && id=$(free 999 100 -1); }; then
    exec /usr/sbin/$name -g "$id" "$@"
  fi
  exec /usr/sbin/$name "$@"
  ;;
systemd-sysusers)
  files=
  for file; do
    case $file in
    --inline|--root*|--image*|--replace*) exec /usr/bin/$name "$@" ;;
    -*) ;;
    */*) files="$files $file" ;;
    *)
      for directory in /etc /run /usr/local/lib /usr/lib; do
        [ -e "$directory/sysusers.d/$file" ] || continue
        files="$files $directory/sysusers.d/$file"
        break
      done
      ;;
    esac
  done
  [ -n "$files" ] || exec /usr/bin/$name "$@"
  # The same lines with numbers, read first; the ones without then count for nothing.
  work=$(mktemp -d) || exit 1
  awk -F '[ \\t]+' -v users="$pools/users" -v groups="$pools/groups" '
    function read(file, ids, column,    line, part) {
      while ((getline line < file) > 0) {
        split(line, part, ":")
        ids[part[1]] = part[column]
        taken[part[column]] = 1
      }
    }
    function free(    id) {
      for (id = 999; id in taken && id > 100; id--);
      taken[id] = 1
      return id
    }
    BEGIN {
      read("/etc/passwd", passwd, 3); read("/etc/group", group, 3)
      read(users, uid, 2); read(groups, gid, 2)
    }
    { sub(/^[ \\t]+/, "") }
    $3 != "-" || !($1 == "u" || $1 == "g") { next }
    !($2 in group) {
      if (!($2 in gid)) gid[$2] = $2 in uid ? uid[$2] : free()
      print "g " $2 " " gid[$2]
    }
    $1 == "u" && !($2 in passwd) {
      if (!($2 in uid)) uid[$2] = $2 in gid ? gid[$2] : free()
      rest = $0
      sub(/^[^ \\t]+[ \\t]+[^ \\t]+[ \\t]+-/, "", rest)
      print "u " $2 " " uid[$2] ":" ($2 in group ? group[$2] : gid[$2]) rest
    }' $files > "$work/numbers.conf"
  /usr/bin/$name "$work/numbers.conf" "$@"
  ;;
esac
code=$?
rm -rf "$work"
exit $code
`;

/** Puts the tools below the tree where they are needed; `directory` is never part of it. */
export async function writeIdTools(
  directory: string,
  ledger: IdLedger,
  present: IdLedger,
): Promise<void> {
  const missing = (kind: 'users' | 'groups') =>
    Object.entries(ledger[kind]).filter(([name]) => present[kind][name] === undefined);
  const [users, groups] = [missing('users'), missing('groups')];
  if (users.length + groups.length === 0) return;
  const pool = (entries: typeof users) => entries.map(([name, id]) => `${name}:${id}\n`).join('');
  await placeFile(directory, `${kPools}/users`, pool(users));
  await placeFile(directory, `${kPools}/groups`, pool(groups));
  await placeFile(directory, `${kPools}/make-account`, kTool, 0o755);
  await placeDirectory(directory, 'usr/local/sbin');
  for (const name of kTools) {
    const link = path.join(directory, 'usr/local/sbin', name);
    await symlink(`/${kPools}/make-account`, link);
  }
}
