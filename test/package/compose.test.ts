/** Compositions in several worker threads on one repository, in a process of their own. */

import { afterAll, beforeAll, expect, test } from 'vitest';
import { runModule } from '../support/child.js';
import { type ComposeFixture, composeFixture, expectSound } from '../support/compose.js';

const kNames = ['one', 'two', 'three', 'four'];

let fixture: ComposeFixture;

beforeAll(async () => {
  fixture = await composeFixture(
    kNames.map((name) => ({ name, files: { [`/usr/share/${name}`]: name.repeat(1000) } })),
  );
}, 120_000);

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
});

test('worker threads compose side by side', async () => {
  const source = `
    import { Worker } from 'node:worker_threads';
    const [path, sources, ...names] = process.argv.slice(1);
    const work = \`
      import { workerData } from 'node:worker_threads';
      import { Composer, Repo } from 'apt-ostree';
      const { path, sources, name } = workerData;
      const repo = await Repo.open(path);
      const composer = new Composer({ repo, sources });
      const ref = 'worker/' + name;
      await composer.layer({ base: 'base', install: [name], ref, refresh: false });
      repo.close();
    \`;
    const ends = names.map((name) => new Promise((resolve) => {
      const worker = new Worker(work, { eval: true, workerData: { path, sources, name } });
      worker.on('error', (error) => resolve(error.message)).on('exit', resolve);
    }));
    console.log(JSON.stringify(await Promise.all(ends)));
  `;
  const { repo, archive } = fixture;
  const child = await runModule(source, { args: [repo.path, archive.source, ...kNames] });
  expect(child.stderr).toBe('');
  expect(JSON.parse(child.stdout)).toEqual([0, 0, 0, 0]);
  for (const name of kNames) {
    const file = await repo.readFile(`worker/${name}`, `/usr/share/${name}`);
    expect(file.toString()).toBe(name.repeat(1000));
  }
  await expectSound(repo);
});
