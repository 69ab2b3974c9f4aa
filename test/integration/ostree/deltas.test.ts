import { randomBytes } from 'node:crypto';
import { copyFile, readFile, stat, writeFile } from 'node:fs/promises';
import { type Variant, variant, variantFromBytes, variantToBytes } from 'apt-ostree';
import { Repo } from 'apt-ostree/ostree';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runModule } from '../../support/child.js';
import { serveDirectory } from '../../support/file-server.js';
import { commitEdits, ostree, someEdits } from '../../support/ostree.js';
import { temporaryDirectory } from '../../support/temp.js';

const scratch = await temporaryDirectory('deltas');
let source: Repo;
let first: string;
let second: string;
const at = (repo: Repo) => `--repo=${repo.path}`;
let count = 0;
const fresh = () => Repo.create(scratch.join(`target-${++count}`), 'bare-user');

beforeAll(async () => {
  source = await Repo.create(scratch.join('source'), 'archive');
  const big = randomBytes(200_000);
  const changed = Buffer.from(big);
  changed.fill(0, 1000, 2000);
  first = await commitEdits(source, 'os', [
    ...someEdits,
    { op: 'file', path: '/usr/lib/big', content: big },
  ]);
  second = await commitEdits(
    source,
    'os',
    [{ op: 'file', path: '/usr/lib/big', content: changed }],
    {
      base: first,
      parent: first,
    },
  );
});
afterAll(() => scratch.remove());

describe('Deltas', () => {
  test('makes what the ostree command lists, shows and applies, and the other way round', async () => {
    const { deltas } = source;
    expect(await deltas.list()).toEqual([]);
    await deltas.generate(second, { from: first });
    await ostree('static-delta', 'generate', at(source), '--empty', `--to=${first}`);
    const names = [{ to: first }, { from: first, to: second }];
    expect(await deltas.list()).toEqual(expect.arrayContaining(names));
    expect((await ostree('static-delta', 'list', at(source))).split('\n').sort()).toEqual(
      [first, `${first}-${second}`].sort(),
    );
    const shown = await deltas.show({ from: first, to: second });
    expect(shown).toMatchObject({ from: first, to: second, signed: false, endianness: 'little' });
    expect(shown.parts.length).toBeGreaterThan(0);
    const text = await ostree('static-delta', 'show', at(source), `${first}-${second}`);
    expect(text).toContain(`Number of parts: ${shown.parts.length}`);
    const [part] = shown.parts;
    expect(text).toMatch(
      new RegExp(
        `PartMeta0: nobjects=${part?.objects} size=${part?.size} usize=${part?.uncompressedSize}`,
      ),
    );
    expect(part?.size).toBeLessThan(60_000);
    expect((await deltas.show({ to: first })).from).toBeUndefined();

    await using target = await fresh();
    const directory = scratch.join('applied');
    await deltas.generate(first, { file: directory, inlineParts: true, minFallbackSize: 0 });
    expect((await deltas.show(directory)).parts).toMatchObject([{ inline: true }]);
    expect(await target.deltas.apply(directory)).toBe(first);
    const theirs = scratch.join('theirs');
    await ostree(
      'static-delta',
      'generate',
      at(source),
      '--inline',
      `--filename=${theirs}`,
      `--from=${first}`,
      `--to=${second}`,
    );
    expect(await target.deltas.apply(theirs)).toBe(second);
    await ostree('fsck', at(target), '--all');
    await target.setRef('os', second);
    expect(await target.fsck()).toMatchObject({ errors: [], partialCommits: 0 });

    await using other = await fresh();
    await expect(other.deltas.apply(theirs)).rejects.toMatchObject({ code: 'ERR_OSTREE_FAILED' });
    await ostree('static-delta', 'apply-offline', at(other), directory);
    expect(await other.hasObject('commit', first)).toBe(true);
  });

  test('of an old libostree, which does not say the order of its bytes', async () => {
    const type = `(a{sv}tayay(a{sv}aya(say)sstayay)aya(uayttay)a(yaytt))`;
    for (const endianness of ['little', 'big'] as const) {
      const file = scratch.join(`old-${endianness}`);
      await source.deltas.generate(first, {
        file,
        endianness,
        inlineParts: true,
        minFallbackSize: 0,
      });
      const { parts } = await source.deltas.show(file);
      const bytes = await readFile(file);
      const [metadata, ...rest] = variantFromBytes(type, bytes, { typed: true }) as [
        Record<string, Variant>,
      ];
      const { 'ostree.endianness': order, ...old } = metadata;
      expect(order).toBeDefined();
      await writeFile(file, variantToBytes(variant(type, [old, ...rest])));
      const shown = await source.deltas.show(file);
      expect(shown).toMatchObject({ to: first, parts });
      expect(shown.endianness).toBeUndefined();
      const size = parts.reduce((sum, part) => sum + part.size, 0);
      expect(await ostree('static-delta', 'show', at(source), file)).toContain(`Size: ${size} (`);
      await using target = await fresh();
      expect(await target.deltas.apply(file)).toBe(first);
      expect((await target.fsck()).ok).toBe(true);
    }
  });

  test('indexes, and removal', async () => {
    const { deltas } = source;
    expect(await deltas.listIndexes()).toEqual([]);
    await deltas.reindex();
    expect(await deltas.listIndexes()).toEqual([first, second].sort());
    expect((await ostree('static-delta', 'indexes', at(source))).split('\n').sort()).toEqual(
      [first, second].sort(),
    );
    await deltas.remove({ to: first });
    expect(await deltas.list()).toEqual([{ from: first, to: second }]);
    await expect(deltas.remove({ to: first })).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(deltas.show({ to: first })).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await deltas.listIndexes()).toEqual([second]);
  });

  test('a pull takes them', async () => {
    await source.summary.regenerate();
    await using server = await serveDirectory(source.path);
    await using target = await fresh();
    await target.remotes.add('origin', server.url, { gpgVerify: false });
    await expect(
      target.pull('origin', { refs: ['os'], requireStaticDeltas: true }),
    ).rejects.toMatchObject({ name: 'OstreeError' });
    await target.pull('origin', { refs: ['os'], overrideCommits: [first] });
    const plan = await target.pull('origin', {
      refs: ['os'],
      requireStaticDeltas: true,
      dryRun: true,
    });
    expect(plan.totalDeltaParts).toBeGreaterThan(0);
    expect(await target.hasObject('commit', second)).toBe(false);
    // A server of its own: late requests of the pulls before must not count.
    await using last = await serveDirectory(source.path);
    const result = await target.pull('origin', {
      refs: ['os'],
      requireStaticDeltas: true,
      overrideUrl: last.url,
    });
    expect(result.fetchedDeltaParts).toBe(plan.totalDeltaParts);
    expect(last.requests.some((request) => request.includes('/deltas/'))).toBe(true);
    expect(await target.fsck()).toMatchObject({ errors: [], partialCommits: 0 });
  });

  test('damaged ones are refused', async () => {
    const good = scratch.join('good');
    await source.deltas.generate(first, { file: good, inlineParts: true });
    const bytes = await readFile(good);
    const bad = scratch.join('bad');
    await using target = await fresh();
    for (let round = 0; round < 60; round++) {
      const damaged = round % 4 === 0 ? randomBytes(round * 9) : Buffer.from(bytes);
      // The head, where sizes and offsets are, and its end, where those of members are.
      for (let i = 0; round % 4 && i < 3; i++) {
        const place = Math.floor(Math.random() * 400);
        damaged[i === 0 ? place : damaged.length - 1 - place] = randomBytes(1)[0] ?? 0;
      }
      await writeFile(bad, damaged.subarray(0, damaged.length - (round % 3)));
      await target.deltas.show(bad).catch((error) => {
        expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path: bad });
      });
    }
    await writeFile(bad, '');
    await expect(target.deltas.apply(bad)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
    await expect(target.deltas.apply(scratch.join('no'))).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(target.deltas.apply('/etc/hostname')).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
    });
    const engine = { engine: 'dummy', publicKeys: ['x'] };
    await expect(target.deltas.apply(good, { verifier: engine })).rejects.toMatchObject({
      code: 'ERR_OSTREE_FAILED',
    });
    await copyFile(good, bad);
    expect((await stat(bad)).size).toBe(bytes.length);
  });

  test('signatures', async () => {
    const file = scratch.join('signed');
    await using target = await fresh();
    const child = await runModule(
      `
      import { Repo } from './lib/ostree.ts';
      const [from, to, commit, file] = process.argv.slice(-4);
      const [source, target] = [await Repo.open(from), await Repo.open(to)];
      const engine = 'dummy';
      await source.deltas.generate(commit, { file, inlineParts: true, signer: { engine, secretKeys: ['key'] } });
      const message = await target.deltas.verify(file, { engine, publicKeys: ['key'] });
      const code = async (call) => call.then(() => 'ok', (error) => error.code);
      const bad = { engine, publicKeys: ['other'] };
      console.log(JSON.stringify([
        message,
        (await target.deltas.show(file)).signed,
        await code(target.deltas.verify(file, bad)),
        await code(target.deltas.apply(file, { verifier: bad })),
        await target.hasObject('commit', commit),
        await code(target.deltas.apply(file, { verifier: { engine, publicKeys: ['key'] } })),
        await target.hasObject('commit', commit),
      ]));
      `,
      {
        args: [source.path, target.path, first, file],
        env: { OSTREE_DUMMY_SIGN_ENABLED: '1' },
      },
    );
    expect(child, child.stderr).toMatchObject({ status: 0 });
    expect(JSON.parse(child.stdout)).toEqual([
      expect.stringContaining('verified'),
      true,
      'ERR_OSTREE_FAILED',
      'ERR_OSTREE_FAILED',
      false,
      'ok',
      true,
    ]);
    await expect(
      source.deltas.generate(first, { file, signer: { engine: 'no', secretKeys: ['k'] } }),
    ).rejects.toMatchObject({ code: 'ERR_OSTREE_NOT_SUPPORTED' });
  });

  test('a missing one is an error of ours, and being closed comes first', async () => {
    const closed = await Repo.open(source.path);
    const missing = scratch.join('no-such-delta');
    const verifier = { engine: 'ed25519', publicKeys: [Buffer.alloc(32, 9).toString('base64')] };
    await expect(closed.deltas.verify(missing, verifier)).rejects.toMatchObject({
      name: 'OstreeError',
      code: 'ENOENT',
      path: missing,
    });
    closed.close();
    for (const call of [
      () => closed.deltas.verify(missing, verifier),
      () => closed.deltas.show(missing),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    }
  });

  const wrong: [string, (r: Repo) => Promise<unknown>][] = [
    ['a commit', (r) => r.deltas.generate('../x')],
    ['a start', (r) => r.deltas.generate(first, { from: 'x' })],
    ['a byte order', (r) => r.deltas.generate(first, { endianness: 'middle' as 'big' })],
    ['a size', (r) => r.deltas.generate(first, { maxChunkSize: 'x' as unknown as number })],
    ['a name', (r) => r.deltas.show({ to: '../x' })],
    ['nothing', (r) => r.deltas.show(undefined as unknown as string)],
    ['a name to remove', (r) => r.deltas.remove({ from: '..', to: first })],
    ['a commit to index', (r) => r.deltas.reindex({ to: 'x' })],
    ['no keys', (r) => r.deltas.verify('/etc', { engine: 'dummy' })],
  ];
  test.each(wrong)('%s: a TypeError', async (_name, call) => {
    await expect(call(source)).rejects.toMatchObject({
      name: 'TypeError',
      code: expect.stringMatching(/^ERR_INVALID_ARG_(TYPE|VALUE)$/),
    });
  });
});
