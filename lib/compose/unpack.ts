/**
 * Unpacking with dpkg: hollow packages, filled afterwards, or the real ones.
 *
 * While dpkg unpacks hollow packages, their files are stubs. That is no difference to anything but
 * a script that uses files of a package which was only unpacked a moment before it. What has been
 * read is known after the fact, so such a step is thrown away and done again with real packages.
 */

import path from 'node:path';
import type { AptPlanPackage } from '../apt/cache.js';
import type { Repo } from '../ostree/repo.js';
import { kDebsInside, runDpkg, unpackCommand } from './dpkg.js';
import type { ComposeListener, FallbackEvent } from './events.js';
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

/** Unpacks the packages, in this order, into a new layer. */
export async function unpack(parts: UnpackParts): Promise<void> {
  const { packages, material, onEvent, isReal } = parts;
  const hollow = packages.filter(
    (entry) => !(isReal(entry) && material.files.has(packageKey(entry))),
  );
  const first = await attempt(parts, new Set(hollow));
  if (first.done) return;
  const names = hollow.map(({ name }) => name);
  onEvent?.({ type: 'fallback', packages: names, ...first.because });
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

/** Leaves a layer only where it ended well and no script saw a stub. */
async function attempt(parts: UnpackParts, hollow: ReadonlySet<AptPlanPackage>): Promise<Attempt> {
  const { repo, workspace, layers, packages, material, signal } = parts;
  const debs = await workspace.directory('debs');
  const binds = [{ source: debs, target: kDebsInside }];
  const commits: string[] = [];
  const writes: { commit: string; destination: string }[] = [];
  const names = packages.map((entry, index) => {
    const name = `${index}.deb`;
    if (hollow.has(entry)) {
      const { commit } = required(material.imported, entry);
      commits.push(commit);
      writes.push({ commit, destination: path.join(debs, name) });
      return name;
    }
    const source = required(material.files, entry);
    binds.push({ source, target: `/run/apt-ostree/real/${name}` });
    return `../real/${name}`;
  });
  await writeHollowDebs(repo, writes, { signal });
  const run = await layers.nextRun('unpack');
  const failure = await dpkg(parts, run, names, binds);
  if (failure && (hollow.size === 0 || !isRefusal(failure.error))) throw failure.error;
  const { links, read } = await fillLayer(repo, run.upper, commits, { signal });
  if (read.length > 0) {
    return { done: false, because: { reason: 'content', paths: read }, error: failure?.error };
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
