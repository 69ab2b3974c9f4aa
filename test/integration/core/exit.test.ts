/** How programs end while the addon works, each in a process of its own. */

import { describe, expect, test } from 'vitest';
import { runModule } from '../../support/child.js';
import { run } from '../../support/run.js';
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temp.js';

/** Begins to commit a tree that takes many seconds, and goes on once the work is under way. */
const kSlow = `
  import { setTimeout as sleep } from 'node:timers/promises';
  import { MutableTree, Repo } from 'apt-ostree';
  const repo = await Repo.create(process.argv[1], 'bare-user');
  const slow = (signal) => repo.transaction(async (transaction) => {
    const tree = MutableTree.create();
    await transaction.writeDirectory('/usr', tree, { signal });
  });`;

function slowProgram(directory: TemporaryDirectory, rest: string) {
  return runModule(`${kSlow}\n${rest}`, { args: [directory.join('repo')] });
}

/** What was being written is not visible, and nothing is damaged. */
async function expectCleanRepo(directory: TemporaryDirectory) {
  await run('ostree', ['fsck', '--quiet', `--repo=${directory.join('repo')}`]);
  const { stdout } = await run('ostree', ['refs', `--repo=${directory.join('repo')}`]);
  expect(stdout).toBe('');
}

describe('with a long job under way', () => {
  test('process.exit() ends at once, with its status', async () => {
    await using directory = await temporaryDirectory('exit');
    const child = await slowProgram(
      directory,
      `slow(); await sleep(100);
       process.on('exit', () => console.log(Date.now()));
       process.exit(3);`,
    );
    expect(child).toMatchObject({ status: 3, signal: null, stderr: '' });
    expect(Date.now() - Number(child.stdout)).toBeLessThan(2000);
    await expectCleanRepo(directory);
  });

  test('process.exit() waits for what cannot be stopped, or leaves it', async () => {
    await using directory = await temporaryDirectory('exit');
    // libapt looks at an architecture with variables that exit() takes away.
    const code = `
      import { AptContext } from 'apt-ostree';
      const context = await AptContext.create({ directory: process.argv[1], sources: [] });
      const cache = await context.open();
      const satisfy = ['absent [amd64] | '.repeat(50_000) + 'absent'];
      void cache.solve({ satisfy }).catch(() => {});
      setTimeout(() => process.exit(3), Number(process.argv[2]));`;
    for (const delay of [0, 10, 20, 40, 80]) {
      const child = await runModule(code, { args: [directory.join('apt'), String(delay)] });
      expect(child).toMatchObject({ status: 3, signal: null, stderr: '' });
    }
  });

  test('an uncaught exception ends the program as ever', async () => {
    await using directory = await temporaryDirectory('exit');
    const child = await slowProgram(
      directory,
      `slow(); await sleep(50); setTimeout(() => { throw new Error('boom'); });`,
    );
    expect(child).toMatchObject({ status: 1, signal: null });
    expect(child.stderr).toContain('Error: boom');
    await expectCleanRepo(directory);
  });

  test('an abort that nobody handles is an unhandled AbortError', async () => {
    await using directory = await temporaryDirectory('exit');
    const child = await slowProgram(directory, 'slow(AbortSignal.timeout(100));');
    expect(child).toMatchObject({ status: 1, signal: null });
    expect(child.stderr).toContain('AbortError: The operation was aborted');
    expect(child.stderr).toContain('TimeoutError');
    await expectCleanRepo(directory);
  });

  test('a signal ends it', async () => {
    await using directory = await temporaryDirectory('exit');
    const child = await slowProgram(
      directory,
      `slow(); await sleep(50); process.kill(process.pid, 'SIGTERM');`,
    );
    expect(child).toMatchObject({ status: null, signal: 'SIGTERM' });
    await expectCleanRepo(directory);
  });

  test('the event loop stays free', async () => {
    await using directory = await temporaryDirectory('exit');
    const child = await slowProgram(
      directory,
      `await sleep(50);
       const before = performance.eventLoopUtilization();
       await slow(AbortSignal.timeout(1000)).catch(() => {});
       console.log(performance.eventLoopUtilization(before).utilization);`,
    );
    expect(child.status).toBe(0);
    // A share of the time, since delays measure the machine's other work too.
    expect(Number(child.stdout)).toBeLessThan(0.2);
  });
});

describe('the program', () => {
  test('lives until its jobs are done, awaited or not', async () => {
    await using directory = await temporaryDirectory('exit');
    const child = await runModule(
      `import { Repo } from 'apt-ostree';
       Repo.create(process.argv[1], 'archive').then((repo) => repo.listRefs()).then((refs) => console.log(refs));`,
      { args: [directory.join('repo')] },
    );
    expect(child).toMatchObject({ status: 0, stdout: '{}\n' });
  });

  test('is not kept alive by an open handle', async () => {
    await using directory = await temporaryDirectory('exit');
    const child = await runModule(
      `import { Repo } from 'apt-ostree';
       globalThis.kept = await Repo.create(process.argv[1], 'archive');`,
      { args: [directory.join('repo')], timeout: 10_000 },
    );
    expect(child).toMatchObject({ status: 0, signal: null });
  });

  test('survives collection of handles while their jobs run', async () => {
    await using directory = await temporaryDirectory('exit');
    const child = await runModule(
      `import { Repo } from 'apt-ostree';
       const [, path] = process.argv;
       await Repo.create(path, 'archive');
       for (let i = 0; i < 50; i += 1) {
         const jobs = [];
         for (let k = 0; k < 10; k += 1) jobs.push((await Repo.open(path)).listRefs());
         globalThis.gc();
         await Promise.all(jobs);
       }
       console.log('done');`,
      { args: [directory.join('repo')], execArgv: ['--expose-gc'] },
    );
    expect(child).toMatchObject({ status: 0, stdout: 'done\n', stderr: '' });
  });
});
