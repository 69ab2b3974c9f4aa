// What tree.mjs leaves out: imports, exports, streams, deltas, summaries, signatures, sysroots.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { MutableTree, Repo, Sysroot } from 'apt-ostree';
import { bootableEdits, commitEdits, someEdits } from '../support/ostree.js';
import { temporaryDirectory } from '../support/temp.js';

process.env.OSTREE_SYSROOT_DEBUG = 'mutable-deployments';
const ignore = () => {};

await using directory = await temporaryDirectory('leak');
await mkdir(directory.join('tree/usr/lib'), { recursive: true });
await writeFile(directory.join('tree/usr/lib/file'), 'x'.repeat(200_000));
await using repo = await Repo.create(directory.join('repo'), 'bare-user');
await using mirror = await Repo.create(directory.join('mirror'), 'archive');
for (const one of [repo, mirror]) await one.config.write({ core: { fsync: 'false' } });
await mirror.remotes.add('origin', `file://${repo.path}`, { gpgVerify: false });

for (let round = 0; round < 8; round += 1) {
  const first = await commitEdits(repo, 'os', someEdits);
  const { result: second } = await repo.transaction(async (transaction) => {
    using tree = MutableTree.create();
    await transaction.writeCommitTree(first, tree);
    await transaction.writeDirectory(directory.join('tree'), tree, { owner: { uid: 0 } });
    await writeFile(directory.join('tree/usr/lib/round'), String(round));
    const checksum = await transaction.writeCommit({
      tree: await transaction.writeTree(tree),
      parent: first,
    });
    await transaction.setRef('os', checksum);
    return checksum;
  });
  await repo.exportArchive(second, directory.join('tree.tar'));
  const archive = await readFile(directory.join('tree.tar'));
  for (const content of [archive, archive.subarray(0, 5000), Buffer.from('no archive')]) {
    await repo
      .transaction(async (transaction) => {
        using tree = MutableTree.create();
        await transaction.writeArchive(Readable.from([content]), tree, { createParents: true });
        await transaction.writeTree(tree);
      })
      .catch(ignore);
  }
  for await (const chunk of repo.createReadStream(second, '/usr/lib/file')) if (chunk) break;
  for await (const entry of repo.walk(second)) if (entry.path.length > 5) break;
  for await (const object of repo.objects.reachable({ from: second })) void object;
  await repo.objects.compare(first, second);
  await repo.diff(first, second);
  await repo.deltas.generate(second, { from: first });
  await repo.deltas.generate(second, { file: directory.join('delta'), inlineParts: true });
  await repo.deltas.show({ from: first, to: second });
  await mirror.deltas.apply(directory.join('delta')).catch(ignore);
  await mirror.deltas.apply(directory.join('tree.tar')).catch(ignore);
  await repo.summary.regenerate();
  await mirror.remotes.fetchSummary('origin');
  await mirror.pull('origin', { refs: ['os'] });
  await mirror.pull('origin', { refs: ['none'] }).catch(ignore);
  await mirror.pullLocal(repo.path, { untrusted: true });
  await mirror.verify('origin:os', { remote: 'origin' });
  await mirror.fsck();
  await mirror.prune({ refsOnly: true });
  await mirror.collections.setId(round % 2 === 0 ? 'org.example.Os' : null);
  await repo.signatures
    .verify(second, { engine: 'ed25519', publicKeys: [Buffer.alloc(32, 1).toString('base64')] })
    .catch(ignore);
}

const sysroot = await Sysroot.initialize(directory.join('sysroot'));
await sysroot.initStateroot('debian');
for (let round = 0; round < 4; round += 1) {
  {
    await using own = await sysroot.repo();
    await own.config.write({ core: { fsync: 'false' } });
    await commitEdits(own, 'debian', bootableEdits(String(round)));
  }
  await sysroot.deploy({ stateroot: 'debian', rev: 'debian', kernelArguments: [`round=${round}`] });
  const [newest] = sysroot.deployments;
  await sysroot.setOrigin(newest?.id ?? '', { origin: { refspec: 'debian' } });
  await sysroot.configDiff(newest?.id ?? '');
  await sysroot.deploy({ stateroot: 'none', rev: 'debian' }).catch(ignore);
  await sysroot.pruneRepo({ dryRun: true });
  await sysroot.cleanup();
}
await sysroot.close();
