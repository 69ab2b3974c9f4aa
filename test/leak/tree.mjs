// Walks, streams, archives, objects, refs and GVariants; left early and failing too. Run by
// .ci/asan.
import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { Writable } from 'node:stream';
import {
  breakHardlink,
  checksumFile,
  DevinoCache,
  MutableTree,
  parseObject,
  Repo,
  variant,
  variantFromBytes,
  variantFromText,
  variantToBytes,
  variantToText,
} from '../../dist/index.js';

const directory = await mkdtemp('/var/tmp/apt-ostree-leak-');
const ignore = () => {};
const drain = async (items) => {
  for await (const _ of items);
};

const repo = await Repo.create(path.join(directory, 'repo'), 'bare-user');
const other = await Repo.create(path.join(directory, 'other'), 'archive');
await repo.transaction(async (transaction) => {
  const tree = MutableTree.create();
  const edits = Array.from({ length: 1500 }, (_, i) => ({
    op: 'file',
    path: `/d${i % 7}/f${i}`,
    content: `${i}`.repeat(200),
  }));
  await tree.apply(repo, [...edits, { op: 'symlink', path: '/link', target: 'd1' }]);
  const commit = await transaction.writeCommit({ tree: await transaction.writeTree(tree) });
  await transaction.setRef('test', commit);
});
const commit = await repo.resolveRev('test');

for (let round = 0; round < 10; round += 1) {
  const devinoCache = new DevinoCache();
  const out = path.join(directory, `out${round}`);
  await repo.checkout([{ rev: 'test', subpath: '/d1' }, { rev: 'test' }], out, {
    mode: 'user',
    overwrite: 'union-files',
    skip: ['/d2', '/d3/f3'],
    devinoCache,
  });
  await repo.checkout('test', out, { mode: 'user', overwrite: 'add-files' });
  await repo.diff('test', { directory: out }, { ignoreXattrs: true, uid: 5 });
  await repo.checkout('test', `${out}x`, { signal: AbortSignal.timeout(2) }).catch(ignore);
  await checksumFile(`${out}/d1/f1`);
  await breakHardlink(`${out}/d1/f1`);
  await drain(repo.walk('test', { xattrs: true, self: true }));
  for await (const _ of repo.walk('test')) break;
  await drain(repo.walk('test', { path: '/nothing' })).catch(ignore);
  await repo.stat('test', '/d1', { xattrs: true });
  await drain(repo.createReadStream('test', '/d1/f1', { start: 5, end: 100 }));
  for await (const _ of repo.createReadStream('test', '/d1/f1', { highWaterMark: 10 })) break;
  await drain(repo.createReadStream('test', '/d1')).catch(ignore);
  await repo.exportArchive('test', `${out}.tar`);
  await repo.exportArchive('test', '/dev/full', { format: 'pax' }).catch(ignore);
  const broken = new Writable({ write: (_chunk, _encoding, done) => done(new Error('no')) });
  await repo.exportArchive('test', broken).catch(ignore);
  await drain(repo.objects.list());
  await drain(repo.objects.reachable({ commits: true }));
  for await (const _ of repo.objects.reachable({ from: 'test' })) break;
  const { contents, metadataChecksum } = await repo.objects.load('commit', commit);
  await repo.objects.load('dirtree', contents);
  await repo.objects.load('dirmeta', metadataChecksum);
  await repo.objects.load('dirmeta', contents).catch(ignore);
  await drain(repo.objects.createReadStream('dirtree', contents));
  await repo.objects.commitSizes('test');
  await repo.objects.compare('test', 'test');
  await other.transaction(() => other.objects.importFrom(repo, 'dirtree', contents));
  await other.objects.delete('dirtree', contents);
  await repo.setAlias('alias', 'test');
  await repo.listRefs({ aliases: true });
  await repo.setAlias('alias', null);
  await repo.setAlias('alias', 'nothing').catch(ignore);
  try {
    parseObject('commit', new Uint8Array(50));
  } catch {}
  const value = variant('a{sv}', { a: variant('(ayx)', [Buffer.from('b'), 5n]) });
  variantFromBytes('a{sv}', variantToBytes(value, { byteOrder: 'big' }), { byteOrder: 'big' });
  variantFromText(variantToText(value));
  for (const bad of [
    () => variantToBytes(variant('as', ['a', 1])),
    () => variantToBytes(variant('a{sv}', { a: 1 })),
    () => variantFromText('<'),
    () => variantFromBytes('s', Buffer.from('a')),
  ]) {
    try {
      bad();
    } catch {}
  }
}
repo.close();
await rm(directory, { recursive: true, force: true });
