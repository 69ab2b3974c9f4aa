/** Several compositions in one repository at the same time, of one process and of several. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { ComposeResult, Composer } from 'apt-ostree';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { projectRoot } from '../../support/child.js';
import { type ComposeFixture, composeFixture, expectSound } from '../../support/compose.js';

const kLeaves = ['one', 'two', 'three', 'four'];
const kTimestamp = new Date(1_700_000_000_000);

let fixture: ComposeFixture;

beforeAll(async () => {
  fixture = await composeFixture([
    {
      name: 'shared',
      files: Object.fromEntries(
        Array.from({ length: 300 }, (_, i) => [
          `/usr/share/shared/${i}`,
          `content ${i}\n`.repeat(i),
        ]),
      ),
      scripts: { postinst: 'echo "$1" >> /var/lib/shared' },
    },
    ...kLeaves.map((name) => ({
      name,
      depends: 'shared',
      files: { [`/usr/share/${name}`]: name },
    })),
  ]);
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
});

function layer(composer: Composer, name: string): Promise<ComposeResult> {
  return composer.layer({
    base: 'base',
    install: [name],
    ref: `layered/${name}`,
    timestamp: kTimestamp,
    refresh: false,
    force: true,
  });
}

describe('four layerings that need a package nobody has imported', () => {
  it('of one process give what each gives alone', async () => {
    const { composer, repo } = fixture;
    const together = await Promise.all(kLeaves.map((name) => layer(composer, name)));
    for (const [index, name] of kLeaves.entries()) {
      expect(await repo.resolveRev(`layered/${name}`)).toBe(together[index]?.commit);
      expect((await layer(composer, name)).commit).toBe(together[index]?.commit);
    }
    await expectSound(repo);
  });

  it('of four processes', async () => {
    await using other = await composeFixture([
      { name: 'common', files: { '/usr/share/common': 'common' } },
      ...kLeaves.map((name) => ({
        name,
        depends: 'common',
        files: { [`/usr/share/${name}`]: name },
      })),
    ]);
    const code = `
      import { Composer, Repo } from 'apt-ostree';
      const [path, sources, name] = process.argv.slice(1);
      const repo = await Repo.open(path);
      const composer = new Composer({ repo, sources: JSON.parse(sources) });
      const timestamp = new Date(${kTimestamp.getTime()});
      await composer.layer({ base: 'base', install: [name], ref: name, timestamp, refresh: false });
    `;
    const codes = kLeaves.map(async (name) => {
      const child = spawn(
        process.execPath,
        [
          ...['--import', 'tsx', '--input-type=module', '-e', code, '--'],
          ...[other.repo.path, JSON.stringify(other.archive.source), name],
        ],
        { cwd: projectRoot, stdio: ['ignore', 'inherit', 'inherit'] },
      );
      const [exitCode] = (await once(child, 'exit')) as [number];
      return exitCode;
    });
    expect(await Promise.all(codes)).toEqual([0, 0, 0, 0]);
    for (const name of kLeaves) {
      const entry = await other.repo.readFile(name, `/usr/share/${name}`);
      expect(entry.toString()).toBe(name);
    }
    await expectSound(other.repo);
  });
});
