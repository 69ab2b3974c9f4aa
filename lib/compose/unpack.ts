/**
 * Unpacking with dpkg: hollow packages, filled afterwards, or the real ones.
 *
 * While dpkg unpacks hollow packages, their files are stubs. That is no difference to anything but
 * a script that uses files of a package which was only unpacked a moment before it. What has been
 * read, changed or removed is known after the fact, so such a step is thrown away and done again
 * with real packages. What leaves no trace is a look at the size of a file: where a script may do
 * that, the packages before it are filled first.
 */

import path from 'node:path';
import type { AptPlanPackage } from '../apt/cache.js';
import type { Repo } from '../ostree/repo.js';
import { kDebsInside, runDpkg, unpackCommand } from './dpkg.js';
import type { ComposeListener, FallbackEvent } from './events.js';
import { copyChecked } from './files.js';
import { type ImportedDeb, writeHollowDebs } from './import.js';
import { fillLayer } from './layer.js';
import type { LayerRun, LayerStack } from './layers.js';
import { packageKey } from './plan.js';
import type { Workspace } from './workspace.js';

/** What dpkg is to be given for the packages of a plan. */
export interface Material {
  imported: Map<string, ImportedDeb>;
  /** The packages' files, for those that must not be unpacked hollow. */
  files: Map<string, string>;
  /** The files of more packages. */
  fetch: (packages: readonly AptPlanPackage[]) => Promise<ReadonlyMap<string, string>>;
}

export interface UnpackParts {
  repo: Repo;
  workspace: Workspace;
  layers: LayerStack;
  packages: readonly AptPlanPackage[];
  material: Material;
  /** Whether a package is unpacked with its content in any case. */
  isReal: (entry: AptPlanPackage) => boolean;
  environment: Readonly<Record<string, string>>;
  onEvent?: ComposeListener;
  signal?: AbortSignal;
}

/** Unpacks the packages, in this order, into new layers. */
export async function unpack(parts: UnpackParts): Promise<void> {
  for (const packages of await groups(parts)) await unpackGroup({ ...parts, packages });
}

/** Runs of dpkg: a new one for each package whose scripts may ask for sizes of stubs. */
async function groups(parts: UnpackParts): Promise<AptPlanPackage[][]> {
  const result: AptPlanPackage[][] = [[]];
  let stubs = false;
  for (const entry of parts.packages) {
    if (stubs && (await mayAskForSizes(parts, entry))) {
      result.push([]);
      stubs = false;
    }
    result.at(-1)?.push(entry);
    stubs ||= isHollow(parts, entry);
  }
  return result;
}

/** Programs that tell sizes or call what does, and scripts that are no shell scripts. */
const kTellsSizes = /\b(?:stat|du|find|cmp|wc|ls|rsync|perl|python3?)\b/;
const kShell = /^#! *\/(?:usr\/)?bin\/(?:env +)?(?:sh|bash|dash)\b/;

async function mayAskForSizes(
  { repo, material, signal }: UnpackParts,
  entry: AptPlanPackage,
): Promise<boolean> {
  // Scripts of the installed version run too.
  if (entry.action !== 'install') return true;
  const { commit, scripts } = required(material.imported, entry);
  if (!scripts.includes('preinst')) return false;
  const script = await repo.readFile(commit, '/deb/control/preinst', { signal });
  const text = script.toString('latin1');
  return !kShell.test(text) || kTellsSizes.test(text);
}

function isHollow({ isReal, material }: UnpackParts, entry: AptPlanPackage): boolean {
  return !(isReal(entry) && material.files.has(packageKey(entry)));
}

async function unpackGroup(parts: UnpackParts): Promise<void> {
  const { packages, material, onEvent } = parts;
  const hollow = packages.filter((entry) => isHollow(parts, entry));
  let calls = 0;
  const first = await attempt(
    {
      ...parts,
      onEvent: (event) => {
        if (event.type === 'script') calls += 1;
        onEvent?.(event);
      },
    },
    new Set(hollow),
  );
  if (first.done) return;
  const names = hollow.map(({ name }) => name);
  onEvent?.({ type: 'fallback', packages: names, ...first.because, voided: calls });
  try {
    for (const [key, file] of await material.fetch(hollow)) material.files.set(key, file);
  } catch (error) {
    throw first.error ?? error;
  }
  const second = await attempt(parts, new Set());
  if (!second.done) throw second.error;
}

type Attempt =
  | { done: true }
  | { done: false; because: Pick<FallbackEvent, 'reason' | 'paths'>; error?: unknown };

/** Leaves a layer only where it ended well and no script touched a stub. */
async function attempt(parts: UnpackParts, hollow: ReadonlySet<AptPlanPackage>): Promise<Attempt> {
  const { repo, workspace, layers, packages, material, signal } = parts;
  const debs = await workspace.directory('debs');
  const binds = [{ source: debs, target: kDebsInside }];
  const commits: string[] = [];
  const writes: { commit: string; destination: string }[] = [];
  const names = packages.map((_, index) => `${index}.deb`);
  for (const [index, entry] of packages.entries()) {
    const destination = path.join(debs, names[index] as string);
    const { commit, sha256 } = required(material.imported, entry);
    if (hollow.has(entry)) {
      commits.push(commit);
      writes.push({ commit, destination });
    } else {
      // Whoever owns the file may have changed it since it was imported, and may do so later.
      await copyChecked(required(material.files, entry), destination, sha256, signal);
    }
  }
  await writeHollowDebs(repo, writes, { signal });
  const run = await layers.nextRun('unpack');
  const failure = await dpkg(parts, run, names, binds);
  if (failure && (hollow.size === 0 || !isRefusal(failure.error))) throw failure.error;
  const { links, touched } = await fillLayer(repo, run.upper, commits, { signal });
  if (touched.length > 0) {
    return { done: false, because: { reason: 'content', paths: touched }, error: failure?.error };
  }
  if (failure) {
    if (codeOf(failure.error) === 'ERR_COMPOSE_SCRIPT') throw failure.error;
    return { done: false, because: { reason: 'dpkg' }, error: failure.error };
  }
  layers.push({ directory: run.upper, links });
  return { done: true };
}

async function dpkg(
  { packages, environment, onEvent, signal }: UnpackParts,
  run: LayerRun,
  files: readonly string[],
  binds: readonly { source: string; target: string }[],
): Promise<{ error: unknown } | undefined> {
  try {
    await runDpkg({
      ...run,
      binds,
      command: unpackCommand(files),
      archives: packages.map(({ name }) => name),
      environment,
      total: packages.length,
      onEvent,
      signal,
    });
    return undefined;
  } catch (error) {
    return { error };
  }
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown }).code;
}

/** By dpkg or a script, not by a limit, a full disk or the caller. */
function isRefusal(error: unknown): boolean {
  return ['ERR_COMPOSE_SCRIPT', 'ERR_COMPOSE_DPKG'].includes(codeOf(error) as string);
}

function required<T>(known: ReadonlyMap<string, T>, entry: AptPlanPackage): T {
  const found = known.get(packageKey(entry));
  if (found === undefined) throw new TypeError(`There is no ${packageKey(entry)}`);
  return found;
}
