/** Opening and closing again and again leaves descriptors and memory as they were. */

import { mkdir } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { runModule } from '../../support/child.js';
import { temporaryDirectory } from '../../support/temp.js';

/** Functions of the children: what is open, and what memory a loop leaves behind. */
const kMeasure = `
  import { readdirSync, readFileSync } from 'node:fs';
  const open = () => readdirSync('/proc/self/fd').length;
  const resident = () => Number(/VmRSS:\\s+(\\d+)/.exec(readFileSync('/proc/self/status'))[1]) / 1024;
  const settle = async () => {
    for (let i = 0; i < 3; i += 1) {
      globalThis.gc();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  /** Runs a few times to warm up, then \`count\` times; gives what grew. */
  async function cycles(count, cycle) {
    for (let i = 0; i < count / 4; i += 1) await cycle();
    await settle();
    const before = { descriptors: open(), memory: resident() };
    for (let i = 0; i < count; i += 1) await cycle();
    await settle();
    return { descriptors: open() - before.descriptors, memory: resident() - before.memory };
  }
`;

async function grown(program: string, directory: string): Promise<Record<string, Growth>> {
  const { status, signal, stdout, stderr } = await runModule(kMeasure + program, {
    args: [directory],
    execArgv: ['--expose-gc'],
    timeout: 280_000,
  });
  expect({ status, signal, stderr }).toEqual({ status: 0, signal: null, stderr: '' });
  return JSON.parse(stdout);
}

interface Growth {
  descriptors: number;
  /** MiB. */
  memory: number;
}

/** A sanitizer keeps what is freed for a while. */
const kMemory = process.env.APT_OSTREE_SANITIZER ? 2000 : 24;

function expectFlat(results: Record<string, Growth>): void {
  for (const [name, { descriptors, memory }] of Object.entries(results)) {
    // The last one may still be on its way out; a leak would be hundreds.
    expect(descriptors, `${name}: descriptors`).toBeLessThan(10);
    expect(memory, `${name}: MiB`).toBeLessThan(kMemory);
  }
}

test('10,000 repositories, and transactions begun and dropped', { timeout: 300_000 }, async () => {
  await using scratch = await temporaryDirectory('cycles');
  const program = `
    import { MutableTree, Repo } from 'apt-ostree';
    const path = process.argv.at(-1) + '/repo';
    const made = await Repo.create(path, 'bare-user');
    await made.config.write({ core: { fsync: 'false' } });
    made.close();
    const results = {};
    results.opened = await cycles(10_000, async () => {
      const repo = await Repo.open(path);
      repo.close();
    });
    results.dropped = await cycles(500, async () => {
      const repo = await Repo.open(path);
      await repo.transaction(async (transaction) => {
        const tree = MutableTree.create();
        await tree.apply(repo, [{ op: 'file', path: '/file', content: 'text' }]);
        await transaction.writeTree(tree);
        throw new Error('dropped');
      }).catch((error) => {
        if (error.message !== 'dropped') throw error;
      });
      repo.close();
    });
    results.missing = await cycles(2000, () => Repo.open(path + '/none').catch(() => {}));
    console.log(JSON.stringify(results));`;
  expectFlat(await grown(program, scratch.path));
});

test('sysroots', { timeout: 300_000 }, async () => {
  await using scratch = await temporaryDirectory('cycles');
  const program = `
    import { Sysroot } from 'apt-ostree';
    const path = process.argv.at(-1) + '/sysroot';
    await (await Sysroot.initialize(path)).close();
    const results = {};
    results.loaded = await cycles(1000, async () => {
      const sysroot = await Sysroot.load(path);
      await sysroot.close();
    });
    results.locked = await cycles(300, async () => {
      const sysroot = await Sysroot.load(path);
      const lock = await sysroot.lock();
      const repo = await sysroot.repo();
      await repo.listRefs();
      repo.close();
      await lock.release();
      await sysroot.close();
    });
    console.log(JSON.stringify(results));`;
  expectFlat(await grown(program, scratch.path));
});

test('200 caches of packages', { timeout: 300_000 }, async () => {
  await using scratch = await temporaryDirectory('cycles');
  const program = `
    import { AptContext } from 'apt-ostree';
    import { randomUniverse, writeFlatArchive } from './test/support/apt-universe.ts';
    const top = process.argv.at(-1);
    const { packages } = randomUniverse(7, 60);
    const context = await AptContext.create({
      directory: top + '/state',
      architecture: 'amd64',
      sources: await writeFlatArchive(top + '/archive', packages),
    });
    await context.update();
    const results = {};
    results.opened = await cycles(200, async () => {
      const cache = await context.open();
      await cache.list();
      cache.close();
    });
    results.used = await cycles(60, async () => {
      const cache = await context.open();
      await cache.solve({ install: ['p1'] }).catch(() => {});
      const marks = await cache.marks();
      await marks.counts();
      marks.close();
      cache.close();
    });
    console.log(JSON.stringify(results));`;
  expectFlat(await grown(program, scratch.path));
});

test('with more than 1,024 descriptors open', { timeout: 300_000 }, async () => {
  await using scratch = await temporaryDirectory('cycles');
  await mkdir(scratch.join('tree/usr'), { recursive: true });
  const program = `
    import { closeSync, openSync } from 'node:fs';
    import { MutableTree, Repo, Sysroot } from 'apt-ostree';
    const top = process.argv.at(-1);
    const many = Array.from({ length: 3000 }, () => openSync('/dev/null'));
    const repo = await Repo.create(top + '/repo', 'bare-user');
    const other = await Repo.create(top + '/other', 'archive');
    const { result: commit } = await repo.transaction(async (transaction) => {
      const tree = MutableTree.create();
      await transaction.writeDirectory(top + '/tree', tree);
      await tree.apply(repo, [{ op: 'file', path: '/usr/file', content: 'text' }]);
      const checksum = await transaction.writeCommit({ tree: await transaction.writeTree(tree) });
      await transaction.setRef('many', checksum);
      return checksum;
    });
    await repo.checkout(commit, top + '/out', { mode: 'user' });
    await repo.exportArchive(commit, top + '/out.tar');
    await other.remotes.add('origin', 'file://' + top + '/repo', { gpgVerify: false });
    await other.pull('origin', { refs: ['many'] });
    await other.pullLocal(top + '/repo');
    await other.deltas.generate(commit);
    await other.summary.regenerate();
    const { ok } = await other.fsck();
    await other.prune();
    const sysroot = await Sysroot.initialize(top + '/sysroot');
    await sysroot.initStateroot('debian');
    for (const fd of many) closeSync(fd);
    if (!ok) throw new Error('fsck');
    console.log('{}');`;
  await grown(program, scratch.path);
});
