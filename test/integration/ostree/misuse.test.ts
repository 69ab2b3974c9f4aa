/** libostree ends the process on misuse; nothing that JavaScript hands in may get that far. */

import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { MutableTree, Repo, Sysroot } from 'apt-ostree/ostree';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runModule } from '../../support/child.js';
import { commitEdits, someEdits } from '../../support/ostree.js';
import { run } from '../../support/run.js';
import { temporaryDirectory } from '../../support/temp.js';

const scratch = await temporaryDirectory('misuse');
let repo: Repo;
beforeAll(async () => {
  repo = await Repo.create(scratch.join('repo'), 'bare-user');
  await commitEdits(repo, 'test', someEdits);
});
afterAll(() => scratch.remove());

const kBad = '../../x/y';
/** Options as JavaScript lets one write them. */
const misspelt = <T>(options: T) => options as never;
const kZeros = '0'.repeat(64);

describe('Repo', () => {
  test('opens only repositories', async () => {
    const notOne = { code: 'ERR_OSTREE_NOT_A_REPOSITORY', path: scratch.path };
    await expect(Repo.open(scratch.path)).rejects.toMatchObject(notOne);
    const file = scratch.join('file');
    await writeFile(file, '');
    await expect(Repo.open(file)).rejects.toMatchObject({ ...notOne, path: file });
    const missing = scratch.join('missing');
    await expect(Repo.open(missing)).rejects.toMatchObject({ code: 'ENOENT', path: missing });
    await expect(Repo.create(missing, 'odd' as 'bare')).rejects.toBeInstanceOf(TypeError);
    await expect(Repo.create(repo.path, 'archive')).rejects.toMatchObject({
      code: 'EEXIST',
    });
    const fifo = scratch.join('fifo');
    await mkdir(`${fifo}/objects`, { recursive: true });
    await run('mkfifo', [`${fifo}/config`]);
    const notRegular = { code: 'EINVAL', path: `${fifo}/config` };
    await expect(Repo.open(fifo)).rejects.toMatchObject(notRegular);
    await expect(repo.pullLocal(fifo)).rejects.toMatchObject(notRegular);
    await expect(repo.pullLocal(repo.path, { localCacheRepos: [fifo] })).rejects.toMatchObject(
      notRegular,
    );
    // So must those above one.
    const below = scratch.join('below');
    const made = await Repo.create(below, 'bare-user');
    const parent = { core: { parent: fifo } };
    await expect(made.config.write(parent)).rejects.toMatchObject(notRegular);
    await made.config.set('core', 'x-parent', fifo);
    const config = await readFile(`${below}/config`, 'utf8');
    await writeFile(`${below}/config`, config.replace('x-parent', 'parent'));
    await expect(made.config.reload()).rejects.toMatchObject(notRegular);
    await expect(Repo.open(below)).rejects.toMatchObject(notRegular);
    await writeFile(`${below}/config`, config.replace(/x-parent=.*/, `parent=${below}`));
    await expect(Repo.open(below)).rejects.toMatchObject({ code: 'ELOOP', path: below });
    made.close();
    const sysroot = scratch.join('fifo-sysroot');
    await mkdir(`${sysroot}/ostree/deploy`, { recursive: true });
    await rename(fifo, `${sysroot}/ostree/repo`);
    await expect(Sysroot.load(sysroot)).rejects.toMatchObject({ code: 'EINVAL' });
    const damaged = scratch.join('damaged');
    await mkdir(`${damaged}/objects`, { recursive: true });
    await writeFile(`${damaged}/config`, '[core\n');
    await expect(Repo.open(damaged)).rejects.toMatchObject({ code: 'ERR_OSTREE_FAILED' });
  });

  const wrong: [string, (r: Repo) => Promise<unknown>][] = [
    ['hasObject, a path', (r) => r.hasObject('file', kBad)],
    ['hasObject, upper case', (r) => r.hasObject('file', 'A'.repeat(64))],
    ['hasObject, a type', (r) => r.hasObject('odd' as 'file', kZeros)],
    ['resolveRev, empty', (r) => r.resolveRev('')],
    ['resolveRev, a path', (r) => r.resolveRev(kBad)],
    ['resolveRev, NUL', (r) => r.resolveRev('a\0b')],
    ['setRef, a path', (r) => r.setRef(kBad, null)],
    ['setRef, a checksum', (r) => r.setRef('a', 'abc')],
    ['listRefs, a path', (r) => r.listRefs({ prefix: kBad })],
    ['readFile, a path', (r) => r.readFile('test', '/../x')],
    ['list, a path', (r) => r.list('test', '..')],
    ['checkout, options', (r) => r.checkout('test', 'x', { overwrite: 'odd' as 'none' })],
    ['pullLocal, refs', (r) => r.pullLocal(repo.path, { refs: [kBad] })],
    ['pullLocal, remote', (r) => r.pullLocal(repo.path, { remote: kBad })],
    ['writeConfig, a key', (r) => r.writeConfig({ core: { 'a=b': 'c' } })],
    ['diff, a side', (r) => r.diff('test', 3 as unknown as string)],
    ['prune, a misspelt option', (r) => r.prune(misspelt({ refsOnly: true, dryrun: true }))],
    ['fsck, a misspelt option', (r) => r.fsck(misspelt({ Delete: true }))],
    ['checkout, a misspelt option', (r) => r.checkout('test', 'x', misspelt({ mod: 'user' }))],
    ['checkout, a misspelt part', (r) => r.checkout([misspelt({ rev: 'test', sub: '/' })], 'x')],
    ['commit, a misspelt option', (r) => r.commit(misspelt({ trees: [], refs: 'test' }))],
    [
      'commit, a misspelt option of a layer',
      (r) => r.commit({ trees: [misspelt({ directory: scratch.path, ownr: { uid: 0 } })] }),
    ],
    ['lock, a misspelt option', (r) => r.lock('shared', misspelt({ timeOut: 1 }))],
    ['readFile, a misspelt option', (r) => r.readFile('test', '/a', misspelt({ abort: 1 }))],
    [
      'an edit, a misspelt member',
      (r) => MutableTree.create().apply(r, [misspelt({ op: 'remove', path: '/a', missing: true })]),
    ],
    ['transaction, no function', (r) => r.transaction(undefined as unknown as () => void)],
  ];
  test.each(wrong)('%s: a TypeError', async (_name, call) => {
    await expect(call(repo)).rejects.toMatchObject({
      name: 'TypeError',
      code: expect.stringMatching(/^ERR_INVALID_ARG_(TYPE|VALUE)$/),
    });
  });

  const missing: [string, (r: Repo) => Promise<unknown>][] = [
    ['resolveRev', (r) => r.resolveRev('no/such')],
    ['loadCommit', (r) => r.loadCommit(kZeros)],
    ['list', (r) => r.list('test', '/no/such')],
    ['stat', (r) => r.stat('no/such', '/')],
    ['readFile', (r) => r.readFile('test', '/etc/nothing')],
    ['checkout', (r) => r.checkout(kZeros, scratch.join('nowhere'))],
    ['setRef', (r) => r.setRef('a', kZeros)],
    ['diff', (r) => r.diff('test', kZeros)],
    ['MutableTree.fromCommit', (r) => MutableTree.fromCommit(r, kZeros)],
    ['pullLocal', (r) => r.pullLocal(scratch.join('missing'))],
  ];
  test.each(missing)('%s of what is not there: ENOENT', async (_name, call) => {
    await expect(call(repo)).rejects.toMatchObject({ name: 'OstreeError', code: 'ENOENT' });
  });

  test('readFile of a directory and of a link', async () => {
    await expect(repo.readFile('test', '/etc')).rejects.toMatchObject({ code: 'EISDIR' });
    await expect(repo.readFile('test', '/bin')).rejects.toMatchObject({ code: 'ELOOP' });
    await expect(repo.readFile('test', '/bin/x')).rejects.toMatchObject({ code: 'ENOTDIR' });
  });

  test('every call after close says so', async () => {
    const closed = await Repo.open(repo.path);
    closed.close();
    closed.close();
    expect(() => closed.mode).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
    for (const call of [
      () => closed.resolveRev('test'),
      () => closed.listRefs(),
      () => closed.setRef('a', kZeros),
      () => closed.hasObject('file', kZeros),
      () => closed.transaction(() => {}),
      () => closed.list('test'),
      () => closed.stat('test', '/'),
      () => closed.readFile('test', '/x'),
      () => closed.loadCommit('test'),
      () => closed.checkout('test', scratch.join('closed')),
      () => closed.diff('test', 'test'),
      () => closed.fsck(),
      () => closed.prune(),
      () => closed.pullLocal(repo.path),
      () => closed.readConfig(),
      () => MutableTree.fromCommit(closed, 'test'),
      () => MutableTree.create().list(closed),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'ERR_CLOSED', path: repo.path });
    }
  });

  test('opening and closing keeps the number of descriptors', async () => {
    const descriptors = async () => (await readdir('/proc/self/fd')).length;
    const cycle = async () => {
      const handle = await Repo.open(repo.path);
      await handle.resolveRev('test');
      handle.close();
    };
    // Threads that start for it keep a descriptor each.
    for (let i = 0; i < 200; i++) await cycle();
    const before = await descriptors();
    for (let i = 0; i < 200; i++) await cycle();
    expect(await descriptors()).toBeLessThanOrEqual(before + 2);
  });

  test('closing inside a transaction drops it', async () => {
    const other = await Repo.open(repo.path);
    await expect(
      other.transaction(async (transaction) => {
        other.close();
        await transaction.writeTree(MutableTree.create());
      }),
    ).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    await commitEdits(repo, 'after', someEdits);
  });

  test('an aborted call rejects with an AbortError', async () => {
    const signal = AbortSignal.abort('no');
    await expect(repo.fsck({ signal })).rejects.toMatchObject({ name: 'AbortError', cause: 'no' });
  });
});

test('objects of another class are refused', async () => {
  const tree = MutableTree.create();
  await expect(tree.apply(tree as unknown as Repo, [])).rejects.toBeInstanceOf(TypeError);
  await expect(
    repo.transaction((t) => t.writeTree(repo as unknown as MutableTree)),
  ).rejects.toBeInstanceOf(TypeError);
  await using sysroot = await Sysroot.initialize(scratch.join('sysroot'));
  await expect(sysroot.writeDeployments(['a', 'a'])).rejects.toBeInstanceOf(TypeError);
  await expect(sysroot.writeDeployments(['a'])).rejects.toMatchObject({ code: 'ENOENT' });
});

test('the addon itself survives any arguments in any state, without a GLib critical', async () => {
  const child = await runModule(
    `
    import { mkdirSync } from 'node:fs';
    import { binding } from './lib/binding.ts';
    const top = process.argv.at(-1);
    mkdirSync(top + '/a/b/c', { recursive: true });
    process.chdir(top + '/a/b/c');
    const addon = binding();
    const swallow = async (call) => {
      try {
        const job = call();
        if (Math.random() < 0.1) job?.cancel?.();
        return await job?.promise;
      } catch (error) {
        if (!(error instanceof Error)) throw error;
        if (typeof error.code !== 'string' && !/trap|Illegal invocation/.test(error.message)) throw error;
      }
    };
    const repo = await addon.Repo.create(top + '/repo', 'bare-user').promise;
    const inTransaction = await addon.Repo.create(top + '/second', 'bare-user').promise;
    await inTransaction.beginTransaction().promise;
    const closed = await addon.Repo.open(top + '/repo').promise;
    closed.close();
    const sysroot = await addon.Sysroot.open(top, true, false).promise.catch(async () => {
      mkdirSync(top + '/sysroot');
      return addon.Sysroot.open(top + '/sysroot', true, false).promise;
    });
    await sysroot.tryLock().promise;
    const closedSysroot = await addon.Sysroot.open(sysroot && top, false, true).promise.catch(() => sysroot);
    const objects = [repo, inTransaction, closed, addon.MutableTree.create(), sysroot, closedSysroot,
      addon.DevinoCache.create()];
    const zeros = '0'.repeat(64);
    const trap = new Proxy({}, { get() { throw new Error('trap'); } });
    const values = [undefined, null, true, false, 0, -1, 1.5, NaN, 2 ** 40, 1e300, 5n, 2n ** 70n, '', 'x',
      'test', zeros, zeros.slice(1) + 'G', '../escape', '/../x', 'a\\0b', '\\ud800', '^', 'a^^', 'r:ref', ':',
      'é'.repeat(100), 'y'.repeat(1 << 20), Symbol('s'), [], [1], ['x'], [{}], {}, trap, () => {}, new Date(),
      Buffer.from([0xff, 0xfe]), Buffer.alloc(0), new Uint8Array(3), { directory: 'x' }, ['x', 'x'],
      { contents: zeros, metadata: zeros }, { stateroot: 'a', rev: 'b' }, { core: 3 }, { a: { b: 'c' } },
      [{ op: 'mkdir', path: '/p' }], [{ op: 'move', from: '/a', to: '/a/b' }, { op: 'remove', path: '/p' }],
      [{ op: 'link', path: '/l', checksum: zeros }], [{ op: 'file', path: 'f', content: 'c', mode: 0o7777 }],
      ...objects];
    const pick = () => values[Math.floor(Math.random() * values.length)];
    const skip = new Set(['constructor', 'close', 'commitTransaction', 'abortTransaction', 'unlock']);
    let calls = 0;
    const names = (value) => Object.getOwnPropertyNames(value).filter((name) => !skip.has(name));
    for (let round = 0; round < 40; round++) {
      const pending = [];
      for (const object of objects) {
        for (const name of names(Object.getPrototypeOf(object))) {
          const args = Array.from({ length: Math.floor(Math.random() * 5) }, pick);
          pending.push(swallow(() => object[name](...args)));
          pending.push(swallow(() => object[name].apply(pick(), args)));
          calls += 2;
        }
      }
      for (const type of [addon.Repo, addon.MutableTree, addon.Sysroot]) {
        for (const name of names(type).filter((name) => typeof type[name] === 'function')) {
          pending.push(swallow(() => type[name](pick(), pick(), pick())));
          calls++;
        }
        pending.push(swallow(() => new type(pick())));
      }
      await Promise.all(pending);
    }
    console.log('survived', calls);
    `,
    { args: [scratch.join('fuzz')], env: { G_DEBUG: 'fatal-criticals' }, timeout: 120_000 },
  );
  expect(child, child.stderr).toMatchObject({ status: 0, signal: null });
  expect(child.stdout).toMatch(/^survived \d{4,}$/m);
});
