/** Layering a package on a base, against apt-get in a checkout and `ostree commit`. */

import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Composer, Repo } from 'apt-ostree';
import { run } from '../test/support/run.js';
import type { BenchArchive } from './archive.js';
import { mmdebstrap } from './base.js';
import { measure, median, printComparison, printPhases } from './measure.js';

/** A repository whose commit `base` is a plain root with up-to-date lists, as others layer on. */
async function theirBase(archive: BenchArchive, directory: string): Promise<string> {
  const repo = path.join(directory, 'layer-their-repo');
  const tree = path.join(directory, 'layer-tree');
  await mmdebstrap(archive, tree);
  // No gpgv in a minimal root: the archive was checked when the tree was made.
  const { repository, codename } = archive;
  const list = `deb [trusted=yes] ${repository.url} ${codename} main\n`;
  await rm(path.join(tree, 'etc/apt/sources.list.d'), { recursive: true });
  await writeFile(path.join(tree, 'etc/apt/sources.list'), list);
  await withNull(tree, () => run('chroot', [tree, 'apt-get', 'update', '-q']));
  await run('ostree', [`--repo=${repo}`, 'init', '--mode=bare']);
  await run('ostree', [`--repo=${repo}`, 'commit', '-b', 'base', tree]);
  return repo;
}

/** apt needs /dev/null, and libostree refuses device nodes. */
async function withNull(root: string, work: () => Promise<unknown>): Promise<void> {
  const file = path.join(root, 'dev/null');
  await run('mknod', ['-m', '666', file, 'c', '1', '3']);
  await work();
  await rm(file);
}

async function withApt(
  repo: string,
  root: string,
  name: string,
  checkout: readonly string[],
  commit: readonly string[],
): Promise<void> {
  await run('ostree', [`--repo=${repo}`, 'checkout', ...checkout, 'base', root]);
  await withNull(root, () =>
    run('chroot', [root, 'apt-get', 'install', '-qy', '--no-install-recommends', name], {
      env: { DEBIAN_FRONTEND: 'noninteractive' },
    }),
  );
  await run('ostree', [`--repo=${repo}`, 'commit', '-b', 'layered', ...commit, root]);
}

export async function benchLayer(
  archive: BenchArchive,
  directory: string,
  name: string,
  rounds: number,
): Promise<void> {
  const theirs = await theirBase(archive, directory);
  const ourRepo = path.join(directory, 'layer-our-repo');
  await mkdir(ourRepo);
  await using repo = await Repo.create(ourRepo, 'bare');
  const composer = new Composer({ repo, sources: archive.repository.source });
  const base = await composer.compose({ ref: 'base' });
  const layer = () => composer.layer({ base: base.commit, install: [name], refresh: false });
  const first = await measure(layer);
  const copies = [];
  const links = [];
  const ours = [];
  for (let round = 0; round < rounds; round++) {
    const root = path.join(directory, 'layer-root');
    await rm(root, { recursive: true, force: true });
    copies.push(await measure(() => withApt(theirs, root, name, ['--force-copy'], [])));
    await rm(root, { recursive: true, force: true });
    links.push(
      await measure(() =>
        withApt(theirs, root, name, ['--require-hardlinks'], ['--link-checkout-speedup']),
      ),
    );
    ours.push(await measure(layer));
  }
  const sample = median(ours);
  printComparison(`Layering ${name}`, { name: 'apt-ostree', sample }, [
    { name: 'apt-ostree, first time on this base', sample: first },
    { name: '(a) copy checkout + apt-get + commit', sample: median(copies) },
    { name: '(b) hardlinks + apt-get + link-checkout-speedup', sample: median(links) },
  ]);
  printPhases(sample.result.phases);
}
