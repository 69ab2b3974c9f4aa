/**
 * The root that dpkg runs in while nothing in the new root can run: the union of the packages'
 * trees as hardlinks. Only read, and never written through: its files are repository objects.
 */

import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { ComposeError } from '../errors.js';
import type { JobOptions } from '../job.js';
import type { Repo } from '../ostree/repo.js';
import type { TreeEntry } from '../ostree/tree_entry.js';
import { placeDirectory } from './files.js';
import type { ImportedDeb } from './import.js';
import { skeletonDirectories, writeSkeleton } from './skeleton.js';

/** Where the new root is seen while dpkg runs in the seed. */
export const kTarget = '/target';

/** Written into the seed from the masters of base-passwd; no package may bring its own. */
const kUsers = ['passwd', 'group'] as const;

const kEmptyRoot = 'the empty root';

export async function writeSeed(
  repo: Repo,
  directory: string,
  packages: readonly ImportedDeb[],
  architecture: string,
  options: JobOptions,
): Promise<void> {
  await checkUnion(repo, packages, options);
  await writeSkeleton(directory, architecture, []);
  for (const { commit } of packages) {
    await repo.checkout(commit, directory, {
      subpath: '/tree',
      overwrite: 'union-files',
      ...options,
    });
  }
  await placeDirectory(directory, kTarget.slice(1));
  for (const name of kUsers) {
    const content = await readMaster(repo, packages, name, options);
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    await using file = await open(path.join(directory, 'etc', name), flags, 0o644);
    await file.writeFile(content);
  }
}

/** `/usr/share/base-passwd/NAME.master`, read from the repository and not through any directory. */
export async function readMaster(
  repo: Repo,
  packages: readonly ImportedDeb[],
  name: (typeof kUsers)[number],
  options: JobOptions,
): Promise<Buffer> {
  const owner = packages.find((entry) => entry.package === 'base-passwd');
  const file = `/tree/usr/share/base-passwd/${name}.master`;
  try {
    if (owner) return await repo.readFile(owner.commit, file, options);
  } catch (error) {
    if ((error as { code?: string }).code !== 'ENOENT') throw error;
  }
  throw new ComposeError(
    'ERR_COMPOSE_LAYOUT',
    `A tree from nothing needs base-passwd with ${name}.master, which the sources do not offer.`,
    { package: 'base-passwd' },
  );
}

/**
 * A checkout follows a link that an earlier one made, out of the seed too. So a path must not be
 * a link in one package and a directory in another, or in the skeleton.
 */
async function checkUnion(
  repo: Repo,
  packages: readonly ImportedDeb[],
  options: JobOptions,
): Promise<void> {
  const kinds = new Map<string, { type: TreeEntry['type']; package: string }>();
  for (const directory of skeletonDirectories()) {
    kinds.set(directory, { type: 'directory', package: kEmptyRoot });
  }
  for (const name of kUsers) kinds.set(`/etc/${name}`, { type: 'file', package: kEmptyRoot });
  for (const entry of packages) {
    const entries = await repo.list(entry.commit, '/tree', { recursive: true, ...options });
    for (const { path: full, type } of entries) {
      const file = full.slice('/tree'.length);
      const before = kinds.get(file);
      const mixed = before && (before.type === 'directory') !== (type === 'directory');
      if (before && (mixed || before.package === kEmptyRoot)) {
        if (!mixed && type === 'directory') continue;
        throw new ComposeError(
          'ERR_COMPOSE_LAYOUT',
          `${file} is a ${type} in ${entry.package} and a ${before.type} in ${before.package}.`,
          { path: file, package: entry.package },
        );
      }
      kinds.set(file, { type, package: entry.package });
    }
  }
}
