/** A root's own apt.conf: what it says counts as for its apt-get, and nothing of it runs. */

import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { AptContext, type AptContextOptions } from 'apt-ostree/apt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { changesOf, simulate } from '../../support/apt-get.js';
import { createAptRepository } from '../../support/apt-repository.js';
import {
  formatStanzas,
  installed,
  record,
  type Stanza,
  writeFlatArchive,
} from '../../support/apt-universe.js';
import { createProxy } from '../../support/proxy.js';
import { run } from '../../support/run.js';
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temp.js';

const kArchive: Stanza[] = [
  record('app', '1', { Depends: 'library', Recommends: 'extra', Suggests: 'nicety' }),
  record('library', '1'),
  record('extra', '1'),
  record('nicety', '1'),
];

const kStatus: Stanza[] = [
  installed(record('kept-module', '1')),
  installed(record('leftover', '1')),
];

let work: TemporaryDirectory;
let sources: string;
let status: string;
let states: string;
let count = 0;

beforeAll(async () => {
  work = await temporaryDirectory('root-config');
  sources = await writeFlatArchive(work.join('archive'), kArchive);
  status = work.join('status');
  states = work.join('states');
  await writeFile(status, formatStanzas(kStatus));
  const auto = (name: string) => `Package: ${name}\nArchitecture: amd64\nAuto-Installed: 1\n\n`;
  await writeFile(states, auto('kept-module') + auto('leftover'));
});

afterAll(() => work.remove());

/** A root with these files below etc/apt. */
async function root(files: Record<string, string>): Promise<string> {
  const path = work.join(`root-${++count}`);
  await mkdir(`${path}/etc/apt/apt.conf.d`, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    await writeFile(`${path}/etc/apt/${name}`, text);
  }
  return path;
}

function create(options: Partial<AptContextOptions> = {}): Promise<AptContext> {
  return AptContext.create({
    directory: work.join(`state-${++count}`),
    architecture: 'amd64',
    sources,
    dpkgStatus: status,
    extendedStates: states,
    ...options,
  });
}

async function changes(context: AptContext): Promise<string[]> {
  await context.update();
  await using cache = await context.open();
  return changesOf(await cache.solve({ install: ['app'], autoremove: true }));
}

describe('plans are those of the root', () => {
  const configs: Record<string, Record<string, string>> = {
    none: {},
    'no recommends': { 'apt.conf': 'APT::Install-Recommends "false";' },
    suggests: { 'apt.conf.d/10suggests': 'APT { Install-Suggests "true"; };' },
    'packages to keep': { 'apt.conf.d/01auto.conf': 'APT::NeverAutoRemove { "^kept-"; };' },
    'the last file': {
      'apt.conf.d/10yes': 'APT::Install-Recommends "true";',
      'apt.conf.d/20no': 'APT::Install-Recommends "false"; APT::NeverAutoRemove { "left"; };',
      'apt.conf.d/30ignored.bak': 'APT::Install-Recommends "true";',
      'apt.conf': '#clear APT::NeverAutoRemove;',
    },
  };
  test.each(Object.keys(configs))('%s', async (name) => {
    const path = await root(configs[name] ?? {});
    await using context = await create({ root: path, rootConfig: true });
    expect(context.ignoredConfig).toEqual([]);
    const ours = await changes(context);
    const theirs = await simulate(context.directory, ['install', '--auto-remove', 'app'], {
      status,
      extendedStates: states,
      architectures: ['amd64'],
      config: {
        'Dir::Etc::main': `${path}/etc/apt/apt.conf`,
        'Dir::Etc::parts': `${path}/etc/apt/apt.conf.d`,
      },
    });
    expect(theirs).toMatchObject({ ok: true, changes: ours });
  });

  test('but for what the caller says', async () => {
    const path = await root({ 'apt.conf': 'APT::Install-Recommends "false";' });
    await using context = await create({ root: path, rootConfig: true, recommends: true });
    expect(await changes(context)).toContain('+extra=1');
    await using other = await create({
      root: path,
      rootConfig: true,
      config: { 'APT::Install-Recommends': 'true', 'APT::NeverAutoRemove': ['^kept-', '^left'] },
    });
    expect(await changes(other)).toEqual(['+app=1', '+extra=1', '+library=1']);
  });

  test('and without being asked for it, nothing of it', async () => {
    const path = await root({ 'apt.conf': 'APT::Install-Recommends "false";' });
    await using context = await create({ root: path });
    expect(await changes(context)).toContain('+extra=1');
  });
});

test('downloads go the way that the root has it', async () => {
  await using archive = await createAptRepository({ packages: [{ name: 'alpha' }] });
  await using proxy = await createProxy();
  const path = await root({ 'apt.conf': `Acquire { http { Proxy "${proxy.url}"; }; };` });
  await using context = await create({ root: path, rootConfig: true, sources: archive.source });
  await context.update();
  expect(proxy.requests.some((one) => one.endsWith('/InRelease'))).toBe(true);
  const before = proxy.requests.length;
  await using direct = await create({
    root: path,
    rootConfig: true,
    config: { 'Acquire::http::Proxy': 'DIRECT' },
    sources: archive.source,
  });
  await direct.update();
  expect(proxy.requests).toHaveLength(before);
});

describe('what does not count', () => {
  test('is told by its names', async () => {
    const path = await root({
      'apt.conf': [
        'APT::Update::Pre-Invoke { "touch /tmp/no"; };',
        'Dir::Bin::methods "/tmp"; RootDir "/tmp";',
        'Acquire::http::Proxy-Auto-Detect "/bin/false"; Acquire::http::Proxy "DIRECT";',
        'Acquire::AllowInsecureRepositories "true"; Acquire::gpgv::Options { "--homedir"; };',
        `#include "${work.join('included')}";`,
        'APT::Get::Assume-Yes "true";',
      ].join('\n'),
    });
    await writeFile(work.join('included'), 'APT::Install-Recommends "false";');
    await using context = await create({ root: path, rootConfig: true });
    expect(context.ignoredConfig).toEqual([
      '#include',
      'APT::Get::Assume-Yes',
      'APT::Update::Pre-Invoke::',
      'Acquire::AllowInsecureRepositories',
      'Acquire::gpgv::Options::',
      'Acquire::http::Proxy-Auto-Detect',
      'Dir::Bin::methods',
      'RootDir',
    ]);
    expect(await changes(context)).toContain('+extra=1');
  });

  test('links lead to places in the root, and to no other files', async () => {
    const path = await root({ 'apt.conf.d/real': 'APT::Install-Suggests "true";' });
    const outside = work.join('outside');
    await writeFile(outside, 'APT::Install-Recommends "false";');
    await symlink(outside, `${path}/etc/apt/apt.conf.d/outside`);
    await symlink('/etc/apt/apt.conf.d/real', `${path}/etc/apt/apt.conf`);
    await run('mkfifo', [`${path}/etc/apt/apt.conf.d/waiting`]);
    await using context = await create({ root: path, rootConfig: true });
    expect(await changes(context)).toEqual([
      ...['+app=1', '+extra=1', '+library=1', '+nicety=1', '-kept-module', '-leftover'],
    ]);
  });

  test('a file that apt cannot read fails as there, and names the file', async () => {
    const path = await root({ 'apt.conf.d/50broken': 'APT::Install-Recommends "false"' });
    await expect(create({ root: path, rootConfig: true })).rejects.toMatchObject({
      code: 'ERR_APT_FAILED',
      path: `${path}/etc/apt/apt.conf.d/50broken`,
      message: expect.stringContaining('50broken:'),
    });
  });

  test('a root is needed', async () => {
    await expect(create({ rootConfig: true })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
    });
  });
});

describe('config', () => {
  test('has lists, and drops defaults', async () => {
    const kept = { ...{ 'APT::NeverAutoRemove': ['^kept-', '^leftover$'] } };
    await using context = await create({ config: kept });
    expect(await changes(context)).not.toContain('-leftover');
    await using none = await create({ config: { 'APT::NeverAutoRemove': null } });
    expect(await changes(none)).toContain('-leftover');
    await expect(create({ config: { 'Dir::Bin': null } })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
    });
    await expect(create({ config: { 'Acquire::': null } })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
    });
    await expect(create({ config: { 'Acquire::Retries': 3 as never } })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
    });
    await expect(
      create({ config: { 'Acquire::gpgv::Options': ['--homedir'] } }),
    ).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
  });

  test('leaves no copy of the root behind', async () => {
    const path = await root({ 'apt.conf': 'Acquire::http::Proxy "http://me:secret@proxy";' });
    await using context = await create({ root: path, rootConfig: true });
    await expect(readFile(`${context.directory}/etc/root.conf`)).rejects.toMatchObject({
      code: 'ENOENT',
    });
  });
});
