/** The differential tier as far as there is time for it in each run of the tests. */

import { Repo } from 'apt-ostree';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { obstacle } from '../support/mirror.js';
import { type TemporaryDirectory, temporaryDirectory } from '../support/temp.js';
import { archiveOf, type DifferentialArchive, kBasePackages } from './archive.js';
import { Differential } from './compare.js';
import { compareSteps, packagesOf } from './sets.js';

const kForeign = ['i386'];

/** Small ones whose scripts do what is hard. */
const kSets = [
  ['alternatives, then removal', 'mawk gawk / -gawk'],
  ['file capabilities', 'iputils-ping'],
  ['a set-user-id program on a layered tree', 'htop / sudo'],
  ['diversions', 'molly-guard'],
  ['another architecture', 'libc6:i386'],
  ['users and services, then another base with users', 'openssh-server / @postfix'],
  ['another version of a package of the base', '=tzdata'],
] as const;

const reason = await obstacle();
if (reason !== undefined) process.stderr.write(`The differential tier is left out: ${reason}.\n`);

describe.skipIf(reason !== undefined)('layering gives what apt-get gives', () => {
  let archive: DifferentialArchive;
  let directory: TemporaryDirectory;
  let repo: Repo;
  let differential: Differential;
  let base: string;

  beforeAll(async () => {
    const sets = kSets.flatMap(([, set]) => packagesOf(set.split(' ')));
    archive = await archiveOf(sets, kForeign, '/var/tmp/apt-ostree-differential');
    directory = await temporaryDirectory('differential');
    repo = await Repo.create(directory.join('repo'), 'bare');
    differential = new Differential(repo, archive, directory.path, kForeign);
    base = await differential.base(kBasePackages);
  }, 1_200_000);

  afterAll(async () => {
    repo?.close();
    await directory?.remove();
    await archive?.stop();
  });

  it.each(kSets)(
    '%s: %s',
    async (_, set) => {
      for await (const step of compareSteps(differential, base, set.split(' '), archive.older)) {
        const { differences, complaints } = step.result;
        expect({ step: step.name, differences, complaints }).toEqual({
          step: step.name,
          differences: [],
          complaints: [],
        });
      }
    },
    600_000,
  );
});
