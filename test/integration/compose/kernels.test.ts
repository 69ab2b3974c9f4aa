/** Which kernel an image boots, and its initramfs. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ComposeFixture, composeFixture, expectSound } from '../../support/compose.js';

let fixture: ComposeFixture;
let base: string;

/** Its initramfs tells which modules and settings it was made of. */
const kTool = `#!/bin/sh
{ cd "/usr/lib/modules/$3" && ls -A; cat /etc/initramfs-tools/* 2>/dev/null; true; } > "$2.new"
mv "$2.new" "$2"
`;

const kernel = (version: string) => ({
  name: `linux-image-${version}`,
  files: {
    [`/boot/vmlinuz-${version}`]: `kernel ${version}`,
    [`/boot/config-${version}`]: `config of ${version}`,
    [`/usr/lib/modules/${version}/modules.dep`]: '',
  },
});

beforeAll(async () => {
  fixture = await composeFixture([
    {
      name: 'initramfs-tools',
      files: { '/usr/sbin/mkinitramfs': { content: kTool, mode: 0o755 } },
      triggers: 'interest-noawait update-initramfs\n',
      scripts: { postinst: 'true' },
    },
    kernel('6.1.0-9'),
    kernel('6.1.0-10'),
    kernel('6.1.0-10-rc1'),
    { name: 'module', files: { '/usr/lib/modules/6.1.0-9/updates/x.ko': 'x' } },
    { name: 'stray', files: { '/usr/lib/modules/7.0/extra/x.ko': 'x' } },
    {
      name: 'disk-tool',
      files: { '/etc/initramfs-tools/disk': 'disk' },
      scripts: { postinst: 'dpkg-trigger --no-await update-initramfs' },
    },
    { name: 'harmless', files: { '/usr/share/harmless/x': 'x' } },
    { name: 'elsewhere', files: { '/boot/extra/file': 'boot', '/media/disc/file': 'media' } },
  ]);
  const packages = ['initramfs-tools', 'linux-image-6.1.0-9'];
  base = (await fixture.composer.compose({ packages, refresh: false })).commit;
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
});

const layer = (options: { install?: string[]; remove?: string[]; base?: string }) =>
  fixture.composer.layer({ base, refresh: false, ...options });

async function text(commit: string, file: string): Promise<string> {
  return (await fixture.repo.readFile(commit, file)).toString();
}

const initramfs = (commit: string, version = '6.1.0-9') =>
  text(commit, `/usr/lib/modules/${version}/initramfs.img`);

describe('the kernel of an image', () => {
  it('is the newest, and the only one that libostree finds', async () => {
    const { commit, kernel: boots } = await layer({
      install: ['linux-image-6.1.0-10', 'linux-image-6.1.0-10-rc1'],
    });
    expect(boots).toBe('6.1.0-10');
    const { metadata } = await fixture.repo.loadCommit(commit);
    expect(metadata['ostree.linux']).toBe('6.1.0-10');
    const found: string[] = [];
    for await (const entry of fixture.repo.walk(commit, { path: '/usr/lib/modules' })) {
      if (entry.path.endsWith('/vmlinuz')) found.push(entry.path);
    }
    expect(found).toEqual(['/usr/lib/modules/6.1.0-10/vmlinuz']);
    expect(await initramfs(commit, '6.1.0-10')).toContain('modules.dep');
    // The others are there for whoever removes this one.
    const without = await layer({ base: commit, remove: ['linux-image-6.1.0-10'] });
    expect(without.kernel).toBe('6.1.0-10-rc1');
    const names = await fixture.repo.list(without.commit, '/usr/lib/modules');
    expect(names.map((entry) => entry.path).sort()).toEqual([
      '/usr/lib/modules/6.1.0-10-rc1',
      '/usr/lib/modules/6.1.0-9',
    ]);
    expect(await text(without.commit, '/usr/lib/modules/6.1.0-10-rc1/vmlinuz')).toBe(
      'kernel 6.1.0-10-rc1',
    );
    await expectSound(fixture.repo);
  });

  it('is not a directory of modules', async () => {
    const { kernel: boots } = await layer({ install: ['stray'] });
    expect(boots).toBe('6.1.0-9');
    const { composer } = fixture;
    const { commit, kernel: none } = await composer.compose({
      packages: ['stray'],
      refresh: false,
    });
    expect(none).toBeUndefined();
    expect((await fixture.repo.loadCommit(commit)).metadata).not.toHaveProperty('ostree.bootable');
  });
});

describe('its initramfs', () => {
  it('is made anew when modules or what it is made of change, and only then', async () => {
    const first = await initramfs(base);
    expect(first.split('\n')).not.toContain('updates');
    const phases = async (install: string[]) => {
      const result = await layer({ install });
      return { ...result, made: result.phases.some(({ phase }) => phase === 'kernel') };
    };
    expect((await phases(['harmless'])).made).toBe(false);
    const module = await phases(['module']);
    expect((await initramfs(module.commit)).split('\n')).toContain('updates');
    const settings = await phases(['disk-tool']);
    expect(await initramfs(settings.commit)).toContain('disk');
  });
});

describe('what packages have in /boot and /media', () => {
  it('stays with the tree, where dpkg finds it again', async () => {
    const { composer, repo } = fixture;
    const first = await layer({ install: ['elsewhere'] });
    const { commit } = await composer.layer({
      base: first.commit,
      install: ['harmless'],
      refresh: false,
    });
    expect(await repo.list(commit, '/boot')).toEqual([]);
    expect((await repo.stat(commit, '/media')).target).toBe('run/media');
    expect(await text(commit, '/usr/lib/sysimage/boot/extra/file')).toBe('boot');
    expect(await text(commit, '/usr/lib/sysimage/media/disc/file')).toBe('media');
    await composer.layer({ base: commit, remove: ['elsewhere'], refresh: false });
  });
});
