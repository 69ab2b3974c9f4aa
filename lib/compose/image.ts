/** The end of a composition: what the layers changed becomes part of a tree in the image form. */

import path from 'node:path';
import type { MutableTree, TreeEdit } from '../ostree/mutable_tree.js';
import type { Repo } from '../ostree/repo.js';
import type { ComposeListener } from './events.js';
import { addInitramfs, bootKernel, forgetKernels, needsInitramfs } from './kernels.js';
import { mergeLayer } from './layer.js';
import type { LayerStack } from './layers.js';
import { kFactoryVar, listIfPresent, moduleVersions, toImage, toRoot } from './layout.js';
import type { Meter } from './meter.js';
import { normalise, tmpfiles } from './normalise.js';
import { ScaffoldingFilter } from './scaffolding.js';
import { carryOver, removeSecrets, type Secret, secretsOf } from './secrets.js';

export interface ImageParts {
  repo: Repo;
  /** Empty, or the base's; becomes the image. */
  tree: MutableTree;
  layers: LayerStack;
  meter: Meter;
  /** `tree` is in the image form. */
  fromImage: boolean;
  removeSecrets: boolean;
  /** Of an earlier tree for the same machine, which this one takes over where it has them too. */
  secrets: readonly Secret[];
  /** Scripts have told initramfs-tools that something changed. */
  initramfsTriggered: boolean;
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
  const { repo, tree, layers, meter, signal, onEvent } = parts;
  if (parts.fromImage) {
    await tree.apply(repo, toRoot(await moduleVersions(repo, tree)), { signal });
  }
  const scaffolding = await ScaffoldingFilter.create(repo, tree, layers);
  const merge = async (from: number) => {
    for (const { directory, links } of layers.merged.slice(from)) {
      const { dropped } = await mergeLayer(repo, tree, directory, { links, signal });
      for (const file of dropped) {
        const message = `A tree cannot hold the pipe or socket /${file}: it is left out`;
        onEvent?.({ type: 'warning', message });
      }
    }
    await scaffolding.apply();
  };
  await meter.measure('merge', () => merge(0));
  const kernel = await bootKernel(repo, tree);
  const merged = layers.merged.length;
  const { environment, initramfsTriggered } = parts;
  if (kernel && (await needsInitramfs(repo, tree, layers, kernel, initramfsTriggered))) {
    const onOutput = onEvent && ((line: string) => onEvent({ type: 'output' as const, line }));
    await meter.measure('kernel', () =>
      addInitramfs(layers, kernel, { environment, onOutput, signal }),
    );
  }
  await meter.measure('merge', async () => {
    await merge(merged);
    const list = (directory: string) => listIfPresent(repo, tree, directory);
    const secrets = parts.removeSecrets
      ? await removeSecrets(list)
      : carryOver(await secretsOf(list), parts.secrets);
    const modules = await moduleVersions(repo, tree);
    const edits = [
      ...secrets,
      ...parts.additions,
      ...normalise(),
      ...(await forgetKernels(repo, tree, modules)),
      ...toImage(modules, kernel),
    ];
    await tree.apply(repo, edits, { signal });
    const state = await tree.list(repo, kFactoryVar, { recursive: true });
    const opt = await tree.list(repo, '/usr/lib/opt');
    const names = opt.map((entry) => path.basename(entry.path));
    await tree.apply(repo, [tmpfiles(state, names)], { signal });
  });
  return kernel;
}
