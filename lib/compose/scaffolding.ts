/**
 * Scaffolding is below every layer and part of no tree. But scripts see it, and what acts on all
 * files of a directory (`chmod -R`) has overlayfs copy it into a layer.
 */

import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import path from 'node:path';
import type { MutableTree } from '../ostree/mutable_tree.js';
import type { Repo } from '../ostree/repo.js';
import type { TreeEntry } from '../ostree/tree_entry.js';
import type { LayerStack } from './layers.js';
import { orMissing } from './tree_database.js';

export class ScaffoldingFilter {
  readonly #repo: Repo;
  readonly #tree: MutableTree;
  readonly #layers: LayerStack;
  /** Relative paths that the tree had not; parents first. */
  readonly #names: readonly string[];

  private constructor(repo: Repo, tree: MutableTree, layers: LayerStack, names: string[]) {
    this.#repo = repo;
    this.#tree = tree;
    this.#layers = layers;
    this.#names = names;
  }

  /** @param tree in the root form, before any layer is merged */
  static async create(
    repo: Repo,
    tree: MutableTree,
    layers: LayerStack,
  ): Promise<ScaffoldingFilter> {
    const names: string[] = [];
    for (const name of (await readdir(layers.scaffolding, { recursive: true })).sort()) {
      const there = await orMissing(tree.list(repo, `/${name}`));
      if (there === undefined) names.push(name);
    }
    return new ScaffoldingFilter(repo, tree, layers, names);
  }

  /** Takes out of the merged tree what is still as the scaffolding has it. */
  async apply(): Promise<void> {
    for (const name of [...this.#names].reverse()) {
      const file = `/${name}`;
      const entries = await orMissing(this.#tree.list(this.#repo, file));
      if (entries === undefined || !(await this.#isSame(name, entries))) continue;
      await this.#tree.apply(this.#repo, [{ op: 'remove', path: file }]);
    }
  }

  async #isSame(name: string, entries: readonly TreeEntry[]): Promise<boolean> {
    const ours = path.join(this.#layers.scaffolding, name);
    const stats = await lstat(ours);
    const self = entries.find((entry) => entry.path === `/${name}`);
    // A list of a directory does not have itself; one that scripts have put something into is theirs.
    if (stats.isDirectory()) return entries.length === 0;
    if (stats.isSymbolicLink()) return self?.target === (await readlink(ours));
    if (self?.type !== 'file' || self.size !== stats.size) return false;
    return (await this.#layers.readFile(name)).equals(await readFile(ours));
  }
}
