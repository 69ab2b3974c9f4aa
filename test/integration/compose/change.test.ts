/** Changing what a base has: replacing, removing, repeating on another base, and nothing at all. */

import { type ComposeEvent, packagesOf } from 'apt-ostree';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ComposeFixture, composeFixture, expectSound } from '../../support/compose.js';
import { buildDeb } from '../../support/deb.js';

let fixture: ComposeFixture;
let base: string;
let newBase: string;

const kTool = {
  name: 'tool',
  files: { '/usr/bin/tool': '1', '/usr/bin/only-in-1': '', '/etc/tool.conf': 'from 1\n' },
  conffiles: ['/etc/tool.conf'],
  scripts: {
    postinst:
      'echo "$1 $2" >> /etc/tool.log; update-alternatives --install /usr/bin/t t /usr/bin/tool 1',
    prerm: 'if [ "$1" = remove ]; then update-alternatives --remove t /usr/bin/tool; fi',
    postrm: 'if [ "$1" = purge ]; then rm -f /etc/tool.log; fi',
  },
};

beforeAll(async () => {
  fixture = await composeFixture([
    kTool,
    { name: 'needs-tool', depends: 'tool (= 1.0)' },
    { name: 'vital', essential: true },
    { name: 'extra', depends: 'part', files: { '/usr/share/extra': 'extra' } },
    { name: 'part' },
    { name: 'rival', conflicts: 'tool', files: { '/usr/bin/rival': '' } },
    { name: 'wants-newer', depends: 'tool (>= 2.0)' },
  ]);
  const { composer, archive } = fixture;
  base = (await composer.compose({ packages: ['tool'], ref: 'with-tool' })).commit;
  await archive.addPackage({
    ...kTool,
    version: '2.0',
    files: { '/usr/bin/tool': '2', '/etc/tool.conf': 'from 2\n' },
  });
  await archive.publish();
  newBase = (await composer.compose({ packages: ['part'], ref: 'without-tool' })).commit;
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
});

async function text(commit: string, file: string): Promise<string> {
  return (await fixture.repo.readFile(commit, file)).toString();
}

async function versions(commit: string): Promise<Record<string, string>> {
  const packages = await packagesOf(fixture.repo, commit);
  return Object.fromEntries(packages.map(({ name, version }) => [name, version]));
}

describe('removing an essential package', () => {
  it('takes a word for it', async () => {
    const { composer } = fixture;
    const request = { base, remove: ['vital'], refresh: false };
    await expect(composer.layer(request)).rejects.toMatchObject({ code: 'ERR_APT_REFUSED' });
    const { commit } = await composer.layer({ ...request, allowRemoveEssential: true });
    expect(await versions(commit)).not.toHaveProperty('vital');
    const again = await composer.relayer({ layered: commit, base: newBase, refresh: false });
    expect(await versions(again.commit)).not.toHaveProperty('vital');
  });
});

describe('replacing packages of the base', () => {
  it('is an upgrade by dpkg, and a downgrade back', async () => {
    const { composer } = fixture;
    const up = await composer.layer({ base, replace: ['tool'], refresh: false });
    expect(up.changes).toMatchObject([{ name: 'tool', action: 'upgrade', oldVersion: '1.0' }]);
    expect(await versions(up.commit)).toMatchObject({ tool: '2.0' });
    expect(await text(up.commit, '/usr/bin/tool')).toBe('2');
    expect(await text(up.commit, '/usr/etc/tool.conf')).toBe('from 2\n');
    await expect(text(up.commit, '/usr/bin/only-in-1')).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await text(up.commit, '/usr/etc/tool.log')).toBe('configure \nconfigure 1.0\n');
    const down = await composer.layer({ base: up.commit, replace: ['tool=1.0'], refresh: false });
    expect(down.changes).toMatchObject([{ action: 'downgrade', oldVersion: '2.0' }]);
    expect(await text(down.commit, '/usr/bin/tool')).toBe('1');
    await expectSound(fixture.repo);
  });

  it('takes a package file', async () => {
    const file = fixture.archive.deb('part');
    const { commit } = await fixture.composer.layer({
      base: newBase,
      replace: [file],
      install: ['extra'],
      debs: [file],
      refresh: false,
    });
    expect(await versions(commit)).toMatchObject({ extra: '1.0', part: '1.0' });
  });

  it('takes one that no archive has, and the same once more', async () => {
    const file = await buildDeb(
      { name: 'private', depends: 'part', files: { '/usr/share/private': 'mine' } },
      fixture.directory.path,
    );
    for (const engine of ['fast', 'reference'] as const) {
      const { commit } = await fixture.composer.layer({
        base: newBase,
        install: [file],
        debs: [file],
        refresh: false,
        engine,
      });
      expect(await text(commit, '/usr/share/private')).toBe('mine');
      expect(await versions(commit)).toMatchObject({ private: '1.0' });
    }
  });

  it('refuses what the base does not have', async () => {
    const replacing = fixture.composer.layer({ base, replace: ['extra'], refresh: false });
    await expect(replacing).rejects.toMatchObject({
      code: 'ERR_APT_UNKNOWN_PACKAGE',
      package: 'extra',
    });
  });
});

describe('a plan that goes beyond its request', () => {
  it.each([
    ['rival', 'remove'],
    ['wants-newer', 'upgrade'],
  ])('is refused: %s', async (name, action) => {
    const { composer } = fixture;
    const layering = composer.layer({ base, install: [name], refresh: false });
    await expect(layering).rejects.toMatchObject({
      code: 'ERR_APT_REFUSED',
      package: expect.stringMatching(/^tool:/),
      message: expect.stringContaining(`${action} tool 1.0`),
    });
    const allowed = await composer.layer({
      base,
      install: [name],
      unasked: 'allow',
      refresh: false,
    });
    expect(await versions(allowed.commit)).toHaveProperty(name);
    await expectSound(fixture.repo);
  });
});

describe('removing packages of the base', () => {
  it('takes their configuration along unless told to keep it', async () => {
    const { composer, repo } = fixture;
    const gone = await composer.layer({ base, remove: ['tool'], refresh: false });
    const names = (await repo.list(gone.commit, '/usr/etc', { recursive: true })).map(
      (entry) => entry.path,
    );
    expect(names.filter((name) => /\/(tool|alternatives\/t)/.test(name))).toEqual([]);
    expect(await versions(gone.commit)).not.toHaveProperty('tool');
    const kept = await composer.layer({
      base,
      remove: ['tool'],
      keepConfiguration: true,
      refresh: false,
    });
    expect(await text(kept.commit, '/usr/etc/tool.conf')).toBe('from 1\n');
    expect(await text(kept.commit, '/usr/lib/sysimage/dpkg/status')).toMatch(
      /Package: tool\nStatus: deinstall ok config-files/,
    );
  });
});

describe('layering again', () => {
  it('makes no work when nothing has changed', async () => {
    const { composer, repo } = fixture;
    const request = { base, install: ['extra'], refresh: false } as const;
    const first = await composer.layer(request);
    const events: ComposeEvent[] = [];
    const again = await composer.layer({
      ...request,
      ref: 'again',
      onEvent: (event) => events.push(event),
    });
    expect(again).toMatchObject({ commit: first.commit, unchanged: true });
    expect(again.packages).toEqual(first.packages);
    expect(again.changes).toEqual(first.changes);
    expect(await repo.resolveRev('again')).toBe(first.commit);
    const phases = events.flatMap((event) => (event.type === 'phase-start' ? [event.phase] : []));
    expect(phases).toEqual(['resolve']);
    expect(first.unchanged).toBe(false);
  });

  it.each([
    ['another request', { install: ['part'] }],
    ['another version of the commit', { version: '2' }],
    ['another time', { timestamp: new Date(1_700_000_000_000) }],
    ['other metadata', { metadata: { note: { type: 's', value: 'other' } } }],
    ['force', { force: true }],
  ])('makes a tree for %s', async (_, change) => {
    const request = { base, install: ['extra'], refresh: false };
    await fixture.composer.layer(request);
    expect(await fixture.composer.layer({ ...request, ...change })).toMatchObject({
      unchanged: false,
    });
  });

  it('makes a tree when the commit is gone', async () => {
    const { composer, repo } = fixture;
    const request = { base, install: ['extra'], version: 'pruned', refresh: false };
    const first = await composer.layer({ ...request, ref: 'pruned' });
    await repo.setRef('pruned', null);
    await repo.prune({ refsOnly: true });
    expect((await composer.layer(request)).unchanged).toBe(false);
    expect(first.unchanged).toBe(false);
  });

  it('composes from nothing once', async () => {
    const again = await fixture.composer.compose({ packages: ['part'], refresh: false });
    expect(again).toMatchObject({ commit: newBase, unchanged: true });
  });
});

describe('another base', () => {
  it('gets what was asked for, without importing anything', async () => {
    const { composer } = fixture;
    const layered = await composer.layer({
      base,
      install: ['extra'],
      remove: ['tool'],
      refresh: false,
    });
    const events: ComposeEvent[] = [];
    const moved = await composer.relayer({
      layered: layered.commit,
      base: newBase,
      refresh: false,
      onEvent: (event) => events.push(event),
    });
    expect(moved.base).toBe(newBase);
    // The new base has part by itself and no tool.
    expect(moved.changes).toMatchObject([{ name: 'extra', action: 'install' }]);
    expect(events.filter((event) => event.type === 'import')).toEqual([]);
    expect(await versions(moved.commit)).toMatchObject({ extra: '1.0', part: '1.0' });
  });

  it('is refused for a commit that is no layering', async () => {
    const { composer } = fixture;
    await expect(composer.relayer({ layered: base, base: newBase })).rejects.toMatchObject({
      code: 'ERR_INVALID_STATE',
    });
  });
});
