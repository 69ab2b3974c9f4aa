/** These files run inside worker threads of one process, side by side. */

import { AsyncLocalStorage } from 'node:async_hooks';
import { isMainThread, Worker } from 'node:worker_threads';
import { AbortError, MutableTree, OstreeError, Repo } from 'apt-ostree';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../support/temp.js';

test('this is a worker', () => {
  expect(isMainThread).toBe(false);
});

describe.concurrent('the addon in a worker', () => {
  test('works, with several repositories at once', async () => {
    await using directory = await temporaryDirectory('worker');
    const names = Array.from({ length: 8 }, (_, i) => directory.join(`repo${i}`));
    const checksums = new Set<string>();
    const repos = await Promise.all(names.map((name) => Repo.create(name, 'archive')));
    await Promise.all(
      repos.map(async (repo, i) => {
        const { result } = await repo.transaction(async (transaction) => {
          const tree = MutableTree.create();
          await tree.apply(repo, [
            { op: 'file', path: '/usr/file', content: 'content', mode: 0o644, uid: 0, gid: 0 },
          ]);
          return transaction.writeCommit({
            tree: await transaction.writeTree(tree),
            timestamp: new Date(0),
          });
        });
        checksums.add(result);
        expect(repo.path).toBe(names[i]);
        expect(await repo.listRefs()).toEqual({});
        repo.close();
      }),
    );
    expect(checksums.size).toBe(1);
  });

  test('gives typed errors with the stack of the caller', async () => {
    const error: Error = await Repo.open('/nowhere/at/all').catch((reason) => reason);
    expect(error).toBeInstanceOf(OstreeError);
    expect(error).toMatchObject({ code: 'ENOENT', path: '/nowhere/at/all' });
    expect(error.stack).toContain('addon.test.ts');
  });

  test('stops work on abort and can go on', async () => {
    await using directory = await temporaryDirectory('worker');
    await using repo = await Repo.create(directory.join('repo'), 'bare-user');
    const signal = AbortSignal.timeout(30);
    const began = performance.now();
    const work = repo.transaction((transaction) =>
      transaction.writeDirectory('/usr', MutableTree.create(), { signal }),
    );
    await expect(work).rejects.toThrow(AbortError);
    expect(performance.now() - began).toBeLessThan(5000);
    expect(await repo.listRefs()).toEqual({});
  });

  test('keeps the async context in listeners', async () => {
    const storage = new AsyncLocalStorage<number>();
    await storage.run(1, async () => {
      await Repo.open('/nowhere').catch(() => {});
      expect(storage.getStore()).toBe(1);
    });
  });
});

test('a worker started from here shares nothing with it', async () => {
  await using directory = await temporaryDirectory('worker');
  await using repo = await Repo.create(directory.join('repo'), 'archive');
  const worker = new Worker(
    `require('node:worker_threads').parentPort.postMessage(
    globalThis[Symbol.for('apt-ostree.binding')] === undefined)`,
    { eval: true },
  );
  const fresh = await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  expect(fresh).toBe(true);
  expect(await repo.listRefs()).toEqual({});
});
