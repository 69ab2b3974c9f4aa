/** Two repositories, one for the `ostree` command and one for the library, and their comparison. */

import { readFile } from 'node:fs/promises';
import type { Repo, RepoMode } from 'apt-ostree/ostree';
import { expect } from 'vitest';
import { listingLine } from '../../support/entries.js';
import { createRepo } from '../../support/repo.js';
import { ostreeOn } from '../../support/repo-copies.js';
import { run } from '../../support/run.js';

export const kModes: readonly RepoMode[] = ['bare', 'bare-user', 'bare-user-only', 'archive'];

const kDescribe = `import hashlib, json, os, stat, sys
def describe(root, parts, what):
    lines = []
    def visit(path):
        full = os.path.join(root, path)
        try: st = os.lstat(full)
        except FileNotFoundError: return
        words = [path, oct(st.st_mode)]
        if "owners" in what: words.append(f"{st.st_uid}:{st.st_gid}")
        if stat.S_ISLNK(st.st_mode): words.append("-> " + os.readlink(full))
        elif stat.S_ISREG(st.st_mode):
            with open(full, "rb") as f: words.append(f"{st.st_size} {hashlib.file_digest(f, 'sha256').hexdigest()}")
            if "times" in what and full.endswith(".file"): words.append(str(st.st_mtime_ns))
        elif stat.S_ISCHR(st.st_mode): words.append(str(st.st_rdev))
        if "links" in what and not stat.S_ISDIR(st.st_mode): words.append(f"linked={st.st_nlink > 1}")
        if "xattrs" in what:
            for key in sorted(os.listxattr(full, follow_symlinks=False)):
                words.append(f"{key}={os.getxattr(full, key, follow_symlinks=False).hex()}")
        # Directories of objects stay when what was in them goes.
        if not (stat.S_ISDIR(st.st_mode) and path.startswith("objects/")): lines.append(" ".join(words))
        if stat.S_ISDIR(st.st_mode):
            for name in sorted(os.listdir(full)): visit(os.path.join(path, name))
    for part in parts: visit(part)
    return lines
request = json.load(sys.stdin)
out = [describe(root, request["parts"], request["what"]) for root in request["roots"]]
sys.stdout.buffer.write(json.dumps(out).encode())`;

type Facts = 'owners' | 'links' | 'xattrs' | 'times';

/** One line for each path below `parts` of each root, with kind, mode, content and these facts. */
export async function describePaths(
  roots: readonly string[],
  parts: readonly string[],
  what: readonly Facts[],
): Promise<string[][]> {
  const request = { roots, parts, what };
  const { stdout } = await run('python3', ['-c', kDescribe], { input: JSON.stringify(request) });
  return JSON.parse(stdout);
}

/** Only what differs, so that a failure can be read. */
export function sameLines(
  ours: readonly string[] = [],
  theirs: readonly string[] = [],
  context = '',
): void {
  const [a, b] = [new Set(ours), new Set(theirs)];
  const differences = {
    ours: ours.filter((line) => !b.has(line)),
    theirs: theirs.filter((line) => !a.has(line)),
  };
  expect(differences, context).toEqual({ ours: [], theirs: [] });
}

/** Both trees on disk are the same, down to which files are links of others. */
export async function sameTrees(ours: string, theirs: string): Promise<void> {
  const [a, b] = await describePaths([ours, theirs], ['.'], ['owners', 'links', 'xattrs']);
  sameLines(a, b);
}

const kParts = ['objects', 'refs', 'state'];

/** Both repositories have the same files: objects with all that is stored in them, refs, states. */
export async function sameRepos(ours: string, theirs: string, context = ''): Promise<void> {
  const [a, b] = await describePaths([ours, theirs], kParts, ['owners', 'xattrs', 'times']);
  sameLines(a, b, context);
  // The order of keys has no meaning.
  const settings = async (root: string) =>
    (await readFile(`${root}/config`, 'utf8')).split('\n').filter(Boolean).sort();
  sameLines(await settings(ours), await settings(theirs), context);
}

export interface RepoPair extends AsyncDisposable {
  readonly theirs: string;
  readonly ours: string;
  /** The library on `ours`. */
  readonly repo: Repo;
  /** The command on `theirs`: its output. */
  command(name: string, ...args: string[]): Promise<string>;
}

export async function repoPair(directory: string, mode: RepoMode): Promise<RepoPair> {
  const at = directory.replaceAll(' ', '-');
  const [theirs, ours] = [`${at}-theirs`, `${at}-ours`];
  (await createRepo(theirs, mode)).close();
  const repo = await createRepo(ours, mode);
  return {
    theirs,
    ours,
    repo,
    command: (name, ...args) => command(theirs, name, ...args),
    async [Symbol.asyncDispose]() {
      repo.close();
    },
  };
}

/** The output of the command on a repository; what it says where it fails is the error. */
export async function command(repo: string, name: string, ...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await ostreeOn(repo, name, ...args);
  if (status !== 0) throw new Error(`ostree ${name} ${args.join(' ')}: ${stderr || status}`);
  return stdout.replace(/\n$/, '');
}

/** `ostree ls -RCX` of a commit, by the library. */
export async function listing(repo: Repo, rev: string): Promise<string> {
  const lines: string[] = [];
  for await (const entry of repo.walk(rev, { self: true, xattrs: true })) {
    lines.push(listingLine(entry, { checksums: true }));
  }
  return lines.join('\n');
}

/** What became of two attempts: what they gave, or that both were refused. */
export async function bothOrNeither<T>(
  ours: () => Promise<T>,
  theirs: () => Promise<T>,
  context = '',
): Promise<{ ours: T; theirs: T } | undefined> {
  const [a, b] = await Promise.allSettled([ours(), theirs()]);
  if (a.status === 'fulfilled' && b.status === 'fulfilled') {
    return { ours: a.value, theirs: b.value };
  }
  const failures = [a, b].map((each) => (each.status === 'rejected' ? `${each.reason}` : 'done'));
  expect(failures, [context, ...failures].join('\n')).not.toContain('done');
  return undefined;
}
