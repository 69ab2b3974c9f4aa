/**
 * A composed and layered tree boots: real packages, libostree's own deployment, a virtual machine
 * in software emulation. What the layered package's unit prints proves that all of it works.
 */

import { spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import {
  Composer,
  hostRelease,
  parseSources,
  readSources,
  Sysroot,
  sourcesForRelease,
} from 'apt-ostree';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AptRepository, createAptRepository } from '../support/apt-repository.js';
import { run } from '../support/run.js';
import { type TemporaryDirectory, temporaryDirectory } from '../support/temp.js';

const kPrefix = 'boot-probe:';
const kDeadline = 240_000;

/** Prints facts about the running system to the console, then powers off. */
const kProbe = `#!/bin/sh
say() { echo "${kPrefix} $*" > /dev/console; }
say "deployment $(test -e /run/ostree-booted && echo yes)"
say "package $(dpkg-query -W -f='\${Status}' boot-probe)"
say "database $(readlink -f /var/lib/dpkg)"
say "usr $(touch /usr/probe 2>/dev/null && echo writable || echo read-only)"
say "etc $(touch /etc/probe && echo writable)"
say "state $(cat /var/lib/boot-probe/state)"
say "failed $(systemctl list-units --failed --plain --no-legend | cut -d' ' -f1 | tr '\\n' ' ')"
say end
systemctl poweroff --force --force
`;

const kUnit = `[Unit]
Description=Boot probe
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/usr/lib/boot-probe/probe
[Install]
WantedBy=multi-user.target
`;

describe('a machine', () => {
  let archive: AptRepository;
  let directory: TemporaryDirectory;

  beforeAll(async () => {
    directory = await temporaryDirectory('boot');
    archive = await createAptRepository({
      packages: [
        {
          name: 'boot-probe',
          files: {
            '/usr/lib/boot-probe/probe': { content: kProbe, mode: 0o755 },
            '/lib/systemd/system/boot-probe.service': kUnit,
            '/var/lib/boot-probe/state': 'from the package',
          },
          scripts: { postinst: 'systemctl enable boot-probe.service' },
        },
      ],
    });
  });

  afterAll(async () => {
    await archive?.stop();
    await directory?.remove();
  });

  it('boots what was composed and layered', { timeout: 600_000 }, async () => {
    const root = directory.join('sysroot');
    await using sysroot = await Sysroot.initialize(root);
    await sysroot.initStateroot('debian');
    await using repo = await sysroot.repo();
    const composer = new Composer({
      repo,
      sources: [
        ...sourcesForRelease(readSources(), hostRelease() ?? ''),
        ...parseSources(archive.source),
      ],
    });
    const base = await composer.compose({
      packages: [
        ...['linux-image-cloud-amd64', 'initramfs-tools', 'ostree-boot', 'systemd-sysv'],
        ...['udev', 'dbus', 'kmod'],
      ],
    });
    const layered = await composer.layer({ base: base.commit, install: ['boot-probe'] });
    await sysroot.deploy({
      stateroot: 'debian',
      rev: layered.commit,
      kernelArguments: [
        'root=LABEL=root',
        'rw',
        'console=ttyS0',
        'quiet',
        'panic=1',
        'mitigations=off',
      ],
    });
    const image = directory.join('disk');
    await run('truncate', ['-s', '3G', image]);
    await run('mke2fs', ['-q', '-t', 'ext4', '-L', 'root', '-d', root, image]);
    const console = await boot(image, root);
    expect(facts(console)).toEqual({
      deployment: 'yes',
      package: 'install ok installed',
      database: expect.stringMatching(/\/usr\/lib\/sysimage\/dpkg$/),
      usr: 'read-only',
      etc: 'writable',
      state: 'from the package',
      failed: '',
      end: '',
    });
  });
});

function facts(console: string): Record<string, string> {
  const lines = console.split('\n').filter((line) => line.includes(kPrefix));
  return Object.fromEntries(
    lines.map((line) => {
      const [name = '', ...rest] = line
        .slice(line.indexOf(kPrefix) + kPrefix.length)
        .trim()
        .split(' ');
      return [name, rest.join(' ')];
    }),
  );
}

/** Boots as libostree's boot loader entry says; gives the console's text when the machine is off. */
async function boot(image: string, sysroot: string): Promise<string> {
  const entries = path.join(sysroot, 'boot/loader/entries');
  const [name = ''] = await readdir(entries);
  const entry = await readFile(path.join(entries, name), 'utf8');
  const field = (key: string) => new RegExp(`^${key} (.*)$`, 'm').exec(entry)?.[1] ?? '';
  const child = spawn('qemu-system-x86_64', [
    ...['-nodefaults', '-no-reboot', '-display', 'none', '-m', '1024', '-smp', '2'],
    ...['-M', 'pc', '-cpu', 'qemu64,-svm', '-accel', 'tcg,thread=multi,tb-size=512'],
    ...['-kernel', path.join(sysroot, 'boot', field('linux'))],
    ...['-initrd', path.join(sysroot, 'boot', field('initrd'))],
    ...['-append', field('options')],
    ...['-drive', `file=${image},if=none,id=d0,format=raw,cache=unsafe`],
    ...['-device', 'nvme,drive=d0,serial=root', '-serial', 'stdio'],
  ]);
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), kDeadline);
  await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  clearTimeout(timer);
  if (!text.includes(`${kPrefix} end`)) throw new Error(`The machine did not come up:\n${text}`);
  return text;
}
