/** The loader, in copies of the package with one or another binary in place. */

import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { projectRoot } from '../support/child.js';
import { type RunOptions, run } from '../support/run.js';
import { type TemporaryDirectory, temporaryDirectory } from '../support/temp.js';

const built = path.join(projectRoot, 'build/Release/apt_ostree.node');
const prebuilds = `prebuilds/${process.platform}-${process.arch}`;

/** The published files without any binary. */
async function packageCopy(): Promise<TemporaryDirectory> {
  const copy = await temporaryDirectory('loader');
  await cp(path.join(projectRoot, 'dist'), copy.join('dist'), { recursive: true });
  await cp(path.join(projectRoot, 'binding.gyp'), copy.join('binding.gyp'));
  await writeFile(copy.join('package.json'), '{"type":"module"}');
  await mkdir(copy.join(prebuilds), { recursive: true });
  return copy;
}

/** Loads the addon and reports what dlopen was asked for, or the error. */
const kProbe = `
  const calls = [];
  const real = process.dlopen;
  process.dlopen = (module, file, flags) => {
    calls.push({ file, deepbind: (flags & 8) !== 0 });
    const failure = process.env.PROBE_FAILURE;
    if (failure) throw Object.assign(new Error(failure), { code: 'ERR_DLOPEN_FAILED' });
    return real(module, file, flags);
  };
  const { Repo } = await import(process.argv[1]);
  const { code, message, cause } = await Repo.open('/nowhere').catch((error) => error);
  console.log(JSON.stringify({ calls, code, message, causes: cause?.errors?.length }));`;

interface Report {
  calls: { file: string; deepbind: boolean }[];
  code: string;
  message: string;
  causes?: number;
}

async function probe(root: string, options: RunOptions & { execArgv?: string[] } = {}) {
  const { execArgv = [], env, ...rest } = options;
  const entry = path.join(root, 'dist/index.js');
  const { stdout } = await run(
    process.execPath,
    [...execArgv, '--input-type=module', '-e', kProbe, '--', entry],
    { ...rest, env: { APT_OSTREE_BINDING: undefined, LD_PRELOAD: undefined, ...env } },
  );
  return JSON.parse(stdout) as Report;
}

describe('the loader', () => {
  test('with nothing to load says what it tried and how to repair it', async () => {
    await using copy = await packageCopy();
    const report = await probe(copy.path);
    expect(report.code).toBe('ERR_BINDING');
    expect(report.causes).toBe(4);
    for (const name of ['build/Release/apt_ostree.node', 'build/Debug/apt_ostree.node']) {
      expect(report.message).toContain(`${copy.join(name)}: not there`);
    }
    expect(report.message).toMatch(/apt-ostree\.apt7\.0\.glibc\.node: not there/);
    expect(report.message).toContain('apt-get install g++ make python3');
    expect(report.message).toContain(`cd ${copy.path} && npx --yes node-gyp rebuild`);
  });

  test('names a chosen file that does not load, and tries nothing else', async () => {
    const report = await probe(projectRoot, { env: { APT_OSTREE_BINDING: '/nowhere/x.node' } });
    expect(report).toMatchObject({ code: 'ERR_BINDING', causes: 1, calls: [] });
    expect(report.message).toContain('/nowhere/x.node: not there');
  });

  test('takes the chosen file', async () => {
    await using copy = await packageCopy();
    const report = await probe(copy.path, { env: { APT_OSTREE_BINDING: built } });
    expect(report).toMatchObject({ code: 'ENOENT', calls: [{ file: built }] });
  });

  test('takes the prebuild of the libapt-pkg that is there', async () => {
    await using copy = await packageCopy();
    const binary = await readFile(built);
    const [abi] = /libapt-pkg\.so\.(\d\.\d)/.exec(binary.toString('latin1'))?.slice(1) ?? [];
    expect(['6.0', '7.0']).toContain(abi);
    const other = abi === '6.0' ? '7.0' : '6.0';
    const name = (version: string) => copy.join(prebuilds, `apt-ostree.apt${version}.glibc.node`);
    await writeFile(name(abi as string), binary);
    // The same addon as if it had been linked to a libapt-pkg that this system has not.
    const foreign = binary.toString('latin1').replace(`libapt-pkg.so.${abi}`, 'libapt-pkg.so.9.9');
    await writeFile(name(other), foreign, 'latin1');
    const report = await probe(copy.path);
    expect(report.code).toBe('ENOENT');
    expect(report.calls.at(-1)).toMatchObject({ file: name(abi as string) });
  });

  test('names the package of a missing library', async () => {
    const text = 'libostree-1.so.1: cannot open shared object file: No such file or directory';
    const report = await probe(projectRoot, { env: { PROBE_FAILURE: text } });
    expect(report.code).toBe('ERR_BINDING');
    expect(report.message).toContain(text);
    expect(report.message).toContain('apt-get install libostree-1-1');
    expect(report.message).not.toContain('node-gyp');
  });

  test('with addons switched off says so', async () => {
    const report = await probe(projectRoot, { execArgv: ['--no-addons'] });
    expect(report.code).toBe('ERR_BINDING');
    expect(report.message).toContain('start node without --no-addons');
  });

  test.each([
    ['as a rule', {}, true],
    ['not when asked to', { APT_OSTREE_DLOPEN: 'now' }, false],
    ['not when a library is preloaded', { LD_PRELOAD: 'libm.so.6' }, false],
  ])('binds deeply %s', async (_when, env, deepbind) => {
    const report = await probe(projectRoot, { env });
    expect(report.code).toBe('ENOENT');
    expect(report.calls).toMatchObject([{ deepbind }]);
  });

  test('binding deeply keeps Node’s copies of libraries out of the system’s', async () => {
    const replaced = async (how: string | undefined) => {
      await using temporary = await temporaryDirectory('bindings');
      const debug = { LD_DEBUG: 'bindings', LD_DEBUG_OUTPUT: temporary.join('log') };
      await probe(projectRoot, { env: { ...debug, APT_OSTREE_DLOPEN: how } });
      const [log = ''] = await readdir(temporary.path);
      const text = await readFile(temporary.join(log), 'utf8');
      const toNode = /binding file \S+\.so\S* \[0\] to \S*node \[0\]: normal symbol `(\w+)'/g;
      return [...text.matchAll(toNode)]
        .map(([, symbol]) => symbol ?? '')
        .filter((symbol) => /^(SSL|EVP|X509|BIO|deflate|inflate|gz|crc32|nghttp2)/.test(symbol));
    };
    expect(await replaced(undefined)).toEqual([]);
    // The control: this is what happens otherwise.
    expect((await replaced('now')).length).toBeGreaterThan(100);
  });
});
