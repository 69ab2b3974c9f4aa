/**
 * Kernels of a tree. libostree boots the first directory of /usr/lib/modules that it finds a
 * vmlinuz in, so an image shows it one: that of the newest kernel, with an initramfs that fits.
 */

import { lstat } from 'node:fs/promises';
import path from 'node:path';
import { compareVersions } from '../apt/version.js';
import type { MutableTree, TreeEdit } from '../ostree/mutable_tree.js';
import type { Repo } from '../ostree/repo.js';
import { makeInitramfs, writeInitramfsHook } from './initramfs.js';
import type { LayerStack } from './layers.js';
import { listIfPresent } from './layout.js';
import type { SandboxRun } from './sandbox.js';

/** Of a tree in the root form: the newest kernel, or undefined where there is none. */
export async function bootKernel(repo: Repo, tree: MutableTree): Promise<string | undefined> {
  const boot = await listIfPresent(repo, tree, '/boot');
  return newestKernel(
    boot.flatMap((entry) => /^\/boot\/vmlinuz-(.+)$/.exec(entry.path)?.slice(1) ?? []),
  );
}

/** Edits that take away what is left of kernels that are gone: the initramfs made for them. */
export async function forgetKernels(
  repo: Repo,
  tree: MutableTree,
  modules: readonly string[],
): Promise<TreeEdit[]> {
  const edits: TreeEdit[] = [];
  for (const version of modules) {
    const directory = `/usr/lib/modules/${version}`;
    const [only, ...others] = await listIfPresent(repo, tree, directory);
    if (others.length > 0 || only?.path !== `${directory}/initramfs.img`) continue;
    edits.push({ op: 'remove', path: directory });
  }
  return edits;
}

/** As linux-version(1) sorts: a release candidate comes before its release. */
export function newestKernel(versions: readonly string[]): string | undefined {
  const key = (version: string) => version.replace(/-rc(?=\d)/, '~rc');
  return [...versions].sort((a, b) => compareVersions(key(a), key(b))).at(-1);
}

/**
 * Whether a kernel needs an initramfs made: it has none, or what it is made of has changed. Debian
 * has whoever changes that tell initramfs-tools by a trigger; of modules nobody tells.
 *
 * @param triggered initramfs-tools was configured, or told
 */
export async function needsInitramfs(
  repo: Repo,
  tree: MutableTree,
  layers: LayerStack,
  kernel: string,
  triggered: boolean,
): Promise<boolean> {
  const tool = await listIfPresent(repo, tree, '/usr/sbin/mkinitramfs');
  if (tool.length === 0) return false;
  const modules = `usr/lib/modules/${kernel}`;
  const made = await listIfPresent(repo, tree, `/${modules}/initramfs.img`);
  if (made.length === 0) return true;
  const has = (file: string) => isInLayers(layers, file);
  // One that comes with the modules is of the package.
  return (triggered || (await has(modules))) && !(await has(`${modules}/initramfs.img`));
}

async function isInLayers(layers: LayerStack, file: string): Promise<boolean> {
  for (const { directory } of layers.merged) {
    const there = await lstat(path.join(directory, file)).catch(() => undefined);
    if (there) return true;
  }
  return false;
}

/** Adds a layer with the initramfs. */
export async function addInitramfs(
  layers: LayerStack,
  kernel: string,
  options: Pick<SandboxRun, 'environment' | 'onOutput' | 'signal'>,
): Promise<void> {
  const run = await layers.nextRun('initramfs');
  await writeInitramfsHook(run.upper);
  await makeInitramfs({ ...run, ...options }, kernel);
  layers.push({ directory: run.upper });
}
