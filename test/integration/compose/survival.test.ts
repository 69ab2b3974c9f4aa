/** Killed at any moment, run side by side, run elsewhere: the repository stays sound, results the same. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { Composer, packagesOf, Repo } from 'apt-ostree';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PackageSpec } from '../../support/apt-repository.js';
import { projectRoot, runModule } from '../../support/child.js';
import {
  type ComposeFixture,
  composeFixture,
  expectSound,
  processesWithMounts,
  refsOf,
  workDirectories,
} from '../../support/compose.js';
import { run } from '../../support/run.js';
import { temporaryDirectory } from '../../support/temp.js';

/** Another seed gives other moments; a failure tells the one that it had. */
const kSeed = Number(process.env.APT_OSTREE_TEST_SEED ?? 20_240_229);
const kPhases = ['resolve', 'download', 'import', 'assemble', 'unpack', 'configure', 'merge'];
/** A moment in each phase, and one more in the longest. */
const kMoments = [...kPhases, 'commit', 'configure'].map((phase, index) => ({ phase, index }));

function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const kNames = ['one', 'two', 'three', 'four'];

let fixture: ComposeFixture;
let repo: Repo;
let composer: Composer;

const numbered = (name: string): PackageSpec => ({
  name,
  files: { [`/usr/share/${name}`]: name.repeat(1000), [`/etc/${name}.conf`]: 'x\n' },
  conffiles: [`/etc/${name}.conf`],
  scripts: { preinst: 'sleep 0.05', postinst: `sleep 0.05; echo x > /var/lib/${name}` },
});

/** Everything else that a composer does, as the name of its method and the options. */
const kOperations = [
  ['composing a base', 'compose', { packages: ['one'], ref: 'killed' }],
  ['removing', 'layer', { base: 'more', remove: ['one'], ref: 'killed' }],
  ['replacing', 'layer', { base: 'more', replace: ['changed'], ref: 'killed' }],
  ['repeating on another base', 'relayer', { layered: 'layered', base: 'more', ref: 'killed' }],
  [
    'falling back to real packages',
    'layer',
    { base: 'base', install: ['impatient'], ref: 'killed' },
  ],
  [
    'making an initramfs',
    'layer',
    { base: 'base', install: ['initramfs-tools', 'linux-image-1'], ref: 'killed' },
  ],
] as const;

beforeAll(async () => {
  fixture = await composeFixture([
    { ...numbered('changed'), version: '1.0' },
    {
      name: 'tool',
      files: { '/usr/bin/tool': { content: '#!/bin/sh\necho tool\n', mode: 0o755 } },
    },
    { name: 'impatient', depends: 'tool', scripts: { preinst: 'tool > /etc/impatient || true' } },
    {
      name: 'initramfs-tools',
      files: {
        '/usr/sbin/mkinitramfs': { content: '#!/bin/sh\nsleep 0.2\nls > "$2"\n', mode: 0o755 },
      },
    },
    {
      name: 'linux-image-1',
      files: { '/boot/vmlinuz-1': 'kernel', '/usr/lib/modules/1/modules.dep': '' },
    },
    ...kMoments.map(({ index }) => numbered(`killed-${index}`)),
    ...kNames.map(numbered),
  ]);
  ({ repo, composer } = fixture);
  const layer = { base: 'base', refresh: false };
  await composer.layer({ ...layer, install: ['one', 'changed'], ref: 'more' });
  await composer.layer({ ...layer, install: ['two'], ref: 'layered' });
  await fixture.archive.addPackage({ ...numbered('changed'), version: '2.0' });
  await fixture.archive.publish();
  await composer.refresh();
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
});

describe('a process that is killed', () => {
  const kModule = `
    import { writeSync } from 'node:fs';
    import { Composer, Repo } from 'apt-ostree';
    const [path, sources, name] = process.argv.slice(1);
    const repo = await Repo.open(path);
    await new Promise((resolve) => process.stdin.once('data', resolve));
    const composer = new Composer({ repo, sources });
    const onEvent = ({ type, phase }) => { if (type === 'phase-start') writeSync(1, phase + '\\n'); };
    await composer.layer({ base: 'base', install: [name], ref: 'killed/' + name, refresh: false, onEvent });
    process.exit(0);
  `;
  const children: ChildProcess[] = [];

  /** Ready to begin; starting a process takes longer than composing. */
  function startChild(index: number): void {
    if (index >= kMoments.length) return;
    const args = [repo.path, fixture.archive.source, `killed-${index}`];
    children[index] = spawn(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '-e', kModule, '--', ...args],
      { cwd: projectRoot, stdio: ['pipe', 'pipe', 'inherit'] },
    );
  }

  beforeAll(() => startChild(0));
  afterAll(() => {
    for (const child of children) child.kill('SIGKILL');
  });

  it.each(kMoments)('in the phase $phase ($index)', async ({ phase, index }) => {
    startChild(index + 1);
    const random = randomNumbers(kSeed + index);
    const before = await refsOf(repo);
    const child = children[index] as ChildProcess;
    const delay = random() * (phase === 'configure' || phase === 'unpack' ? 150 : 15);
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      if (line === phase) setTimeout(() => child.kill('SIGKILL'), delay);
    });
    child.stdin?.write('go\n');
    const [code, signal] = await once(child, 'close');
    const moment = `seed ${kSeed}, ${delay.toFixed(1)} ms into ${phase}`;

    const after = await refsOf(repo);
    if (signal === 'SIGKILL') {
      // In the last milliseconds the commit may have been complete already.
      delete after[`killed/killed-${index}`];
      expect(after, moment).toEqual(before);
    } else {
      expect(code, moment).toBe(0);
    }
    await run('ostree', [`--repo=${repo.path}`, 'fsck', '-q']);
    await expect
      .poll(() => processesWithMounts(repo.path), { message: moment, timeout: 10_000 })
      .toEqual([]);

    await composer.layer({ base: 'base', install: [`killed-${index}`], refresh: false });
    expect(await workDirectories(repo), moment).toEqual([]);
    await expectSound(repo);
  });
});

describe('a process that is killed at any moment of', () => {
  const kModule = `
    import { Composer, Repo } from 'apt-ostree';
    const [path, sources, method, options] = process.argv.slice(1);
    const composer = new Composer({ repo: await Repo.open(path), sources });
    await new Promise((resolve) => process.stdin.once('data', resolve));
    await composer[method]({ ...JSON.parse(options), refresh: false, force: true });
    process.exit(0);
  `;

  async function runChild(method: string, options: object, limit = 120_000): Promise<number> {
    const args = [repo.path, fixture.archive.source, method, JSON.stringify(options)];
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '-e', kModule, '--', ...args],
      { cwd: projectRoot, stdio: ['pipe', 'inherit', 'inherit'] },
    );
    // What is written before it reads is kept in the pipe, and its start would count too.
    await new Promise((resolve) => setTimeout(resolve, 700));
    const begin = performance.now();
    child.stdin.write('go\n');
    const timer = setTimeout(() => child.kill('SIGKILL'), limit);
    const [code, signal] = await once(child, 'close');
    clearTimeout(timer);
    if (signal !== 'SIGKILL') expect(code).toBe(0);
    return performance.now() - begin;
  }

  it.each(kOperations)(
    '%s',
    async (name, method, options) => {
      const whole = await runChild(method, options);
      const random = randomNumbers(kSeed);
      const wanted = await repo.resolveRev('killed');
      await repo.setRef('killed', null);
      const before = await refsOf(repo);
      for (let round = 0; round < 3; round++) {
        const delay = ((round + random()) / 3) * whole;
        const moment = `${name}: seed ${kSeed}, ${delay.toFixed(0)} of ${whole.toFixed(0)} ms`;
        await runChild(method, options, delay);
        const { killed, ...after } = await refsOf(repo);
        expect(after, moment).toEqual(before);
        if (killed !== undefined) await repo.setRef('killed', null);
        await run('ostree', [`--repo=${repo.path}`, 'fsck', '-q']);
        await expect
          .poll(() => processesWithMounts(repo.path), { message: moment, timeout: 10_000 })
          .toEqual([]);
      }
      await runChild(method, options);
      const packages = async (rev: string) => (await packagesOf(repo, rev)).map(({ name: n }) => n);
      expect(await packages('killed')).toEqual(await packages(wanted));
      await repo.setRef('killed', null);
      await expectSound(repo);
    },
    120_000,
  );
});

describe('compositions side by side', () => {
  it('share a repository object', async () => {
    const timestamp = new Date(1_700_000_000_000);
    const layer = (name: string) =>
      composer.layer({
        base: 'base',
        install: [name],
        ref: `same/${name}`,
        refresh: false,
        timestamp,
        force: true,
      });
    const results = await Promise.all(kNames.map(layer));
    for (const [index, name] of kNames.entries()) {
      expect(await repo.resolveRev(`same/${name}`)).toBe(results[index]?.commit);
      const file = await repo.readFile(`same/${name}`, `/usr/share/${name}`);
      expect(file.toString()).toBe(name.repeat(1000));
      // One alone gives the same.
      expect((await layer(name)).commit).toBe(results[index]?.commit);
    }
    await expectSound(repo);
  });

  it('work beside a transaction of the caller', async () => {
    await repo.transaction(async () => {
      await composer.layer({ base: 'base', install: ['one'], ref: 'beside', refresh: false });
    });
    expect(await repo.resolveRev('beside')).toMatch(/^[0-9a-f]{64}$/);
  });

  it('have repository objects of their own', async () => {
    const results = kNames.map(async (name) => {
      await using own = await Repo.open(repo.path);
      const other = new Composer({ repo: own, sources: fixture.archive.source });
      return await other.layer({
        base: 'base',
        install: [name],
        ref: `own/${name}`,
        refresh: false,
        force: true,
      });
    });
    for (const { commit } of await Promise.all(results)) expect(commit).toMatch(/^[0-9a-f]{64}$/);
    await expectSound(repo);
  });

  it('are in processes of their own', async () => {
    const source = `
      import { Composer, Repo } from 'apt-ostree';
      const [path, sources, name] = process.argv.slice(1);
      const composer = new Composer({ repo: await Repo.open(path), sources });
      await composer.layer({ base: 'base', install: [name], ref: 'process/' + name, force: true });
    `;
    const children = await Promise.all(
      kNames.map((name) => runModule(source, { args: [repo.path, fixture.archive.source, name] })),
    );
    expect(children.map(({ status, stderr }) => ({ status, stderr }))).toEqual(
      kNames.map(() => ({ status: 0, stderr: '' })),
    );
    await expectSound(repo);
  });
});

describe('the same input', () => {
  const timestamp = new Date(1_700_000_000_000);
  let expected: { base: string; layered: string };

  async function composeTwice(target: Repo) {
    const other = new Composer({ repo: target, sources: fixture.archive.source });
    const base = await other.compose({ timestamp });
    const layered = await other.layer({ base: base.commit, install: ['one', 'two'], timestamp });
    return { base: base.commit, layered: layered.commit };
  }

  beforeAll(async () => {
    expected = await composeTwice(repo);
  });

  it('gives the same commits in another repository', async () => {
    await using directory = await temporaryDirectory('again');
    await using other = await Repo.create(directory.join('repo'), 'bare');
    expect(await composeTwice(other)).toEqual(expected);
  });

  it('gives the same commits whatever umask, directory and environment the process has', async () => {
    await using directory = await temporaryDirectory('odd');
    await mkdir(directory.join('cwd'));
    const source = `
      import { Composer, Repo } from 'apt-ostree';
      const [cwd, sources, seconds] = process.argv.slice(1);
      process.umask(0o077);
      process.chdir(cwd);
      delete process.env.TMPDIR;
      process.env.LC_ALL = 'de_DE.UTF-8';
      process.env.DPKG_ROOT = '/nowhere';
      const repo = await Repo.create('../repo', 'bare');
      const composer = new Composer({ repo, sources });
      const timestamp = new Date(Number(seconds) * 1000);
      const base = await composer.compose({ timestamp });
      const layered = await composer.layer({ base: base.commit, install: ['one', 'two'], timestamp });
      console.log(JSON.stringify({ base: base.commit, layered: layered.commit }));
    `;
    const child = await runModule(source, {
      args: [directory.join('cwd'), fixture.archive.source, String(timestamp.getTime() / 1000)],
    });
    expect(child.stderr).toBe('');
    const result = JSON.parse(child.stdout);
    if (result.base !== expected.base) {
      const diff = await run('ostree', [
        ...[`--repo=${directory.join('repo')}`, 'ls', '-RC', result.base],
      ]);
      const here = await run('ostree', [`--repo=${repo.path}`, 'ls', '-RC', expected.base]);
      const known = new Set(here.stdout.split('\n'));
      expect(diff.stdout.split('\n').filter((line) => !known.has(line))).toEqual([]);
    }
    expect(result).toEqual(expected);
  });
});
