/** Random sequences of operations on two repositories, one by each side: they must stay equal. */

import { rm } from 'node:fs/promises';
import { Repo } from 'apt-ostree/ostree';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ostreeOn } from '../../support/repo-copies.js';
import { run } from '../../support/run.js';
import { temporaryDirectory } from '../../support/temp.js';
import {
  bothOrNeither,
  command,
  kModes,
  listing,
  type RepoPair,
  repoPair,
  sameLines,
  sameRepos,
} from './pair.js';
import { makeTree, Random, randomTree } from './random.js';

const scratch = await temporaryDirectory('differential-sequence');
afterAll(() => scratch.remove());

const sources: string[] = [];
beforeAll(async () => {
  for (let i = 0; i < 5; i++) {
    sources.push(scratch.join(`source-${i}`));
    await makeTree(scratch.join(`source-${i}`), randomTree(new Random(7000 + i), 12));
  }
});

// No ref is the directory of others: the command writes all objects before it finds that out.
const kRefs = ['main', 'os/a', 'os/b', 'zz/ü', 'other', 'origin:os/a', 'alias'];
const kDay = 86_400;
/** Not one of the days of commits, so that nothing is just at the limit. */
const iso = (day: number) => new Date((day + 0.5) * kDay * 1000);

interface State {
  random: Random;
  pair: RepoPair;
  canonical: boolean;
  /** Every commit that was made, in order. */
  commits: string[];
  step: number;
  log: string[];
}

type Operation = (state: State) => Promise<unknown>;

/** Both give the same text, or refuse. */
async function same(
  state: State,
  ours: () => Promise<string | undefined>,
  ...args: [name: string, ...args: string[]]
): Promise<string | undefined> {
  state.log.push(args.join(' '));
  const result = await bothOrNeither(
    async () => (await ours()) ?? '',
    () => state.pair.command(...args),
    state.log.join('\n'),
  );
  if (!result) state.log.push('  refused by both');
  // What changes something without a result has none to compare.
  if (result?.ours) expect(result.ours, state.log.join('\n')).toBe(result.theirs);
  return result?.ours;
}

/** How far a refused commit came is chance, and the next one would take up what it wrote. */
async function dropLeftOvers({ pair }: State): Promise<void> {
  for (const root of [pair.ours, pair.theirs]) {
    await run('sh', ['-c', 'rm -rf "$0"/tmp/staging-*', root]);
    await ostreeOn(root, 'prune');
  }
}

const commit: Operation = async (state) => {
  const { random, pair, canonical, commits, step } = state;
  const { repo } = pair;
  const source = random.pick(sources);
  const ref = random.pick(kRefs.slice(0, 5));
  const rules = canonical ? { canonicalPermissions: true, skipXattrs: true } : {};
  const args = [`--timestamp=@${step * kDay}`];
  if (canonical) args.push('--canonical-permissions', '--no-xattrs');
  const options: Parameters<Repo['commit']>[0] = {
    trees: [{ directory: source, ...rules }],
    timestamp: new Date(step * kDay * 1000),
  };
  if (random.chance(0.85)) {
    options.ref = ref;
    args.push('-b', ref);
  } else args.push('--orphan');
  if (random.chance(0.2)) {
    options.bindings = false;
    args.push('--no-bindings');
  }
  if (random.chance(0.15)) {
    options.parent = null;
    args.push('--parent=none');
  } else if (random.below(6) === 0 && commits.length > 0) {
    options.parent = random.pick(commits);
    args.push(`--parent=${options.parent}`);
  }
  if (random.chance(0.2)) {
    options.skipIfUnchanged = true;
    args.push('--skip-if-unchanged');
  }
  if (commits.length > 0 && random.chance(0.2)) {
    options.base = random.pick(commits);
    args.push(`--base=${options.base}`);
  }
  args.push(`--tree=dir=${source}`);
  const made = await same(
    state,
    async () => (await repo.commit(options)).checksum,
    'commit',
    ...args,
  );
  if (made) commits.push(made);
  else await dropLeftOvers(state);
};

const anyRev = ({ random, commits }: State) =>
  random.chance(0.4) && commits.length > 0
    ? random.pick(commits).slice(0, random.pick([64, 64, 20]))
    : random.pick(kRefs) + random.pick(['', '', '', '^', '^^']);

/** The library sets no ref to a commit that is not there; the command may. */
async function isAbsent({ pair }: State, rev: string): Promise<boolean> {
  const checksum = await pair.repo.tryResolveRev(rev).catch(() => undefined);
  return checksum !== undefined && !(await pair.repo.hasObject('commit', checksum));
}

const createRef: Operation = async (state) => {
  const { random, pair } = state;
  const { repo } = pair;
  const [ref, rev] = [random.pick(kRefs), anyRev(state)];
  const force = random.chance(0.5);
  if (await isAbsent(state, rev)) return;
  const ours = async () => {
    const checksum = await repo.resolveRev(rev);
    // Who wants no other ref overwritten looks first, as the command does.
    if (!force && (await repo.tryResolveRev(ref))) throw new Error('exists');
    await repo.setRef(ref, checksum);
    return undefined;
  };
  await same(state, ours, 'refs', ...(force ? ['--force'] : []), `--create=${ref}`, rev);
};

const deleteRefs: Operation = async (state) => {
  const { random, pair } = state;
  const prefix = random.pick(['os', 'main', 'zz', 'nothing', 'os/b']);
  const found = Object.keys(await pair.repo.listRefs({ prefix }));
  const aliases = Object.values(await pair.repo.listRefs({ aliases: true }));
  // The command stops at a ref that an alias stands for, after some of the others.
  if (found.some((ref) => aliases.includes(ref.slice(ref.indexOf(':') + 1)))) return;
  const ours = async () => {
    for (const ref of found) {
      await pair.repo.setRef(ref, null);
    }
    return undefined;
  };
  await same(state, ours, 'refs', '--delete', prefix);
};

const alias: Operation = async (state) => {
  const { random, pair } = state;
  const target = random.pick(kRefs.slice(0, 5));
  const ours = async () => {
    // An alias may be replaced.
    const known = Object.hasOwn(await pair.repo.listRefs({ aliases: true }), 'alias');
    if (!known && (await pair.repo.tryResolveRev('alias'))) throw new Error('exists');
    await pair.repo.setAlias('alias', target);
    return undefined;
  };
  await same(state, ours, 'refs', '--alias', '--create=alias', target);
};

const reset: Operation = async (state) => {
  const { random, pair } = state;
  const [ref, rev] = [random.pick(kRefs.slice(0, 5)), anyRev(state)];
  if (await isAbsent(state, rev)) return;
  const ours = async () => {
    await pair.repo.resolveRev(ref);
    const checksum = await pair.repo.resolveRev(rev);
    await pair.repo.setRef(ref, checksum);
    return undefined;
  };
  await same(state, ours, 'reset', ref, rev);
};

const configure: Operation = async (state) => {
  const { random, pair } = state;
  const key = random.pick(['tombstone-commits', 'x-mine', 'locking']);
  const value = random.pick(['true', 'false']);
  if (random.chance(0.3)) {
    await same(
      state,
      async () => void (await pair.repo.config.unset('core', key)),
      'config',
      'unset',
      `core.${key}`,
    );
  } else {
    await same(
      state,
      async () => void (await pair.repo.config.set('core', key, value)),
      'config',
      'set',
      `core.${key}`,
      value,
    );
  }
};

const remote: Operation = async (state) => {
  const { random, pair } = state;
  const { remotes } = pair.repo;
  const name = random.pick(['origin', 'other']);
  const flag = random.pick([undefined, '--force', '--if-not-exists'] as const);
  const existing = flag === '--force' ? 'replace' : flag ? 'keep' : 'refuse';
  if (random.chance(0.3)) {
    await same(state, async () => void (await remotes.remove(name)), 'remote delete', name);
    return;
  }
  const add = () =>
    remotes.add(name, 'https://example.com/repo', {
      gpgVerify: false,
      branches: ['os/a', 'b'],
      other: { 'x-key': 'value' },
      existing,
    });
  const args = ['--no-gpg-verify', '--set=x-key=value', ...(flag ? [flag] : [])];
  await same(
    state,
    async () => void (await add()),
    'remote add',
    ...args,
    name,
    'https://example.com/repo',
    'os/a',
    'b',
  );
};

const prune: Operation = async (state) => {
  const { random, pair, commits, step } = state;
  const options: Parameters<Repo['prune']>[0] = {};
  const args: string[] = [];
  if (random.chance(0.4)) {
    options.refsOnly = true;
    args.push('--refs-only');
  }
  if (random.chance(0.5)) {
    options.depth = random.pick([-1, 0, 1, 2]);
    args.push(`--depth=${options.depth}`);
  }
  if (random.chance(0.2)) {
    options.commitOnly = true;
    args.push('--commit-only');
  }
  const kind = random.below(5);
  if (kind === 0) {
    const day = random.below(step + 1);
    options.keepYoungerThan = iso(day);
    args.push(`--keep-younger-than=${iso(day).toISOString()}`);
  } else if (kind === 1) {
    const ref = random.pick(kRefs.slice(0, 3));
    options.onlyBranches = [ref];
    args.push(`--only-branch=${ref}`);
  } else if (kind === 2) {
    const ref = random.pick(kRefs.slice(0, 3));
    options.retainBranchDepth = { [ref]: 1 };
    args.push(`--retain-branch-depth=${ref}=1`);
  } else if (kind === 3 && commits.length > 0) {
    options.deleteCommit = random.pick(commits);
    args.push(`--delete-commit=${options.deleteCommit}`);
  }
  await same(
    state,
    async () => {
      const { objects, pruned, bytes: _bytes } = await pair.repo.prune(options);
      // Its sizes are for people.
      state.log.push(`${objects} ${pruned}`);
      return undefined;
    },
    'prune',
    ...args,
  );
};

/** The same object goes from both, and both look what is wrong. */
const damage: Operation = async (state) => {
  const { random, pair } = state;
  const find = ['objects', '-type', 'f', '(', '-name', '*.file*', '-o', '-name', '*.commit', ')'];
  const { stdout } = await run('find', find, { cwd: pair.theirs });
  const names = stdout.split('\n').filter(Boolean).sort();
  if (names.length === 0) return;
  const name = random.pick(names);
  state.log.push(`damage ${name}`);
  for (const root of [pair.ours, pair.theirs]) await rm(`${root}/${name}`);
  await check(state);
};

const check: Operation = async (state) => {
  const { random, pair } = state;
  const options: Parameters<Repo['fsck']>[0] = {};
  const args = ['--all'];
  if (random.chance(0.4)) {
    options.delete = true;
    args.push('--delete');
  }
  if (random.chance(0.2)) {
    options.addTombstones = true;
    args.push('--add-tombstones');
  }
  if (random.chance(0.2)) {
    options.verifyBindings = true;
    args.push('--verify-bindings');
  }
  if (random.chance(0.1)) {
    options.verifyBackRefs = true;
    // That they imply the other comes too late in the command, after the refs.
    args.push('--verify-bindings', '--verify-back-refs');
  }
  if (random.chance(0.3)) args.push('--quiet');
  state.log.push(`fsck ${args.join(' ')}`);
  const { ok } = await pair.repo.fsck(options);
  const theirs = await ostreeOn(pair.theirs, 'fsck', ...args);
  expect(ok, `${state.log.join('\n')}\n${theirs.stderr}`).toBe(theirs.status === 0);
};

const operations: readonly Operation[] = [
  commit,
  commit,
  commit,
  createRef,
  deleteRefs,
  alias,
  reset,
  configure,
  remote,
  prune,
  damage,
  check,
];

/** What both say about the repositories, read by the other side. */
async function compare({ pair, log }: State): Promise<void> {
  const text = log.join('\n');
  await using reader = await Repo.open(pair.theirs);
  const refs = await reader.listRefs();
  expect(await pair.repo.listRefs(), text).toEqual(refs);
  sameLines(
    Object.keys(refs).sort(),
    (await command(pair.ours, 'refs')).split('\n').filter(Boolean).sort(),
  );
  for (const ref of Object.keys(refs)) {
    expect(await command(pair.ours, 'rev-parse', ref), text).toBe(refs[ref]);
    const there = await reader.hasObject('commit', refs[ref] ?? '');
    if (!there) continue;
    const history: string[] = [];
    for await (const { checksum } of reader.log(ref)) history.push(checksum);
    const shown = await ostreeOn(pair.ours, 'log', ref);
    expect([...shown.stdout.matchAll(/^commit (\w+)$/gm)].map(([, sum]) => sum)).toEqual(history);
    const list = await ostreeOn(pair.ours, 'ls -R -C -X', ref, '/');
    if (list.status === 0) expect(`${await listing(reader, ref)}\n`).toBe(list.stdout);
  }
  sameLines(
    await reader.remotes.list(),
    (await command(pair.ours, 'remote list')).split('\n').filter(Boolean),
  );
  await sameRepos(pair.ours, pair.theirs, text);
}

test.each(Array.from({ length: 30 }, (_, i) => i + 1))('sequence %i', async (seed) => {
  const mode = kModes[seed % kModes.length] ?? 'bare';
  const random = new Random(8000 + seed);
  await using pair = await repoPair(scratch.join(`sequence-${seed}`), mode);
  const canonical = mode === 'bare-user-only';
  const state: State = { random, pair, canonical, commits: [], step: 0, log: [mode] };
  for (let step = 1; step <= 14; step++) {
    state.step = step;
    // Something to work on comes first.
    await (step < 4 ? commit : random.pick(operations))(state);
    if (step % 7 === 0) await compare(state);
  }
});
