import type { NativeRepoTree } from '../../types/tree.js';
import { checkMembers, checkPath, type Members, type PathLike } from '../checks.js';
import { invalidArgType } from '../errors.js';
import { type JobOptions, kJobOptions, runJob } from '../job.js';

/** One side of a {@link Repo.diff}: a revision, or a directory on disk. */
export type DiffSide = string | { directory: PathLike };

/** Paths that differ, absolute within the trees. */
export interface Diff {
  /** Files with other content, owner, mode or kind; directories with other metadata. */
  modified: string[];
  /** Gone; a directory stands for all below it. */
  removed: string[];
  /** New; of a directory everything below it too. */
  added: string[];
}

/** How files of a directory on disk are compared; between two commits this means nothing. */
export interface DiffOptions extends JobOptions {
  /** Leave extended attributes of files on disk out. @default false */
  ignoreXattrs?: boolean;
  /** Take files of `to` for those of this user. @default who owns them */
  uid?: number;
  /** Take files of `to` for those of this group. @default whose they are */
  gid?: number;
}

/** @internal */
export async function diffTrees(
  native: NativeRepoTree,
  from: DiffSide,
  to: DiffSide,
  options: DiffOptions = {},
): Promise<Diff> {
  const [a, b] = [checkSide(from, 'from'), checkSide(to, 'to')];
  checkMembers(options, {
    ...kJobOptions,
    ignoreXattrs: true,
    uid: true,
    gid: true,
  } satisfies Members<typeof options>);
  const { signal, ...rest } = options;
  const diff = await runJob('ostree', () => native.diff(a, b, rest), { signal });
  const paths = (text: string) => (text === '' ? [] : text.split('\0'));
  return {
    modified: paths(diff.modified),
    removed: paths(diff.removed),
    added: paths(diff.added),
  };
}

function checkSide(side: DiffSide, name: string): string | { directory: string } {
  if (typeof side === 'string') return side;
  if (typeof side !== 'object' || side === null) {
    throw invalidArgType(name, 'of type string or an object with a directory', side);
  }
  checkMembers(side, { directory: true }, name);
  return { directory: checkPath(side.directory, `${name}.directory`) };
}
