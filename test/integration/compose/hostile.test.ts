/** Maintainer scripts that mean harm, and the record of what scripts did. */

import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import type { ComposeEvent, ComposeResult } from 'apt-ostree';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type ComposeFixture,
  composeFixture,
  expectSound,
  processesWith,
  refsOf,
} from '../../support/compose.js';
import { removeTree, temporaryDirectory } from '../../support/temp.js';

const host = await temporaryDirectory('host');
const server = createServer((socket) => socket.end('reached'));
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const { port } = server.address() as AddressInfo;

/** In the environment of this process. */
const kHostMark = 'APT_OSTREE_HOST_MARK';
process.env[kHostMark] = 'yes';

/** Each line becomes `name: yes` where the harm was done. */
const kAttempts: Readonly<Record<string, string>> = {
  network: `exec 9<>/dev/tcp/127.0.0.1/${port}`,
  'host files': `cat ${host.path}/secret`,
  'host files by proc': `cat /proc/1/root${host.path}/secret`,
  sysctl: 'echo 1 > /proc/sys/vm/drop_caches',
  sysrq: 'echo h > /proc/sysrq-trigger',
  'core pattern': 'echo "|/tmp/x" > /proc/sys/kernel/core_pattern',
  'block device': 'mknod /var/lib/disk b 254 0 && head -c 1 /var/lib/disk',
  'block device in tmp': 'mknod /tmp/disk b 254 0 && head -c 1 /tmp/disk',
  'block device in dev': 'mknod /dev/disk0 b 254 0 && head -c 1 /dev/disk0',
  'memory device': 'mknod /run/mem c 1 1 && head -c 1 /run/mem',
  'kernel log': 'mknod /run/kmsg c 1 11 && echo x > /run/kmsg',
  'other processes': `cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -q ^${kHostMark}=`,
  'loop device': 'mknod /dev/loop9 b 7 9',
  'set-user-id': 'attempts-chroot --userspec=33:33 / /usr/bin/attempts-suid -u | grep -qx 0',
};

/** The same commands where they must work: else a `no` above means nothing. */
const kControls: Readonly<Record<string, string>> = {
  'own files': 'cat /etc/os-release',
  'own processes': "cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -q ^DPKG_MAINTSCRIPT_NAME=",
  'own pipe': 'mknod /run/own p && rm /run/own',
  'other user': 'attempts-chroot --userspec=33:33 / /usr/bin/attempts-suid -u | grep -qx 33',
  'set-user-id bit': '[ -u /usr/bin/attempts-suid ]',
};

/** What a script may put in the place of /etc/group, and what a reader would make of it. */
const kNoFiles: Readonly<Record<string, string>> = {
  piped: 'mknod /etc/group p',
  linked: `ln -s ${host.path}/secret /etc/group`,
  'a-directory': 'mkdir /etc/group',
};

let fixture: ComposeFixture;

beforeAll(async () => {
  await writeFile(host.join('secret'), 'secret');
  const attempts = Object.entries({ ...kAttempts, ...kControls }).map(
    ([name, command]) =>
      `if (${command}) >/dev/null 2>&1; then echo "${name}: yes"; else echo "${name}: no"; fi`,
  );
  fixture = await composeFixture(
    [
      {
        name: 'victim',
        files: { '/usr/share/victim/data': 'untouched\n', '/usr/bin/victim': 'v' },
      },
      {
        name: 'attempts',
        files: {
          '/usr/bin/attempts-chroot': { content: await readFile('/usr/sbin/chroot'), mode: 0o755 },
          // Tells its effective user.
          '/usr/bin/attempts-suid': { content: await readFile('/usr/bin/id'), mode: 0o4755 },
        },
        scripts: { postinst: `#!/bin/bash\n${attempts.join('\n')}\nrm -f /var/lib/disk\nexit 0\n` },
      },
      {
        name: 'scribbler',
        depends: 'victim',
        scripts: {
          postinst:
            'echo more >> /usr/share/victim/data; chmod 4777 /usr/share/victim/data; chown 33 /usr/bin/victim; : > /usr/bin/victim; echo x >> /etc/os-release; chmod 600 /usr/bin/env',
        },
      },
      {
        name: 'wiper',
        depends: 'victim',
        scripts: { postinst: 'rm -rf --no-preserve-root / || :' },
      },
      {
        name: 'bomb',
        scripts: { postinst: '#!/bin/bash\nbomb() { bomb | bomb & }\nbomb\nsleep 3600' },
      },
      { name: 'hang', scripts: { postinst: 'echo waiting; (setsid sleep 7201 &) ; sleep 7200' } },
      {
        name: 'eater',
        scripts: { postinst: '#!/bin/bash\nx=xxxxxxxxxxxxxxxx\nwhile :; do x=$x$x; done' },
      },
      {
        name: 'filler',
        scripts: {
          postinst:
            'i=0; while :; do i=$((i + 1)); head -c 8M /dev/zero > /var/lib/full.$i; sleep 0.05; done',
        },
      },
      {
        name: 'hider',
        scripts: {
          postinst:
            'exec 3> /var/lib/full; rm /var/lib/full; while head -c 8M /dev/zero >&3; do sleep 0.05; done',
        },
      },
      {
        name: 'daemon',
        scripts: {
          postinst:
            '(setsid sh -c "sleep 0.3; echo late > /etc/late" >/dev/null 2>&1 </dev/null &)',
        },
      },
      {
        name: 'talker',
        scripts: {
          preinst: 'echo before; sleep 0.2',
          postinst: 'echo now; sleep 0.3',
          prerm: 'echo "$1"',
        },
      },
      {
        name: 'liar',
        scripts: {
          postinst: "echo 'D020000: post_script_tasks - ensure_diversions'; sleep 7203",
        },
      },
      ...Object.entries(kNoFiles).map(([name, command]) => ({
        name,
        scripts: { postinst: `rm /etc/group; ${command}` },
      })),
      {
        name: 'litter',
        scripts: {
          postinst: 'mknod /etc/pipe p; mkdir -p /usr/local/share; mknod /usr/local/share/p p',
        },
      },
      { name: 'tidy', scripts: { postinst: 'chmod -R go-w /usr/sbin /usr/local' } },
      {
        name: 'maker',
        scripts: {
          postinst:
            'echo maker:x:987:987::/:/bin/false >> /etc/passwd; echo maker:x:987: >> /etc/group',
        },
      },
      { name: 'policy', scripts: { postinst: 'echo "exit 0" > /usr/sbin/policy-rc.d' } },
      { name: 'failing', scripts: { postinst: 'echo about to fail; exit 7' } },
    ],
    { unsound: /scribbler/ },
  );
});

afterAll(async () => {
  server.close();
  await fixture?.[Symbol.asyncDispose]();
  await host.remove();
});

function layer(name: string, more: object = {}): Promise<ComposeResult> {
  return fixture.composer.layer({ base: 'base', install: [name], refresh: false, ...more });
}

async function expectUnharmed(before: Record<string, string>): Promise<void> {
  expect(await refsOf(fixture.repo)).toEqual(before);
  expect(await readFile(host.join('secret'), 'utf8')).toBe('secret');
  await expectSound(fixture.repo);
}

describe('hostile scripts', () => {
  it('reach neither network, host files, devices, processes nor the kernel', async () => {
    const { record } = await layer('attempts');
    const output = record.scripts.find((call) => call.package === 'attempts')?.output ?? '';
    const expected = [
      ...Object.keys(kAttempts).map((name) => `${name}: no\n`),
      ...Object.keys(kControls).map((name) => `${name}: yes\n`),
    ];
    expect(output.replace(/^.*setlocale.*\n/gm, '')).toBe(expected.join(''));
  });

  it('change packaged files for themselves alone', async () => {
    const { commit } = await layer('scribbler');
    const { commit: clean } = await layer('victim');
    const { repo } = fixture;
    expect((await repo.readFile(commit, '/usr/share/victim/data')).toString()).toBe(
      'untouched\nmore\n',
    );
    expect((await repo.readFile(clean, '/usr/share/victim/data')).toString()).toBe('untouched\n');
    expect((await repo.stat(clean, '/usr/bin/env')).mode & 0o7777).toBe(0o755);
    await expectSound(repo);
  });

  it('remove what they see and nothing else', async () => {
    const before = await refsOf(fixture.repo);
    await expect(layer('wiper')).rejects.toMatchObject({ name: 'ComposeError' });
    await expectUnharmed(before);
    // The base that compositions share is whole.
    await layer('victim');
  });

  it('that fork without end are stopped at the limit', async () => {
    const before = await refsOf(fixture.repo);
    const start = performance.now();
    await expect(layer('bomb', { limits: { processes: 60 } })).rejects.toMatchObject({
      name: 'ComposeError',
      code: 'ERR_SANDBOX_LIMIT',
      limit: 'processes',
      package: 'bomb',
      script: 'postinst',
    });
    expect(performance.now() - start).toBeLessThan(20_000);
    await expectUnharmed(before);
  });

  it('that hang are killed with all they started', async () => {
    const before = await refsOf(fixture.repo);
    await expect(layer('hang', { limits: { seconds: 0.7 } })).rejects.toMatchObject({
      code: 'ERR_SANDBOX_LIMIT',
      limit: 'seconds',
      package: 'hang',
      script: 'postinst',
      output: 'waiting\n',
    });
    expect(await processesWith('sleep 720')).toBe(0);
    await expectUnharmed(before);
  });

  it('that eat memory are stopped at the limit', async () => {
    const before = await refsOf(fixture.repo);
    await expect(layer('eater', { limits: { memory: 256 << 20 } })).rejects.toMatchObject({
      code: 'ERR_SANDBOX_LIMIT',
      limit: 'memory',
      package: 'eater',
    });
    await expectUnharmed(before);
  });

  it('that fill the disk are stopped at the limit', async () => {
    const before = await refsOf(fixture.repo);
    // Also where the file has no name any more.
    for (const name of ['filler', 'hider']) {
      await expect(layer(name, { limits: { storage: 64 << 20 } })).rejects.toMatchObject({
        code: 'ERR_SANDBOX_LIMIT',
        limit: 'storage',
        package: name,
        script: 'postinst',
      });
      await expectUnharmed(before);
    }
    const { commit } = await layer('daemon', { limits: { storage: 64 << 20 } });
    expect(commit).toMatch(/^[0-9a-f]{64}$/);
  });

  it('leave their scratch space where it is asked for', async () => {
    const kept: (string | undefined)[] = [];
    const { record } = await layer('daemon', { keepWork: true });
    kept.push(record.workDirectory);
    await layer('bomb', { keepWork: true, limits: { processes: 100 } }).catch((error) =>
      kept.push(error.record.workDirectory),
    );
    expect(kept).toHaveLength(2);
    for (const directory of kept) {
      if (directory === undefined) throw new Error('nothing was kept');
      // The next composition does not take it for abandoned.
      await layer('daemon');
      expect((await readdir(directory)).length).toBeGreaterThan(0);
      await removeTree(directory);
    }
  });

  it('leave no process that writes later', async () => {
    const { commit } = await layer('daemon');
    await expect(fixture.repo.stat(commit, '/usr/etc/late')).rejects.toMatchObject({
      code: 'ENOENT',
    });
    expect(existsSync('/etc/late')).toBe(false);
  });

  it('that forge what dpkg prints are killed all the same', async () => {
    const before = await refsOf(fixture.repo);
    await expect(layer('liar', { limits: { seconds: 1 } })).rejects.toMatchObject({
      code: 'ERR_SANDBOX_LIMIT',
      limit: 'seconds',
      package: 'liar',
      script: 'postinst',
    });
    expect(await processesWith('sleep 7203')).toBe(0);
    await expectUnharmed(before);
  });

  it.each(Object.keys(kNoFiles))("that put something else in a file's place: %s", async (name) => {
    const before = await refsOf(fixture.repo);
    await expect(layer(name)).rejects.toMatchObject({
      code: 'ERR_COMPOSE_LAYOUT',
      path: '/etc/group',
    });
    await expectUnharmed(before);
  });

  it('leave pipes behind, which no tree holds', async () => {
    const warnings: string[] = [];
    const { commit } = await layer('litter', {
      onEvent: (event: ComposeEvent) => {
        if (event.type === 'warning') warnings.push(event.message);
      },
    });
    expect(warnings.sort()).toEqual([
      expect.stringContaining('/etc/pipe'),
      expect.stringContaining('/usr/local/share/p'),
    ]);
    await expect(fixture.repo.stat(commit, '/usr/etc/pipe')).rejects.toMatchObject({
      code: 'ENOENT',
    });
  });

  it('touch the scaffolding below the tree, which stays out of it', async () => {
    const { repo } = fixture;
    const { commit: older } = await layer('maker');
    const { commit } = await layer('tidy', { idsFrom: older });
    const names = (await repo.list(commit, '/usr', { recursive: true })).map((entry) => entry.path);
    expect(names).not.toContain('/usr/sbin/policy-rc.d');
    expect(names.filter((name) => /usrlocal.*(adduser|useradd|apt-ostree)/.test(name))).toEqual([]);
    const { commit: own } = await layer('policy');
    expect((await repo.readFile(own, '/usr/sbin/policy-rc.d')).toString()).toBe('exit 0\n');
  });

  it('limits must make sense', async () => {
    await expect(layer('victim', { limits: { processes: -1 } })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
    });
  });
});

describe('the record', () => {
  it('has every script with its time, status and output', async () => {
    const events: ComposeEvent[] = [];
    const { commit, record } = await layer('talker', {
      onEvent: (event: ComposeEvent) => events.push(event),
    });
    expect(record.scripts).toMatchObject([
      { package: 'talker', script: 'preinst', arguments: ['install'], output: 'before\n' },
      { package: 'talker', script: 'postinst', arguments: ['configure', ''], output: 'now\n' },
    ]);
    const [preinst, postinst] = record.scripts;
    expect(preinst?.seconds).toBeGreaterThan(0.19);
    expect(postinst?.seconds).toBeGreaterThan(0.29);
    const types = events.map(({ type }) => type).filter((type) => type.startsWith('script'));
    expect(types).toEqual(['script-start', 'script', 'script-start', 'script']);
    const time = record.packages.find((entry) => entry.package === 'talker');
    expect(time?.scripts).toBeGreaterThan(0.49);
    expect(time?.total).toBeGreaterThanOrEqual(time?.configure ?? 0);
    expect(record.log).toContain('Setting up talker (1.0)');
    expect(record.log).not.toContain('D0');

    const removed = await fixture.composer.layer({
      base: commit,
      remove: ['talker'],
      refresh: false,
    });
    expect(removed.record.scripts).toMatchObject([
      { package: 'talker', script: 'prerm', arguments: ['remove'], output: 'remove\n' },
    ]);
  });

  it('has the scripts of a tree from nothing', async () => {
    const { record } = await fixture.composer.compose({ refresh: false, force: true });
    const calls = record.scripts.map((call) => `${call.package} ${call.script}`);
    expect(calls).toEqual(
      expect.arrayContaining(['base-files preinst', 'base-system preinst', 'base-system postinst']),
    );
    expect(record.scripts.every(({ exitCode }) => exitCode === 0)).toBe(true);
  });

  it('tells how a script failed', async () => {
    const events: ComposeEvent[] = [];
    await expect(
      layer('failing', { onEvent: (event: ComposeEvent) => events.push(event) }),
    ).rejects.toMatchObject({
      code: 'ERR_COMPOSE_SCRIPT',
      package: 'failing',
      script: 'postinst',
      record: {
        scripts: [{ package: 'failing', exitCode: 7, output: 'about to fail\n' }],
        log: expect.stringContaining('about to fail'),
      },
    });
    expect(events.find((event) => event.type === 'script')).toMatchObject({
      package: 'failing',
      exitCode: 7,
      output: 'about to fail\n',
    });
  });
});
