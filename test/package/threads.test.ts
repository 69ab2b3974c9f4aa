/** Worker threads that end while the addon works, in a process of their own. */

import { describe, expect, test } from 'vitest';
import { runModule } from '../support/child.js';
import { run } from '../support/run.js';
import { temporaryDirectory } from '../support/temp.js';

describe('worker threads', () => {
  test('terminated again and again with work under way', async () => {
    await using directory = await temporaryDirectory('exit');
    const child = await runModule(
      `import { once } from 'node:events';
       import { Worker } from 'node:worker_threads';
       const source = \`
         import { parentPort, workerData } from 'node:worker_threads';
         import { MutableTree, Repo } from 'apt-ostree';
         const repo = await Repo.create(workerData, 'bare-user');
         for (let i = 0; i < 20; i += 1) repo.listRefs();
         repo.transaction((transaction) => transaction.writeDirectory('/usr', MutableTree.create()));
         parentPort.postMessage('begun');\`;
       for (let round = 0; round < 5; round += 1) {
         const workers = [0, 1].map((i) => new Worker(source, {
           eval: true, workerData: process.argv[1] + i,
         }));
         await Promise.all(workers.map((worker) => once(worker, 'message')));
         if (round % 2) await new Promise((resolve) => setTimeout(resolve, 20));
         const began = performance.now();
         await Promise.all(workers.map((worker) => worker.terminate()));
         if (performance.now() - began > 2000) throw new Error('terminate was slow');
       }
       console.log('done');`,
      { args: [directory.join('repo')] },
    );
    expect(child).toMatchObject({ status: 0, stdout: 'done\n', stderr: '' });
    await run('ostree', ['fsck', '--quiet', `--repo=${directory.join('repo0')}`]);
  });

  test('process.exit() of the main thread while workers work', async () => {
    await using directory = await temporaryDirectory('exit');
    const child = await runModule(
      `import { once } from 'node:events';
       import { Worker } from 'node:worker_threads';
       const source = \`
         import { parentPort, workerData } from 'node:worker_threads';
         import { MutableTree, Repo } from 'apt-ostree';
         const repo = await Repo.create(workerData, 'bare-user');
         repo.transaction((transaction) => transaction.writeDirectory('/usr', MutableTree.create()));
         parentPort.postMessage('begun');\`;
       const workers = [0, 1].map((i) => new Worker(source, {
         eval: true, workerData: process.argv[1] + i,
       }));
       await Promise.all(workers.map((worker) => once(worker, 'message')));
       process.exit(4);`,
      { args: [directory.join('repo')] },
    );
    expect(child).toMatchObject({ status: 4, signal: null, stderr: '' });
  });
});
