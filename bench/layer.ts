/** Layering packages on a standard system, against apt-get in a checkout and `ostree commit`. */

import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type ComposeResult, Composer, Repo } from 'apt-ostree';
import { run } from '../test/support/run.js';
import type { BenchArchive } from './archive.js';
import { mmdebstrap } from './base.js';
import { measure, median, printComparison, printPhases } from './measure.js';

/** What is layered, each on the base. */
export const kLayered: readonly { name: string; packages: readonly string[] }[] = [
  { name: 'htop', packages: ['htop'] },
  { name: 'nginx', packages: ['nginx'] },
  { name: 'openssh-server', packages: ['openssh-server'] },
  {
    name: 'about 150 packages',
    packages: ['build-essential', 'python3', 'vim', 'git', 'postgresql', 'nginx', 'openssh-server'],
  },
];

/** A repository whose commit `base` is a plain root with up-to-date lists, as others layer on. */
async function theirBase(archive: BenchArchive, directory: string): Promise<string> {
  const repo = path.join(directory, 'layer-their-repo');
  const tree = path.join(directory, 'layer-tree');
  await mmdebstrap(archive, tree, archive.standard);
  // No gpgv in a minimal root: the archive was checked when the tree was made.
  const { repository, codename } = archive;
  const list = `deb [trusted=yes] ${repository.url} ${codename} main\n`;
  await rm(path.join(tree, 'etc/apt/sources.list.d'), { recursive: true });
  await writeFile(path.join(tree, 'etc/apt/sources.list'), list);
  // Neither side starts services.
  const policy = path.join(tree, 'usr/sbin/policy-rc.d');
  await writeFile(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
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
  packages: readonly string[],
  checkout: readonly string[],
  commit: readonly string[],
): Promise<void> {
  await run('ostree', [`--repo=${repo}`, 'checkout', ...checkout, 'base', root]);
  await withNull(root, () =>
    run('chroot', [root, 'apt-get', 'install', '-qy', '--no-install-recommends', ...packages], {
      env: { DEBIAN_FRONTEND: 'noninteractive' },
    }),
  );
  // The sockets and device nodes of packages are nothing that a commit could hold.
  await run('find', [root, '-xdev', '(', '-type', 's', '-o', '-type', 'c', ')', '-delete']);
  await run('ostree', [`--repo=${repo}`, 'commit', '-b', 'layered', ...commit, root]);
}

export async function benchLayer(
  archive: BenchArchive,
  directory: string,
  rounds: number,
): Promise<void> {
  const theirs = await theirBase(archive, directory);
  await using repo = await Repo.create(path.join(directory, 'layer-our-repo'), 'bare');
  const composer = new Composer({ repo, sources: archive.repository.source });
  const standard = { packages: archive.standard };
  const composed = await composer.compose({ ref: 'base', ...standard });
  const base = composed.commit;
  const other = (await composer.compose({ ref: 'other', version: 'other', ...standard })).commit;
  process.stdout.write(`\nLayering on a base of ${composed.packages.length} packages\n`);
  for (const { name, packages } of kLayered) {
    const install = [...packages];
    const layer = () => composer.layer({ base, install, refresh: false, force: true });
    const first = await measure(layer);
    const copies = [];
    const links = [];
    const ours = [];
    const unchanged = [];
    const moved = await measure(() => composer.layer({ base: other, install, refresh: false }));
    for (let round = 0; round < rounds; round++) {
      // Nothing is removed before the end: ext4 makes new files slowly after that.
      const root = (kind: string) => path.join(directory, `layer-${kind}-${install[0]}-${round}`);
      const copy = root('copy');
      copies.push(await measure(() => withApt(theirs, copy, install, ['--force-copy'], [])));
      const hardlinks = ['--require-hardlinks'];
      const speedup = ['--link-checkout-speedup'];
      links.push(await measure(() => withApt(theirs, root('links'), install, hardlinks, speedup)));
      ours.push(await measure(layer));
      unchanged.push(await measure(() => composer.layer({ base, install, refresh: false })));
    }
    const sample = median(ours);
    const count = sample.result.changes.length;
    printComparison(`Layering ${name} (${count} new)`, { name: 'apt-ostree', sample }, [
      { name: 'apt-ostree, packages not imported yet', sample: first },
      { name: 'apt-ostree, on another base', sample: moved },
      { name: 'apt-ostree, unchanged request', sample: median(unchanged) },
      { name: '(a) copy checkout + apt-get + commit', sample: median(copies) },
      { name: '(b) hardlinks + apt-get + link-checkout-speedup', sample: median(links) },
    ]);
    printPhases(sample.result.phases);
    printShare(sample.result, sample.wall);
    const again = moved.result.phases.some(({ phase }) => phase === 'import');
    process.stdout.write(`      on another base: ${again ? 'imports again' : 'imports nothing'}\n`);
  }
}

/** How much of the time is not the scripts'. */
function printShare({ phases }: ComposeResult, wall: number): void {
  const configure = phases
    .filter(({ phase }) => phase === 'configure')
    .reduce((sum, { seconds }) => sum + seconds, 0);
  const share = ((100 * (wall - configure)) / wall).toFixed(0);
  process.stdout.write(`      everything but configure: ${share} %\n`);
}
