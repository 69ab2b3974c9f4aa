/** Jobs that wait leave the threads alone that others need, also those that they wait for. */

import { once, setMaxListeners } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { PassThrough } from 'node:stream';
import { MutableTree, Sysroot, type TreeEdit } from 'apt-ostree/ostree';
import { afterAll, expect, test } from 'vitest';
import { bootableEdits, commitEdits } from '../../support/ostree.js';
import { createRepo } from '../../support/repo.js';
import { temporaryDirectory } from '../../support/temp.js';

const scratch = await temporaryDirectory('executor');
afterAll(() => scratch.remove());

/** More than reads have threads, and larger than a pipe. */
const kMany = 12;
const kSize = 300_000;
const numbers = [...Array(kMany).keys()];

const source = await createRepo(scratch.join('source'), 'bare-user');
afterAll(() => source.close());
const files: TreeEdit[] = numbers.map((i) => ({
  op: 'file',
  path: `/file${i}`,
  content: Buffer.alloc(kSize, i),
}));
await commitEdits(source, 'many', files);

test('streams from one repository to another, more than there are threads for reading', async () => {
  await using target = await createRepo(scratch.join('streams'), 'bare-user');
  const { stats } = await target.transaction((transaction) =>
    Promise.all(
      numbers.map((i) =>
        transaction.writeRegularFile(source.createReadStream('many', `/file${i}`)),
      ),
    ),
  );
  expect(stats.contentBytesWritten).toBe(kMany * kSize);
});

test('archives from one repository to another', async () => {
  await using target = await createRepo(scratch.join('archives'), 'bare-user');
  await target.transaction((transaction) =>
    Promise.all(
      numbers.map(async () => {
        const archive = new PassThrough();
        using tree = MutableTree.create();
        await Promise.all([
          source.exportArchive('many', archive),
          transaction.writeArchive(archive, tree),
        ]);
        expect(await tree.list(target, '/')).toHaveLength(kMany);
      }),
    ),
  );
});

/** A server that accepts connections and never says anything. */
async function silentServer() {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async connected(count: number) {
      while (connections < count) await once(server, 'connection');
    },
    close: () => server.close(),
  };
}

test('reads go on while others wait for a server, a stream and a tree', async () => {
  const silent = await silentServer();
  const stop = new AbortController();
  const { signal } = stop;
  setMaxListeners(0, signal);
  const waiting: Promise<unknown>[] = [];
  await using target = await createRepo(scratch.join('waiting'), 'bare-user');
  for (const i of numbers) {
    const repo = await createRepo(scratch.join(`pull${i}`), 'archive');
    await repo.remotes.add('silent', silent.url, { gpgVerify: false });
    waiting.push(repo.pull('silent', { refs: ['x'], signal }).finally(() => repo.close()));
  }
  waiting.push(
    target.transaction((transaction) => {
      using tree = MutableTree.create();
      return Promise.all([
        ...numbers.map(() => transaction.writeRegularFile(new PassThrough(), { signal })),
        transaction.writeArchive(new PassThrough(), tree, { signal }),
        ...numbers.map(() => tree.list(target, '/', { signal })),
      ]);
    }),
  );
  const settled = Promise.allSettled(waiting);
  await silent.connected(kMany);
  expect(Object.keys(await source.listRefs())).toEqual(['many']);
  expect(await source.readFile('many', '/file1')).toHaveLength(kSize);
  expect(await target.listRefs()).toEqual({});
  stop.abort();
  for (const { status } of await settled) expect(status).toBe('rejected');
  silent.close();
});

test('a sysroot is worked on while another one waits for a server', async () => {
  process.env.OSTREE_SYSROOT_DEBUG = 'mutable-deployments';
  const silent = await silentServer();
  await using slow = await Sysroot.initialize(scratch.join('slow'));
  await slow.initStateroot('debian');
  await using repo = await slow.repo();
  await commitEdits(repo, 'debian', bootableEdits('1'));
  await repo.remotes.add('silent', silent.url, { gpgVerify: false });
  await slow.deploy({ stateroot: 'debian', rev: 'debian', refspec: 'silent:debian' });
  const stop = new AbortController();
  const upgrade = slow.upgrade({ stateroot: 'debian', signal: stop.signal });
  const settled = Promise.allSettled([upgrade]);
  await silent.connected(1);
  await using other = await Sysroot.initialize(scratch.join('other'));
  await other.initStateroot('debian');
  await using own = await other.repo();
  await own.pullLocal(repo.path, { refs: ['debian'] });
  await other.deploy({ stateroot: 'debian', rev: 'debian' });
  expect(await other.reload()).toHaveLength(1);
  stop.abort();
  expect(await settled).toMatchObject([{ reason: { name: 'AbortError' } }]);
  silent.close();
});
