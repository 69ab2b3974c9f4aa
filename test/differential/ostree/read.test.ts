/** What the command prints about a random history, and what the library reads of it. */

import { mkdir, readFile } from 'node:fs/promises';
import { variantToText } from 'apt-ostree';
import { type Commit, type Diff, Repo } from 'apt-ostree/ostree';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listingLine } from '../../support/entries.js';
import { createRepo } from '../../support/repo.js';
import { ostreeOn } from '../../support/repo-copies.js';
import { run } from '../../support/run.js';
import { temporaryDirectory } from '../../support/temp.js';
import { command, kModes, sameLines } from './pair.js';
import { makeTree, Random, randomTree } from './random.js';

const scratch = await temporaryDirectory('differential-read');
afterAll(() => scratch.remove());
const commits: string[] = [];
let repo: Repo;
const say = (name: string, ...args: string[]) => command(repo.path, name, ...args);

beforeAll(async () => {
  repo = await createRepo(scratch.join('repo'), 'bare-user');
  await say('config set', 'core.collection-id', 'org.example.Test');
  await repo.config.reload();
  for (let i = 0; i < 6; i++) {
    const tree = scratch.join(`tree-${i}`);
    // Half of each is the one before.
    if (i > 0) await run('cp', ['-a', scratch.join(`tree-${i - 1}`), tree]);
    else await mkdir(tree);
    await makeTree(`${tree}/part-${i}`, randomTree(new Random(11_000 + i), 20));
    if (i > 2) await run('rm', ['-rf', `${tree}/part-${i - 2}`]);
    if (i === 4) await run('chmod', ['711', `${tree}/part-4`]);
    const texts = i % 2 ? ['-s', `Subject ${i}`, '-m', `Body ü\n\n  more ${i}`] : [];
    const sizes = i % 3 ? ['--generate-sizes'] : [];
    const metadata = [`--add-metadata-string=version=${i}.ü`, "--add-metadata=x=[<1>, <'b'>]"];
    const args = ['-b', 'os/main', `--timestamp=@${i * 12_345_678}`, ...texts, ...sizes];
    const detached = `--add-detached-metadata-string=note=beside ${i}`;
    commits.push(await say('commit', ...args, ...metadata, detached, `--tree=dir=${tree}`));
  }
  await say('refs', '--create=os/old', commits[1] ?? '');
  await say('refs', '--alias', '--create=current', 'os/main');
  await say('refs', '--collections', '--create=org.other.X:mirrored', commits[2] ?? '');
  return () => repo.close();
});

/** A commit as `ostree show` and `ostree log` print it. */
function text(commit: Commit): string {
  const date = commit.timestamp.toISOString().replace('T', ' ').replace(/\..*/, ' +0000');
  const indented = (lines: string) => lines.replace(/^/gm, '    ');
  const message = commit.subject === '' ? '(no subject)' : `\n${indented(commit.subject)}`;
  return [
    `commit ${commit.checksum}`,
    ...(commit.parent ? [`Parent:  ${commit.parent}`] : []),
    `ContentChecksum:  ${commit.contentChecksum}`,
    `Date:  ${date}`,
    ...(commit.metadata.version ? [`Version: ${commit.metadata.version}`] : []),
    message,
    ...(commit.body ? ['', indented(commit.body)] : []),
    '',
  ].join('\n');
}

test('show and log', async () => {
  const all: string[] = [];
  for await (const commit of repo.log('os/main')) {
    all.push(text(commit));
    const shown = await say('show', commit.checksum);
    // A body has a line of its own for what follows it.
    expect(shown.trim()).toBe(text(commit).trim());
    const key = await say('show', '-B', '--print-metadata-key=x', commit.checksum);
    expect(key).toBe("[<1>, <'b'>]");
    expect(commit.metadata.x).toEqual([1, 'b']);
    const note = await say('show', '--print-detached-metadata-key=note', commit.checksum);
    const detached = await repo.readDetachedMetadata(commit.checksum);
    expect(note).toBe(variantToText({ type: 's', value: detached?.note }));
  }
  const squeeze = (lines: string) => lines.replace(/\n+/g, '\n').trim();
  expect(squeeze(await say('log', 'os/main'))).toBe(squeeze(all.join('\n')));
});

test('sizes', async () => {
  for (const checksum of commits) {
    const sizes = await repo.objects.commitSizes(checksum);
    const shown = await ostreeOn(repo.path, 'show', '--print-sizes', checksum);
    expect(sizes !== undefined).toBe(shown.status === 0);
    if (!sizes) continue;
    const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);
    const human = async (label: string) =>
      new RegExp(`${label} \\(needed/total\\): .*/(.*)$`, 'm').exec(shown.stdout)?.[1];
    expect(await human('Number of objects')).toBe(String(sizes.length));
    // GLib rounds for people: 1.2 MB.
    const total = (await human('Unpacked size'))?.replace(/[  ]/g, ' ').split(' ') ?? [];
    const unit = { bytes: 1, kB: 1e3, MB: 1e6 }[total[1] ?? 'bytes'] ?? 1;
    const bytes = sum(sizes.map(({ unpacked }) => unpacked));
    expect(Math.abs(bytes / unit - Number(total[0]))).toBeLessThanOrEqual(0.051);
  }
});

const lines = ({ modified, removed, added }: Diff) =>
  [
    ...modified.map((path) => `M    ${path}`),
    ...removed.map((path) => `D    ${path}`),
    ...added.map((path) => `A    ${path}`),
  ].sort();

test('diff and its statistics between all pairs', async () => {
  for (const from of commits) {
    for (const to of commits.slice(3)) {
      const shown = await say('diff', from, to);
      expect(
        lines(await repo.diff(from, to))
          .join('\n')
          .split('\n')
          .sort(),
      ).toEqual(shown.split('\n').sort());
      const stats = await say('diff', '--stats', from, to);
      const { from: a, to: b, common } = await repo.objects.compare(from, to);
      const number = (label: string) =>
        Number(new RegExp(`${label}: (\\d+)`).exec(stats)?.[1] ?? Number.NaN);
      expect([a, b, common]).toEqual([
        number('\\[A\\] Object Count'),
        number('\\[B\\] Object Count'),
        number('Common Object Count'),
      ]);
    }
  }
});

test('ls of single paths, cat of every file', async () => {
  const rev = commits[5] ?? '';
  const entries = await repo.list(rev, '/', { recursive: true, xattrs: true });
  const random = new Random(12_000);
  for (const entry of entries) {
    // One command for each is slow.
    if (!random.chance(0.5)) continue;
    const shown = await say('ls -d -C -X', rev, entry.path);
    expect(listingLine(entry, { checksums: true })).toBe(shown);
    if (entry.type === 'directory') {
      const inside = await repo.list(rev, entry.path);
      const all = [entry, ...inside].map(({ xattrs: _xattrs, ...each }) => listingLine(each));
      expect(all.join('\n')).toBe(await say('ls', rev, entry.path));
    }
    if (entry.type === 'file') {
      const { bytes } = await ostreeOn(repo.path, 'cat', rev, entry.path);
      expect((await repo.readFile(rev, entry.path)).equals(bytes)).toBe(true);
    }
  }
  const names = await say('ls -R --nul-filenames-only', rev, '/');
  expect(['/', ...entries.map(({ path }) => path), ''].join('\0')).toBe(names);
});

test('refs in every form, and revisions', async () => {
  const list = async (...flags: string[]) =>
    (await say('refs', ...flags)).split('\n').filter(Boolean).sort();
  sameLines(Object.keys(await repo.listRefs({ excludeMirrors: true })).sort(), await list());
  const aliases = Object.entries(await repo.listRefs({ aliases: true }));
  sameLines(
    aliases.map(([name, target]) => `${name} -> ${target}`),
    await list('--alias'),
  );
  const collections = await repo.collections.listRefs();
  sameLines(
    collections.map(({ collectionId, ref }) => `(${collectionId}, ${ref})`).sort(),
    await list('--collections'),
  );
  for (const rev of ['current', 'os/main', 'os/old', 'os/main^^', ...commits]) {
    for (const form of [rev, rev.slice(0, 20), `${rev}^`, `${rev}^^^^^^^`, `${rev}x`]) {
      const theirs = await ostreeOn(repo.path, 'rev-parse', form);
      const ours = await repo.resolveRev(form).catch(() => undefined);
      expect(ours, form).toBe(theirs.status === 0 ? theirs.stdout.trim() : undefined);
    }
  }
});

test.each([
  ['all', {}, []],
  ['a part', { subpath: 'part-0' }, ['--subpath=part-0']],
  ['with a prefix', { prefix: 'x/y/' }, ['--prefix=x/y/']],
  ['without extended attributes', { noXattrs: true }, ['--no-xattrs']],
])('export of %s: the same bytes', async (name, options, flags) => {
  const file = scratch.join(`export-${name}`);
  const theirs = scratch.join(`export-${name}-theirs`);
  await repo.exportArchive('os/main', file, options);
  await say('export', ...flags, `--output=${theirs}`, 'os/main');
  expect((await readFile(file)).equals(await readFile(theirs))).toBe(true);
});

test('init in every mode, with and without a collection', async () => {
  for (const mode of kModes) {
    const [ours, theirs] = [scratch.join(`init-${mode}`), scratch.join(`init-${mode}-theirs`)];
    await command(theirs, 'init', `--mode=${mode}`, '--collection-id=org.example.X');
    await using made = await Repo.create(ours, mode);
    await made.collections.setId('org.example.X');
    const settings = async (root: string) =>
      (await readFile(`${root}/config`, 'utf8')).split('\n').filter(Boolean).sort();
    sameLines(await settings(ours), await settings(theirs));
    const found = async (cwd: string) =>
      (await run('find', ['.', '-type', 'd', '-printf', '%p %m\n'], { cwd })).stdout
        .split('\n')
        .sort();
    sameLines(await found(ours), await found(theirs));
  }
});
