/** Composing a minimal base tree, against mmdebstrap and `ostree commit`. */

import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Composer, Repo } from 'apt-ostree';
import { run } from '../test/support/run.js';
import type { BenchArchive } from './archive.js';
import { measure, median, printComparison, printPhases } from './measure.js';

/** A tree as mmdebstrap makes it, with `extra` packages; also the start of the layering comparison. */
export async function mmdebstrap(
  archive: BenchArchive,
  target: string,
  extra: readonly string[] = [],
): Promise<void> {
  const { repository, codename } = archive;
  const list = path.join(path.dirname(target), 'mmdebstrap.list');
  await writeFile(
    list,
    `deb [signed-by=${repository.keyring}] ${repository.url} ${codename} main\n`,
  );
  await run('mmdebstrap', [
    '--variant=minbase',
    `--include=${['apt', 'usr-is-merged', ...extra].join(',')}`,
    '--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr',
    '--mode=root',
    '--quiet',
    codename,
    target,
    list,
  ]);
  // libostree refuses device nodes.
  await rm(path.join(target, 'dev'), { recursive: true });
  await mkdir(path.join(target, 'dev'));
}

export async function benchBase(
  archive: BenchArchive,
  directory: string,
  rounds: number,
): Promise<void> {
  const cold = [];
  const warm = [];
  const theirs = [];
  for (let round = 0; round < rounds; round++) {
    const target = path.join(directory, 'mmdebstrap');
    const theirRepo = path.join(directory, 'their-repo');
    await rm(target, { recursive: true, force: true });
    await rm(theirRepo, { recursive: true, force: true });
    await run('ostree', [`--repo=${theirRepo}`, 'init', '--mode=bare']);
    theirs.push(
      await measure(async () => {
        await mmdebstrap(archive, target);
        await run('ostree', [`--repo=${theirRepo}`, 'commit', '-b', 'base', target]);
      }),
    );
    const ourRepo = path.join(directory, 'our-repo');
    await rm(ourRepo, { recursive: true, force: true });
    await using repo = await Repo.create(ourRepo, 'bare');
    const composer = new Composer({ repo, sources: archive.repository.source });
    const compose = () => composer.compose({ ref: 'base', force: true });
    cold.push(await measure(compose));
    warm.push(await measure(compose));
  }
  const rival = { name: 'mmdebstrap --variant=minbase + ostree commit', sample: median(theirs) };
  for (const [title, samples] of [
    ['import cache empty', cold],
    ['packages imported before', warm],
  ] as const) {
    const sample = median(samples);
    const { packages, phases } = sample.result;
    printComparison(
      `Base tree of ${packages.length} packages, ${title}`,
      { name: 'apt-ostree', sample },
      [rival],
    );
    printPhases(phases);
  }
}
