/** Damage to objects of every type: fsck of both says the same of it, and leaves the same. */

import { readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { type FsckOptions, Repo } from 'apt-ostree/ostree';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commitEdits, someEdits } from '../../support/ostree.js';
import { createRepo } from '../../support/repo.js';
import { copyRepo, ostreeOn } from '../../support/repo-copies.js';
import { run } from '../../support/run.js';
import { temporaryDirectory } from '../../support/temp.js';
import { sameRepos } from './pair.js';
import { Random } from './random.js';

const scratch = await temporaryDirectory('differential-damage');
afterAll(() => scratch.remove());

const kModes = ['bare-user', 'archive'] as const;
const kTypes = ['commit', 'dirtree', 'dirmeta', 'file'];

beforeAll(async () => {
  for (const mode of kModes) {
    await using repo = await createRepo(scratch.join(mode), mode);
    const first = await commitEdits(repo, 'main', someEdits);
    const edits = [{ op: 'file', path: '/new/file', content: 'new' }] as const;
    await commitEdits(repo, 'main', edits, { base: first, parent: first });
    await commitEdits(repo, 'other', [{ op: 'mkdir', path: '/only', mode: 0o700 }]);
  }
});

/** Each takes the path of an object, and of another of its type. */
const kWays: Record<string, (path: string, other: string, random: Random) => Promise<unknown>> = {
  'a byte changed': async (path, _other, random) => {
    const bytes = await readFile(path);
    if (bytes.length === 0) bytes.fill(1);
    else bytes.writeUInt8((bytes.readUInt8(random.below(bytes.length)) + 1) & 255, 0);
    await writeFile(path, bytes);
  },
  'cut in half': async (path) => truncate(path, (await readFile(path)).length >> 1),
  emptied: (path) => truncate(path, 0),
  'something after it': (path) => writeFile(path, 'more', { flag: 'a' }),
  'another in its place': async (path, other) => writeFile(path, await readFile(other)),
  noise: (path, _other, random) =>
    writeFile(path, Buffer.from(Array.from({ length: 60 }, () => random.below(256)))),
  gone: (path) => rm(path),
};

const kChecks: [FsckOptions, string[]][] = [
  [{ all: false }, []],
  [{}, ['--all']],
  [{ delete: true }, ['--all', '--delete']],
];

describe.each(kModes)('in mode %s', (mode) => {
  describe.each(kTypes)('%s', (type) => {
    test.each(Object.keys(kWays))('%s', async (way) => {
      const random = new Random(12_000 + Object.keys(kWays).indexOf(way));
      const { stdout } = await run('find', ['objects', '-name', `*.${type}*`], {
        cwd: scratch.join(mode),
      });
      const names = stdout.split('\n').filter(Boolean).sort();
      const [name = '', other = ''] = [random.pick(names), random.pick(names)];
      for (const [options, args] of kChecks) {
        const copies = [scratch.join('theirs'), scratch.join('ours')];
        for (const copy of copies) {
          await rm(copy, { recursive: true, force: true });
          await copyRepo(scratch.join(mode), copy);
          await kWays[way]?.(`${copy}/${name}`, `${copy}/${other}`, new Random(1));
          if (way !== 'gone') await utimes(`${copy}/${name}`, 0, 0);
        }
        const [theirs = '', ours = ''] = copies;
        const { status, stderr } = await ostreeOn(theirs, 'fsck', ...args);
        await using repo = await Repo.open(ours);
        const { ok, errors } = await repo.fsck(options);
        const context = `${name} ${args.join(' ')}\n${stderr}\n${JSON.stringify(errors)}`;
        expect(ok, context).toBe(status === 0);
        // Rules `missingDirectories` and `unreadableCommits`.
        const gaveUp = /^error: (No such metadata object|Invalid checksum of length)/m.test(stderr);
        if (!gaveUp) await sameRepos(ours, theirs, context);
      }
    });
  });
});
