import { readFile, stat, writeFile } from 'node:fs/promises';
import { Repo } from 'apt-ostree/ostree';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createGpgHome, type GpgHome } from '../../support/gpg.js';
import { ostree } from '../../support/ostree.js';
import { temporaryDirectory } from '../../support/temp.js';

const scratch = await temporaryDirectory('remote');
let gpg: GpgHome;
let count = 0;
const fresh = () => Repo.create(scratch.join(`repo-${++count}`), 'bare-user');
beforeAll(async () => {
  gpg = await createGpgHome();
});
afterAll(async () => {
  await gpg[Symbol.asyncDispose]();
  await scratch.remove();
});

describe('Remotes', () => {
  test('what it adds, the ostree command lists, and the other way round', async () => {
    await using repo = await fresh();
    const at = `--repo=${repo.path}`;
    expect(await repo.remotes.list()).toEqual([]);
    await repo.remotes.add('origin', 'https://example.com/repo', {
      gpgVerify: false,
      signVerify: ['ed25519', 'dummy'],
      branches: ['a', 'b/c'],
      collectionId: 'com.example.C',
      tlsPermissive: true,
      other: { 'verification-dummy-key': 'text', custom: true },
    });
    await ostree(
      'remote',
      'add',
      at,
      '--no-gpg-verify',
      '--set=proxy=http://p',
      'theirs',
      'http://x',
    );
    expect(await repo.remotes.list()).toEqual(['origin']);
    await using again = await Repo.open(repo.path);
    expect(await again.remotes.list()).toEqual(['origin', 'theirs']);
    expect((await ostree('remote', 'list', at)).split('\n')).toEqual(['origin', 'theirs']);
    expect(await ostree('remote', 'show-url', at, 'origin')).toBe('https://example.com/repo');
    expect(await again.remotes.url('theirs')).toBe('http://x');
    const option = (key: string) => ostree('config', at, 'get', '--group=remote "origin"', key);
    expect(await option('gpg-verify')).toBe('false');
    expect(await option('verification-dummy-key')).toBe('text');
    expect(await option('custom')).toBe('true');
    expect(await again.remotes.get('origin')).toEqual({
      name: 'origin',
      url: 'https://example.com/repo',
      gpgVerify: false,
      signVerify: ['ed25519', 'dummy'],
      branches: ['a', 'b/c'],
      collectionId: 'com.example.C',
      tlsPermissive: true,
    });
    expect(await again.remotes.get('theirs')).toEqual({
      name: 'theirs',
      url: 'http://x',
      gpgVerify: false,
      proxy: 'http://p',
    });
    expect(await again.remotes.getOption('origin', 'custom')).toBe('true');
    expect(await again.remotes.getOption('origin', 'nothing')).toBeUndefined();
  });

  test('an option that has a member comes through that member only', async () => {
    await using repo = await fresh();
    for (const key of [
      'gpg-verify',
      'gpg-verify-summary',
      'sign-verify',
      'url',
      'tls-permissive',
    ]) {
      await expect(
        repo.remotes.add('origin', 'http://x', { gpgVerify: true, other: { [key]: false } }),
      ).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
    }
    expect(await repo.remotes.list()).toEqual([]);
  });

  test('refuses, keeps or replaces what exists', async () => {
    await using repo = await fresh();
    const { remotes } = repo;
    expect(await remotes.add('r', 'http://one')).toBe(true);
    await expect(remotes.add('r', 'http://two')).rejects.toMatchObject({
      code: 'EEXIST',
      remote: 'r',
    });
    expect(await remotes.add('r', 'http://two', { existing: 'keep' })).toBe(false);
    expect(await remotes.url('r')).toBe('http://one');
    expect(await remotes.add('r', 'http://two', { existing: 'replace', http2: false })).toBe(true);
    expect(await remotes.get('r')).toEqual({ name: 'r', url: 'http://two', http2: false });
    expect(await remotes.gpgVerification('r')).toEqual({ commits: true, summary: false });
    expect(await remotes.add('m', 'metalink=http://meta')).toBe(true);
    expect(await remotes.get('m')).toEqual({ name: 'm', metalink: 'http://meta' });
    expect(await remotes.remove('r')).toBe(true);
    expect(await remotes.remove('r', { missing: 'ignore' })).toBe(false);
    const missing = { code: 'ENOENT', remote: 'r' };
    await expect(remotes.remove('r')).rejects.toMatchObject(missing);
    await expect(remotes.url('r')).rejects.toMatchObject(missing);
    await expect(remotes.get('r')).rejects.toMatchObject(missing);
    expect(await ostree('remote', 'list', `--repo=${repo.path}`)).toBe('m');
  });

  test('imports keys from files and from memory, and lists them', async () => {
    await using repo = await fresh();
    const { remotes } = repo;
    await remotes.add('r', 'http://one');
    const soon = new Date(Date.now() + 86_400_000 * 30);
    const [one, two] = [
      await gpg.addKey('One (first) <one@example.com>'),
      await gpg.addKey('Two <two@example.com>', '30d'),
    ];
    expect(await remotes.importKeys('r', await gpg.exportKey(one))).toBe(1);
    expect(await remotes.importKeys('r', await gpg.exportKey(one))).toBe(0);
    const file = scratch.join('two.asc');
    await writeFile(file, await gpg.exportKey(two, true));
    expect(await remotes.importKeys('r', [file, await gpg.exportKey(one)])).toBe(1);
    const keys = await remotes.keys('r');
    expect(keys).toHaveLength(2);
    const of = (fingerprint: string) =>
      keys.find(({ subkeys }) => subkeys[0]?.fingerprint === fingerprint);
    expect(of(one)).toMatchObject({
      subkeys: [{ revoked: false, expired: false, invalid: false, created: expect.any(Date) }],
      userIds: [{ name: 'One', comment: 'first', email: 'one@example.com', revoked: false }],
    });
    expect(of(one)?.subkeys[0]).not.toHaveProperty('expires');
    const expires = of(two)?.subkeys[0]?.expires?.getTime() ?? 0;
    expect(Math.abs(expires - soon.getTime())).toBeLessThan(86_400_000);
    expect(await remotes.keys('r', { keyIds: [two] })).toEqual([of(two)]);
    const theirs = await ostree('remote', 'gpg-list-keys', `--repo=${repo.path}`, 'r');
    expect(theirs).toContain(one);
    expect(theirs).toContain(two);
    const home = process.env.GNUPGHOME;
    process.env.GNUPGHOME = gpg.home;
    try {
      await remotes.add('own', 'http://own');
      expect(await remotes.importKeys('own', null, { keyIds: [two] })).toBe(1);
      expect((await remotes.keys('own')).map(({ subkeys }) => subkeys[0]?.fingerprint)).toEqual([
        two,
      ]);
      expect(await remotes.importKeys('own', null)).toBeGreaterThan(0);
    } finally {
      if (home === undefined) delete process.env.GNUPGHOME;
      else process.env.GNUPGHOME = home;
    }
    await expect(remotes.importKeys('r', scratch.join('no'))).rejects.toMatchObject({
      code: 'ENOENT',
    });
    await expect(remotes.importKeys('x', Buffer.alloc(3))).rejects.toMatchObject({
      code: 'ENOENT',
    });
  });

  test('one without a URL, and options with dots in their names', async () => {
    await using repo = await fresh();
    const { remotes } = repo;
    const at = `--repo=${repo.path}`;
    const settings = { customBackend: 'container', other: { 'xa.title': 'Ours' } };
    expect(await remotes.add('ours', null, settings)).toBe(true);
    await ostree('remote', 'add', at, '--custom-backend=container', '--set=xa.title=T', 'theirs');
    await repo.config.reload();
    const config = await repo.config.read();
    expect(config['remote "ours"']).toEqual({ 'custom-backend': 'container', 'xa.title': 'Ours' });
    expect(config['remote "theirs"']).toEqual({ 'custom-backend': 'container', 'xa.title': 'T' });
    expect(await remotes.get('ours')).toEqual({ name: 'ours', customBackend: 'container' });
    expect(await remotes.getOption('ours', 'xa.title')).toBe('Ours');
    await expect(remotes.url('ours')).rejects.toMatchObject({ name: 'OstreeError' });
    expect(await remotes.add('ours', null, { existing: 'keep' })).toBe(false);
    await expect(remotes.add('ours', null)).rejects.toMatchObject({ code: 'EEXIST' });
    expect(await remotes.remove('ours')).toBe(true);
  });

  const wrong: [string, (r: Repo) => Promise<unknown>][] = [
    ['add, a path', (r) => r.remotes.add('../x', 'http://x')],
    ['add, an empty URL', (r) => r.remotes.add('x', '')],
    ['add, NUL', (r) => r.remotes.add('x', 'http://x\0')],
    ['add, an option', (r) => r.remotes.add('x', 'http://x', { odd: 1 } as object)],
    ['add, a type', (r) => r.remotes.add('x', 'http://x', { gpgVerify: 'no' } as object)],
    ['add, a name', (r) => r.remotes.add('x', 'http://x', { other: { 'a=b': 'c' } })],
    ['add, a line', (r) => r.remotes.add('x', 'http://x', { other: { 'a\nb': 'c' } })],
    ['remove', (r) => r.remotes.remove('a/b')],
    ['url', (r) => r.remotes.url('file:///etc')],
    ['get', (r) => r.remotes.get('')],
    ['getOption', (r) => r.remotes.getOption('x', 'a b')],
    ['importKeys', (r) => r.remotes.importKeys('../x', Buffer.alloc(0))],
    ['importKeys, a key', (r) => r.remotes.importKeys('x', 3 as unknown as string)],
    ['keys', (r) => r.remotes.keys('..')],
    ['pull', (r) => r.pull('http://x')],
  ];
  test.each(wrong)('%s: a TypeError', async (_name, call) => {
    await using repo = await fresh();
    await expect(call(repo)).rejects.toMatchObject({
      name: 'TypeError',
      code: expect.stringMatching(/^ERR_INVALID_ARG_(TYPE|VALUE)$/),
    });
  });
});

test('cookies are those of the ostree command', async () => {
  await using repo = await fresh();
  await repo.remotes.add('origin', 'https://example.com/repo');
  const at = `--repo=${repo.path}`;
  const file = `${repo.path}/origin.cookies.txt`;
  const one = { domain: '.example.com', path: '/', name: 'one' };
  const two = { domain: 'example.com', path: '/os', name: 'two' };
  expect(await repo.remotes.listCookies('origin')).toEqual([]);
  await ostree('remote', 'add-cookie', at, 'origin', two.domain, two.path, two.name, 'theirs');
  const theirs = await readFile(file, 'utf8');
  await repo.remotes.addCookie('origin', { ...two, value: 'theirs' });
  // But for the seconds that passed.
  const withoutTime = (text: string) => text.replace(/\d{10,}/g, 'TIME');
  expect(withoutTime(await readFile(file, 'utf8'))).toBe(withoutTime(theirs));
  const expires = new Date('2040-01-02T03:04:05Z');
  await repo.remotes.addCookie('origin', { ...one, value: 'ours', secure: true, expires });
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await repo.remotes.listCookies('origin')).toMatchObject([
    { ...two, value: 'theirs', secure: false },
    { ...one, value: 'ours', secure: true, expires },
  ]);
  await ostree('remote', 'delete-cookie', at, 'origin', two.domain, two.path, two.name);
  expect(await repo.remotes.listCookies('origin')).toMatchObject([one]);
  await repo.remotes.removeCookie('origin', one);
  expect(await repo.remotes.listCookies('origin')).toEqual([]);
  const missing = { code: 'ENOENT' };
  await expect(repo.remotes.removeCookie('origin', one)).rejects.toMatchObject(missing);
  await expect(repo.remotes.listCookies('../x')).rejects.toMatchObject(missing);
  const bad = { ...one, value: 'a\tb' };
  await expect(repo.remotes.addCookie('origin', bad)).rejects.toMatchObject({
    code: 'ERR_INVALID_ARG_VALUE',
  });
});
