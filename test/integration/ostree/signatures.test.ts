import { readFile, writeFile } from 'node:fs/promises';
import { variant } from 'apt-ostree';
import { type PullProgress, type PullVerification, Repo, signEngines } from 'apt-ostree/ostree';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runModule } from '../../support/child.js';
import { createGpgHome, type GpgHome } from '../../support/gpg.js';
import { commitEdits, ostree, someEdits } from '../../support/ostree.js';
import { temporaryDirectory } from '../../support/temp.js';

const scratch = await temporaryDirectory('signatures');
let gpg: GpgHome;
let repo: Repo;
let one: string;
let two: string;
const at = () => `--repo=${repo.path}`;
let serial = 0;
const commit = () =>
  commitEdits(repo, `ref-${++serial}`, [...someEdits, { op: 'mkdir', path: `/dir-${serial}` }]);

beforeAll(async () => {
  gpg = await createGpgHome();
  [one, two] = [await gpg.addKey('One <one@example.com>'), await gpg.addKey('Two <two@x.com>')];
  repo = await Repo.create(scratch.join('repo'), 'archive');
  await repo.remotes.add('trusts-one', 'http://localhost/');
  await repo.remotes.importKeys('trusts-one', await gpg.exportKey(one));
  await repo.remotes.add('trusts-two', 'http://localhost/');
  await repo.remotes.importKeys('trusts-two', await gpg.exportKey(two));
  await repo.remotes.add('asks-nothing', 'http://localhost/', { gpgVerify: false });
});
afterAll(async () => {
  repo.close();
  await gpg[Symbol.asyncDispose]();
  await scratch.remove();
});

describe('GPG', () => {
  test('what it signs, the ostree command verifies', async () => {
    const checksum = await commit();
    await repo.signatures.signGpg(checksum, { keys: [one], home: gpg.home });
    expect(await ostree('show', at(), '--gpg-verify-remote=trusts-one', checksum)).toContain(
      'Good signature from "One <one@example.com>"',
    );
    expect(await repo.signatures.verifyGpg(checksum, { remote: 'trusts-one' })).toEqual([
      {
        valid: true,
        expired: false,
        keyExpired: false,
        keyRevoked: false,
        keyMissing: false,
        fingerprint: one,
        primaryFingerprint: one,
        publicKeyAlgorithm: 'EdDSA',
        hashAlgorithm: expect.any(String),
        userName: 'One',
        userEmail: 'one@example.com',
        created: expect.any(Date),
      },
    ]);
    expect(await repo.verify(checksum, { remote: 'trusts-one' })).toMatchObject({
      accepted: true,
      checksum,
      message: expect.stringContaining('One'),
    });
    expect(await repo.verify(checksum, { remote: 'trusts-two' })).toMatchObject({
      accepted: false,
      code: 'ERR_OSTREE_GPG_MISSING_KEY',
    });
    expect(await repo.verify(checksum, { remote: 'asks-nothing' })).toMatchObject({
      accepted: false,
      code: 'ERR_OSTREE_FAILED',
    });
    expect(await repo.signatures.verifyGpg(checksum, { remote: 'trusts-two' })).toMatchObject([
      { valid: false, keyMissing: true },
    ]);
    const file = scratch.join('one.gpg');
    await writeFile(file, await gpg.exportKey(one));
    expect(await repo.signatures.verifyGpg(checksum, { keyring: file })).toMatchObject([
      { valid: true },
    ]);
  });

  test('a pull accepts what verify accepts', async () => {
    const checksum = await commit();
    await using target = await Repo.create(scratch.join('target'), 'bare-user');
    await target.remotes.add('origin', `file://${repo.path}`);
    await target.remotes.importKeys('origin', await gpg.exportKey(two));
    const pull = () => target.pull('origin', { refs: [checksum] });
    await expect(pull()).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_OSTREE/) });
    expect(await repo.verify(checksum, { remote: 'trusts-two' })).toMatchObject({
      accepted: false,
    });
    await repo.signatures.signGpg(checksum, { keys: [one], home: gpg.home });
    await expect(pull()).rejects.toMatchObject({ code: 'ERR_OSTREE_GPG_MISSING_KEY' });
    await repo.signatures.signGpg(checksum, { keys: [two], home: gpg.home });
    await pull();
    expect(await target.verify(checksum, { remote: 'origin' })).toMatchObject({ accepted: true });
  });

  test('what the ostree command signs, it verifies and deletes', async () => {
    const checksum = await commit();
    await ostree('gpg-sign', at(), `--gpg-homedir=${gpg.home}`, checksum, one, two);
    expect(await repo.signatures.verifyGpg(checksum, { remote: 'trusts-one' })).toHaveLength(2);
    expect(await repo.signatures.removeGpg(checksum, [one.slice(-16).toLowerCase()])).toBe(1);
    expect(await repo.signatures.verifyGpg(checksum, { remote: 'trusts-two' })).toMatchObject([
      { valid: true, fingerprint: two },
    ]);
    expect(await repo.signatures.removeGpg(checksum, [one])).toBe(0);
    expect(await repo.signatures.removeGpg(checksum, [two])).toBe(1);
    expect(await repo.readDetachedMetadata(checksum)).toBeUndefined();
    await expect(
      repo.signatures.verifyGpg(checksum, { remote: 'trusts-one' }),
    ).rejects.toMatchObject({ code: 'ERR_OSTREE_GPG_NO_SIGNATURE' });
  });

  test('data, and a signature made by gpg itself', async () => {
    const checksum = await commit();
    const data = Buffer.from('some data');
    const [signature = Buffer.alloc(0)] = await repo.signatures.signDataGpg(data, {
      keys: [one],
      home: gpg.home,
    });
    const keyring = { remote: 'trusts-one' };
    expect(await repo.signatures.verifyDataGpg(data, signature, keyring)).toMatchObject([
      { valid: true, fingerprint: one },
    ]);
    expect(
      await repo.signatures.verifyDataGpg(Buffer.from('other'), signature, keyring),
    ).toMatchObject([{ valid: false }]);
    const object = `${repo.path}/objects/${checksum.slice(0, 2)}/${checksum.slice(2)}.commit`;
    const detached = await gpg.sign(two, await readFile(object), 'detached');
    await repo.signatures.appendGpg(checksum, detached);
    expect(await repo.verify(checksum, { remote: 'trusts-two' })).toMatchObject({ accepted: true });
    await expect(
      repo.signatures.signGpg(checksum, { keys: ['0123456789ABCDEF'], home: gpg.home }),
    ).rejects.toMatchObject({ name: 'OstreeError' });
  });

  test('a pull tells of each commit that it verified', async () => {
    const [good, bad] = [await commit(), await commit()];
    await repo.signatures.signGpg(good, { keys: [one], home: gpg.home });
    await repo.signatures.signGpg(bad, { keys: [two], home: gpg.home });
    await using target = await Repo.create(scratch.join('verified'), 'bare-user');
    await target.remotes.add('origin', `file://${repo.path}`, { gpgVerify: true });
    await target.remotes.importKeys('origin', await gpg.exportKey(one));
    const seen: PullVerification[] = [];
    const progress: PullProgress[] = [];
    const options = {
      onVerified: (verification: PullVerification) => void seen.push(verification),
      onProgress: (state: PullProgress) => void progress.push(state),
    };
    await target.pull('origin', { refs: [good], ...options });
    expect(seen).toMatchObject([{ commit: good, signatures: [{ valid: true, fingerprint: one }] }]);
    await expect(target.pull('origin', { refs: [bad], ...options })).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_OSTREE_/),
    });
    expect(seen).toMatchObject([{}, { commit: bad, signatures: [{ valid: false }] }]);
    // Each listener hears of its own.
    expect(progress.every((state) => 'fetched' in state)).toBe(true);
  });

  test('signed pulls of summaries', async () => {
    await commit();
    await repo.summary.regenerate();
    const url = `file://${repo.path}`;
    await repo.remotes.add('self', url, { existing: 'replace', gpgVerifySummary: true });
    await repo.remotes.importKeys('self', await gpg.exportKey(one));
    await expect(repo.remotes.fetchSummary('self')).rejects.toMatchObject({ name: 'OstreeError' });
    await repo.summary.signGpg({ keys: [one], home: gpg.home });
    const fetched = await repo.remotes.fetchSummary('self');
    expect(fetched?.summary.refs.length).toBe(serial);
    if (!fetched?.signatureBytes) throw new Error('no signature');
    const { bytes, signatureBytes } = fetched;
    expect(await repo.remotes.verifySummary('self', bytes, signatureBytes)).toMatchObject([
      { valid: true, fingerprint: one },
    ]);
    await using target = await Repo.create(scratch.join('mirror'), 'archive');
    await target.remotes.add('origin', url, { gpgVerify: false, gpgVerifySummary: true });
    await target.remotes.importKeys('origin', await gpg.exportKey(one));
    expect(await repo.summary.readSignatures()).toEqual(signatureBytes);
    await target.pull('origin', {
      mirror: true,
      summaryBytes: bytes,
      summarySignatureBytes: signatureBytes,
    });
    expect(Object.keys(await target.listRefs())).toHaveLength(serial);
  });
});

test('detached metadata', async () => {
  const checksum = await commit();
  expect(await repo.readDetachedMetadata(checksum)).toBeUndefined();
  await repo.writeDetachedMetadata(checksum, { 'my.key': variant('s', 'value') });
  expect(await repo.readDetachedMetadata(checksum)).toEqual({ 'my.key': 'value' });
  expect(await ostree('show', at(), '--print-detached-metadata-key=my.key', checksum)).toBe(
    "'value'",
  );
  await repo.writeDetachedMetadata(checksum, null);
  expect(await repo.readDetachedMetadata(checksum)).toBeUndefined();
  await expect(repo.writeDetachedMetadata('0'.repeat(64), null)).rejects.toMatchObject({
    code: 'ENOENT',
  });
});

describe('other engines', () => {
  test('an engine that is not there is not supported', async () => {
    expect(signEngines()).not.toContain('nothing');
    const checksum = await commit();
    for (const call of [
      () => repo.signatures.sign(checksum, { engine: 'nothing', secretKeys: ['x'] }),
      () => repo.signatures.verify(checksum, { engine: 'nothing', publicKeys: ['x'] }),
      () => repo.signatures.remove(checksum, { engine: 'nothing', publicKeys: ['x'] }),
      () => repo.summary.sign({ engine: 'nothing', secretKeys: ['x'] }),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'ERR_OSTREE_NOT_SUPPORTED' });
    }
  });

  test('sign, verify, delete, as the ostree command does', async () => {
    const checksum = await commit();
    const child = await runModule(
      `
      import { Repo, signEngines } from './lib/ostree.ts';
      const [path, checksum] = process.argv.slice(-2);
      const repo = await Repo.open(path);
      const engine = 'dummy';
      await repo.signatures.sign(checksum, { engine, secretKeys: ['one', 'two'] });
      const message = await repo.signatures.verify(checksum, { engine, publicKeys: ['two'] });
      const other = await repo.signatures.verify(checksum, { engine, publicKeys: ['three'] })
        .catch((error) => error.code);
      await repo.remotes.add('signed', 'http://localhost', { gpgVerify: false, signVerify: ['dummy'],
        other: { 'verification-dummy-key': 'one' } });
      const verdict = await repo.verify(checksum, { remote: 'signed' });
      const removed = await repo.signatures.remove(checksum, { engine, publicKeys: ['one'] });
      const after = await repo.verify(checksum, { remote: 'signed' });
      await repo.summary.regenerate();
      await repo.summary.sign({ engine, secretKeys: ['one'] });
      const summary = await repo.summary.readBytes();
      const signed = await repo.summary.readSignatures();
      const codes = [];
      const failing = (call) => call.then(() => codes.push('none'), ({ code }) => codes.push(code));
      await repo.signatures.verifySummary(summary, signed, { engine, publicKeys: ['one'] });
      await failing(repo.signatures.verifySummary(summary, signed, { engine, publicKeys: ['two'] }));
      await failing(repo.signatures.verifySummary(summary, summary, { engine, publicKeys: ['one'] }));
      const data = Buffer.from('data');
      const made = await repo.signatures.signData(data, { engine, secretKeys: ['one', 'two'] });
      await repo.signatures.verifyData(data, made, { engine, publicKeys: ['two'] });
      await failing(repo.signatures.verifyData(data, made, { engine, publicKeys: ['three'] }));
      await failing(repo.signatures.verifyData(data, [], { engine, publicKeys: ['one'] }));
      await failing(repo.signatures.signData(data, { engine: 'none', secretKeys: ['one'] }));
      console.log(JSON.stringify({ engines: signEngines(), codes, message, other, removed,
        verdicts: [verdict.accepted, after.accepted] }));
      `,
      { args: [repo.path, checksum], env: { OSTREE_DUMMY_SIGN_ENABLED: '1' } },
    );
    expect(child, child.stderr).toMatchObject({ status: 0 });
    expect(JSON.parse(child.stdout)).toEqual({
      engines: expect.arrayContaining(['dummy']),
      codes: [
        'ERR_OSTREE_FAILED',
        'ERR_OSTREE_FAILED',
        'ERR_OSTREE_FAILED',
        'ERR_OSTREE_FAILED',
        'ERR_OSTREE_NOT_SUPPORTED',
      ],
      message: expect.stringContaining('verified'),
      other: 'ERR_OSTREE_FAILED',
      removed: 1,
      verdicts: [true, false],
    });
    process.env.OSTREE_DUMMY_SIGN_ENABLED = '1';
    try {
      await ostree('sign', at(), '--verify', '--sign-type=dummy', checksum, 'two');
    } finally {
      delete process.env.OSTREE_DUMMY_SIGN_ENABLED;
    }
  });
});

const kChecksum = 'a'.repeat(64);
const wrong: [string, (r: Repo) => Promise<unknown>][] = [
  ['a commit', (r) => r.signatures.signGpg('../x', { keys: ['a'] })],
  ['no keys', (r) => r.signatures.signDataGpg(Buffer.alloc(1), { keys: [] })],
  ['an option for a key', (r) => r.signatures.signGpg(kChecksum, { keys: ['--x'] })],
  ['a signature', (r) => r.signatures.appendGpg(kChecksum, 'x' as unknown as Buffer)],
  ['a remote', (r) => r.verify(kChecksum, { remote: '../x' })],
  ['no secret key', (r) => r.signatures.sign(kChecksum, { engine: 'dummy', secretKeys: [] })],
  ['an empty key', (r) => r.signatures.sign(kChecksum, { engine: 'dummy', secretKeys: [''] })],
  ['no public key', (r) => r.signatures.verify(kChecksum, { engine: 'dummy' })],
  ['metadata', (r) => r.writeDetachedMetadata(kChecksum, { a: 'b' } as unknown as null)],
];
test.each(wrong)('%s: a TypeError', async (_name, call) => {
  await expect(call(repo)).rejects.toMatchObject({
    name: 'TypeError',
    code: expect.stringMatching(/^ERR_INVALID_ARG_(TYPE|VALUE)$/),
  });
});
