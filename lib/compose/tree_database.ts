/** The package database of trees and commits, as files that libapt-pkg can read. */

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { databaseOfCommit as readCommit } from '../apt/commit_database.js';
import { ComposeError } from '../errors.js';
import type { Repo } from '../ostree/repo.js';
import { kDatabase, kExtendedStates } from './layout.js';
import type { Database } from './resolver.js';
import type { Workspace } from './workspace.js';

/** dpkg's database, in the root form. */
export const kStatus = 'var/lib/dpkg/status';

/**
 * The database of a commit.
 *
 * @throws `ENOENT` where it has none.
 */
export async function databaseOfCommit(
  repo: Repo,
  workspace: Workspace,
  commit: string,
): Promise<Database> {
  const found = await readCommit({ repo, commit });
  if (found.status === undefined) {
    throw new ComposeError(
      'ENOENT',
      `The base ${commit} has no package database: it was not made by a composition.`,
      { ref: commit, path: `${kDatabase}/status` },
    );
  }
  return place(workspace, found.status, found.extendedStates);
}

/** The database of a tree that `read` sees in the root form. */
export async function databaseOf(
  workspace: Workspace,
  read: (file: string) => Promise<Buffer>,
): Promise<Database> {
  const status = await read(kStatus);
  return place(workspace, status, await orMissing(read(kExtendedStates)));
}

async function place(workspace: Workspace, content: Buffer, states?: Buffer): Promise<Database> {
  const directory = await workspace.directory('status');
  const status = path.join(directory, 'status');
  await writeFile(status, content);
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
