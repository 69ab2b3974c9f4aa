import {
  chmod,
  chown,
  link,
  mkdir,
  mkdtemp,
  readFile,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { MutableTree, type Repo, type TreeChecksums } from 'apt-ostree';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { importDebs, writeHollowDebs } from '../../../lib/compose/import.js';
import {
  type FilledLayer,
  fillLayer,
  type MergedLayer,
  type MergeLayerOptions,
  mergeLayer,
} from '../../../lib/compose/layer.js';
import { buildDeb } from '../../support/deb.js';
import { createRepo } from '../../support/repo.js';
import { run } from '../../support/run.js';
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temp.js';

let work: TemporaryDirectory;
let repo: Repo;

beforeAll(async () => {
  work = await temporaryDirectory('layer');
  repo = await createRepo(work.join('repo'));
});

afterAll(async () => {
  repo.close();
  await work.remove();
});

async function shell(script: string, env: Record<string, string> = {}): Promise<string> {
  return (await run('sh', ['-ec', script], { cwd: work.path, env })).stdout;
}

/** Merges directories, one on the other, into an empty tree. */
async function merge(
  layers: readonly { directory: string; options?: MergeLayerOptions }[],
): Promise<{ tree: TreeChecksums; counts: MergedLayer[] }> {
  const { result } = await repo.transaction(async (transaction) => {
    const tree = MutableTree.create();
    const counts: MergedLayer[] = [];
    for (const { directory, options } of layers) {
      counts.push(await mergeLayer(repo, tree, directory, options));
    }
    return { tree: await transaction.writeTree(tree), counts };
  });
  return result;
}

/** What the ostree program makes of a directory. */
async function committed(directory: string): Promise<TreeChecksums> {
  const commit = await shell(`ostree --repo=repo commit --orphan --tree=dir=${directory}`);
  const { contents, metadataChecksum } = await repo.loadCommit(commit.trim());
  return { contents, metadata: metadataChecksum };
}

async function fsck(): Promise<void> {
  expect(await shell('ostree --repo=repo fsck --all')).toContain('no errors found');
}

const kBase = `
mkdir -p base/usr/bin base/usr/lib/sub base/etc base/var/cache base/gone/deep base/opaque/old base/todir
cd base
echo kept > usr/bin/kept; echo changed > usr/bin/changed; echo mode > usr/bin/mode
echo gone > usr/lib/gone; echo inside > gone/deep/file; echo old > opaque/old/file
echo a > tofile; rm tofile; mkdir tofile; echo x > tofile/x; rmdir todir; echo was file > todir
ln -s kept usr/bin/link; ln -s nowhere usr/bin/tolink
echo cap > usr/bin/cap; echo user > usr/bin/user
mkdir dirmode; chmod 700 dirmode; chown 12:34 dirmode; echo in > dirmode/in
for i in $(seq 200); do echo $i > usr/lib/sub/f$i; done
`;
const kChanges = `
cd merged
echo new > usr/bin/new; echo other > usr/bin/changed; chmod 4755 usr/bin/mode
rm usr/lib/gone; rm -r gone
rm -r opaque; mkdir opaque; echo fresh > opaque/fresh
rm -r tofile; echo now a file > tofile
rm todir; mkdir -p todir/sub; echo deep > todir/sub/file
ln -sf elsewhere usr/bin/link; rm usr/bin/tolink; mkdir usr/bin/tolink
setcap cap_net_raw+ep usr/bin/cap; 
python3 -c 'import os; os.setxattr("usr/bin/user", "user.note", b"hello"); os.setxattr("usr/lib", "user.dir", b"there"); os.setxattr("usr/bin/new", "user.empty", b"")'
chmod 3750 dirmode; chown 56:78 dirmode/in
mkdir -p fresh/tree; for i in $(seq 200); do echo new $i > fresh/tree/n$i; done
ln fresh/tree/n1 fresh/hard; mkdir empty; head -c 5000000 /dev/zero > fresh/big
mv usr/lib/sub usr/lib/renamed
`;
const kMounted = `
mkdir -p upper work merged
mount -t overlay overlay -o lowerdir=base,upperdir=upper,workdir=work,redirect_dir=off,metacopy=off merged
(${kChanges})
ostree --repo=repo commit --orphan --tree=dir=merged
`;

describe('mergeLayer', () => {
  it('makes what ostree makes of a plain directory', async () => {
    await shell(kBase);
    const { tree, counts } = await merge([{ directory: work.join('base') }]);
    expect(tree).toEqual(await committed('base'));
    expect(counts[0]).toMatchObject({ removed: 0, reused: 0 });
    await fsck();
  });

  it('makes what ostree makes of the mounted overlay', async () => {
    const { stdout } = await run('unshare', ['-m', 'sh', '-ec', kMounted], { cwd: work.path });
    const { contents, metadataChecksum } = await repo.loadCommit(stdout.trim());
    const { tree, counts } = await merge([
      { directory: work.join('base') },
      { directory: work.join('upper') },
    ]);
    expect(tree).toEqual({ contents, metadata: metadataChecksum });
    expect(counts[1]?.removed).toBeGreaterThanOrEqual(2);
    expect(counts[1]?.hashed).toBeGreaterThan(400);
    await fsck();
  });

  it('leaves the content of skipped directories out', async () => {
    await shell(
      'mkdir -p skip/dev skip/run/x; mknod skip/dev/null c 1 3; mkdir bare; cp -a skip/. bare',
    );
    await shell('rm -r bare/dev/null bare/run/x');
    const directory = work.join('skip');
    const { tree } = await merge([{ directory, options: { skip: ['dev', '/run/'] } }]);
    expect(tree).toEqual(await committed('bare'));
    await expect(merge([{ directory }])).rejects.toMatchObject({
      code: 'ERR_COMPOSE_LAYOUT',
      path: '/dev/null',
    });
  });

  it('leaves pipes and sockets out, and what was there before them', async () => {
    await shell(
      `mkdir -p pipes/run lower/run plain/run; mkfifo pipes/run/pipe; echo old > lower/run/pipe
       python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("pipes/run/socket")'`,
    );
    const { tree, counts } = await merge([
      { directory: work.join('lower') },
      { directory: work.join('pipes') },
    ]);
    expect(tree).toEqual(await committed('plain'));
    expect(counts[1]?.dropped.sort()).toEqual(['run/pipe', 'run/socket']);
  });

  it('refuses names that are not UTF-8', async () => {
    await shell(`mkdir bytes; touch "bytes/$(printf 'a\\377')"`);
    await expect(merge([{ directory: work.join('bytes') }])).rejects.toMatchObject({
      code: 'ERR_COMPOSE_LAYOUT',
    });
  });

  it('needs a transaction', async () => {
    await expect(mergeLayer(repo, MutableTree.create(), work.join('base'))).rejects.toMatchObject({
      code: 'ERR_INVALID_STATE',
    });
  });
});

describe('fillLayer', () => {
  let hollow: string;
  let commit: string;

  beforeAll(async () => {
    const path = await buildDeb(
      {
        name: 'filled',
        files: {
          '/usr/bin/plain': 'plain\n',
          '/usr/bin/suid': { content: 'suid\n', mode: 0o4755 },
          '/usr/bin/override': { content: 'override\n', mode: 0o4755 },
          '/etc/filled.conf': 'conf\n',
        },
        conffiles: ['/etc/filled.conf'],
      },
      work.path,
    );
    const [deb] = await importDebs(repo, [
      { path, name: 'filled', version: '1.0', architecture: 'all' },
    ]);
    hollow = work.join('hollow.deb');
    commit = deb?.commit ?? '';
    await writeHollowDebs(repo, [{ commit, destination: hollow }]);
  });

  async function layer(name: string): Promise<string> {
    await run('dpkg-deb', ['-x', hollow, work.join(name)]);
    return work.join(name);
  }

  async function mergeFilled(directory: string, filled: FilledLayer) {
    return merge([{ directory, options: { links: filled.links } }]);
  }

  it('links what is the same and copies what is not', async () => {
    const directory = await layer('fill');
    await chown(`${directory}/usr/bin/override`, 12, 34);
    await chmod(`${directory}/usr/bin/override`, 0o6750);
    const filled = await fillLayer(repo, directory, [commit]);
    expect(filled).toMatchObject({ filled: 3, copied: 1, bytes: 6 + 5 + 9 });
    expect((await stat(`${directory}/usr/bin/plain`)).nlink).toBe(2);
    const override = await stat(`${directory}/usr/bin/override`);
    expect([override.uid, override.gid, override.mode & 0o7777]).toEqual([12, 34, 0o6750]);
    expect(await readFile(`${directory}/usr/bin/override`, 'utf8')).toBe('override\n');

    const { tree, counts } = await mergeFilled(directory, filled);
    expect(counts[0]).toMatchObject({ files: 4, reused: 2, hashed: 2 });
    expect(tree).toEqual(await committed('fill'));
    await fsck();
  });

  it('copies where it cannot link, and still knows the objects', async () => {
    // Another file system, as after too many links to one object.
    const elsewhere = await mkdtemp('/dev/shm/apt-ostree-layer-');
    try {
      await run('dpkg-deb', ['-x', hollow, elsewhere]);
      const filled = await fillLayer(repo, elsewhere, [commit]);
      expect(filled).toMatchObject({ filled: 3, copied: 3 });
      await writeFile(`${elsewhere}/usr/bin/plain`, 'written');
      const { tree, counts } = await mergeFilled(elsewhere, filled);
      expect(counts[0]).toMatchObject({ files: 4, reused: 2, hashed: 2 });
      expect(tree).toEqual(await committed(elsewhere));
    } finally {
      await rm(elsewhere, { recursive: true });
    }
  });

  it('keeps names of one file together when it copies', async () => {
    const directory = await layer('hard');
    await link(`${directory}/usr/bin/plain`, `${directory}/usr/bin/second`);
    await chown(`${directory}/usr/bin/plain`, 12, 34);
    await fillLayer(repo, directory, [commit]);
    const [first, second] = [
      await stat(`${directory}/usr/bin/plain`),
      await stat(`${directory}/usr/bin/second`),
    ];
    expect(first.ino).toBe(second.ino);
    expect(first.nlink).toBe(2);
  });

  it('tells when somebody wrote to an object through the layer', async () => {
    const directory = await layer('written');
    const filled = await fillLayer(repo, directory, [commit]);
    const object = `${directory}/usr/bin/plain`;
    await chmod(object, 0o700);
    await expect(mergeFilled(directory, filled)).rejects.toMatchObject({
      code: 'ERR_COMPOSE_LAYOUT',
      path: object,
    });
    await chmod(object, 0o644);
    await mergeFilled(directory, filled);
    await fsck();
  });

  it('leaves files alone that only look like stubs', async () => {
    await mkdir(work.join('alike'));
    const text = `apt-ostree-hollow:1:${'z'.repeat(64)}\n`;
    await writeFile(work.join('alike/stub'), text);
    expect(await fillLayer(repo, work.join('alike'), [commit])).toMatchObject({ filled: 0 });
    expect(await readFile(work.join('alike/stub'), 'utf8')).toBe(text);
  });

  it('opens no object that its packages do not have', async () => {
    const [secret] = await importDebs(repo, [
      {
        path: await buildDeb({ name: 'secret', files: { '/usr/secret': 'secret' } }, work.path),
        name: 'secret',
        version: '1.0',
        architecture: 'all',
      },
    ]);
    const { checksum } = await repo.stat(secret?.commit ?? '', '/tree/usr/secret');
    const forged = `apt-ostree-hollow:1:${checksum}\n`;
    const directory = await layer('forged');
    await writeFile(`${directory}/usr/bin/forged`, forged);
    const filled = await fillLayer(repo, directory, [commit]);
    expect(filled.filled).toBe(3);
    expect(await readFile(`${directory}/usr/bin/forged`, 'utf8')).toBe(forged);
    const { tree } = await mergeFilled(directory, filled);
    expect(tree).toEqual(await committed('forged'));
    // The package that has it may.
    expect((await fillLayer(repo, directory, [secret?.commit ?? ''])).filled).toBe(1);
  });

  it('keeps a file of a package whose content is a stub', async () => {
    const { checksum } = await repo.stat(commit, '/tree/usr/bin/plain');
    const text = `apt-ostree-hollow:1:${checksum}\n`;
    const path = await buildDeb({ name: 'odd', files: { '/usr/odd': text } }, work.path);
    const [odd] = await importDebs(repo, [
      { path, name: 'odd', version: '1.0', architecture: 'all' },
    ]);
    const destination = work.join('odd-hollow.deb');
    await writeHollowDebs(repo, [{ commit: odd?.commit ?? '', destination }]);
    await run('dpkg-deb', ['-x', destination, work.join('odd')]);
    const filled = await fillLayer(repo, work.join('odd'), [odd?.commit ?? '']);
    expect(filled.filled).toBe(1);
    expect(await readFile(work.join('odd/usr/odd'), 'utf8')).toBe(text);
  });

  it('needs the packages and a repository of mode bare', async () => {
    await mkdir(work.join('lost'));
    await expect(fillLayer(repo, work.join('lost'), ['0'.repeat(64)])).rejects.toMatchObject({
      code: 'ENOENT',
    });
    await using archive = await createRepo(work.join('archive'), 'archive');
    await expect(fillLayer(archive, work.join('lost'), [])).rejects.toMatchObject({
      code: 'ERR_OSTREE_NOT_SUPPORTED',
    });
  });
});
