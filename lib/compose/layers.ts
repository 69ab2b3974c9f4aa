/**
 * The stack of layers that a composition builds up: a base at the bottom, then alternately what
 * dpkg unpacked and what scripts wrote. A layer that has been run over is never written again,
 * so a hardlink to a repository object in it is safe.
 */

import { lstat, readFile } from 'node:fs/promises';
import path from 'node:path';
import { ComposeError } from '../errors.js';
import type { Answers } from './answers.js';
import { makeDirectory } from './files.js';
import type { LayerLinks } from './layer.js';
import { type EffectiveLimits, effectiveLimits, type SandboxLimits } from './limits.js';
import type { SupervisedRun } from './supervise.js';
import type { Workspace } from './workspace.js';

interface MergedLayer {
  directory: string;
  /** Files in it that are hardlinks to objects, with their checksums. */
  links?: LayerLinks;
}

export type LayerRun = Pick<SupervisedRun, 'directory' | 'lower' | 'upper' | 'limits' | 'answered'>;

export interface LayerStackOptions {
  limits?: SandboxLimits;
  answers?: Answers;
}

export class LayerStack {
  readonly #workspace: Workspace;
  /** Lowest first. */
  readonly #merged: MergedLayer[] = [];
  readonly #below: readonly string[];
  readonly #limits: EffectiveLimits;
  readonly #answered: ReadonlySet<string>;

  /**
   * @param below directories under all layers that are not merged into the tree: the checkout of
   *   the base and scaffolding; topmost first
   */
  constructor(workspace: Workspace, below: readonly string[], options: LayerStackOptions = {}) {
    this.#workspace = workspace;
    this.#below = below;
    this.#limits = effectiveLimits(options.limits);
    this.#answered = new Set(Object.values(options.answers ?? {}).flatMap(Object.keys));
  }

  /** What has to be merged into the tree, lowest first. */
  get merged(): readonly MergedLayer[] {
    return this.#merged;
  }

  /** Every directory, topmost first, as an overlay takes them. */
  get directories(): string[] {
    return [...this.#merged.map((layer) => layer.directory).reverse(), ...this.#below];
  }

  /** Puts a finished layer on top. */
  push(layer: MergedLayer): void {
    this.#merged.push(layer);
  }

  /** A run whose upper directory becomes the next layer once it is pushed. */
  async nextRun(label: string): Promise<LayerRun> {
    const directory = await this.#workspace.directory(label);
    const upper = path.join(directory, 'layer');
    await makeDirectory(upper);
    const { directories: lower } = this;
    return { directory, lower, upper, limits: this.#limits, answered: this.#answered };
  }

  /**
   * A file as the topmost layer that has it shows it. For files that no layer deletes. Links are
   * not followed: scripts make them, and they would be the host's.
   */
  async readFile(file: string): Promise<Buffer> {
    for (const directory of this.directories) {
      try {
        await refuseLinks(directory, file);
        return await readFile(path.join(directory, file));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
    throw Object.assign(new Error(`No layer has ${file}`), { code: 'ENOENT', path: file });
  }
}

async function refuseLinks(directory: string, file: string): Promise<void> {
  let current = directory;
  for (const name of file.split('/')) {
    current = path.join(current, name);
    if ((await lstat(current)).isSymbolicLink()) {
      throw new ComposeError('ERR_COMPOSE_LAYOUT', `The tree has a link where /${file} should be`, {
        path: current.slice(directory.length),
      });
    }
  }
}
