/** Random options of `ostree checkout`, over nothing or over an older checkout. */

import { writeFile } from 'node:fs/promises';
import type { CheckoutOptions, CheckoutSource, Repo } from 'apt-ostree/ostree';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRepo } from '../../support/repo.js';
import { temporaryDirectory } from '../../support/temp.js';
import { bothOrNeither, command, kModes, sameTrees } from './pair.js';
import { kNames, makeTree, Random, randomTree, type TreeItem } from './random.js';

const scratch = await temporaryDirectory('differential-checkout');
afterAll(() => scratch.remove());

const kFew = ['c', 'd', 'lib', 'A', 'a', 'b', 'etc', 'usr', 'ünï', 'with space'];
const kWhiteouts = [
  ...kFew,
  ...kFew.map((name) => `.wh.${name}`),
  '.ostree-wh.gone',
  '.wh..wh..opq',
];
let trees: Record<'wide' | 'base' | 'layer', TreeItem[]>;

beforeAll(async () => {
  const random = new Random(4000);
  trees = {
    wide: randomTree(random, 60, kNames),
    base: randomTree(random, 30, kFew),
    layer: randomTree(random, 30, kWhiteouts),
  };
  for (const [name, items] of Object.entries(trees)) await makeTree(scratch.join(name), items);
});

interface Plan {
  options: CheckoutOptions;
  args: string[];
  /** What is there already. */
  over: 'nothing' | 'base';
  rev: 'wide' | 'base' | 'layer';
}

async function plan(random: Random, mode: string, name: string): Promise<Plan> {
  const options: CheckoutOptions = {};
  const args: string[] = [];
  const use = (part: number, settings: () => string) => {
    if (random.chance(part)) args.push(settings());
  };
  const over = random.pick(['nothing', 'nothing', 'base'] as const);
  const rev = random.pick(
    over === 'nothing' ? (['wide', 'layer'] as const) : (['layer', 'base'] as const),
  );
  use(mode === 'bare-user-only' ? 1 : 0.6, () => {
    options.mode = 'user';
    return '-U';
  });
  // The command keeps a deprecated cache of content in archives, and links into that.
  if (mode === 'archive') args.push('--disable-cache');
  const ways = [
    ['none', ''],
    ['union-files', '--union'],
    ['add-files', '--union-add'],
    ['union-identical', '--union-identical'],
  ] as const;
  const [overwrite, flag] = random.pick(over === 'nothing' ? ways : ways.slice(random.below(2)));
  if (flag !== '') {
    options.overwrite = overwrite;
    args.push(flag);
  }
  const linked = overwrite === 'union-identical' || random.chance(0.15);
  if (linked) {
    options.hardlinksOnly = true;
    args.push('-H');
  } else {
    use(0.3, () => {
      options.forceCopy = true;
      return '-C';
    });
  }
  use(0.2, () => {
    options.forceCopyZeroSized = true;
    return '-z';
  });
  use(0.2, () => {
    options.canonicalDirectories = true;
    return '-M';
  });
  use(0.4, () => {
    options.whiteouts = true;
    return '--whiteouts';
  });
  use(0.2, () => {
    options.passthroughWhiteouts = true;
    return '--process-passthrough-whiteouts';
  });
  const items = trees[rev].filter(({ path }) => !path.includes('\n'));
  use(0.3, () => {
    options.subpath = random.chance(0.15) ? '/not-there' : `/${random.pick(items).path}`;
    return `--subpath=${options.subpath}`;
  });
  // Rule `missingParts`.
  use(options.subpath === '/not-there' ? 0 : 0.3, () => {
    options.allowMissing = true;
    return '--allow-noent';
  });
  if (random.chance(0.25)) {
    const skip = random.some(items, 0.1).map(({ path }) => `/${path}`);
    if (skip.length > 0) {
      options.skip = skip;
      const list = scratch.join(`${name}-skip`);
      // The command knows directories by a slash at the end.
      await writeFile(list, skip.map((path) => `${path}\n${path}/\n`).join(''));
      args.push(`--skip-list=${list}`);
    }
  }
  return { options, args, over, rev };
}

describe.each(kModes)('of mode %s', (mode) => {
  let repo: Repo;
  beforeAll(async () => {
    repo = await createRepo(scratch.join(mode), mode);
    const flags = mode === 'bare-user-only' ? ['--canonical-permissions', '--no-xattrs'] : [];
    for (const name of Object.keys(trees)) {
      await command(repo.path, 'commit', '-b', name, ...flags, `--tree=dir=${scratch.join(name)}`);
    }
    return () => repo.close();
  });

  test.each(Array.from({ length: 12 }, (_, i) => i + 1))('round %i', async (round) => {
    const random = new Random(5000 + round * 10 + kModes.indexOf(mode));
    const name = `${mode}-${round}`;
    const { options, args, over, rev } = await plan(random, mode, name);
    const [ours, theirs] = [scratch.join(`${name}-ours`), scratch.join(`${name}-theirs`)];
    if (over !== 'nothing') {
      const cache = mode === 'archive' ? ['--disable-cache'] : [];
      for (const out of [ours, theirs])
        await command(repo.path, 'checkout', '-U', ...cache, over, out);
    }
    const done = await bothOrNeither(
      async () => {
        await repo.checkout(rev, ours, options);
        return '';
      },
      () => command(repo.path, 'checkout', ...args, rev, theirs),
    );
    // What they left where they were refused is the same too.
    await sameTrees(ours, theirs);
    expect(done === undefined || done.theirs === '', args.join(' ')).toBe(true);
  });

  test('several into one, and back: what one checked out the other commits', async () => {
    const random = new Random(6000 + kModes.indexOf(mode));
    const sources: CheckoutSource[] = [{ rev: 'base' }, { rev: 'layer' }];
    const directories = trees.layer.filter(({ kind }) => kind === 'directory');
    for (let i = 0; i < 3; i++) {
      sources.push({ rev: 'layer', subpath: `/${random.pick(directories).path}` });
    }
    const list = scratch.join(`${mode}-list`);
    await writeFile(list, sources.map(({ rev, subpath = '/' }) => `${rev}\0${subpath}\0`).join(''));
    const [ours, theirs] = [scratch.join(`${mode}-several-ours`), scratch.join(`${mode}-several`)];
    const flags = ['-U', '--union', ...(mode === 'archive' ? ['--disable-cache'] : [])];
    await bothOrNeither(
      async () => {
        await repo.checkout(sources, ours, { mode: 'user', overwrite: 'union-files' });
        return '';
      },
      () => command(repo.path, 'checkout', ...flags, `--from-file=${list}`, theirs),
    );
    await sameTrees(ours, theirs);
    const canonical = mode === 'bare-user-only';
    const args = canonical ? ['--canonical-permissions', '--no-xattrs'] : [];
    const one = await command(repo.path, 'commit', '--orphan', '--timestamp=@0', ...args, ours);
    const layers = [
      { directory: theirs, ...(canonical && { canonicalPermissions: true, skipXattrs: true }) },
    ];
    const two = await repo.commit({ trees: layers, timestamp: new Date(0) });
    expect(two.checksum).toBe(one);
    await command(repo.path, 'fsck');
  });
});
