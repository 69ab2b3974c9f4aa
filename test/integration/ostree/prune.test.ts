/** Every form of `ostree prune`, on copies of one repository: the same objects must be left. */

import { writeFile } from 'node:fs/promises';
import { type PruneOptions, type PruneProgress, Repo } from 'apt-ostree/ostree';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commitEdits } from '../../support/ostree.js';
import { createRepo } from '../../support/repo.js';
import { copyRepo, ostreeOn, repoFiles } from '../../support/repo-copies.js';
import { temporaryDirectory } from '../../support/temp.js';

const scratch = await temporaryDirectory('prune');
afterAll(() => scratch.remove());
let count = 0;
let master: string;
const commits: Record<string, string[]> = {};
const kDay = 86400;

/** Two branches of five commits, one commit without a ref, static deltas. */
beforeAll(async () => {
  master = scratch.join('master');
  await using repo = await createRepo(master, 'archive');
  for (const branch of ['a', 'b/c']) {
    const list: string[] = [];
    for (let i = 0; i < 5; ++i) {
      list.push(
        await commitEdits(
          repo,
          branch,
          [
            {
              op: 'file',
              path: `/only-${branch.replace('/', '-')}-${i}`,
              content: `${branch}${i}`,
            },
            { op: 'file', path: '/always', content: 'always' },
          ],
          { timestamp: new Date((i + 1) * kDay * 1000), ...(i > 0 && { parent: list[i - 1] }) },
        ),
      );
    }
    commits[branch] = list;
  }
  const loose = await commitEdits(repo, 'gone', [{ op: 'file', path: '/loose', content: 'loose' }]);
  await repo.setRef('gone', null);
  commits.loose = [loose];
  await repo.deltas.generate(commits.a?.[4] ?? '', { from: commits.a?.[3] ?? '' });
  await repo.deltas.generate(commits.a?.[1] ?? '', {});
});

const date = (days: number) => new Date(days * kDay * 1000);
const iso = (days: number) => `--keep-younger-than=${date(days).toISOString().slice(0, 10)} UTC`;

const forms: [string, () => PruneOptions, () => string[]][] = [
  ['all commits', () => ({}), () => []],
  ['refs only', () => ({ refsOnly: true }), () => ['--refs-only']],
  ['depth 0', () => ({ refsOnly: true, depth: 0 }), () => ['--refs-only', '--depth=0']],
  ['depth 2', () => ({ refsOnly: true, depth: 2 }), () => ['--refs-only', '--depth=2']],
  ['depth of all commits', () => ({ depth: 0 }), () => ['--depth=0']],
  [
    'commits only',
    () => ({ refsOnly: true, commitOnly: true, depth: 1 }),
    () => ['--refs-only', '--commit-only', '--depth=1'],
  ],
  ['younger', () => ({ keepYoungerThan: date(3) }), () => [iso(3)]],
  ['younger than all', () => ({ keepYoungerThan: date(100) }), () => [iso(100)]],
  [
    'younger, commits only',
    () => ({ keepYoungerThan: date(4), commitOnly: true }),
    () => [iso(4), '--commit-only'],
  ],
  [
    'a depth for one branch',
    () => ({ depth: 0, retainBranchDepth: { a: 2 } }),
    () => ['--depth=0', '--retain-branch-depth=a=2'],
  ],
  [
    'a branch kept whole',
    () => ({ keepYoungerThan: date(5), retainBranchDepth: { 'b/c': -1 } }),
    () => [iso(5), '--retain-branch-depth=b/c=-1'],
  ],
  ['one branch', () => ({ onlyBranches: ['a'], depth: 1 }), () => ['--only-branch=a', '--depth=1']],
  [
    'both branches, one deeper',
    () => ({ onlyBranches: ['a', 'b/c'], depth: 0, retainBranchDepth: { a: 3 } }),
    () => ['--only-branch=a', '--only-branch=b/c', '--depth=0', '--retain-branch-depth=a=3'],
  ],
  [
    'a commit',
    () => ({ deleteCommit: commits.a?.[1] ?? '' }),
    () => [`--delete-commit=${commits.a?.[1]}`],
  ],
  [
    'a commit, and what refs do not reach',
    () => ({ deleteCommit: commits.a?.[0] ?? '', refsOnly: true }),
    () => [`--delete-commit=${commits.a?.[0]}`, '--refs-only'],
  ],
  [
    'static deltas',
    () => ({ deleteCommit: commits.a?.[1] ?? '', staticDeltasOnly: true }),
    () => ['--static-deltas-only', `--delete-commit=${commits.a?.[1]}`],
  ],
];

describe.each(['no tombstones', 'tombstones'])('%s', (kind) => {
  const some = kind === 'tombstones' ? forms.filter((_form, index) => index % 3 === 1) : forms;
  test.each(some)('%s: leaves what the command leaves', async (_name, options, args) => {
    const theirs = await copyRepo(master, scratch.join(`theirs-${++count}`));
    const ours = await copyRepo(master, scratch.join(`ours-${count}`));
    await using repo = await Repo.open(ours);
    if (kind === 'tombstones') {
      await ostreeOn(theirs, 'config set', 'core.tombstone-commits', 'true');
      await repo.config.set('core', 'tombstone-commits', 'true');
    }
    const command = await ostreeOn(theirs, 'prune', ...args());
    expect(command.status, command.stderr).toBe(0);
    const { deleteCommit, staticDeltasOnly: _only, ...countable } = options();
    const dry = deleteCommit ? undefined : await repo.prune({ ...countable, dryRun: true });
    const result = await repo.prune(options());
    expect(await repoFiles(ours)).toEqual(await repoFiles(theirs));
    if (dry) expect(dry).toEqual(result);
    const total = /objects: (\d+)/.exec(command.stdout)?.[1];
    const pruned = /Deleted (\d+)/.exec(command.stdout)?.[1] ?? '0';
    expect(result).toMatchObject({ objects: Number(total), pruned: Number(pruned) });
    expect((await repo.prune(countable)).pruned).toBe(0);
  });
});

test('a dry run changes nothing, not even static deltas, and says what the command says', async () => {
  const copy = await copyRepo(master, scratch.join('dry'));
  await using repo = await Repo.open(copy);
  await repo.setRef('a', null);
  const before = await repoFiles(copy);
  const result = await repo.prune({ refsOnly: true, depth: 0, dryRun: true });
  expect(await repoFiles(copy)).toEqual(before);
  const { stdout } = await ostreeOn(copy, 'prune', '--no-prune', '--refs-only', '--depth=0');
  expect(stdout).toContain(`Would delete: ${result.pruned} objects`);
  const { bytes } = await repo.prune({ refsOnly: true, depth: 0 });
  expect(bytes).toBe(result.bytes);
});

test('exactly what is named is kept', async () => {
  const copy = await copyRepo(master, scratch.join('named'));
  await using repo = await Repo.open(copy);
  const kept = commits['b/c']?.[4] ?? '';
  const commit = await repo.loadCommit(kept);
  const entries = await repo.list(kept);
  const names = [
    `${kept}.commit`,
    `${commit.contents}.dirtree`,
    `${commit.metadataChecksum}.dirmeta`,
    ...entries.map(({ checksum }) => `${checksum}.file`),
  ];
  await repo.setRef('a', null);
  const result = await repo.pruneFromReachable(names);
  expect(result.objects - result.pruned).toBe(names.length);
  expect(await repo.fsck({ unreachable: true })).toMatchObject({ ok: true, objects: names.length });
  // Many names leave the event loop time for others.
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 0);
  const many = function* () {
    for (let i = 0; i < 100_000; i += 1) yield `${i.toString(16).padStart(64, '0')}.file`;
    yield* names;
    expect(turns).toBeGreaterThan(0);
  };
  expect(await repo.pruneFromReachable(many(), { dryRun: true })).toMatchObject({ pruned: 0 });
  clearInterval(timer);
  await expect(repo.pruneFromReachable(['../../x'])).rejects.toMatchObject({
    code: 'ERR_INVALID_ARG_VALUE',
  });
});

test('tells of its progress and can be stopped', async () => {
  const copy = await copyRepo(master, scratch.join('progress'));
  await using repo = await Repo.open(copy);
  const seen: PruneProgress[] = [];
  await repo.prune({ onProgress: (progress) => seen.push(progress) });
  expect(seen.at(-1)).toMatchObject({ phase: 'objects', total: expect.any(Number) });
  const controller = new AbortController();
  const pruning = repo.prune({
    refsOnly: true,
    depth: 0,
    signal: controller.signal,
    onProgress: () => controller.abort('enough'),
  });
  await pruning.then(
    () => {},
    (error) => expect(error).toMatchObject({ name: 'AbortError', cause: 'enough' }),
  );
  expect(await repo.fsck()).toMatchObject({ errors: [] });
});

test('what it refuses', async () => {
  const copy = await copyRepo(master, scratch.join('refused'));
  await using repo = await Repo.open(copy);
  const head = commits.a?.[4] ?? '';
  await expect(repo.prune({ deleteCommit: head })).rejects.toMatchObject({
    code: 'ERR_INVALID_STATE',
    ref: 'a',
  });
  await expect(repo.prune({ deleteCommit: '0'.repeat(64) })).rejects.toMatchObject({
    code: 'ENOENT',
  });
  await expect(repo.prune({ onlyBranches: ['no/such'] })).rejects.toMatchObject({ code: 'ENOENT' });
  const wrong: PruneOptions[] = [
    { staticDeltasOnly: true },
    { deleteCommit: 'a' },
    { deleteCommit: head, dryRun: true },
    { keepYoungerThan: new Date(Number.NaN) },
    { keepYoungerThan: 5 as unknown as Date },
    { onlyBranches: 'a' as unknown as string[] },
    { onlyBranches: ['..'] },
    { retainBranchDepth: { a: 1.5 } },
    { retainBranchDepth: { '../x': 1 } },
    { depth: -2 },
  ];
  for (const options of wrong) {
    await expect(repo.prune(options)).rejects.toThrow(
      expect.objectContaining({
        code: expect.stringMatching(/^ERR_(INVALID_ARG_(TYPE|VALUE)|OUT_OF_RANGE)$/),
      }),
    );
  }
  // A damaged commit is an error, not the end of the process.
  const path = `${copy}/objects/${head.slice(0, 2)}/${head.slice(2)}.commit`;
  await writeFile(path, 'damaged');
  await expect(repo.prune()).rejects.toMatchObject({ code: expect.stringMatching(/^E/) });
  expect((await repo.fsck()).errors[0]).toMatchObject({
    kind: 'corrupt',
    object: `${head}.commit`,
  });
});

test('a repository with a parent keeps its hands off the parent', async () => {
  const parent = await copyRepo(master, scratch.join('parent'));
  await using child = await createRepo(scratch.join('child'), 'archive');
  await child.config.set('core', 'parent', parent);
  await using repo = await Repo.open(child.path);
  await commitEdits(repo, 'own', [{ op: 'file', path: '/own', content: 'own' }]);
  const before = await repoFiles(parent);
  await repo.setRef('own', null);
  expect((await repo.prune({ refsOnly: true })).pruned).toBe(4);
  expect(await repoFiles(parent)).toEqual(before);
});
