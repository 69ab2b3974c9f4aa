import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { Repo } from 'apt-ostree/ostree';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { ostree } from '../../support/ostree.js';
import { temporaryDirectory } from '../../support/temp.js';

const scratch = await temporaryDirectory('config');
afterAll(() => scratch.remove());
let count = 0;
let repo: Repo;
const file = () => `${repo.path}/config`;
const command = (...args: string[]) => ostree('config', `--repo=${repo.path}`, ...args);
beforeEach(async () => {
  repo = await Repo.create(scratch.join(`repo-${++count}`), 'archive');
  await writeFile(
    file(),
    '# of this machine\n[core]\nrepo_version=1\n# why archive\nmode=archive-z2\nzeta=1\nalpha=2\n\n[mine]\nb=1\nname[de]=Name\n',
  );
  await repo.config.reload();
  return () => repo.close();
});

test('values are read and written as the command does it', async () => {
  for (const value of ['plain', '', ' leading', 'trailing ', 'a\tb\nc', '\\', 'ünï', 'a=b;c#d']) {
    await repo.config.set('mine', 'key', value);
    expect(await command('get', 'mine.key')).toBe(value.trimEnd());
    await command('set', 'mine.other', `${value}x`);
    await repo.config.reload();
    expect(await repo.config.get('mine', 'other')).toBe(`${value}x`);
    expect(await repo.config.get('mine', 'key')).toBe(value);
  }
  await repo.config.unset('mine', 'key');
  await repo.config.unset('mine', 'key');
  await repo.config.unset('no such', 'key');
  expect(await repo.config.get('mine', 'key')).toBeUndefined();
  expect(await repo.config.get('mine', 'toString')).toBeUndefined();
  await expect(command('get', 'mine.key')).rejects.toThrow();
  expect(await command('get', '--group=mine', 'b')).toBe('1');
});

test('order, comments, translations and unknown keys stay', async () => {
  await repo.config.write({
    core: { mode: null, zeta: '9', fsync: 'false' },
    new: { z: '1', a: '2' },
  });
  await repo.config.write({ core: { mode: 'archive-z2' } });
  // GLib adds empty lines.
  const text = await readFile(file(), 'utf8');
  expect(text.replace(/\n+/g, '\n')).toBe(
    '# of this machine\n[core]\nrepo_version=1\n# why archive\nzeta=9\nalpha=2\nfsync=false\nmode=archive-z2\n[mine]\nb=1\nname[de]=Name\n[new]\nz=1\na=2\n',
  );
  expect(await repo.config.text()).toBe(text);
  expect(Object.keys((await repo.config.read()).core ?? {})).toEqual([
    'repo_version',
    'zeta',
    'alpha',
    'fsync',
    'mode',
  ]);
  await repo.config.write({ new: null, mine: {} });
  expect(await repo.config.read()).not.toHaveProperty('new');
  // Other writers of the file keep them too.
  await repo.collections.setId('org.example.Test');
  expect(await repo.config.text()).toContain('# why archive');
  expect(await command('get', 'core.collection-id')).toBe('org.example.Test');
});

test('what others wrote is seen after a reload, and not lost by a change', async () => {
  await appendFile(file(), '\n[theirs]\nkey=value\n');
  expect(await repo.config.get('theirs', 'key')).toBeUndefined();
  await repo.config.set('mine', 'b', '2');
  expect(await repo.config.get('theirs', 'key')).toBe('value');
  await appendFile(file(), 'not a key file');
  await expect(repo.config.set('mine', 'b', '3')).rejects.toMatchObject({
    code: 'ERR_OSTREE_FAILED',
    domain: 'g-key-file-error-quark',
  });
  await expect(repo.config.reload()).rejects.toMatchObject({ domain: 'g-key-file-error-quark' });
});

test('changes while others read', async () => {
  const reading = Array.from({ length: 40 }, () => repo.listRefs());
  const writing = Array.from({ length: 10 }, (_, i) => repo.config.set('mine', `k${i}`, 'v'));
  const remotes = Array.from({ length: 5 }, (_, i) =>
    repo.remotes.add(`r${i}`, 'https://example.com'),
  );
  await Promise.all([...reading, ...writing, ...remotes, ...reading.map(() => repo.config.read())]);
  expect(Object.keys((await repo.config.read()).mine ?? {})).toHaveLength(11);
});

test('names and values that a key file cannot hold are refused', async () => {
  const bad = { name: 'TypeError', code: expect.stringMatching(/^ERR_INVALID_ARG_(TYPE|VALUE)$/) };
  for (const group of ['', 'a]', '[a', 'a\nb', 'a\0', 5 as unknown as string]) {
    await expect(repo.config.set(group, 'key', 'v')).rejects.toMatchObject(bad);
    await expect(repo.config.get(group, 'key')).rejects.toMatchObject(bad);
  }
  for (const key of ['', ' a', 'a ', 'a=b', '#a', 'a[', 'a]', 'a[d e]', '[de]', 'a\n', 'a[de]b']) {
    await expect(repo.config.set('mine', key, 'v')).rejects.toMatchObject(bad);
    await expect(repo.config.unset('mine', key)).rejects.toMatchObject(bad);
  }
  await expect(repo.config.set('mine', 'a', 'b\0c')).rejects.toMatchObject(bad);
  await expect(repo.config.set('mine', 'a', 1 as unknown as string)).rejects.toMatchObject(bad);
  await expect(repo.config.write({ mine: 'x' as unknown as null })).rejects.toMatchObject(bad);
  await repo.config.set('a group', 'a key[de_DE.UTF-8@euro]', 'v');
  await repo.config.set('a group', 'a key', 'w');
  // libostree keeps no translations in memory.
  expect(await repo.config.text()).toContain('[a group]\na key[de_DE.UTF-8@euro]=v\na key=w\n');
  expect(await repo.config.get('a group', 'a key')).toBe('w');
  await repo.transaction(async () => {
    await expect(repo.config.set('mine', 'a', 'b')).rejects.toMatchObject({ code: 'ERR_BUSY' });
  });
});
