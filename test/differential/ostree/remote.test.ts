/** Pulls from one server, summaries, static deltas and signatures, by each side for the other. */

import { readFile } from 'node:fs/promises';
import { variant } from 'apt-ostree';
import { type PullOptions, Repo, type RepoMode } from 'apt-ostree/ostree';
import { beforeAll, describe, expect, test } from 'vitest';
import { type FileServer, serveDirectory } from '../../support/file-server.js';
import { createGpgHome, type GpgHome } from '../../support/gpg.js';
import { createRepo } from '../../support/repo.js';
import { temporaryDirectory } from '../../support/temp.js';
import { bothOrNeither, command, kModes, repoPair, sameLines, sameRepos } from './pair.js';
import { makeTree, Random, randomTree } from './random.js';

const scratch = await temporaryDirectory('differential-remote');
const refs = ['os/a', 'os/b'];
let source: Repo;
let server: FileServer;
let gpg: GpgHome;
let key: string;
let directory: string;
const commits: string[] = [];

beforeAll(async () => {
  gpg = await createGpgHome();
  key = await gpg.addKey('Differential <a@example.com>');
  source = await createRepo(scratch.join('source'), 'archive');
  // What every mode can hold.
  const flags = ['--canonical-permissions', '--no-xattrs', `--gpg-homedir=${gpg.home}`];
  for (let i = 0; i < 6; i++) {
    const tree = scratch.join(`tree-${i}`);
    const items = randomTree(new Random(9000 + (i % 3)), 15);
    await makeTree(tree, items);
    directory ??= items.find(({ kind }) => kind === 'directory')?.path ?? '';
    const branch = refs[i % 2] ?? '';
    const common = ['-b', branch, `--timestamp=@${i * 1000}`, `--gpg-sign=${key}`, ...flags];
    commits.push(await command(source.path, 'commit', ...common, `--tree=dir=${tree}`));
  }
  await source.deltas.generate(commits[4] ?? '', { from: commits[2] ?? '' });
  await command(source.path, 'static-delta generate', '--empty', `--to=${commits[5]}`);
  await command(source.path, 'summary', '--update');
  server = await serveDirectory(source.path);
  return async () => {
    source.close();
    await server.stop();
    await gpg[Symbol.asyncDispose]();
    await scratch.remove();
  };
});

const pulls: [string, PullOptions, () => string[]][] = [
  ['a branch', { refs: ['os/a'] }, () => ['os/a']],
  ['two with parents', { refs, depth: 1 }, () => ['--depth=1', ...refs]],
  ['all history', { refs: ['os/b'], depth: -1 }, () => ['--depth=-1', 'os/b']],
  ['commits only', { refs, commitOnly: true }, () => ['--commit-metadata-only', ...refs]],
  [
    'no deltas',
    { refs: ['os/a'], disableStaticDeltas: true },
    () => ['--disable-static-deltas', 'os/a'],
  ],
  [
    'deltas or nothing',
    { refs: ['os/b'], requireStaticDeltas: true },
    () => ['--require-static-deltas', 'os/b'],
  ],
  [
    'deltas that are not there',
    { refs: ['os/a'], requireStaticDeltas: true },
    () => ['--require-static-deltas', 'os/a'],
  ],
  ['a mirror', { mirror: true }, () => ['--mirror']],
  ['a mirror of one', { mirror: true, refs: ['os/a'] }, () => ['--mirror', 'os/a']],
  [
    'checked files',
    { refs: ['os/a'], bareUserOnlyFiles: true },
    () => ['--bareuseronly-files', 'os/a'],
  ],
  ['a ref that is not there', { refs: ['os/none'] }, () => ['os/none']],
];

describe.each(kModes)('into mode %s', (mode) => {
  const settings = { gpgVerify: true, other: {} };

  test.each(pulls)('%s', async (name, options, args) => {
    await using pair = await repoPair(scratch.join(`${mode}-${name}`), mode);
    await pull(mode, pair, options, args());
    // The second finds what is new, which is nothing.
    await pull(mode, pair, options, args());
  });

  async function pull(
    _mode: RepoMode,
    pair: Awaited<ReturnType<typeof repoPair>>,
    options: PullOptions,
    args: string[],
  ) {
    if (!(await pair.repo.remotes.list()).includes('origin')) {
      await pair.repo.remotes.add('origin', server.url, settings);
      const keys = await gpg.exportKey(key);
      await pair.repo.remotes.importKeys('origin', keys);
      await command(pair.theirs, 'remote add', '--set=gpg-verify=true', 'origin', server.url);
      await using reader = await Repo.open(pair.theirs);
      await reader.remotes.importKeys('origin', keys);
    }
    await bothOrNeither(
      async () => {
        await pair.repo.pull('origin', options);
        return '';
      },
      () => pair.command('pull', 'origin', ...args),
    );
    await sameRepos(pair.ours, pair.theirs);
    await using reader = await Repo.open(pair.theirs);
    expect((await reader.fsck()).ok).toBe(true);
    await command(pair.ours, 'fsck');
  }

  test('a part, whose name the remote does not know', async () => {
    await using pair = await repoPair(scratch.join(`${mode}-part`), mode);
    const subdirs = [`/${directory}`];
    await pull(mode, pair, { refs: ['os/a'], subdirs }, [`--subpath=/${directory}`, 'os/a']);
  });

  test('from a repository of this machine', async () => {
    await using pair = await repoPair(scratch.join(`${mode}-local`), mode);
    const forms: [PullOptions, string[]][] = [
      [{ refs: ['os/a'] }, ['os/a']],
      [{ refs: ['os/b'], depth: -1, untrusted: true }, ['--depth=-1', '--untrusted', 'os/b']],
      [
        { refs: [commits[0] ?? ''], commitOnly: true },
        ['--commit-metadata-only', commits[0] ?? ''],
      ],
      [{ remote: 'other' }, ['--remote=other']],
      [{}, []],
      [{ refs: ['none'] }, ['none']],
    ];
    for (const [options, args] of forms) {
      await bothOrNeither(
        async () => {
          await pair.repo.pullLocal(source.path, options);
          return '';
        },
        () => {
          const [flags, names] = [
            args.filter((a) => a.startsWith('-')),
            args.filter((a) => !a.startsWith('-')),
          ];
          return pair.command('pull-local', ...flags, source.path, ...names);
        },
      );
      await sameRepos(pair.ours, pair.theirs);
    }
  });
});

test('summaries: the same but for their time, and each reads the other’s', async () => {
  await using pair = await repoPair(scratch.join('summary'), 'archive');
  for (const root of [pair.ours, pair.theirs]) {
    await command(root, 'pull-local', '--depth=-1', source.path);
  }
  await pair.repo.summary.regenerate({ metadata: { 'x.text': variant('s', 'ü') } });
  await pair.command('summary', '--update', "--add-metadata=x.text='ü'");
  await using reader = await Repo.open(pair.theirs);
  const without = (text: string) => text.replace(/.*last-modified.*\n/, '');
  const view = async (root: string) => without(await command(root, 'summary', '--view'));
  expect(await view(pair.ours)).toBe(await view(pair.theirs));
  const [ours, theirs] = [await pair.repo.summary.read(), await reader.summary.read()];
  const plain = (summary: typeof ours) => {
    const { lastModified: _time, metadata, ...rest } = summary ?? {};
    const { 'ostree.summary.last-modified': _modified, ...others } = metadata ?? {};
    return { ...rest, metadata: others };
  };
  expect(plain(ours)).toEqual(plain(theirs));
  // Signed by one, checked by the other.
  const home = `--gpg-homedir=${gpg.home}`;
  await pair.repo.summary.signGpg({ keys: [key], home: gpg.home });
  await pair.command('summary', '--update', `--gpg-sign=${key}`, home);
  const keys = await gpg.exportKey(key);
  for (const root of [pair.ours, pair.theirs]) {
    await using offered = await serveDirectory(root);
    await using client = await repoPair(scratch.join(`client-${root.endsWith('ours')}`), 'archive');
    for (const at of [client.ours, client.theirs]) {
      await command(at, 'remote add', '--set=gpg-verify-summary=true', 'origin', offered.url);
      await using repo = await Repo.open(at);
      await repo.remotes.importKeys('origin', keys);
    }
    await client.command('pull', 'origin', 'os/a');
    await using puller = await Repo.open(client.ours);
    await puller.pull('origin', { refs: ['os/a'] });
    await sameRepos(client.ours, client.theirs);
    const listed = (await client.command('remote refs', 'origin')).split('\n');
    sameLines(
      Object.keys(await puller.remotes.listRefs('origin')).sort(),
      listed.map((line) => line.replace('origin:', '')).sort(),
    );
  }
});

describe('static deltas', () => {
  test.each([
    ['from one to another', {}, []],
    ['inline', { inlineParts: true }, ['--inline']],
    ['without bsdiff', { bsdiff: false }, ['--disable-bsdiff']],
    ['in small parts', { maxChunkSize: 1 }, ['--max-chunk-size=1']],
    ['with fallbacks', { minFallbackSize: 1 }, ['--min-fallback-size=1']],
    ['in the other byte order', { endianness: 'big' as const }, ['--set-endianness=B']],
  ])('%s: the same parts', async (name, options, flags) => {
    await using pair = await repoPair(scratch.join(`delta-${name}`), 'archive');
    for (const root of [pair.ours, pair.theirs]) {
      await command(root, 'pull-local', '--depth=-1', source.path);
    }
    const [from = '', to = ''] = [commits[1], commits[5]];
    for (const start of [from, undefined]) {
      await pair.repo.deltas.generate(to, { ...(start && { from: start }), ...options });
      const begin = start ? `--from=${start}` : '--empty';
      await pair.command('static-delta generate', ...flags, begin, `--to=${to}`);
    }
    const lists = await Promise.all(
      [pair.ours, pair.theirs].map(async (root) =>
        (await command(root, 'static-delta list')).split('\n').sort(),
      ),
    );
    sameLines(lists[0], lists[1]);
    await using reader = await Repo.open(pair.theirs);
    expect(await reader.deltas.list()).toEqual(await pair.repo.deltas.list());
    for (const delta of [{ to }, { from, to }]) {
      const id = delta.from ? `${from}-${to}` : to;
      const text = async (root: string) =>
        (await command(root, 'static-delta show', id)).replace(/^Timestamp.*$/m, '');
      // The command looks for the parts in files of their own.
      if (name !== 'inline') expect(await text(pair.ours)).toBe(await text(pair.theirs));
      const { timestamp: _ours, ...ours } = await pair.repo.deltas.show(delta);
      const { timestamp: _theirs, ...theirs } = await reader.deltas.show(delta);
      expect(ours).toEqual(theirs);
    }
    // What one made the other applies.
    await using client = await repoPair(scratch.join(`applied-${name}`), 'bare-user');
    for (const root of [client.ours, client.theirs]) {
      await command(root, 'pull-local', source.path, from);
    }
    if (name === 'with fallbacks') return;
    const file = scratch.join(`${name}-ours.delta`);
    const other = scratch.join(`${name}-theirs.delta`);
    await pair.repo.deltas.generate(to, { from, ...options, file, inlineParts: true });
    const made = ['--inline', `--filename=${other}`, `--from=${from}`, `--to=${to}`];
    await pair.command('static-delta generate', ...flags, ...made);
    await client.command('static-delta apply-offline', file);
    expect(await client.repo.deltas.apply(other)).toBe(to);
    await sameRepos(client.ours, client.theirs);
    expect((await readFile(file)).length).toBe((await readFile(other)).length);
  });
});

test('signatures: made by one, counted, shown and removed by the other', async () => {
  await using pair = await repoPair(scratch.join('signed'), 'archive');
  const second = await gpg.addKey('Second <b@example.com>');
  const home = `--gpg-homedir=${gpg.home}`;
  const rev = commits[5] ?? '';
  for (const root of [pair.ours, pair.theirs]) {
    await command(root, 'pull-local', source.path, 'os/b');
    await using repo = await Repo.open(root);
    await repo.remotes.add('keys', 'file:///nowhere');
    await repo.remotes.importKeys('keys', await gpg.exportKey(key));
    await repo.remotes.importKeys('keys', await gpg.exportKey(second));
  }
  await pair.repo.config.reload();
  await pair.command('gpg-sign', home, rev, second);
  await pair.repo.signatures.signGpg(rev, { keys: [second], home: gpg.home });
  await using reader = await Repo.open(pair.theirs);
  const facts = async (repo: Repo) =>
    (await repo.signatures.verifyGpg(rev, { remote: 'keys' })).map(
      ({ created: _created, ...rest }) => rest,
    );
  const signatures = await facts(pair.repo);
  expect(signatures.map(({ valid, fingerprint }) => [valid, fingerprint])).toEqual([
    [true, key],
    [true, second],
  ]);
  expect(await facts(reader)).toEqual(signatures);
  const show = async (root: string) =>
    (await command(root, 'show', '--gpg-verify-remote=keys', rev)).replace(/Signature made.*/g, '');
  expect(await show(pair.ours)).toBe(await show(pair.theirs));
  expect(await show(pair.ours)).toContain('Found 2 signatures');
  expect(await reader.verify(rev, { remote: 'keys' })).toMatchObject({ accepted: true });
  // And away again, each what the other made.
  await command(pair.ours, 'gpg-sign', '--delete', home, rev, second);
  expect(await reader.signatures.removeGpg(rev, [second])).toBe(1);
  expect(await facts(pair.repo)).toEqual(await facts(reader));
  expect(await facts(reader)).toHaveLength(1);
  await sameRepos(pair.ours, pair.theirs);
});

describe('refs of collections', () => {
  const collectionId = 'org.example.Differential';
  const kSettings = ['--set=gpg-verify=true', `--collection-id=${collectionId}`];
  const offered = ['os/one', 'os/two', 'os/moved', 'os/unbound', 'os/foreign'];
  let collection: Repo;
  let host: FileServer;

  beforeAll(async () => {
    const tree = scratch.join('tree-0');
    await using pair = await repoPair(scratch.join('collection'), 'archive');
    for (const at of [pair.ours, pair.theirs]) {
      await command(at, 'config set', 'core.collection-id', collectionId);
    }
    await pair.repo.config.reload();
    const flags = ['--canonical-permissions', '--no-xattrs', '--timestamp=@1000'];
    const rules = { canonicalPermissions: true, skipXattrs: true };
    const make = async (ref: string, bindings = true) => {
      const none = bindings ? [] : ['--no-bindings'];
      const { checksum } = await pair.repo.commit({
        ref,
        trees: [{ directory: tree, ...rules }],
        timestamp: new Date(1_000_000),
        bindings,
      });
      const args = ['-b', ref, ...flags, ...none, `--tree=dir=${tree}`];
      expect(await pair.command('commit', ...args)).toBe(checksum);
      return checksum;
    };
    await make('os/one');
    const two = await make('os/two');
    await make('os/unbound', false);
    // Bound to another ref, and to one of another collection.
    await pair.repo.setRef('os/moved', two);
    await pair.repo.config.set('core', 'collection-id', 'org.example.Other');
    await command(pair.theirs, 'config set', 'core.collection-id', 'org.example.Other');
    const foreign = await make('os/foreign');
    await pair.repo.config.set('core', 'collection-id', collectionId);
    await pair.repo.setRef('os/foreign', foreign);
    for (const checksum of new Set(Object.values(await pair.repo.listRefs()))) {
      await pair.repo.signatures.signGpg(checksum, { keys: [key], home: gpg.home });
    }
    await pair.repo.summary.regenerate();
    await pair.repo.summary.signGpg({ keys: [key], home: gpg.home });
    collection = await Repo.open(pair.ours);
    host = await serveDirectory(pair.ours);
    return async () => {
      collection.close();
      await host.stop();
    };
  });

  test.each([...offered, 'os/none'])('find-remotes and its pull: %s', async (ref) => {
    await using pair = await repoPair(scratch.join(`found-${ref.slice(3)}`), 'bare-user');
    const keys = await gpg.exportKey(key);
    for (const at of [pair.ours, pair.theirs]) {
      await command(at, 'remote add', ...kSettings, 'origin', host.url);
      await using repo = await Repo.open(at);
      await repo.remotes.importKeys('origin', keys);
    }
    await pair.repo.config.reload();
    const wanted = { collectionId, ref };
    const text = await pair.command('find-remotes', collectionId, ref);
    const found = await pair.repo.collections.findRemotes([wanted]);
    const lines = found.map(({ name, url, priority, lastModified, refs }, i) => [
      `Result ${i}: ${url}`,
      ' - Finder: OstreeRepoFinderConfig',
      ` - Keyring: ${name}.trustedkeys.gpg`,
      ` - Priority: ${priority}`,
      ` - Summary last modified: ${lastModified?.toISOString().replace('.000', '')}`,
      ' - Refs:',
      ...refs.map((each) => `    - (${each.collectionId}, ${each.ref}) = ${each.checksum}`),
    ]);
    if (ref === 'os/none') {
      expect([found, text]).toEqual([[], 'No results.']);
      return;
    }
    expect(text).toBe([...lines.flat(), '', '1/1 refs were found.'].join('\n'));
    const pulled = await bothOrNeither<unknown>(
      () => pair.repo.collections.pullFromRemotes(found),
      () => pair.command('find-remotes', '--pull', collectionId, ref),
    );
    expect(pulled !== undefined).toBe(['os/one', 'os/two'].includes(ref));
    await sameRepos(pair.ours, pair.theirs);
  });
});
