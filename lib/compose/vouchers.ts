/**
 * Which package commits of a repository are what they say: those that it imported itself, and
 * those that somebody vouched for. Kept outside of refs and commits, where a pull cannot reach.
 */

import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Repo } from '../ostree/repo.js';
import { stateDirectory } from './workspace.js';

interface Imported {
  sha256: string;
  commit: string;
}

function voucher(repo: Repo, sha256: string): string {
  return path.join(stateDirectory(repo), 'packages', sha256);
}

/** The commit that is known to hold the .deb with this hash. */
export async function readVoucher(repo: Repo, sha256: string): Promise<string | undefined> {
  try {
    return (await readFile(voucher(repo, sha256), 'utf8')).trimEnd();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

export async function writeVoucher(repo: Repo, { sha256, commit }: Imported): Promise<void> {
  if ((await readVoucher(repo, sha256)) === commit) return;
  const file = voucher(repo, sha256);
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  // Whole or not at all; a second writer of the same package writes the same.
  const fresh = `${file}.${randomUUID()}`;
  await writeFile(fresh, `${commit}\n`, { mode: 0o600 });
  await rename(fresh, file);
}
