/**
 * Checkouts of base trees in the root form, as hardlinks, kept for the next composition on the
 * same base.
 */

import { mkdir, readdir, rename, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { removeTree } from '../files.js';
import type { Repo } from '../ostree/repo.js';
import { applyToDirectory, kernelVersions, toRoot } from './layout.js';
import { stateDirectory, type Workspace } from './workspace.js';

/** How many checkouts stay; they cost directories and names, no file content. */
const kKept = 3;
/** Used later than this, in milliseconds, a checkout may be under a composition of another process. */
const kInUse = 6 * 3600 * 1000;

/** The directory of `commit` in the root form. It must not be written. */
export async function baseCheckout(
  repo: Repo,
  commit: string,
  workspace: Workspace,
  signal?: AbortSignal,
): Promise<string> {
  const parent = path.join(stateDirectory(repo), 'base');
  const final = path.join(parent, commit);
  const now = new Date();
  try {
    await utimes(final, now, now);
    return final;
  } catch {
    // Not there yet.
  }
  await mkdir(parent, { recursive: true, mode: 0o700 });
  const fresh = path.join(await workspace.directory('base'), 'root');
  await repo.checkout(commit, fresh, { hardlinksOnly: true, signal });
  await applyToDirectory(fresh, toRoot(await kernelVersions(fresh)));
  try {
    await rename(fresh, final);
  } catch (error) {
    // Another composition was faster; its checkout is the same.
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
  }
  await utimes(final, now, now);
  return final;
}

/** Removes all but the newest checkouts. */
export async function trimBaseCheckouts(repo: Repo, keep: string): Promise<void> {
  const parent = path.join(stateDirectory(repo), 'base');
  const names = (await readdir(parent)).filter((name) => name !== keep);
  const aged = await Promise.all(
    names.map(async (name) => ({ name, time: (await stat(path.join(parent, name))).mtimeMs })),
  );
  aged.sort((a, b) => b.time - a.time);
  for (const { name, time } of aged.slice(kKept - 1)) {
    if (Date.now() - time > kInUse) await removeTree(path.join(parent, name));
  }
}
