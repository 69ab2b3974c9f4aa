/** What maintainer scripts are written with, both ways: one tree, as dpkg makes it. */

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type ComposeResult, packagesOf } from 'apt-ostree';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { layerBothWays } from '../../support/both-ways.js';
import { type ComposeFixture, composeFixture, expectSound } from '../../support/compose.js';
import type { FileSpec, PackageSpec } from '../../support/deb.js';
import { installedPackage, librariesOf } from '../../support/installed-package.js';

/** A line of `dpkg-maintscript-helper` in every script that wants it. */
const helped = (line: string) => {
  const text = `dpkg-maintscript-helper ${line} -- "$@"`;
  return { preinst: text, postinst: text, prerm: text, postrm: text };
};
const kUnit = '[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n';

/** Each package whose second version moves something, with its two versions. */
const kMoves: readonly {
  name: string;
  /** Files of /etc that are gone afterwards. */
  gone?: readonly string[];
  first: Partial<PackageSpec>;
  second: Partial<PackageSpec>;
}[] = [
  {
    name: 'renames-conffile',
    gone: ['old.conf'],
    first: { files: { '/etc/old.conf': 'text\n' }, conffiles: ['/etc/old.conf'] },
    second: {
      files: { '/etc/new.conf': 'text of 2\n' },
      conffiles: ['/etc/new.conf'],
      scripts: helped('mv_conffile /etc/old.conf /etc/new.conf 2.0~'),
    },
  },
  {
    name: 'drops-conffile',
    gone: ['dropped.conf'],
    first: { files: { '/etc/dropped.conf': 'text\n' }, conffiles: ['/etc/dropped.conf'] },
    second: { scripts: helped('rm_conffile /etc/dropped.conf 2.0~') },
  },
  {
    name: 'abandons-conffile',
    first: { files: { '/etc/abandoned.conf': 'text\n' }, conffiles: ['/etc/abandoned.conf'] },
    second: {},
  },
  {
    name: 'removes-on-upgrade',
    gone: ['removed.conf'],
    first: { files: { '/etc/removed.conf': 'text\n' }, conffiles: ['/etc/removed.conf'] },
    second: { conffiles: ['remove-on-upgrade /etc/removed.conf'] },
  },
  {
    name: 'directory-to-link',
    first: { files: { '/usr/share/doc/one/text': 'one', '/usr/share/doc/two/text': 'two' } },
    second: {
      files: { '/usr/share/doc/two/text': 'two' },
      symlinks: { '/usr/share/doc/one': 'two' },
      scripts: helped('dir_to_symlink /usr/share/doc/one two 2.0~'),
    },
  },
  {
    name: 'link-to-directory',
    first: {
      files: { '/usr/share/doc/four/text': 'four' },
      symlinks: { '/usr/share/doc/three': 'four' },
    },
    second: {
      files: { '/usr/share/doc/three/text': 'three', '/usr/share/doc/four/text': 'four' },
      scripts: helped('symlink_to_dir /usr/share/doc/three four 2.0~'),
    },
  },
];

const kPackages: readonly PackageSpec[] = [
  {
    name: 'unit',
    depends: 'test-init-system-helpers',
    files: { '/usr/lib/systemd/system/unit.service': kUnit },
    scripts: {
      postinst:
        'deb-systemd-helper unmask unit.service >/dev/null\ndeb-systemd-helper enable unit.service >/dev/null',
      postrm:
        'if [ "$1" = purge ]; then deb-systemd-helper purge unit.service; deb-systemd-helper unmask unit.service; fi',
    },
  },
  {
    name: 'unit-off',
    depends: 'test-init-system-helpers',
    files: { '/usr/lib/systemd/system/unit-off.service': kUnit },
    scripts: { postinst: 'deb-systemd-helper update-state unit-off.service >/dev/null' },
  },
  {
    name: 'listener',
    triggers: 'interest-await do-things\ninterest /usr/share/watched-too\n',
    scripts: { postinst: 'echo "$@" >> /var/lib/listener' },
  },
  ...['caller', 'second-caller'].map((name) => ({
    name,
    depends: 'listener',
    scripts: { postinst: 'dpkg-trigger do-things' },
    files: { [`/usr/share/watched-too/${name}`]: name },
  })),
  { name: 'activates', depends: 'listener', triggers: 'activate-noawait do-things\n' },
  {
    name: 'hooked',
    files: {
      '/etc/kernel/postinst.d/module-builder': {
        content:
          '#!/bin/sh\nset -e\nmkdir -p /usr/lib/modules/$1/updates\necho "built for $1" > /usr/lib/modules/$1/updates/extra.ko\n',
        mode: 0o755,
      },
    },
    conffiles: ['/etc/kernel/postinst.d/module-builder'],
  },
  {
    name: 'kernel-like',
    depends: 'hooked, test-debianutils',
    files: { '/usr/lib/modules/9.9/modules.order': '' },
    scripts: { postinst: 'run-parts --exit-on-error --arg=9.9 /etc/kernel/postinst.d' },
  },
  {
    name: 'elsewhere',
    files: {
      '/opt/vendor/bin/tool': { content: '#!/bin/sh\n', mode: 0o755 },
      '/srv/site/index.html': 'site',
      '/usr/local/share/own': 'local',
      '/var/lib/elsewhere/state': 'state',
    },
    directories: { '/srv/uploads': { mode: 0o2770, gid: 33 } },
    scripts: { postinst: 'echo made > /srv/site/made; echo made > /usr/local/share/made' },
  },
  {
    name: 'in-perl',
    depends: 'test-perl-base',
    files: { '/usr/share/in-perl/list': 'one\ntwo\n' },
    scripts: {
      postinst:
        '#!/usr/bin/perl\nuse strict; use warnings;\nopen(my $in, "<", "/usr/share/in-perl/list") or die $!;\nopen(my $out, ">", "/etc/in-perl") or die $!;\nprint $out scalar reverse join "", <$in>;\n',
    },
  },
  {
    name: 'asks-ucf',
    depends: 'test-ucf',
    files: { '/usr/share/asks-ucf/conf': 'shipped\n' },
    scripts: {
      postinst:
        'if [ "$1" = configure ]; then ucf /usr/share/asks-ucf/conf /etc/asks-ucf.conf; ucfr asks-ucf /etc/asks-ucf.conf; fi',
      postrm:
        'if [ "$1" = purge ]; then rm -f /etc/asks-ucf.conf; ucf --purge /etc/asks-ucf.conf; ucfr --purge asks-ucf /etc/asks-ucf.conf; fi',
    },
  },
];

let fixture: ComposeFixture;
let base: string;

async function program(file: string): Promise<FileSpec> {
  return { content: await readFile(file), mode: 0o755 };
}

beforeAll(async () => {
  const perl = await installedPackage('perl-base');
  const anything = (file: string) =>
    /^\/usr\/(s?bin|lib)\/|^\/etc\/|^\/var\/lib\/[^/]+$/.test(file);
  const helper = '/usr/bin/dpkg-maintscript-helper';
  const programs = [helper, '/usr/bin/md5sum', '/usr/bin/getopt', '/usr/bin/which.debianutils'];
  const libraries = await Promise.all(
    ['/usr/bin/perl', '/usr/bin/md5sum', '/usr/bin/getopt'].map((file) =>
      librariesOf(file, `libraries-of-${path.basename(file)}`),
    ),
  );
  fixture = await composeFixture([
    { ...perl, depends: 'libraries-of-perl' },
    // The first that has a library has it for all.
    ...libraries.map((library, i) => ({
      ...library,
      files: Object.fromEntries(
        Object.entries(library.files ?? {}).filter(
          ([file]) => !libraries.slice(0, i).some((other) => file in (other.files ?? {})),
        ),
      ),
    })),
    { ...(await installedPackage('init-system-helpers')), depends: perl.name },
    await installedPackage('debianutils', (file) => file === '/usr/bin/run-parts'),
    {
      ...(await installedPackage('ucf', anything)),
      depends: perl.name,
      directories: { '/var/lib/ucf': {} },
    },
    {
      name: 'helper',
      depends: libraries.map(({ name }) => name).join(', '),
      files: {
        ...Object.fromEntries(
          await Promise.all(programs.map(async (file) => [file, await program(file)] as const)),
        ),
        '/usr/share/dpkg/sh/dpkg-error.sh': await program('/usr/share/dpkg/sh/dpkg-error.sh'),
      },
      symlinks: { '/usr/bin/which': 'which.debianutils' },
    },
    ...kMoves.map(({ name, first }) => ({ name, ...first })),
    ...kPackages,
  ]);
  const packages = ['helper', ...kMoves.map(({ name }) => name)];
  base = (await fixture.composer.compose({ packages })).commit;
  for (const { name, second } of kMoves) {
    await fixture.archive.addPackage({ name, version: '2.0', ...second });
  }
  await fixture.archive.publish();
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
});

/** Layers both ways, and gives the one tree. */
async function both(
  request: Parameters<ComposeFixture['composer']['layer']>[0],
): Promise<ComposeResult> {
  return (await layerBothWays(fixture, request))[0];
}

async function text(commit: string, file: string): Promise<string> {
  return (await fixture.repo.readFile(commit, file)).toString();
}

async function names(commit: string, directory: string): Promise<string[]> {
  return (await fixture.repo.list(commit, directory)).map((entry) => entry.path);
}

describe('dpkg-maintscript-helper and conffiles', () => {
  it.each(kMoves)('$name', async ({ name, gone = [] }) => {
    const { commit } = await both({ base, replace: [name] });
    const found = await packagesOf(fixture.repo, commit);
    expect(found.find((entry) => entry.name === name)?.version).toBe('2.0');
    const etc = await names(commit, '/usr/etc');
    if (name === 'renames-conffile')
      expect(await text(commit, '/usr/etc/new.conf')).toBe('text of 2\n');
    for (const file of gone) expect(etc).not.toContain(`/usr/etc/${file}`);
    if (name === 'abandons-conffile') expect(etc).toContain('/usr/etc/abandoned.conf');
  });

  it('all at once', async () => {
    const { commit } = await both({ base, replace: kMoves.map(({ name }) => name) });
    expect((await fixture.repo.stat(commit, '/usr/share/doc/one')).type).toBe('symlink');
    expect((await fixture.repo.stat(commit, '/usr/share/doc/three')).type).toBe('directory');
    await expectSound(fixture.repo);
  });
});

describe('deb-systemd-helper', () => {
  it('enables units, and purging takes that back', async () => {
    const { commit } = await both({ base, install: ['unit', 'unit-off'] });
    expect(await names(commit, '/usr/etc/systemd/system/multi-user.target.wants')).toEqual([
      '/usr/etc/systemd/system/multi-user.target.wants/unit.service',
    ]);
    const gone = await both({ base: commit, remove: ['unit'] });
    expect(await names(gone.commit, '/usr/etc/systemd/system')).not.toContain(
      '/usr/etc/systemd/system/multi-user.target.wants/unit.service',
    );
  });
});

describe('triggers', () => {
  it('by name and by file run once, after everything', async () => {
    const install = ['listener', 'caller', 'second-caller', 'activates'];
    const { commit } = await both({ base, install });
    const calls = await text(commit, '/usr/lib/sysimage/var/lib/listener').catch(() =>
      text(commit, '/usr/share/factory/var/lib/listener'),
    );
    expect(calls.split('\n').filter((line) => line.startsWith('triggered'))).toHaveLength(1);
  });
});

it('a hook of kernels builds a module when one comes', async () => {
  const { commit } = await both({ base, install: ['kernel-like'] });
  expect(await text(commit, '/usr/lib/modules/9.9/updates/extra.ko')).toBe('built for 9.9\n');
});

it('content of /opt, /srv, /usr/local and /var', async () => {
  const { commit } = await both({ base, install: ['elsewhere'] });
  expect(await text(commit, '/usr/lib/opt/vendor/bin/tool')).toBe('#!/bin/sh\n');
});

it('a script in Perl reads what its package brings', async () => {
  const { commit } = await both({ base, install: ['in-perl'] });
  expect(await text(commit, '/usr/etc/in-perl')).toBe('\nowt\neno');
});

it('ucf', async () => {
  const { commit } = await both({ base, install: ['asks-ucf'] });
  expect(await text(commit, '/usr/etc/asks-ucf.conf')).toBe('shipped\n');
  const gone = await both({ base: commit, remove: ['asks-ucf'] });
  expect(await names(gone.commit, '/usr/etc')).not.toContain('/usr/etc/asks-ucf.conf');
});
