/** Sources that may leave this machine. */

import { writeFile } from 'node:fs/promises';
import { type AptSource, parseSources, portableSources } from 'apt-ostree/apt';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { armored } from '../../../lib/apt/keyring.js';
import { formatCredentials, splitCredentials } from '../../../lib/apt/portable.js';
import { createGpgHome } from '../../support/gpg.js';
import { run } from '../../support/run.js';
import { temporaryDirectory } from '../../support/temp.js';

const source = (part: Partial<AptSource>): AptSource => ({
  types: ['deb'],
  uris: ['https://a/debian'],
  suites: ['bookworm'],
  components: ['main'],
  ...part,
});

test.each([
  ['http://a/x', 'http://a/x', undefined],
  [
    'https://me:s%3Acret@a:8080/x/',
    'https://a:8080/x/',
    { machine: 'https://a:8080/x', login: 'me', password: 's:cret' },
  ],
  ['http://me@a', 'http://a', { machine: 'http://a', login: 'me', password: '' }],
  ['http://me:%@a/', 'http://a/', { machine: 'http://a', login: 'me', password: '%' }],
  ['http://a/x@y', 'http://a/x@y', undefined],
  ['http://a?x@y', 'http://a?x@y', undefined],
  ['file:/srv/a@b', 'file:/srv/a@b', undefined],
])('the login of %s', (text, uri, credentials) => {
  expect(splitCredentials(text)).toEqual(credentials ? { uri, credentials } : { uri });
});

test('logins that the format cannot hold are refused', () => {
  const login = (password: string) => formatCredentials([{ machine: 'a', login: 'b', password }]);
  expect(login('x')).toBe('machine a login b password x\n');
  for (const bad of ['x y', 'x\ny', 'x\0']) {
    expect(() => login(bad)).toThrowError(
      expect.objectContaining({
        code: 'ERR_INVALID_ARG_VALUE',
        message: expect.not.stringContaining(bad),
      }),
    );
  }
});

test('no password gets into the text', () => {
  const secret = fc.stringMatching(/^[A-Za-z0-9%:._~-]{12,20}$/);
  return fc.assert(
    fc.asyncProperty(secret, fc.webPath(), async (password, path) => {
      const uris = [`https://user:${password}@host.example${path}`];
      const text = await portableSources([source({ uris })]);
      expect(text).not.toContain(password);
      expect(text).toContain('https://host.example');
      expect(text).not.toContain('user');
    }),
  );
});

test('keyrings that only this machine has become part of the text', async () => {
  await using work = await temporaryDirectory('portable');
  await using gpg = await createGpgHome();
  const keys: Buffer[] = [];
  for (const name of ['One <one@example.com>', 'Two <two@example.com>']) {
    keys.push(Buffer.from(await gpg.exportKey(await gpg.addKey(name))));
  }
  const [one, two] = keys as [Buffer, Buffer];
  await writeFile(work.join('one.gpg'), one);
  await writeFile(work.join('two.asc'), `a remark\n${armored([{ path: '', content: two }])}\n`);
  const signedBy = `${work.join('one.gpg')},${work.join('two.asc')}`;
  const text = await portableSources([source({ signedBy })]);
  expect(text).not.toContain(work.path);
  const [read] = parseSources(text);
  const block = read?.signedBy?.replace(/^\.$/gm, '') ?? '';
  const { stdout } = await run('gpg', ['--homedir', work.path, '--show-keys'], { input: block });
  expect(stdout).toContain('one@example.com');
  expect(stdout).toContain('two@example.com');
  const { bytes } = await run('gpg', ['--homedir', work.path, '--dearmor'], { input: block });
  expect(bytes).toEqual(Buffer.concat(keys));

  // Those that no source names itself, too.
  const unnamed = await portableSources([source({})], { keyrings: [work.join('one.gpg')] });
  expect(unnamed).toContain('BEGIN PGP PUBLIC KEY BLOCK');
  // The same file in the tree is enough; another of that name is not.
  const there = async (path: string) => (path.endsWith('one.gpg') ? one : undefined);
  const kept = await portableSources([source({ signedBy: work.join('one.gpg') })], {
    readTarget: there,
  });
  expect(kept).toContain(`Signed-By: ${work.join('one.gpg')}\n`);
  const other = await portableSources([source({ signedBy: work.join('two.asc') })], {
    readTarget: async () => one,
  });
  expect(other).not.toContain(work.path);
});

test('keys that are text or fingerprints stay; what cannot be had is an error', async () => {
  const fingerprint = '0123456789ABCDEF0123456789ABCDEF01234567';
  const block = '-----BEGIN PGP PUBLIC KEY BLOCK-----\n.\nabc=\n-----END PGP PUBLIC KEY BLOCK-----';
  expect(await portableSources([source({ signedBy: fingerprint })])).toContain(fingerprint);
  expect(parseSources(await portableSources([source({ signedBy: block })]))[0]?.signedBy).toBe(
    block,
  );
  await using work = await temporaryDirectory('portable');
  await writeFile(work.join('garbage'), 'no key');
  for (const name of ['missing', 'garbage']) {
    await expect(portableSources([source({ signedBy: work.join(name) })])).rejects.toMatchObject({
      name: 'AptError',
      code: 'ERR_APT_SOURCES',
      path: work.join(name),
    });
  }
  await writeFile(work.join('key.gpg'), Buffer.from([0x99, 0]));
  await expect(
    portableSources([source({ signedBy: `${work.join('key.gpg')} ${fingerprint}` })]),
  ).rejects.toMatchObject({ code: 'ERR_APT_SOURCES' });
});
