/** Work on repositories against the `ostree` command, on the same tree in one run. */

import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { DevinoCache, MutableTree, Repo, type WriteDirectoryOptions } from 'apt-ostree';
import { run } from '../test/support/run.js';
import { measure, median, printComparison, type Sample } from './measure.js';

export interface OstreeBench {
  directory: string;
  rounds: number;
  /** How many files the tree has. */
  files: number;
  /** Mode of the repositories. */
  mode: string;
  /** Wait for the disk, as libostree does unless it is told not to. */
  fsync: boolean;
  /** Only these rows. */
  rows?: readonly string[];
}

/** One row of the table: the same work by both, on directories of their own. */
interface Row {
  name: string;
  /** Before each round and for each side, unmeasured. `side` names new directories each time. */
  prepare?: (side: string) => Promise<unknown>;
  theirs: (side: string) => Promise<unknown>;
  ours: (repo: Repo, side: string) => Promise<unknown>;
  /** The repository that `ours` works on. */
  repo?: (side: string) => string;
}

const kRef = 'bench';
const kLargest = 60_000;

/** Files of many sizes below some hundred directories; about 13 KB on average, most of them small. */
async function makeTree(root: string, files: number): Promise<void> {
  // Not to be compressed to nothing, and the same in each run.
  const pool = Buffer.alloc(kLargest * 4);
  let state = 1;
  for (let i = 0; i < pool.length; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    pool[i] = 32 + ((state >>> 16) & 63);
  }
  const perDirectory = 100;
  for (let start = 0; start < files; start += perDirectory) {
    const parent = path.join(root, `usr/share/${start % 7}/${start}`);
    await mkdir(parent, { recursive: true });
    const batch = Array.from({ length: Math.min(perDirectory, files - start) }, (_, i) => {
      const number = start + i;
      const size = Math.floor(((number * 7919) % 1000) ** 3 * (kLargest / 1e9));
      const offset = (number * 104_729) % (pool.length - kLargest);
      const content = Buffer.concat([
        Buffer.from(`${number}\n`),
        pool.subarray(offset, offset + size),
      ]);
      return writeFile(path.join(parent, `file-${number}`), content, { mode: 0o644 });
    });
    await Promise.all(batch);
  }
}

async function commit(repo: Repo, tree: string, options?: WriteDirectoryOptions): Promise<void> {
  await repo.transaction(async (transaction) => {
    const root = MutableTree.create();
    await transaction.writeDirectory(tree, root, options);
    const checksum = await transaction.writeCommit({ tree: await transaction.writeTree(root) });
    await transaction.setRef(kRef, checksum);
  });
}

function rowsOf(tree: string, join: (...parts: string[]) => string, bench: OstreeBench): Row[] {
  const ostree = (repo: string, command: string, ...args: string[]) =>
    run('ostree', [command, `--repo=${repo}`, ...args]);
  const full = join('full');
  const fresh = (side: string) => join(`${side}-repo`);
  const checkout = (side: string) => join(`${side}-checkout`);
  const init = async (side: string) => {
    await run('ostree', [`--repo=${fresh(side)}`, 'init', `--mode=${bench.mode}`]);
    await run('ostree', [`--repo=${fresh(side)}`, 'config', 'set', 'core.fsync', `${bench.fsync}`]);
  };
  const devinoCache = new DevinoCache();
  const linked = async (side: string) => {
    await using repo = await Repo.open(full);
    // Both sides get the same checkout; the cache is ours.
    await repo.checkout(kRef, checkout(side), side.startsWith('ours') ? { devinoCache } : {});
  };
  const rows: Row[] = [
    {
      name: 'commit',
      prepare: init,
      theirs: (side) => ostree(fresh(side), 'commit', '-b', kRef, `--tree=dir=${tree}`),
      ours: (repo) => commit(repo, tree),
    },
    {
      name: 'commit again, all known',
      theirs: () => ostree(full, 'commit', '-b', kRef, `--tree=dir=${tree}`),
      ours: (repo) => commit(repo, tree),
      repo: () => full,
    },
    {
      name: 'checkout',
      theirs: (side) => ostree(full, 'checkout', kRef, checkout(side)),
      ours: (repo, side) => repo.checkout(kRef, checkout(side)),
      repo: () => full,
    },
    {
      name: 'commit of a checkout, devino',
      prepare: linked,
      theirs: (side) => ostree(full, 'commit', '-b', kRef, '-I', `--tree=dir=${checkout(side)}`),
      ours: (repo, side) => commit(repo, checkout(side), { devinoCache, devinoCanonical: true }),
      repo: () => full,
    },
    {
      name: 'commit of a checkout, links',
      prepare: linked,
      theirs: (side) => ostree(full, 'commit', '-b', kRef, '-I', `--tree=dir=${checkout(side)}`),
      ours: (repo, side) =>
        commit(repo, checkout(side), { linkCheckoutSpeedup: true, devinoCanonical: true }),
      repo: () => full,
    },
    {
      name: 'pull-local',
      prepare: init,
      theirs: (side) => ostree(fresh(side), 'pull-local', full, kRef),
      ours: (repo) => repo.pullLocal(full, { refs: [kRef] }),
    },
    {
      name: 'prune',
      prepare: async (side) => {
        await run('cp', ['-al', full, fresh(side)]);
        await ostree(fresh(side), 'refs', '--delete', kRef);
      },
      theirs: (side) => ostree(fresh(side), 'prune', '--refs-only'),
      ours: (repo) => repo.prune({ refsOnly: true }),
    },
    {
      name: 'fsck',
      theirs: () => ostree(full, 'fsck', '-q'),
      ours: (repo) => repo.fsck(),
      repo: () => full,
    },
    {
      name: 'list',
      theirs: () => ostree(full, 'ls', '-R', '-C', kRef),
      ours: (repo) => repo.list(kRef, '/', { recursive: true }),
      repo: () => full,
    },
  ];
  return rows.map((row) => ({ repo: fresh, ...row }));
}

export async function benchOstree(bench: OstreeBench): Promise<void> {
  const join = (...parts: string[]) => path.join(bench.directory, 'ostree', ...parts);
  const tree = join('tree');
  await makeTree(tree, bench.files);
  await run('ostree', [`--repo=${join('full')}`, 'init', `--mode=${bench.mode}`]);
  await run('ostree', [`--repo=${join('full')}`, 'config', 'set', 'core.fsync', `${bench.fsync}`]);
  await run('ostree', ['commit', `--repo=${join('full')}`, '-b', kRef, `--tree=dir=${tree}`]);
  const rows = rowsOf(tree, join, bench).filter(
    ({ name }) => !bench.rows || bench.rows.includes(name),
  );
  const sync = bench.fsync ? 'fsync' : 'no fsync';
  process.stdout.write(
    `\n${bench.files} files, mode ${bench.mode}, ${sync}; above 1 we are faster\n`,
  );
  for (const row of rows) {
    const samples: Record<string, Sample[]> = { theirs: [], ours: [] };
    for (let round = 0; round < bench.rounds; round++) {
      // Neither side always comes first.
      for (const side of round % 2 === 0 ? ['theirs', 'ours'] : ['ours', 'theirs']) {
        // Nothing is removed before the end: ext4 makes new files slowly after that.
        const unique = `${side}-${rows.indexOf(row)}-${round}`;
        await row.prepare?.(unique);
        await run('sync', ['-f', bench.directory]);
        samples[side]?.push(
          await measure(() => (side === 'ours' ? ours(row, unique) : row.theirs(unique))),
        );
      }
    }
    printComparison(row.name, { name: 'apt-ostree', sample: median(samples.ours ?? []) }, [
      { name: 'ostree', sample: median(samples.theirs ?? []) },
    ]);
  }
}

async function ours(row: Row, side: string): Promise<void> {
  await using repo = await Repo.open(row.repo?.(side) ?? '');
  await row.ours(repo, side);
}
