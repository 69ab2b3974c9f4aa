/** Composing and layering on a hermetic archive, with the real dpkg. */

import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { type ComposeEvent, Composer, packagesOf, Repo } from 'apt-ostree';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AptRepository, createAptRepository } from '../../support/apt-repository.js';
import { WatchedComposer } from '../../support/compose.js';
import { debianBase, kernelPackage } from '../../support/debian-base.js';
import { run } from '../../support/run.js';
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temp.js';

let archive: AptRepository;
let directory: TemporaryDirectory;
let repo: Repo;
let composer: WatchedComposer;
let base: string;

beforeAll(async () => {
  archive = await createAptRepository({
    packages: [
      ...(await debianBase()),
      kernelPackage(),
      { name: 'lib', files: { '/usr/lib/lib/data': 'data' } },
      {
        name: 'tool',
        depends: 'lib',
        files: {
          '/usr/bin/tool': { content: '#!/bin/sh\necho tool\n', mode: 0o755 },
          '/usr/bin/tool-suid': { content: 'binary', mode: 0o4755 },
          '/etc/tool.conf': 'setting=1\n',
          '/var/lib/tool/initial': 'state\n',
          '/opt/tool/readme': 'read me\n',
          '/usr/local/share/odd': 'local\n',
        },
        conffiles: ['/etc/tool.conf'],
        symlinks: { '/usr/bin/tool-link': 'tool' },
        scripts: {
          preinst: 'test ! -e /usr/bin/tool',
          postinst:
            'test "$(cat /usr/lib/lib/data)" = data; tool > /var/lib/tool/made; echo >> /usr/lib/lib/data-by-script; chmod 700 /usr/bin/tool-link',
        },
      },
      { name: 'needs-tool', preDepends: 'tool', scripts: { preinst: 'test "$(tool)" = tool' } },
      { name: 'failing', scripts: { postinst: 'echo about to fail; exit 7' } },
      { name: 'unmet', depends: 'nowhere' },
      {
        name: 'watcher',
        triggers: 'interest-noawait /usr/share/watched\n',
        scripts: {
          postinst: 'if [ "$1" = triggered ]; then ls /usr/share/watched > /etc/seen; fi',
        },
      },
      { name: 'watched', files: { '/usr/share/watched/one': '1' } },
    ],
  });
  directory = await temporaryDirectory('compose');
  repo = await Repo.create(directory.join('repo'), 'bare');
  composer = new WatchedComposer({ repo, sources: archive.source });
  base = (await composer.compose({ ref: 'base', packages: ['linux-image-6.1.0-test'] })).commit;
});

afterAll(async () => {
  await composer?.expectSoundTrees();
  repo?.close();
  await directory?.remove();
  await archive?.stop();
});

/** What must hold after anything at all. */
async function expectSound(): Promise<void> {
  await run('ostree', [`--repo=${repo.path}`, 'fsck', '-q']);
  expect(await readdir(path.join(repo.path, 'extensions/apt-ostree/work'))).toEqual([]);
  expect(await readFile('/proc/self/mounts', 'utf8')).not.toContain(directory.path);
}

describe('composing from nothing', () => {
  it('gives a tree in the image form with a package database', async () => {
    const names = (await repo.list(base, '/')).map((entry) => entry.path).sort();
    expect(names).toEqual(
      expect.arrayContaining(['/boot', '/etc', '/usr', '/var'].filter((name) => name !== '/etc')),
    );
    expect(names).not.toContain('/etc');
    expect(await repo.list(base, '/var')).toEqual([]);
    expect(await repo.list(base, '/boot')).toEqual([]);
    const kernel = await repo.readFile(base, '/usr/lib/modules/6.1.0-test/vmlinuz');
    expect(kernel.toString()).toBe('kernel 6.1.0-test');
    expect((await packagesOf(repo, base)).map(({ name }) => name)).toEqual([
      'apt',
      'base-files',
      'base-passwd',
      'base-system',
      'linux-image-6.1.0-test',
    ]);
    await expectSound();
  });

  it('ran preinst scripts before configuring, with users and awk', async () => {
    const seen = await repo.readFile(base, '/usr/etc/base-files.preinst');
    expect(seen.toString()).toBe('install\n');
  });

  it('keeps /var as tmpfiles lines and factory copies', async () => {
    const lines = (await repo.readFile(base, '/usr/lib/tmpfiles.d/apt-ostree.conf')).toString();
    expect(lines).toContain('d /var/mail 2775 0 1 - -');
    expect(lines).toContain('C /var/lib/base/state\n');
    expect(lines).toContain('L+ /var/lib/dpkg - - - - ../../usr/lib/sysimage/dpkg');
  });

  it('marks the commit as bootable and lists its packages', async () => {
    const { metadata } = await repo.loadCommit(base);
    expect(metadata['ostree.bootable']).toBe(true);
    expect(metadata['ostree.linux']).toBe('6.1.0-test');
    expect(metadata['apt-ostree.packages']).toContainEqual(['base-files', '1.0', 'all']);
  });

  it('gives the same commit again from the same input', async () => {
    const timestamp = new Date(1_700_000_000_000);
    const compose = () => composer.compose({ timestamp, refresh: false, force: true });
    expect((await compose()).commit).toBe((await compose()).commit);
  });
});

describe('layering', () => {
  it('adds packages with their dependencies, scripts run', async () => {
    const events: ComposeEvent[] = [];
    const result = await composer.layer({
      base: 'base',
      install: ['tool'],
      ref: 'layered',
      onEvent: (event) => events.push(event),
    });
    expect(result.changes.map(({ name }) => name).sort()).toEqual(['lib', 'tool']);
    expect(await repo.resolveRev('layered')).toBe(result.commit);
    const { commit } = result;
    const text = async (file: string) => (await repo.readFile(commit, file)).toString();
    expect(await text('/usr/lib/lib/data')).toBe('data');
    expect(await text('/usr/etc/tool.conf')).toBe('setting=1\n');
    expect(await text('/usr/share/factory/var/lib/tool/made')).toBe('tool\n');
    expect(await text('/usr/lib/opt/tool/readme')).toBe('read me\n');
    expect(await text('/usr/share/factory/var/usrlocal/share/odd')).toBe('local\n');
    expect((await repo.stat(commit, '/usr/bin/tool-suid')).mode & 0o7777).toBe(0o4755);
    // The script's chmod went through the link, to a copy.
    expect((await repo.stat(commit, '/usr/bin/tool')).mode & 0o7777).toBe(0o700);
    expect((await repo.loadCommit(commit)).parent).toBe(base);
    expect(events.map(({ type }) => type)).toEqual(expect.arrayContaining(['dpkg', 'phase-end']));
    await expectSound();
  });

  it('remembers which packages came in as dependencies', async () => {
    const { commit } = await composer.layer({ base, install: ['tool'], refresh: false });
    const states = (
      await repo.readFile(commit, '/usr/lib/sysimage/apt/extended_states')
    ).toString();
    expect(states).toContain('Package: lib\n');
    expect(states).not.toContain('Package: tool\n');
  });

  it('leaves a consistent dpkg database', async () => {
    const { commit } = await composer.layer({ base, install: ['tool'], refresh: false });
    await using checkout = await temporaryDirectory('checkout');
    const root = checkout.join('root');
    await repo.checkout(commit, root);
    const dpkg = ['--root', root, '--admindir', path.join(root, 'usr/lib/sysimage/dpkg')];
    const audit = await run('dpkg', [...dpkg, '--audit']);
    expect(audit.stdout).toBe('');
    const list = await run('dpkg-query', [...dpkg, '-L', 'tool']);
    expect(list.stdout.split('\n')).toEqual(expect.arrayContaining(['/usr/bin/tool-suid']));
  });

  it('configures what a Pre-Depends needs before unpacking', async () => {
    const { packages } = await composer.layer({ base, install: ['needs-tool'], refresh: false });
    expect(packages.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['needs-tool', 'tool']),
    );
  });

  it('runs triggers of what the base has', async () => {
    const first = await composer.layer({ base, install: ['watcher'], refresh: false });
    const { commit } = await composer.layer({
      base: first.commit,
      install: ['watched'],
      refresh: false,
    });
    expect((await repo.readFile(commit, '/usr/etc/seen')).toString()).toBe('one\n');
  });

  it('takes packages out of a base again', async () => {
    const layered = await composer.layer({ base, install: ['tool'], refresh: false });
    const { commit } = await composer.layer({
      base: layered.commit,
      remove: ['tool'],
      refresh: false,
    });
    await expect(repo.stat(commit, '/usr/bin/tool')).rejects.toMatchObject({ code: 'ENOENT' });
    expect((await packagesOf(repo, commit)).map(({ name }) => name)).not.toContain('tool');
  });

  it('fetches and imports nothing a second time', async () => {
    await composer.layer({ base, install: ['tool'], refresh: false });
    archive.requests.length = 0;
    const { phases } = await composer.layer({ base, install: ['tool'], refresh: false });
    expect(archive.requests).toEqual([]);
    expect(phases.map(({ phase }) => phase)).not.toContain('import');
  });
});

describe('bad input', () => {
  it('names an unknown package', async () => {
    await expect(
      composer.layer({ base, install: ['no-such-package'], refresh: false }),
    ).rejects.toMatchObject({ code: 'ERR_APT_UNKNOWN_PACKAGE', package: 'no-such-package' });
    await expectSound();
  });

  it('names an unmet dependency', async () => {
    const layered = composer.layer({ base, install: ['unmet'], refresh: false });
    await expect(layered).rejects.toMatchObject({ code: 'ERR_APT_UNMET_DEPENDENCIES' });
  });

  it('names the package whose script failed, with its output, and moves no ref', async () => {
    const before = await repo.listRefs();
    await expect(
      composer.layer({ base, install: ['failing'], ref: 'base', refresh: false }),
    ).rejects.toMatchObject({
      name: 'ComposeError',
      code: 'ERR_COMPOSE_SCRIPT',
      package: 'failing',
      output: expect.stringContaining('about to fail'),
    });
    const after = await repo.listRefs();
    // The package itself is in the import cache; nothing else changed.
    expect(Object.keys(after).filter((ref) => before[ref] !== after[ref])).toEqual([
      'apt-ostree/pkg/failing/1.0_all',
    ]);
    await expectSound();
  });

  it('stops on abort and leaves nothing behind', async () => {
    const abort = new AbortController();
    const layered = composer.layer({
      base,
      install: ['tool'],
      refresh: false,
      force: true,
      signal: abort.signal,
      onEvent: (event) => {
        if (event.type === 'dpkg' && event.action === 'configure') abort.abort();
      },
    });
    await expect(layered).rejects.toMatchObject({ name: 'AbortError' });
    await expectSound();
  });

  it('rejects with what a listener throws, in the middle of a script too', async () => {
    const layered = composer.layer({
      base,
      install: ['tool'],
      refresh: false,
      force: true,
      onEvent: (event) => {
        if (event.type === 'output' || event.type === 'dpkg') throw new Error('listener');
      },
    });
    await expect(layered).rejects.toThrow('listener');
    await expectSound();
  });

  it('refuses a base tree whose packages would lead out of the seed', async () => {
    await using outside = await temporaryDirectory('outside');
    await using hostile = await createAptRepository({
      packages: [
        ...(await debianBase()),
        {
          name: 'link',
          essential: true,
          priority: 'required',
          symlinks: { '/usr/share/evil': outside.path },
        },
        {
          name: 'through',
          essential: true,
          priority: 'required',
          files: { '/usr/share/evil/file': 'host' },
        },
      ],
    });
    await using directory = await temporaryDirectory('hostile');
    await using target = await Repo.create(directory.join('repo'), 'bare');
    const composing = new Composer({ repo: target, sources: hostile.source }).compose();
    await expect(composing).rejects.toMatchObject({
      code: 'ERR_COMPOSE_LAYOUT',
      path: '/usr/share/evil',
    });
    expect(await readdir(outside.path)).toEqual([]);
  });

  it('refuses a repository of another mode', async () => {
    await using archiveRepo = await Repo.create(directory.join('archive-repo'), 'archive');
    const other = new Composer({ repo: archiveRepo, sources: archive.source });
    await expect(other.compose()).rejects.toMatchObject({ code: 'ERR_OSTREE_NOT_SUPPORTED' });
  });

  it('refuses a damaged package before anything refers to it', async () => {
    await archive.addPackage({
      name: 'damaged',
      files: { '/usr/share/damaged': 'x'.repeat(4096) },
    });
    await archive.publish();
    await archive.damage('damaged');
    await expect(composer.layer({ base, install: ['damaged'] })).rejects.toMatchObject({
      code: 'ERR_APT_HASH_MISMATCH',
      package: 'damaged',
    });
    expect(Object.keys(await repo.listRefs())).not.toContain('apt-ostree/pkg/damaged/1.0_all');
    await expectSound();
  });

  it('refuses a wrongly signed source', async () => {
    for (const sign of ['wrong-key'] as const) {
      await using other = await createAptRepository({ sign, packages: [{ name: 'x' }] });
      await using empty = await temporaryDirectory('unsigned');
      await using target = await Repo.create(empty.join('repo'), 'bare');
      const failing = new Composer({ repo: target, sources: other.source });
      await expect(failing.compose()).rejects.toMatchObject({
        code: 'ERR_APT_NOT_AUTHENTICATED',
        uri: expect.stringContaining(other.url),
      });
      expect(await target.listRefs()).toEqual({});
    }
  });
});
