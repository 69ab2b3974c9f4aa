/** The public interface in parts that take about as long each to misuse. */

import * as library from 'apt-ostree';
import { expect, test } from 'vitest';
import { type ApiMember, readApi } from './api.js';
import { misuse } from './misuse.js';

/** Errors take whatever they are given, as all errors of JavaScript do. */
const kExempt = /^(\w*Error$|invalidArg)/;
/** Waits, as it should, for what the caller writes into it. */
const kWaits = new Set(['Transaction.fileWriter']);

/** By class, and for large ones by class and member; functions by their name. */
export const groups = {
  apt: /^Apt(?!Cache\.)/,
  cache: /^AptCache\./,
  compose: /^Composer\./,
  functions: /^\w+$/,
  repo: /^Repo\.(?!commit$|checkout|pull|prune|fsck|diff)/,
  'repo-work': /^Repo\.(commit$|checkout|pull|prune|fsck|diff)/,
  'repo-parts':
    /^(Remotes|Signatures|RepoSummary|Deltas|Collections|RepoConfig|RepoLock|Objects)\./,
  sysroot: /^Sysroot/,
  texts: /^(Deb822|Deb822Stanza|DebFile|KernelArguments|BootConfig)\./,
  transaction: /^(Transaction|DevinoCache|SePolicy)\./,
  trees: /^MutableTree\./,
};
export type Group = keyof typeof groups;

/** `Repo.open`, `formatStatus`. */
export function titleOf({ owner, name }: ApiMember): string {
  return owner === undefined ? name : `${owner}.${name}`;
}

/** Whether a call is one that misuse is tried on. */
export function isTried(member: ApiMember): boolean {
  return (
    !member.internal && !kExempt.test(member.owner ?? member.name) && !kWaits.has(titleOf(member))
  );
}

/** The groups that a call is in: one, as the tests of the house say. */
export function groupsOf(member: ApiMember): Group[] {
  return (Object.keys(groups) as Group[]).filter((name) => groups[name].test(titleOf(member)));
}

/** What exists at run time and is in no type. */
export function undeclared(api: readonly ApiMember[]): string[] {
  const known = new Set(api.map(titleOf));
  return Object.entries(library as Record<string, unknown>)
    .filter(([name, value]) => typeof value === 'function' && !kExempt.test(name))
    .flatMap(([name, value]) =>
      [...known].some((entry) => entry.startsWith(`${name}.`))
        ? ownMethods(name, value as { prototype: object })
        : [name],
    )
    .filter((entry) => !known.has(entry));
}

/** Every call of one group, with every kind of bad argument and on objects in every state. */
export function testMisuse(group: Group): void {
  test('every bad call gives a typed error', async () => {
    const members = readApi().filter(
      (member) => isTried(member) && groups[group].test(titleOf(member)),
    );
    expect(members.length).toBeGreaterThan(3);
    const { calls, problems } = await misuse(members);
    expect(problems, problems.join('\n')).toEqual([]);
    expect(calls).toBeGreaterThan(members.length);
  }, 600_000);
}

function ownMethods(name: string, value: { prototype: object }): string[] {
  const names: string[] = [];
  for (const key of Object.getOwnPropertyNames(value.prototype)) {
    if (key !== 'constructor') names.push(`${name}.${key}`);
  }
  return names;
}
