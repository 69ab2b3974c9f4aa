import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import type { Repo } from 'apt-ostree';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  adoptPackages,
  type DebToImport,
  findImported,
  type ImportEvent,
  importDebs,
  writeHollowDebs,
} from '../../../lib/compose/import.js';
import { fillLayer } from '../../../lib/compose/layer.js';
import { buildStaged, stageNasty } from '../../support/nasty-deb.js';
import { createRepo } from '../../support/repo.js';
import { run } from '../../support/run.js';
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temp.js';
import { describeTree } from '../../support/tree.js';

const kNasty = { name: 'nasty', version: '1:2.0~rc1+dfsg-1', architecture: 'all' };

let work: TemporaryDirectory;
let repo: Repo;
let deb: string;

beforeAll(async () => {
  work = await temporaryDirectory('import');
  repo = await createRepo(work.join('repo'));
  await stageNasty(work.join('nasty'));
  deb = work.join('nasty.deb');
  await buildStaged(work.join('nasty'), deb);
});

afterAll(async () => {
  repo.close();
  await work.remove();
});

async function sha256(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
}

async function importOne(file: Partial<DebToImport> = {}, into = repo) {
  const [imported] = await importDebs(into, [{ ...kNasty, path: deb, ...file }]);
  if (!imported) throw new Error('nothing imported');
  return imported;
}

/** A root that dpkg can unpack into. */
async function dpkgRoot(name: string): Promise<string> {
  const root = work.join(name);
  for (const part of ['info', 'updates', 'triggers']) {
    await mkdir(`${root}/var/lib/dpkg/${part}`, { recursive: true });
  }
  await writeFile(`${root}/var/lib/dpkg/status`, '');
  return root;
}

async function unpack(root: string, file: string): Promise<void> {
  const force = ['--force-script-chrootless', '--force-depends', '--force-unsafe-io'];
  await run('dpkg', [`--root=${root}`, '--log=/dev/null', ...force, '--unpack', file]);
}

describe('importDebs', () => {
  it('describes the package', async () => {
    const imported = await importOne();
    expect(imported).toMatchObject({
      ref: 'apt-ostree/pkg/nasty/1_3A2.0_7Erc1_2Bdfsg-1_all',
      package: 'nasty',
      version: '1:2.0~rc1+dfsg-1',
      architecture: 'all',
      sha256: await sha256(deb),
      installedSize: 77 * 1024,
      hardlinks: 3,
      conffiles: ['/etc/nasty/conf', '/etc/nasty/long.conf'],
      scripts: ['preinst', 'postinst'],
      preDepends: 'dpkg (>= 1.0)',
      essential: true,
      cached: false,
    });
    expect(await repo.resolveRev(imported.ref)).toBe(imported.commit);
    expect((await repo.loadCommit(imported.commit)).timestamp.getTime()).toBe(0);
  });

  it.each(['gzip', 'zstd', 'none', 'bzip2', 'lzma'])(
    'makes the same tree of %s',
    async (compression) => {
      const other = work.join(`nasty-${compression}.deb`);
      await buildStaged(work.join('nasty'), other, compression);
      const first = await importOne();
      const second = await importOne({ path: other });
      expect((await repo.loadCommit(second.commit)).contents).toBe(
        (await repo.loadCommit(first.commit)).contents,
      );
      const { stdout } = await run('ostree', [`--repo=${repo.path}`, 'fsck']);
      expect(stdout).toContain('no errors found');
    },
  );

  it('makes the same commit in another repository', async () => {
    await using other = await createRepo(work.join('archive'), 'archive');
    expect((await importOne({}, other)).commit).toBe((await importOne()).commit);
  });

  it('holds what dpkg-deb extracts, at merged-/usr places', async () => {
    const imported = await importOne();
    await run('dpkg-deb', ['-x', deb, work.join('extracted')]);
    const moves = 'for d in bin sbin lib; do mkdir -p usr/$d; cp -a $d/. usr/$d; rm -r $d; done';
    await run('sh', ['-ec', moves], { cwd: work.join('extracted') });
    await repo.checkout(imported.commit, work.join('tree'), { subpath: '/tree' });
    expect(await describeTree(work.join('tree'))).toEqual(
      await describeTree(work.join('extracted')),
    );
  });

  it('unpacks hollow and filled as the real package', async () => {
    const imported = await importOne();
    const hollow = work.join('hollow.deb');
    await writeHollowDebs(repo, [{ commit: imported.commit, destination: hollow }]);
    expect((await readFile(hollow)).length).toBeLessThan(200_000);
    const [real, filled] = [await dpkgRoot('real'), await dpkgRoot('filled')];
    await unpack(real, deb);
    await unpack(filled, hollow);
    const result = await fillLayer(repo, filled, [imported.commit]);
    expect(result.filled).toBe(imported.files + imported.hardlinks - 4);
    expect(result.copied).toBe(0);
    expect(await describeTree(filled)).toEqual(await describeTree(real));
    expect((await fillLayer(repo, filled, [imported.commit])).filled).toBe(0);
  });

  it('leaves preinst out on request', async () => {
    const { commit } = await importOne();
    const hollow = work.join('no-preinst.deb');
    await writeHollowDebs(repo, [{ commit, destination: hollow }], { preinst: false });
    const { stdout } = await run('dpkg-deb', ['--ctrl-tarfile', hollow]);
    expect(stdout).toContain('./postinst');
    expect(stdout).not.toContain('./preinst');
  });

  it('reads no package twice', async () => {
    const events: ImportEvent[] = [];
    const file = { ...kNasty, path: deb, sha256: await sha256(deb) };
    const first = await importOne(file);
    const [second] = await importDebs(repo, [file], { onProgress: (event) => events.push(event) });
    expect(second).toEqual({ ...first, cached: true });
    expect(events).toEqual([{ type: 'import', package: 'nasty', done: 1, total: 1, cached: true }]);
  });

  it('aborts', async () => {
    const signal = AbortSignal.timeout(5);
    const files = [{ ...kNasty, path: deb }];
    await expect(importDebs(repo, files, { signal })).rejects.toMatchObject({ code: 'ABORT_ERR' });
    await importOne();
  });
});

describe('packages that were pulled', () => {
  it('are used only after somebody vouched for them', async () => {
    const imported = await importOne();
    const wanted = [{ ...kNasty, sha256: imported.sha256 }];
    await using other = await createRepo(work.join('pulled'), 'bare');
    await other.pullLocal(repo.path, { refs: [imported.ref] });
    expect(await findImported(other, wanted)).toEqual([undefined]);
    expect(await adoptPackages(other)).toMatchObject([{ package: 'nasty', cached: true }]);
    expect(await findImported(other, wanted)).toMatchObject([{ commit: imported.commit }]);
  });

  it('are used from a remote after that', async () => {
    const imported = await importOne();
    await using other = await createRepo(work.join('remote'), 'bare');
    await other.remotes.add('cache', `file://${repo.path}`, { gpgVerify: false });
    await other.pull('cache', { refs: [imported.ref] });
    expect(await adoptPackages(other)).toEqual([]);
    expect(await adoptPackages(other, { remote: 'cache' })).toMatchObject([{ ref: imported.ref }]);
    const [found] = await findImported(other, [{ ...kNasty, sha256: imported.sha256 }]);
    expect(found?.commit).toBe(imported.commit);
  });

  it('are not taken under the name of another', async () => {
    const imported = await importOne();
    await using other = await createRepo(work.join('lying'), 'bare');
    await other.pullLocal(repo.path, { refs: [imported.ref] });
    await other.setRef('apt-ostree/pkg/sudo/1.0_all', imported.commit);
    expect(await adoptPackages(other)).toMatchObject([{ package: 'nasty' }]);
    const sudo = { name: 'sudo', version: '1.0', architecture: 'all', sha256: imported.sha256 };
    expect(await findImported(other, [sudo])).toEqual([undefined]);
  });
});
