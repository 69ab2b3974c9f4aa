/** The package as npm would publish it. */

import { mkdir, symlink } from 'node:fs/promises';
import path from 'node:path';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { describe, expect, test } from 'vitest';
import { projectRoot } from '../support/child.js';
import { run } from '../support/run.js';
import { temporaryDirectory } from '../support/temp.js';

test('publint has nothing to say', async () => {
  const { messages, pkg } = await publint({ pkgDir: projectRoot, strict: true });
  expect(messages.map((message) => formatMessage(message, pkg, { color: false }))).toEqual([]);
});

test('types resolve for every kind of import, and the tarball has what a build needs', async () => {
  await using temporary = await temporaryDirectory('pack');
  const packed = await run('npm', ['pack', '--json', '--pack-destination', temporary.path], {
    cwd: projectRoot,
  });
  const [{ filename, files }] = JSON.parse(packed.stdout);
  const names: string[] = files.map((file: { path: string }) => file.path);
  for (const name of ['LICENSE', 'binding.gyp', 'native/sources.gypi', 'native/addon.cc']) {
    expect(names).toContain(name);
  }
  expect(names.filter((name) => /^(test|bench|examples|build|\.ci)\b/.test(name))).toEqual([]);
  const attw = path.join(projectRoot, 'node_modules/.bin/attw');
  const checked = await run(attw, [temporary.join(filename), '--no-emoji', '--profile', 'node16'], {
    anyStatus: true,
    env: { FORCE_COLOR: '0' },
  });
  expect(checked.status, checked.stdout).toBe(0);
});

/** Runs `source` in a directory where `apt-ostree` is installed as published. */
async function asUser(source: string, program = process.execPath, args: string[] = []) {
  await using temporary = await temporaryDirectory('user');
  await mkdir(temporary.join('node_modules'));
  await symlink(projectRoot, temporary.join('node_modules/apt-ostree'));
  return await run(program, [...args, '--input-type=module', '-e', source], {
    cwd: temporary.path,
    timeout: 60_000,
  });
}

describe('installed', () => {
  test('the ESM and the CommonJS build share one addon and know each other’s errors', async () => {
    const { stdout } = await asUser(`
      import { createRequire } from 'node:module';
      import * as esm from 'apt-ostree';
      const cjs = createRequire(import.meta.url)('apt-ostree');
      const key = Symbol.for('apt-ostree.binding');
      const before = globalThis[key];
      const first = await esm.Repo.open('/nowhere').catch((error) => error);
      const shared = globalThis[key];
      const second = await cjs.Repo.open('/nowhere').catch((error) => error);
      console.log(JSON.stringify([
        before === undefined,
        shared !== undefined && shared === globalThis[key],
        esm.Repo !== cjs.Repo,
        first instanceof cjs.OstreeError && second instanceof esm.OstreeError,
        second instanceof esm.AptError,
        second.code,
      ]));`);
    expect(JSON.parse(stdout)).toEqual([true, true, true, true, false, 'ENOENT']);
  });

  test('subpaths give the same names as the main entry', async () => {
    const { stdout } = await asUser(`
      const all = await import('apt-ostree');
      const parts = [await import('apt-ostree/ostree'), await import('apt-ostree/apt')];
      const lost = parts.flatMap((part) => Object.keys(part)).filter((name) => !(name in all));
      console.log(JSON.stringify(lost));`);
    expect(JSON.parse(stdout)).toEqual([]);
  });

  test('importing changes nothing and reads nothing of the system', async () => {
    const source = `
      const state = () => JSON.stringify([process.umask(), process.cwd(), process.env.LC_ALL]);
      const before = state();
      process.stderr.write('');
      const { statSync } = await import('node:fs');
      statSync('/', { throwIfNoEntry: false });
      try { statSync('/marker-before-import'); } catch {}
      await import('apt-ostree');
      try { statSync('/marker-after-import'); } catch {}
      console.log(before === state());`;
    const traced = await asUser(source, 'strace', [
      ...['-f', '-e', 'trace=file,umask,socket,mount,unshare,execve', process.execPath],
    ]);
    expect(traced.stdout).toBe('true\n');
    const lines = traced.stderr.split('\n');
    const position = (marker: string) => lines.findIndex((line) => line.includes(marker));
    const during = lines.slice(position('/marker-before'), position('/marker-after'));
    expect(position('/marker-after')).toBeGreaterThan(position('/marker-before'));
    expect(during.length).toBeGreaterThan(3);
    const foreign = during.filter(
      (line) =>
        /\/etc\/|\/var\/lib|\/ostree\b(?!.*node_modules)|\.node"/.test(line) &&
        !line.includes(projectRoot),
    );
    expect(foreign).toEqual([]);
    expect(during.filter((line) => /\b(umask|socket|mount|unshare|execve)\(/.test(line))).toEqual(
      [],
    );
  });
});
