/**
 * Checkouts of base trees in the root form, as hardlinks, kept for the next composition on the
 * same base.
 */

import { mkdir, readdir, rename, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { MutableTree } from '../ostree/mutable_tree.js';
import type { Repo } from '../ostree/repo.js';
import { moduleVersions, toRoot } from './layout.js';
import { writeTimes } from './times.js';
import { stateDirectory, type Workspace } from './workspace.js';

/** How many checkouts stay; they cost directories and names, no file content. */
const kKept = 3;
/** Part of their names: one written by another layout of the root form is not used. */
const kLayout = 'v2';

function nameOf(commit: string): string {
  return `${commit}.${kLayout}`;
}

/** The directory of `commit` in the root form. It must not be written. */
export async function baseCheckout(
  repo: Repo,
  commit: string,
  workspace: Workspace,
  signal?: AbortSignal,
): Promise<string> {
  const checkout = path.join(stateDirectory(repo), 'base', nameOf(commit));
  const now = new Date();
  // Somebody may take a new one away before it is held.
  while (!(await workspace.hold(checkout))) {
    await makeCheckout(repo, commit, checkout, workspace, signal);
  }
  await utimes(checkout, now, now);
  return checkout;
}

/** Directories that together are the base as scripts should find it, topmost first. */
export async function baseLayers(
  repo: Repo,
  commit: string,
  workspace: Workspace,
  signal?: AbortSignal,
): Promise<string[]> {
  const root = await baseCheckout(repo, commit, workspace, signal);
  const times = await workspace.directory('times');
  await writeTimes(root, times);
  return [times, root];
}

async function makeCheckout(
  repo: Repo,
  commit: string,
  checkout: string,
  workspace: Workspace,
  signal?: AbortSignal,
): Promise<void> {
  await mkdir(path.dirname(checkout), { recursive: true, mode: 0o700 });
  const fresh = path.join(await workspace.directory('base'), 'root');
  // Nothing names the commit of the root form: nobody may prune it before it is checked out.
  await repo.withLock('shared', { signal }, async () => {
    const rootForm = await writeRootForm(repo, commit, signal);
    await repo.checkout(rootForm, fresh, { hardlinksOnly: true, signal });
  });
  try {
    await rename(fresh, checkout);
  } catch (error) {
    // Another composition was faster; its checkout is the same.
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
  }
}

/**
 * The base in the root form, as a commit that no ref names. Edited in the repository and not on
 * disk, where a link in the base would lead the edits out of the checkout.
 */
async function writeRootForm(repo: Repo, base: string, signal?: AbortSignal): Promise<string> {
  using tree = await MutableTree.fromCommit(repo, base);
  const { result } = await repo.transaction(async (transaction) => {
    await tree.apply(repo, toRoot(await moduleVersions(repo, tree)), { signal });
    return transaction.writeCommit({
      tree: await transaction.writeTree(tree, { signal }),
      subject: `Root form of ${base}`,
      timestamp: new Date(0),
    });
  });
  return result;
}

/** Removes all but the newest checkouts, and those that are under a composition. */
export async function trimBaseCheckouts(
  repo: Repo,
  keep: string,
  workspace: Workspace,
): Promise<void> {
  const parent = path.join(stateDirectory(repo), 'base');
  // Others may trim at the same time: what is gone needs no place among those that stay.
  const timeOf = async (name: string) =>
    (await stat(path.join(parent, name)).catch(() => undefined))?.mtimeMs ?? 0;
  const names = (await readdir(parent)).filter((name) => name !== nameOf(keep));
  const aged = await Promise.all(names.map(async (name) => ({ name, time: await timeOf(name) })));
  aged.sort((a, b) => b.time - a.time);
  for (const { name } of aged.slice(kKept - 1)) await workspace.takeAway(path.join(parent, name));
}
