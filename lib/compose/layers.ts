/**
 * The stack of layers that a composition builds up: a base at the bottom, then alternately what
 * dpkg unpacked and what scripts wrote. A layer that has been run over is never written again,
 * so a hardlink to a repository object in it is safe.
 */

import type { Stats } from 'node:fs';
import { lstat } from 'node:fs/promises';
import path from 'node:path';
import { ComposeError } from '../errors.js';
import type { Answers } from './answers.js';
import { makeDirectory, openUntrusted } from './files.js';
import type { LayerLinks } from './layer.js';
import { type EffectiveLimits, effectiveLimits, type SandboxLimits } from './limits.js';
import type { SupervisedRun } from './supervise.js';
import { orMissing } from './tree_database.js';
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
   * @param below directories under all layers that are not merged into the tree: those of the
   *   base and, last, scaffolding; topmost first
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

  /** The directory at the very bottom. */
  get scaffolding(): string {
    return this.#below.at(-1) as string;
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
   * A file as the topmost layer that has it shows it. Links are not followed: scripts make them,
   * and they would be the host's. Nor is anything else opened than a plain file: a pipe would make
   * the reader wait, a device is the host's too.
   *
   * @throws `ENOENT` where no layer has it or the topmost took it away; `ERR_COMPOSE_LAYOUT` where
   *   it is no plain file, or a far too large one.
   */
  async readFile(file: string): Promise<Buffer> {
    for (const directory of this.directories) {
      const found = await orMissing(isThere(directory, file));
      if (found === undefined) continue;
      if (!found) break;
      await using handle = await openUntrusted(path.join(directory, file));
      return await handle.readFile();
    }
    throw Object.assign(new Error(`No layer has ${file}`), { code: 'ENOENT', path: file });
  }
}

/** Debian's longest, dpkg's status, has some megabytes. */
const kLargest = 256 << 20;

/** Whether the layer has the file and did not take it away. */
async function isThere(directory: string, file: string): Promise<boolean> {
  let current = directory;
  let last: Stats | undefined;
  for (const name of file.split('/')) {
    current = path.join(current, name);
    last = await lstat(current);
    if (last.isSymbolicLink()) throw notAFile(file, 'a link', current.slice(directory.length));
    // How overlayfs keeps that something was removed.
    if (last.isCharacterDevice() && last.rdev === 0) return false;
  }
  if (!last?.isFile()) throw notAFile(file, 'no plain file');
  if (last.size > kLargest) throw notAFile(file, 'a file too large to be read');
  return true;
}

function notAFile(file: string, what: string, at = `/${file}`): ComposeError {
  return new ComposeError('ERR_COMPOSE_LAYOUT', `The tree has ${what} where /${file} should be`, {
    path: at,
  });
}
