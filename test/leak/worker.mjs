// Workers that are terminated with jobs running, waiting in lanes and settled but not delivered.
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { Worker } from 'node:worker_threads';

const directory = await mkdtemp('/var/tmp/apt-ostree-leak-');
const library = new URL('../../dist/index.js', import.meta.url).href;
const source = `
  const { parentPort, workerData } = require('node:worker_threads');
  import(${JSON.stringify(library)}).then(async ({ MutableTree, Repo }) => {
    const repo = await Repo.create(workerData, 'bare-user');
    const tree = MutableTree.create();
    repo.transaction((transaction) => {
      const jobs = [transaction.writeDirectory('/usr', tree)];
      for (let i = 0; i < 5; i += 1) jobs.push(tree.list(repo, '/'));
      for (let i = 0; i < 5; i += 1) jobs.push(transaction.setRef('a/b', null));
      return Promise.all(jobs);
    }).catch(() => {});
    for (let i = 0; i < 30; i += 1) repo.listRefs().catch(() => {});
    parentPort.postMessage('begun');
  });`;

for (let round = 0; round < 6; round += 1) {
  const worker = new Worker(source, { eval: true, workerData: path.join(directory, 'repo') });
  await once(worker, 'message');
  await new Promise((resolve) => setTimeout(resolve, round * 4));
  await worker.terminate();
}
await rm(directory, { recursive: true, force: true });
