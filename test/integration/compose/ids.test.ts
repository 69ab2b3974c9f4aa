/** Users and groups keep their numbers from tree to tree. */

import { access } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ComposeFixture, composeFixture, expectSound } from '../../support/compose.js';
import { installedPackage, librariesOf } from '../../support/installed-package.js';
import { run } from '../../support/run.js';

let fixture: ComposeFixture;
/** Bases on which the next free number differs. */
const bases: string[] = [];

const kMakers = {
  useradd: 'useradd -r -U -M -d /var/lib/maker maker',
  'systemd-sysusers': 'systemd-sysusers maker.conf',
};

beforeAll(async () => {
  const sysusers = await installedPackage(
    'systemd',
    (file) => file === '/usr/bin/systemd-sysusers',
  );
  const systemdLibraries = await librariesOf('/usr/bin/systemd-sysusers', 'sysusers-libraries');
  fixture = await composeFixture([
    systemdLibraries,
    { ...sysusers, depends: 'sysusers-libraries' },
    { name: 'other', scripts: { postinst: 'useradd -r -U -M other; useradd -r -U -M another' } },
    ...Object.entries(kMakers).map(([name, command]) => ({
      name: `by-${name}`,
      depends: 'test-systemd',
      files: { '/usr/lib/sysusers.d/maker.conf': 'u maker - "The maker" /var/lib/maker\n' },
      scripts: { postinst: command },
    })),
  ]);
  for (const packages of [[], ['other']]) {
    bases.push((await fixture.composer.compose({ packages, refresh: false })).commit);
  }
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
});

async function idOf(commit: string, name: string, file = 'passwd'): Promise<number> {
  const text = (await fixture.repo.readFile(commit, `/usr/etc/${file}`)).toString();
  return Number(new RegExp(`^${name}:[^:]*:(\\d+):`, 'm').exec(text)?.[1]);
}

describe('users and groups', () => {
  it.each(Object.keys(kMakers))('keep their numbers on another base: %s', async (maker) => {
    const { composer, repo } = fixture;
    const [plain = '', other = ''] = bases;
    const request = { install: [`by-${maker}`], refresh: false };
    const first = await composer.layer({ ...request, base: plain });
    const fresh = await composer.layer({ ...request, base: other });
    const moved = await composer.relayer({ layered: first.commit, base: other, refresh: false });
    const id = await idOf(first.commit, 'maker');
    expect(id).toBeGreaterThanOrEqual(100);
    expect(await idOf(fresh.commit, 'maker')).not.toBe(id);
    // Where somebody else has it by now, it cannot be had.
    const taken = (await idOf(other, 'other')) === id || (await idOf(other, 'another')) === id;
    expect((await idOf(moved.commit, 'maker')) === id).toBe(!taken);
    const names = (await repo.list(moved.commit, '/usr/share/factory/var', { recursive: true }))
      .map((entry) => entry.path)
      .filter((file) => file.includes('usrlocal/'));
    expect(names.filter((file) => /apt-ostree|sysusers|useradd/.test(file))).toEqual([]);
    await expectSound(repo);
  });

  it('keep their numbers when they come back', async () => {
    const { composer } = fixture;
    const [plain = ''] = bases;
    const one = await composer.layer({ base: plain, install: ['by-useradd'], refresh: false });
    const id = await idOf(one.commit, 'maker', 'group');
    // The ref had it, so the next tree at the ref has it too, after one without and with others.
    const ref = 'machine';
    const layer = (install: string[]) =>
      composer.layer({ base: plain, install, ref, refresh: false });
    await layer(['by-useradd']);
    await layer(['other']);
    const both = await layer(['other', 'by-useradd']);
    expect(await idOf(both.commit, 'maker', 'group')).toBe(id);
  });

  it('are remembered by a tree that is used again', async () => {
    const { composer } = fixture;
    const [plain = ''] = bases;
    const ref = 'reused';
    const layer = (install: string[]) =>
      composer.layer({ base: plain, install, ref, refresh: false });
    const first = await layer([]);
    expect((await layer([])).unchanged).toBe(true);
    const id = await idOf((await layer(['by-useradd'])).commit, 'maker');
    // The same inputs as before, but its ledger has to grow.
    expect((await layer([])).commit).not.toBe(first.commit);
    expect((await layer([])).unchanged).toBe(true);
    const other = await layer(['other']);
    expect(await idOf(other.commit, 'other')).not.toBe(id);
    expect(await idOf(other.commit, 'another')).not.toBe(id);
    expect(await idOf((await layer(['other', 'by-useradd'])).commit, 'maker')).toBe(id);
  });

  it('are lines of sysusers.d that make the same accounts', async () => {
    const { composer, repo, directory } = fixture;
    const [plain = ''] = bases;
    const { commit } = await composer.layer({
      base: plain,
      install: ['by-systemd-sysusers'],
      refresh: false,
    });
    const root = directory.join('sysusers-root');
    await run('mkdir', ['-p', `${root}/usr/lib/sysusers.d`, `${root}/etc`]);
    await repo.checkout(commit, directory.join('sysusers-tree'), {
      subpath: '/usr/lib/sysusers.d',
    });
    await run('cp', ['-r', `${directory.join('sysusers-tree')}/.`, `${root}/usr/lib/sysusers.d`]);
    await run('systemd-sysusers', [`--root=${root}`]);
    const made = (await run('grep', ['^maker:', `${root}/etc/passwd`])).stdout;
    const there = (await repo.readFile(commit, '/usr/etc/passwd')).toString();
    const fields = (line: string) => line.trim().split(':').slice(2, 6);
    expect(fields(made)).toEqual(fields(/^maker:.*$/m.exec(there)?.[0] ?? ''));
    await expect(access(`${root}/usr/local`)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
