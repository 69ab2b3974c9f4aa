/** Each rule of rules.ts on both sides: one that is not true any more has to go. */

import { mkdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { variant, variantToText } from 'apt-ostree';
import { parseStatOverrides, Repo, Sysroot } from 'apt-ostree/ostree';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bootableEdits, commitEdits, ostree } from '../../support/ostree.js';
import { copyRepo, ostreeOn } from '../../support/repo-copies.js';
import { sysrootPair } from '../../support/sysroot-pair.js';
import { temporaryDirectory } from '../../support/temp.js';
import { command, type RepoPair, repoPair } from './pair.js';
import { kRules, type Rule } from './rules.js';

process.env.OSTREE_SYSROOT_DEBUG = 'mutable-deployments';
const scratch = await temporaryDirectory('differential-rules');
afterAll(() => scratch.remove());
const source = scratch.join('source');
let pair: RepoPair;
beforeAll(async () => {
  await mkdir(`${source}/directory/below`, { recursive: true });
  await writeFile(`${source}/file`, 'content');
  await writeFile(`${source}/directory/file`, 'other content');
  pair = await repoPair(scratch.join('repo'), 'archive');
  await pair.repo.commit({ ref: 'main', trees: [{ directory: source }], timestamp: new Date(0) });
  await pair.command('commit', '-b', 'main', '--timestamp=@0', `--tree=dir=${source}`);
  return () => pair[Symbol.asyncDispose]();
});

const list = async (name: string, text: string) => {
  await writeFile(scratch.join(name), text);
  return scratch.join(name);
};
const out = (name: string) => scratch.join(name);

let count = 0;
/** Two sysroots that were switched from one branch to another, by each side. */
async function switched(): Promise<{ theirs: string; ours: string }> {
  count += 1;
  await using host = await Sysroot.initialize(out(`server-${count}`));
  await using server = await host.repo();
  for (const ref of ['one', 'two']) await commitEdits(server, ref, bootableEdits('1'));
  await using both = await sysrootPair(out(`switched-${count}`), async (root) => {
    await using repo = await Repo.open(`${root}/ostree/repo`);
    await repo.remotes.add('remote', `file://${server.path}`, { gpgVerify: false });
    await repo.pull('remote', { refs: ['one'] });
    await using sysroot = await Sysroot.load(root);
    await sysroot.deploy({ stateroot: 'debian', rev: 'remote:one', refspec: 'remote:one' });
  });
  await both.admin('switch', '--os=debian', 'remote:two');
  await both.sysroot.upgrade({ stateroot: 'debian', refspec: 'remote:two' });
  return { theirs: both.theirs, ours: both.ours };
}

const shown: Record<Rule, () => Promise<void>> = {
  async leftOverRules() {
    const file = await list('left-over', '/file\n/nothing\n');
    const { status } = await ostreeOn(
      pair.theirs,
      'commit',
      '--orphan',
      `--skip-list=${file}`,
      source,
    );
    expect(status).toBe(1);
    const { imports } = await pair.repo.commit({
      trees: [{ directory: source, skip: ['/file', '/nothing'] }],
    });
    expect(imports[0]?.unmatched).toEqual(['/nothing']);
  },
  async directoryModes() {
    const text = '+16 /directory\n+16 /file\n';
    const file = await list('modes', text);
    const theirs = await pair.command('commit', '--orphan', `--statoverride=${file}`, source);
    const statOverrides = parseStatOverrides(text);
    const ours = await pair.repo.commit({ trees: [{ directory: source, statOverrides }] });
    await using reader = await Repo.open(pair.theirs);
    const modes = (repo: Repo, rev: string) =>
      Promise.all(['/directory', '/file'].map(async (path) => (await repo.stat(rev, path)).mode));
    expect(await modes(reader, theirs)).toEqual([0o755, 0o664]);
    expect(await modes(pair.repo, ours.checksum)).toEqual([0o775, 0o664]);
  },
  async missingParts() {
    const flags = ['-U', '--union-add', '--allow-noent', '--subpath=/no/such'];
    const theirs = await ostreeOn(pair.theirs, 'checkout', ...flags, 'main', out('missing'));
    expect(theirs.status).toBe(1);
    await pair.repo.checkout('main', out('missing'), {
      overwrite: 'add-files',
      subpath: '/no/such',
      allowMissing: true,
    });
  },
  async archiveCache() {
    await pair.command('checkout', '-U', 'main', out('cached'));
    await pair.repo.checkout('main', out('not-cached'), { mode: 'user' });
    expect((await stat(`${out('cached')}/file`)).nlink).toBe(2);
    expect((await stat(`${out('not-cached')}/file`)).nlink).toBe(1);
  },
  async skippedDirectories() {
    const file = await list('skipped', '/directory\n');
    const flags = ['-U', `--skip-list=${file}`];
    await pair.command('checkout', ...flags, 'main', out('skipped-theirs'));
    await pair.repo.checkout('main', out('skipped-ours'), { mode: 'user', skip: ['/directory'] });
    expect((await stat(`${out('skipped-theirs')}/directory`)).isDirectory()).toBe(true);
    await expect(stat(`${out('skipped-ours')}/directory`)).rejects.toMatchObject({
      code: 'ENOENT',
    });
  },
  async byteOrder() {
    const rev = await commitEdits(pair.repo, 'order', [], { metadata: { n: variant('u', 1) } });
    const shows = (...flags: string[]) =>
      command(pair.ours, 'show', ...flags, '--print-metadata-key=n', rev);
    const { metadata } = await pair.repo.loadCommit(rev);
    expect(await shows()).toBe('uint32 16777216');
    expect(await shows('-B')).toBe(variantToText(variant('u', metadata.n)));
  },
  async missingDirectories() {
    const copies = [out('gap-theirs'), out('gap-ours')];
    const checksum = (await pair.repo.stat('main', '/directory')).checksum ?? '';
    for (const copy of copies) {
      await copyRepo(pair.ours, copy);
      await rm(`${copy}/objects/${checksum.slice(0, 2)}/${checksum.slice(2)}.dirtree`);
    }
    const { stderr, status } = await ostreeOn(copies[0] ?? '', 'fsck', '--all');
    expect([status, stderr]).toEqual([1, expect.stringContaining('No such metadata object')]);
    await using repo = await Repo.open(copies[1] ?? '');
    const { errors, commits } = await repo.fsck();
    expect(errors).toMatchObject([{ kind: 'missing', object: `${checksum}.dirtree` }]);
    expect(commits).toBeGreaterThan(0);
  },
  async unreadableCommits() {
    const copies = [out('short-theirs'), out('short-ours')];
    const orphan = await commitEdits(pair.repo, 'short', []);
    const file = `objects/${orphan.slice(0, 2)}/${orphan.slice(2)}.commit`;
    for (const copy of copies) {
      await copyRepo(pair.ours, copy);
      await command(copy, 'refs', '--delete', 'short');
      await truncate(`${copy}/${file}`);
    }
    const { stderr, status } = await ostreeOn(copies[0] ?? '', 'fsck', '--all', '--delete');
    expect([status, stderr]).toEqual([1, expect.stringContaining('Invalid checksum of length')]);
    await stat(`${copies[0]}/${file}`);
    await using repo = await Repo.open(copies[1] ?? '');
    const { errors } = await repo.fsck({ delete: true });
    expect(errors).toMatchObject([{ kind: 'corrupt', object: `${orphan}.commit`, deleted: true }]);
    await expect(stat(`${copies[1]}/${file}`)).rejects.toMatchObject({ code: 'ENOENT' });
  },
  async wrongRefs() {
    const copies = [out('bound-theirs'), out('bound-ours')];
    const checksum = (await pair.repo.stat('main', '/file')).checksum ?? '';
    for (const copy of copies) {
      await copyRepo(pair.ours, copy);
      await command(copy, 'refs', '--create=unbound', 'main');
      await rm(`${copy}/objects/${checksum.slice(0, 2)}/${checksum.slice(2)}.filez`);
    }
    const flags = ['--all', '--verify-bindings'];
    const { stderr, status } = await ostreeOn(copies[0] ?? '', 'fsck', ...flags);
    expect([status, stderr]).toEqual([1, expect.stringContaining('unbound')]);
    expect(stderr).not.toContain(checksum);
    await using repo = await Repo.open(copies[1] ?? '');
    const { errors, markedPartial } = await repo.fsck({ verifyBindings: true });
    expect(errors.map(({ kind }) => kind)).toEqual(['binding', 'missing']);
    expect(markedPartial).toEqual([]);
  },
  async metadataCommit() {
    const copies = [out('collection-theirs'), out('collection-ours')];
    for (const copy of copies) {
      await copyRepo(pair.ours, copy);
      await command(copy, 'config set', 'core.collection-id', 'org.example.Test');
    }
    await command(copies[0] ?? '', 'summary', '--update');
    await using repo = await Repo.open(copies[1] ?? '');
    await repo.summary.regenerate();
    await using reader = await Repo.open(copies[0] ?? '');
    expect(await reader.tryResolveRev('ostree-metadata')).toBeDefined();
    expect(await repo.tryResolveRev('ostree-metadata')).toBeUndefined();
  },
  async switchedRefs() {
    const { theirs, ours } = await switched();
    expect(await command(`${theirs}/ostree/repo`, 'refs')).not.toContain('remote:one');
    expect(await command(`${ours}/ostree/repo`, 'refs')).toContain('remote:one');
  },
  async freshOrigin() {
    const { theirs, ours } = await switched();
    await using sysroot = await Sysroot.load(ours);
    for (const root of [theirs, ours]) await ostree('admin', 'pin', `--sysroot=${root}`, '0');
    await sysroot.reload();
    const [deployment] = sysroot.deployments;
    await sysroot.setOrigin(deployment?.id ?? '', { origin: { refspec: 'remote:one' } });
    const at = ['--index=0', 'remote', 'file:///nowhere', 'one'];
    await ostree('admin', 'set-origin', `--sysroot=${theirs}`, ...at);
    await using other = await Sysroot.load(theirs);
    expect(sysroot.deployments[0]).toMatchObject({ refspec: 'remote:one', pinned: true });
    expect(other.deployments[0]).toMatchObject({ refspec: 'remote:one', pinned: false });
  },
  async ziplElsewhere() {
    await using both = await sysrootPair(out('zipl'), async (root) => {
      await using repo = await Repo.open(`${root}/ostree/repo`);
      await repo.config.set('sysroot', 'bootloader', 'zipl');
    });
    await both.commit('1');
    await expect(both.admin('deploy', '--os=debian', 'debian')).rejects.toThrow(/SIG|134/);
    const deployed = both.sysroot.deploy({ stateroot: 'debian', rev: 'debian' });
    await expect(deployed).rejects.toMatchObject({ code: 'ERR_INVALID_STATE' });
  },
};

test.each(Object.entries(kRules))('%s: %s', (name) => shown[name as Rule]());
