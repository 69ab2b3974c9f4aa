/** Layers: what an overlay's upper directory holds, filled with content and merged into a tree. */

import type { NativeLayerLinks } from '../../types/deb.js';
import { binding } from '../binding.js';
import { checkChecksum, checkPath, type PathLike } from '../checks.js';
import { type JobOptions, runJob } from '../job.js';
import { MutableTree } from '../ostree/mutable_tree.js';
import { Repo } from '../ostree/repo.js';

/** Which files of a filled layer have which objects; for {@link mergeLayer}. */
export type LayerLinks = NativeLayerLinks;

export interface FilledLayer {
  links: LayerLinks;
  /** Stubs replaced. */
  filled: number;
  /** Of these, by copies: owner or mode differ from the package's, or too many links. */
  copied: number;
  /** Bytes of content behind the stubs. */
  bytes: number;
  /**
   * Relative to the layer, at most 16: stubs that a script read, which has not seen the package's
   * content, or changed or took away in the meantime, and files with the text of a stub in them.
   */
  touched: string[];
}

/**
 * Puts the content of packages where dpkg unpacked the stubs of hollow packages.
 *
 * Only stubs that the hollow packages of `commits` have count: anything else that looks like one,
 * such as what a script could write to read some other object, is a file like any other.
 *
 * The files become further names of the repository's own objects. Nothing may write to the layer
 * afterwards: use it as a lower layer only, with a new upper one for what follows.
 *
 * @throws `ERR_OSTREE_NOT_SUPPORTED` unless the repository is of mode `bare`; `ENOENT` where it
 * lacks an object (those of an open transaction are not there yet).
 */
export async function fillLayer(
  repo: Repo,
  directory: PathLike,
  commits: readonly string[],
  options?: JobOptions,
): Promise<FilledLayer> {
  const absolute = checkPath(directory, 'directory');
  for (const [index, commit] of commits.entries()) checkChecksum(commit, `commits[${index}]`);
  return runJob(
    'compose',
    () => binding().fillLayer(Repo.native(repo), absolute, [...commits]),
    options,
  );
}

export interface MergeLayerOptions extends JobOptions {
  /** From {@link fillLayer}: files that need not be read. */
  links?: LayerLinks;
  /** Directories, relative to the layer, that are kept as such without their content. */
  skip?: readonly string[];
}

export interface MergedLayer {
  /** Files and links added or changed. */
  files: number;
  /** Files whose content was read. */
  hashed: number;
  hashedBytes: number;
  /** Files whose objects `links` knew. */
  reused: number;
  /** Names that the layer takes away. */
  removed: number;
  directories: number;
  /** Pipes and sockets, which a tree cannot hold, relative to the layer; at most 16. */
  dropped: string[];
}

/**
 * Applies an overlay's upper directory to a tree: whiteouts, opaque directories, owners, modes
 * and extended attributes. Without overlay marks it adds a plain directory.
 *
 * The repository must be in a transaction.
 *
 * @throws `ERR_COMPOSE_LAYOUT` for what a tree cannot hold (devices, names that are not
 * UTF-8), for an overlay mounted with `redirect_dir` or `metacopy`, and where somebody
 * wrote to a filled layer and so damaged an object.
 */
export async function mergeLayer(
  repo: Repo,
  tree: MutableTree,
  directory: PathLike,
  options: MergeLayerOptions = {},
): Promise<MergedLayer> {
  const absolute = checkPath(directory, 'directory');
  const { links, skip, signal } = options;
  return runJob(
    'compose',
    () =>
      binding().mergeLayer(Repo.native(repo), MutableTree.native(tree), absolute, { links, skip }),
    { signal },
  );
}
