/** The package database of trees and commits, as files that libapt-pkg can read. */

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ComposeError } from '../errors.js';
import type { Repo } from '../ostree/repo.js';
import { readStatus } from './database.js';
import { kExtendedStates } from './extended_states.js';
import { kAptState, kDatabase } from './layout.js';
import type { Database } from './resolver.js';
import type { Workspace } from './workspace.js';

/** dpkg's database, in the root form. */
export const kStatus = 'var/lib/dpkg/status';

/**
 * The database of a commit.
 *
 * @throws `ENOENT` where it has none.
 */
export function databaseOfCommit(
  repo: Repo,
  workspace: Workspace,
  commit: string,
): Promise<Database> {
  return databaseOf(workspace, async (file) => {
    if (file === kExtendedStates) return repo.readFile(commit, `${kAptState}/extended_states`);
    const status = await orMissing(readStatus(repo, commit));
    if (status !== undefined) return status;
    throw new ComposeError(
      'ENOENT',
      `The base ${commit} has no package database: it was not made by a composition.`,
      { ref: commit, path: `${kDatabase}/status` },
    );
  });
}

/** The database of a tree that `read` sees in the root form. */
export async function databaseOf(
  workspace: Workspace,
  read: (file: string) => Promise<Buffer>,
): Promise<Database> {
  const directory = await workspace.directory('status');
  const status = path.join(directory, 'status');
  await writeFile(status, await read(kStatus));
  const states = await orMissing(read(kExtendedStates));
  if (states === undefined) return { status };
  const extendedStates = path.join(directory, 'extended_states');
  await writeFile(extendedStates, states);
  return { status, extendedStates };
}

/** Undefined in place of `ENOENT`. */
export async function orMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return undefined;
    throw error;
  }
}
