/** Random trees, committed by the command and by the library with the same options. */

import { writeFile } from 'node:fs/promises';
import { variant } from 'apt-ostree';
import {
  type CommitLayer,
  type CommitTreesOptions,
  parseStatOverrides,
  Repo,
  type WriteDirectoryOptions,
} from 'apt-ostree/ostree';
import { afterAll, describe, expect, test } from 'vitest';
import { run } from '../../support/run.js';
import { temporaryDirectory } from '../../support/temp.js';
import { bothOrNeither, command, kModes, listing, repoPair, sameRepos } from './pair.js';
import { makeTree, Random, randomTree, type TreeItem } from './random.js';

const scratch = await temporaryDirectory('differential-commit');
afterAll(() => (process.env.KEEP ? undefined : scratch.remove()));

interface Plan {
  rules: WriteDirectoryOptions;
  commit: Partial<CommitTreesOptions>;
  args: string[];
}

/** Options, and the same for the command. */
async function plan(random: Random, items: readonly TreeItem[], name: string, canonical: boolean) {
  const rules: WriteDirectoryOptions = {};
  const commit: Partial<CommitTreesOptions> = {};
  const args: string[] = [];
  const use = (part: number, settings: () => readonly string[]) => {
    if (random.chance(part)) args.push(...settings());
  };
  if (canonical || random.chance(0.15)) {
    rules.canonicalPermissions = true;
    args.push('--canonical-permissions');
  } else {
    use(0.25, () => {
      rules.owner = { uid: random.pick([0, 5, 70_000]), ...(random.chance(0.5) && { gid: 6 }) };
      const { uid, gid } = rules.owner;
      return [`--owner-uid=${uid}`, ...(gid === undefined ? [] : [`--owner-gid=${gid}`])];
    });
  }
  use(canonical ? 1 : 0.2, () => {
    rules.skipXattrs = true;
    return ['--no-xattrs'];
  });
  use(0.25, () => {
    rules.readOnlyExecutables = true;
    return ['--mode-ro-executables'];
  });
  use(0.2, () => {
    rules.linkCheckoutSpeedup = true;
    return ['--link-checkout-speedup'];
  });
  use(0.2, () => {
    rules.generateSizes = true;
    return ['--generate-sizes'];
  });
  // Lists are lines, and the command fails where one fits nothing.
  const named = items.filter(({ path }) => !path.includes('\n'));
  const below = (path: string, parents: readonly string[]) =>
    parents.some((parent) => path.startsWith(`${parent}/`));
  const skipped: string[] = [];
  for (const { path } of random.some(named, random.chance(0.5) ? 0.08 : 0)) {
    if (!below(`/${path}`, skipped)) skipped.push(`/${path}`);
  }
  if (skipped.length > 0) {
    rules.skip = skipped;
    await writeFile(scratch.join(`${name}-skip`), `${skipped.join('\n')}\n`);
    args.push(`--skip-list=${scratch.join(`${name}-skip`)}`);
  }
  const overridden = random
    .some(named, random.chance(0.5) ? 0.1 : 0)
    // Not of directories: rule `directoryModes`.
    .filter(
      ({ kind, path }) => (kind === 'file' || kind === 'link') && !below(`/${path}/`, skipped),
    );
  if (overridden.length > 0) {
    const lines = overridden.map(({ path }) => {
      const mode = random.pick(['=420', '=0x1ed', '+2048', '1024', '73']);
      return `${mode} /${path}`;
    });
    rules.statOverrides = parseStatOverrides(lines.join('\n'));
    await writeFile(scratch.join(`${name}-override`), `${lines.join('\n')}\n`);
    args.push(`--statoverride=${scratch.join(`${name}-override`)}`);
  }
  use(0.4, () => {
    commit.subject = random.pick(['One', 'ünï', 'with\nline']);
    commit.body = random.pick(['', 'Body\n\nmore', '日本']);
    return [`--subject=${commit.subject}`, `--body=${commit.body}`];
  });
  use(0.3, () => {
    commit.bindRefs = ['zz', 'a/b', 'B'];
    return commit.bindRefs.map((ref) => `--bind-ref=${ref}`);
  });
  use(0.4, () => {
    commit.metadata = {
      version: '1.2',
      'x.number': variant('t', 2n ** 63n),
      'x.list': variant('as', ['a', 'ü']),
      'x.map': variant('a{sv}', { one: variant('i', -1), two: variant('b', true) }),
    };
    return [
      '--add-metadata-string=version=1.2',
      '--add-metadata=x.number=uint64 9223372036854775808',
      "--add-metadata=x.list=['a', 'ü']",
      "--add-metadata=x.map={'one': <-1>, 'two': <true>}",
    ];
  });
  use(0.3, () => {
    commit.detachedMetadata = { note: 'beside' };
    return ['--add-detached-metadata-string=note=beside'];
  });
  const seconds = random.pick([0, 1, 1_700_000_000, 4_102_444_800]);
  commit.timestamp = new Date(seconds * 1000);
  args.push(`--timestamp=@${seconds}`);
  return { rules, commit, args } satisfies Plan;
}

const rounds = [1, 2, 3, 4, 5, 6];

describe.each(kModes)('in mode %s', (mode) => {
  const canonical = mode === 'bare-user-only';

  test.each(rounds)('a random tree with random options, round %i', async (round) => {
    const name = `${mode}-${round}`;
    const random = new Random(round * 100 + kModes.indexOf(mode));
    const items = randomTree(random, 40);
    const source = scratch.join(`${name}-source`);
    await makeTree(source, items);
    const { rules, commit, args } = await plan(random, items, name, canonical);
    await using pair = await repoPair(scratch.join(name), mode);
    if (round % 3 === 0) {
      await pair.command('config set', 'core.collection-id', 'org.example.Test');
      await pair.repo.collections.setId('org.example.Test');
    }
    const consume = random.chance(0.3);
    const copies = ['ours', 'theirs'].map((side) => scratch.join(`${name}-${side}-copy`));
    for (const copy of copies) await run('cp', ['-a', source, copy]);
    const [forUs = '', forThem = ''] = copies;
    const made = await bothOrNeither(
      async () => {
        const trees = [{ directory: forUs, ...rules, consume }];
        return (await pair.repo.commit({ ref: 'os/test', trees, ...commit })).checksum;
      },
      () =>
        pair.command(
          'commit',
          '--branch=os/test',
          ...args,
          ...(consume ? ['--consume'] : []),
          `--tree=dir=${forThem}`,
        ),
    );
    expect(made?.ours, args.join(' ')).toBe(made?.theirs);
    if (!made) return;
    await sameRepos(pair.ours, pair.theirs);
    if (consume) {
      const left = (root: string) => run('find', [root, '-type', 'f'], { anyStatus: true });
      expect((await left(forUs)).stdout).toBe((await left(forThem)).stdout.replace(forThem, forUs));
    }
    // What one wrote the other reads.
    await command(pair.ours, 'fsck', '--all');
    await using reader = await Repo.open(pair.theirs);
    expect(await reader.fsck()).toMatchObject({ ok: true });
    const shown = await command(pair.ours, 'ls -R -C -X', 'os/test', '/');
    expect(await listing(reader, 'os/test')).toBe(shown);
  });

  test('trees over one another: directory, archive, commit, base', async () => {
    const random = new Random(900 + kModes.indexOf(mode));
    await using pair = await repoPair(scratch.join(`${mode}-layers`), mode);
    const rules: WriteDirectoryOptions = canonical
      ? { canonicalPermissions: true, skipXattrs: true }
      : {};
    const flags = canonical ? ['--canonical-permissions', '--no-xattrs'] : [];
    const sources: string[] = [];
    for (let i = 0; i < 3; i++) {
      const source = scratch.join(`${mode}-layer-${i}`);
      await makeTree(source, randomTree(random, 25));
      sources.push(source);
    }
    const [one = '', two = '', three = ''] = sources;
    const archive = scratch.join(`${mode}.tar`);
    const tar = ['--format=pax', '--xattrs', '--xattrs-include=*', '--sort=name'];
    await run('tar', [...tar, '-cf', archive, '-C', three, '.']);
    const epoch = new Date(0);
    const commit = async (
      options: Partial<CommitTreesOptions>,
      trees: CommitLayer[],
      ...args: string[]
    ) => {
      const made = await bothOrNeither(
        async () => (await pair.repo.commit({ trees, timestamp: epoch, ...options })).checksum,
        () => pair.command('commit', '--timestamp=@0', ...flags, ...args),
      );
      expect(made?.ours).toBe(made?.theirs);
      return made?.ours;
    };
    const branch = { ref: 'os' };
    await commit(branch, [{ directory: one, ...rules }], '-b', 'os', `--tree=dir=${one}`);
    await commit(
      { ref: 'tar' },
      [{ archive, ...rules }],
      '-b',
      'tar',
      '--tar-autocreate-parents',
      `--tree=tar=${archive}`,
    );
    // Kinds may clash: then both refuse.
    await commit(
      branch,
      [
        { directory: one, ...rules },
        { directory: two, ...rules },
      ],
      '-b',
      'os',
      `--tree=dir=${one}`,
      `--tree=dir=${two}`,
    );
    await commit(
      { ref: 'os', base: 'os' },
      [{ commit: 'tar', ...rules }],
      '-b',
      'os',
      '--base=os',
      '--tree=ref=tar',
    );
    await commit(
      { parent: null },
      [
        { commit: 'os', ...rules },
        { archive, ...rules },
      ],
      '--orphan',
      '--parent=none',
      '--tar-autocreate-parents',
      '--tree=ref=os',
      `--tree=tar=${archive}`,
    );
    // What refused commits wrote is taken up by the next one, and how far they came is chance.
    await command(pair.theirs, 'prune');
    await command(pair.ours, 'prune');
    await sameRepos(pair.ours, pair.theirs);
  });
});
