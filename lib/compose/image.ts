/** The end of a composition: what the layers changed becomes part of a tree in the image form. */

import path from 'node:path';
import type { MutableTree, TreeEdit } from '../ostree/mutable_tree.js';
import type { Repo } from '../ostree/repo.js';
import type { ComposeListener } from './events.js';
import { makeInitramfs, writeInitramfsHook } from './initramfs.js';
import { mergeLayer } from './layer.js';
import type { LayerStack } from './layers.js';
import { kernelVersions, kFactoryVar, listIfPresent, toImage, toRoot } from './layout.js';
import type { Meter } from './meter.js';
import { normalise, tmpfiles } from './normalise.js';
import { removeSecrets } from './secrets.js';

export interface ImageParts {
  repo: Repo;
  /** Empty, or the base's; becomes the image. */
  tree: MutableTree;
  layers: LayerStack;
  meter: Meter;
  /** `tree` is in the image form. */
  fromImage: boolean;
  removeSecrets: boolean;
  /** Edits of the root form. */
  additions: readonly TreeEdit[];
  environment: Readonly<Record<string, string>>;
  onEvent?: ComposeListener;
  signal?: AbortSignal;
}

/**
 * Brings the layers into the tree and the tree into the image form, inside a transaction.
 *
 * @returns the kernel that the image boots, if it has one
 */
export async function mergeImage(parts: ImageParts): Promise<string | undefined> {
  const { repo, tree, layers, meter, signal } = parts;
  if (parts.fromImage) {
    await tree.apply(repo, toRoot(await kernelVersions(repo, tree)), { signal });
  }
  const merge = async (from: number) => {
    for (const layer of layers.merged.slice(from)) {
      await mergeLayer(repo, tree, layer.directory, { links: layer.links, signal });
    }
  };
  await meter.measure('merge', () => merge(0));
  const kernels = await kernelVersions(repo, tree);
  const merged = layers.merged.length;
  await makeMissingInitramfs(parts, kernels);
  await meter.measure('merge', async () => {
    await merge(merged);
    if (parts.removeSecrets) {
      const list = (directory: string) => listIfPresent(repo, tree, directory);
      await tree.apply(repo, await removeSecrets(list), { signal });
    }
    await tree.apply(repo, [...parts.additions, ...normalise(), ...toImage(kernels)], { signal });
    const state = await tree.list(repo, kFactoryVar, { recursive: true });
    const opt = await tree.list(repo, '/usr/lib/opt');
    const names = opt.map((entry) => path.basename(entry.path));
    await tree.apply(repo, [tmpfiles(state, names)], { signal });
  });
  return kernels.at(-1);
}

/** For kernels that have none, where the tree has the tool. */
async function makeMissingInitramfs(
  { repo, tree, layers, meter, environment, onEvent, signal }: ImageParts,
  kernels: readonly string[],
): Promise<void> {
  const tool = await listIfPresent(repo, tree, '/usr/sbin/mkinitramfs');
  if (tool.length === 0) return;
  for (const kernel of kernels) {
    const image = `/usr/lib/modules/${kernel}/initramfs.img`;
    const made = await listIfPresent(repo, tree, image);
    if (made.length > 0) continue;
    await meter.measure('kernel', async () => {
      const run = await layers.nextRun('initramfs');
      await writeInitramfsHook(run.upper);
      const onOutput = onEvent && ((line: string) => onEvent({ type: 'output' as const, line }));
      await makeInitramfs({ ...run, environment, onOutput, signal }, kernel);
      layers.push({ directory: run.upper });
    });
  }
}
