/** Reading a solver's plan: what is unpacked, in which order, and whether it was asked for. */

import type { AptPlan, AptPlanPackage } from '../apt/cache.js';
import { ComposeError } from '../errors.js';

/** One package among all versions and architectures. */
export function packageKey(entry: { name: string; version: string; architecture: string }): string {
  return `${entry.name}_${entry.version}_${entry.architecture}`;
}

/** Packages in the order in which apt would have dpkg unpack them. */
export function inOrder(plan: AptPlan): AptPlanPackage[] {
  const byKey = new Map(plan.packages.map((entry) => [packageKey(entry), entry]));
  return plan.operations
    .filter(({ action }) => action === 'unpack')
    .flatMap((operation) => byKey.get(packageKey(operation)) ?? []);
}

export function isRemoved({ action }: AptPlanPackage): boolean {
  return action === 'remove' || action === 'purge';
}

/** Names with packages of several architectures, in what is installed and what a plan adds. */
export function coinstalled(
  packages: readonly { name: string; architecture: string }[],
): Set<string> {
  const seen = new Map<string, string>();
  const names = new Set<string>();
  for (const { name, architecture } of packages) {
    const before = seen.get(name) ?? architecture;
    if (before !== architecture) names.add(name);
    seen.set(name, before);
  }
  return names;
}

/** The default subject of a commit. */
export function describePlan(changes: readonly AptPlanPackage[], base: string | undefined): string {
  if (base === undefined) return `Compose ${changes.length} packages`;
  if (changes.length === 0) return 'Layer nothing';
  const names = changes.map(({ name, action }) =>
    action === 'remove' || action === 'purge' ? `-${name}` : name,
  );
  const shown = names.slice(0, 5).join(' ');
  return `Layer ${shown}${names.length > 5 ? ` and ${names.length - 5} more` : ''}`;
}

/** Who asked for what, as far as a plan can be held against it. */
export interface Asked {
  install: readonly string[];
  remove: readonly string[];
  replace: readonly string[];
}

/**
 * Refuses a plan that goes beyond the request in what the base already has: it may always bring
 * new packages, but packages of the base go or change only when they were named.
 *
 * @throws `ERR_APT_REFUSED` with the names in `package`.
 */
export function refuseUnasked(plan: AptPlan, asked: Asked): void {
  const changing = matcher([...asked.install, ...asked.replace]);
  const removing = matcher([...asked.remove, ...asked.install]);
  const unasked = plan.packages.filter(
    (entry) => entry.action !== 'install' && !(isRemoved(entry) ? removing : changing)(entry),
  );
  if (unasked.length === 0) return;
  const names = unasked.map((entry) => `${entry.name}:${entry.architecture}`).join(', ');
  const verbs = unasked.map((entry) =>
    isRemoved(entry)
      ? `remove ${entry.name} ${entry.version}`
      : `${entry.action} ${entry.name} ${entry.oldVersion ?? ''} to ${entry.version}`,
  );
  throw new ComposeError(
    'ERR_APT_REFUSED',
    `The request would change packages of the base that it does not name: ${verbs.join(', ')}`,
    { package: names },
  );
}

/**
 * Makes sure that what shall be replaced is there.
 *
 * @throws `ERR_APT_UNKNOWN_PACKAGE` with the name in `package`.
 */
export function requirePresent(plan: AptPlan, replace: readonly string[]): void {
  const tests = replace.filter((request) => !isPattern(request)).map(requestTest);
  const missing = plan.packages.find(
    (entry) => entry.action === 'install' && tests.some((test) => test(entry)),
  );
  if (!missing) return;
  throw new ComposeError(
    'ERR_APT_UNKNOWN_PACKAGE',
    `The base has no ${missing.name} that could be replaced: install it instead.`,
    { package: missing.name },
  );
}

/** The package that a request names; undefined where only libapt-pkg can tell. */
export function requestName(request: string): string | undefined {
  if (isPattern(request) || request.startsWith('/')) return undefined;
  return parseRequest(request).name;
}

/** Whether a request, as `SolveRequest` takes them, could mean a package. */
function matcher(requests: readonly string[]): (entry: AptPlanPackage) => boolean {
  // What patterns mean is for libapt-pkg alone to know.
  if (requests.some(isPattern)) return () => true;
  const tests = requests.map(requestTest);
  return (entry) => tests.some((test) => test(entry));
}

/** Patterns, tasks, globs and regular expressions. */
function isPattern(request: string): boolean {
  return !request.startsWith('/') && /^[?~]|[*?[\]^$|()]/.test(request);
}

function parseRequest(request: string): { name: string; architecture?: string } {
  const [, name = request, architecture] =
    /^([^:=/]+?)(?::([^=/]+?))?(?:[=/].*)?[+-]?$/.exec(request) ?? [];
  return { name, architecture };
}

function requestTest(request: string): (entry: AptPlanPackage) => boolean {
  if (request.startsWith('/')) return ({ uri }) => uri.endsWith(request);
  const { name, architecture } = parseRequest(request);
  const any = architecture === undefined || ['any', 'native', 'all'].includes(architecture);
  return (entry) =>
    // A name may itself end in what else would be a modifier (g++).
    (entry.name === name || entry.name === request) && (any || architecture === entry.architecture);
}
