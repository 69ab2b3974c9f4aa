// Repositories, transactions, trees, listing; failures too. Run by .ci/asan.
import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { MutableTree, Repo, variant } from '../../dist/index.js';

const directory = await mkdtemp('/var/tmp/apt-ostree-leak-');
const ignore = () => {};

for (let round = 0; round < 20; round += 1) {
  const repo = await Repo.create(path.join(directory, `repo${round % 3}`), 'bare-user');
  const { result: checksum } = await repo.transaction(async (transaction) => {
    const tree = MutableTree.create();
    await tree.apply(repo, [
      { op: 'file', path: '/usr/etc/file', content: Buffer.alloc(10_000, round) },
      { op: 'symlink', path: '/etc', target: 'usr/etc' },
      { op: 'mkdir', path: '/var', mode: 0o755 },
    ]);
    await tree.apply(repo, [{ op: 'remove', path: '/absent' }]).catch(ignore);
    const commit = await transaction.writeCommit({
      tree: await transaction.writeTree(tree),
      subject: `round ${round}`,
      metadata: { 'test.round': variant('u', round), 'test.list': variant('as', ['a', 'b']) },
    });
    await transaction.setRef('test/leak', commit);
    return commit;
  });
  await repo.loadCommit(checksum);
  await repo.list(checksum, '/', { recursive: true });
  await repo.readFile(checksum, '/usr/etc/file');
  await repo.stat(checksum, '/nowhere').catch(ignore);
  await repo.checkout(checksum, path.join(directory, `tree${round}`));
  await repo.checkout('no/such/ref', path.join(directory, 'never')).catch(ignore);
  await repo.listRefs();
  await repo.resolveRev('no/such/ref').catch(ignore);
  const signal = AbortSignal.timeout(5);
  await repo
    .transaction((transaction) =>
      transaction.writeDirectory('/usr/share', MutableTree.create(), { signal }),
    )
    .catch(ignore);
  if (round % 2) repo.close();
  await Repo.open('/nowhere').catch(ignore);
}
await rm(directory, { recursive: true, force: true });
