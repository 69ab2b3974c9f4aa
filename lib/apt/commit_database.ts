/** The package database inside a commit of an OSTree repository, read without a checkout. */

/** A commit; `repo` is a `Repo` of this library, or whatever reads files as it does. */
export interface CommitTree {
  repo: { readFile(rev: string, path: string): Promise<Buffer> };
  /** A checksum or a ref. */
  commit: string;
}

export interface CommitDatabase {
  /** dpkg's status file; absent where the commit has none. */
  status?: Buffer;
  /** apt's record of automatically installed packages. */
  extendedStates?: Buffer;
}

/** Where images of compositions have them, and where other trees do. */
const kPlaces = {
  status: ['/usr/lib/sysimage/dpkg/status', '/var/lib/dpkg/status'],
  extendedStates: ['/usr/lib/sysimage/apt/extended_states', '/var/lib/apt/extended_states'],
};

const kMissing = new Set(['ENOENT', 'ENOTDIR', 'ELOOP']);

export async function databaseOfCommit({ repo, commit }: CommitTree): Promise<CommitDatabase> {
  const first = async (paths: readonly string[]) => {
    for (const path of paths) {
      try {
        return await repo.readFile(commit, path);
      } catch (error) {
        // Parts of the path may be links: those of an image into /var.
        if (!kMissing.has((error as { code?: string }).code ?? '')) throw error;
      }
    }
    return undefined;
  };
  const status = await first(kPlaces.status);
  const extendedStates = await first(kPlaces.extendedStates);
  return { ...(status && { status }), ...(extendedStates && { extendedStates }) };
}
