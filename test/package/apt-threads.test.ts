/** Contexts in several worker threads at the same time. */

import { expect, test } from 'vitest';
import { answers, aptJobs } from '../support/apt-job.js';
import { runModule } from '../support/child.js';
import { temporaryDirectory } from '../support/temp.js';

test('workers with contexts of their own get the answers of each context alone', async () => {
  await using work = await temporaryDirectory('workers');
  const jobs = await aptJobs(work);
  const child = await runModule(
    `import assert from 'node:assert/strict';
     import { once } from 'node:events';
     import { Worker } from 'node:worker_threads';
     import { AptContext } from 'apt-ostree/apt';
     const answers = ${answers.toString()};
     const jobs = JSON.parse(process.argv[1]);
     const alone = [];
     for (const job of jobs) alone.push(await answers(AptContext, job, true));
     assert.equal(new Set(alone.map(([rows]) => rows)).size, jobs.length);
     const source = \`
       import { parentPort, workerData } from 'node:worker_threads';
       import { AptContext } from 'apt-ostree/apt';
       const answers = \${answers.toString()};
       const rounds = [];
       for (let i = 0; i < 3; i++) rounds.push(await answers(AptContext, workerData, i !== 1));
       parentPort.postMessage(rounds);\`;
     await Promise.all(jobs.map(async (workerData, i) => {
       const worker = new Worker(source, { eval: true, workerData });
       const [rounds] = await once(worker, 'message');
       assert.equal(rounds.length, 3);
       for (const round of rounds) assert.deepEqual(round, alone[i]);
     }));
     console.log('done');`,
    { args: [JSON.stringify(jobs)] },
  );
  expect(child).toMatchObject({ status: 0, stdout: 'done\n', stderr: '' });
});
