import { spawn } from 'node:child_process';
import { once, setMaxListeners } from 'node:events';
import { type LockOptions, Repo, Sysroot } from 'apt-ostree/ostree';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { projectRoot } from '../../support/child.js';
import { commitEdits } from '../../support/ostree.js';
import { createRepo } from '../../support/repo.js';
import { ostreeOn } from '../../support/repo-copies.js';
import { temporaryDirectory } from '../../support/temp.js';

const scratch = await temporaryDirectory('lock');
afterAll(() => scratch.remove());
let count = 0;
let repo: Repo;
beforeEach(async () => {
  repo = await createRepo(scratch.join(`repo-${++count}`), 'bare-user');
  await commitEdits(repo, 'test', [{ op: 'file', path: '/file', content: 'text' }]);
  return () => repo.close();
});

const locked = { code: 'ERR_OSTREE_LOCKED' };
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Another process that does this and says "ready"; killed with SIGKILL at the end. */
async function holder(source: string) {
  const child = spawn(
    process.execPath,
    [
      '--import',
      'tsx',
      '--input-type=module',
      '-e',
      `import { Repo, Sysroot } from 'apt-ostree/ostree';
       ${source}
       console.log('ready');
       setInterval(() => {}, 1000);`,
    ],
    {
      cwd: projectRoot,
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, LD_PRELOAD: process.env.APT_OSTREE_SANITIZER },
    },
  );
  await once(child.stdout, 'data');
  return {
    async kill() {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
  };
}

describe('between objects', () => {
  test('shared ones go together, an exclusive one does not', async () => {
    await using other = await Repo.open(repo.path);
    {
      const shared = await repo.lock('shared');
      await (await other.lock('shared')).release();
      await expect(other.lock('exclusive', { timeout: 30 })).rejects.toMatchObject({
        ...locked,
        path: repo.path,
      });
      const signal = AbortSignal.timeout(30);
      const started = performance.now();
      await expect(other.lock('exclusive', { signal })).rejects.toMatchObject({
        name: 'AbortError',
      });
      expect(performance.now() - started).toBeLessThan(5000);
      const waiting = other.lock('exclusive');
      await shared.release();
      await shared.release();
      await (await waiting).release();
    }
    await using exclusive = await other.lock('exclusive');
    await expect(repo.lock('shared', { timeout: 0 })).rejects.toMatchObject(locked);
    // By the holder itself: nobody would ever let it have another, and what it does needs none.
    for (const type of ['shared', 'exclusive'] as const) {
      await expect(other.lock(type)).rejects.toMatchObject({ code: 'EDEADLK', path: repo.path });
    }
    await other.prune();
    await other.withLock('exclusive', {}, () => other.fsck());
    await exclusive.release();
    await repo.prune();
    const shared = await repo.lock('shared');
    await expect(repo.lock('exclusive')).rejects.toMatchObject({ code: 'EDEADLK' });
    await expect(repo.prune()).rejects.toMatchObject({ code: 'EDEADLK' });
    await (await repo.lock('shared')).release();
    await shared.release();
  });

  test('closing lets go', async () => {
    const other = await Repo.open(repo.path);
    const lock = await other.lock('exclusive');
    other.close();
    await (await repo.lock('exclusive', { timeout: 1000 })).release();
    await lock.release();
  });

  test('functions with the lock: in turn, again inside, and let go after a failure', async () => {
    const seen: string[] = [];
    const section = (name: string) =>
      repo.withLock('exclusive', {}, async () => {
        seen.push(`${name} in`);
        await pause(10);
        await repo.withLock('shared', {}, () => {});
        await repo.withLock('exclusive', {}, () => repo.prune({ refsOnly: true }));
        seen.push(`${name} out`);
      });
    await Promise.all([section('a'), section('b'), section('c')]);
    for (let i = 0; i < 6; i += 2) {
      expect(seen[i + 1]).toBe(seen[i]?.replace(' in', ' out'));
    }
    await expect(
      repo.withLock('exclusive', {}, () => {
        throw new Error('mine');
      }),
    ).rejects.toThrow('mine');
    await expect(
      repo.withLock('exclusive', { timeout: 0 }, () =>
        repo.transaction((transaction) => transaction.setRef('other', null)),
      ),
    ).resolves.toBeDefined();
  });

  test('what would wait for itself fails at once', async () => {
    const deadlock = { code: 'EDEADLK', path: repo.path };
    await using other = await Repo.open(repo.path);
    const delta = scratch.join(`delta-${count}`);
    const commit = await repo.resolveRev('test');
    await repo.deltas.generate(commit, { inlineParts: true, file: delta });
    await repo.transaction(async () => {
      await expect(other.prune()).rejects.toMatchObject(deadlock);
      await expect(other.lock('exclusive')).rejects.toMatchObject(deadlock);
      await expect(repo.prune()).rejects.toMatchObject({ code: 'ERR_BUSY' });
      await expect(repo.lock('exclusive')).rejects.toMatchObject({ code: 'ERR_BUSY' });
      await other.transaction(() => {});
    });
    await repo.withLock('exclusive', {}, async () => {
      await expect(other.transaction(() => {})).rejects.toMatchObject(deadlock);
      await expect(other.pullLocal(repo.path)).rejects.toMatchObject(deadlock);
      await expect(other.summary.regenerate()).rejects.toMatchObject(deadlock);
      await expect(other.deltas.reindex()).rejects.toMatchObject(deadlock);
      await expect(other.deltas.apply(delta)).rejects.toMatchObject(deadlock);
      await repo.summary.regenerate();
      await repo.deltas.reindex();
      await repo.deltas.apply(delta);
      await expect(other.lock('shared')).rejects.toMatchObject(deadlock);
    });
    await repo.withLock('shared', {}, async () => {
      await expect(repo.lock('exclusive')).rejects.toMatchObject(deadlock);
      await expect(other.prune()).rejects.toMatchObject(deadlock);
    });
    // Work that was left running does not count as inside any more.
    let late: Promise<unknown> = Promise.resolve();
    await repo.withLock('shared', {}, () => {
      late = pause(30).then(() => other.prune());
    });
    await late;
    // Two flows that hold nothing of each other simply wait.
    await Promise.all([
      repo.transaction(() => pause(30)),
      other.prune(),
      other.withLock('shared', {}, () => pause(20)),
    ]);
  });
});

test('waiting for others can be stopped at once, blocks no reads and has an end', async () => {
  await using other = await Repo.open(repo.path);
  const delta = scratch.join(`delta-${count}`);
  await repo.deltas.generate(await repo.resolveRev('test'), { inlineParts: true, file: delta });
  const calls: ((signal?: AbortSignal) => Promise<unknown>)[] = [
    (signal) => other.transaction(() => {}, { signal }),
    (signal) => other.commit({ ref: 'other', trees: [], signal }),
    (signal) => other.pull('none', { signal }),
    (signal) => other.pullLocal(repo.path, { signal }),
    (signal) => other.summary.regenerate({ signal }),
    (signal) => other.deltas.reindex({ signal }),
    (signal) => other.deltas.apply(delta, { signal }),
  ];
  {
    await using _lock = await repo.lock('exclusive');
    // libostree looks at its own once a second.
    const started = performance.now();
    for (const call of calls) {
      await expect(call(AbortSignal.timeout(20))).rejects.toMatchObject({ name: 'AbortError' });
    }
    expect(performance.now() - started).toBeLessThan(calls.length * 500);
    const stop = new AbortController();
    setMaxListeners(0, stop.signal);
    const waiting = Promise.allSettled([...calls, ...calls].map((call) => call(stop.signal)));
    expect(await other.resolveRev('test')).toMatch(/^[0-9a-f]{64}$/);
    stop.abort();
    for (const { status } of await waiting) expect(status).toBe('rejected');
    await repo.config.set('core', 'lock-timeout-secs', '0');
    await other.config.reload();
    for (const call of calls) await expect(call()).rejects.toMatchObject(locked);
  }
  const waiting = other.transaction(() => 'done');
  await expect(waiting).resolves.toMatchObject({ result: 'done' });
});

describe('a sysroot', () => {
  let sysroot: Sysroot;
  beforeEach(async () => {
    sysroot = await Sysroot.initialize(scratch.join(`sysroot-${count}`));
    return () => sysroot.close();
  });

  test('waiting for the lock of its repository can be stopped at once, and has an end', async () => {
    await using inner = await sysroot.repo();
    const commit = await commitEdits(inner, 'test', []);
    const stateroot = 'debian';
    await sysroot.initStateroot(stateroot);
    const calls: ((options: LockOptions) => Promise<unknown>)[] = [
      (options) => sysroot.cleanup(options),
      (options) => sysroot.writeDeployments([], { ...options, clean: true }),
      (options) => sysroot.upgrade({ ...options, stateroot, refspec: 'test' }),
    ];
    {
      await using _lock = await inner.lock('shared');
      for (const call of calls) {
        const signal = AbortSignal.timeout(20);
        await expect(call({ signal })).rejects.toMatchObject({ name: 'AbortError' });
        await expect(call({ timeout: 20 })).rejects.toMatchObject({
          ...locked,
          path: inner.path,
        });
      }
      expect(await inner.resolveRev('test')).toBe(commit);
      await sysroot.writeDeployments([]);
    }
    await sysroot.cleanup({ timeout: 1000 });
    await (await inner.lock('exclusive', { timeout: 0 })).release();
  });

  test('what does not hold its lock waits for it, in the order of the calls', async () => {
    const seen: string[] = [];
    await using other = await Sysroot.load(sysroot.path);
    const section = (name: string) =>
      sysroot.withLock({}, async () => {
        seen.push(`${name} in`);
        await pause(20);
        await sysroot.initStateroot(name);
        seen.push(`${name} out`);
      });
    await Promise.all([section('a'), section('b'), sysroot.initStateroot('c'), section('d')]);
    expect(seen).toEqual(['a in', 'a out', 'b in', 'b out', 'd in', 'd out']);
    // Work that was left running keeps the lock that it counts on.
    let late: Promise<unknown> = Promise.resolve();
    await sysroot.withLock({}, () => {
      late = sysroot.withLock({}, () => pause(50).then(() => sysroot.initStateroot('late')));
    });
    await expect(other.lock({ timeout: 0 })).rejects.toMatchObject(locked);
    await late;
    await (await other.lock({ timeout: 0 })).release();
  });

  test('who waits can be stopped and may give up', async () => {
    let end: (() => void) | undefined;
    const inside = sysroot.withLock({}, () => new Promise<void>((resolve) => (end = resolve)));
    while (!end) await pause(1);
    await expect(sysroot.initStateroot('a', { timeout: 20 })).rejects.toMatchObject(locked);
    const signal = AbortSignal.timeout(20);
    await expect(sysroot.initStateroot('a', { signal })).rejects.toMatchObject({
      name: 'AbortError',
    });
    const third = sysroot.initStateroot('a');
    end();
    await inside;
    await third;
  });

  test('what would wait for itself fails at once', async () => {
    const deadlock = { code: 'EDEADLK', path: sysroot.path };
    await using other = await Sysroot.load(sysroot.path);
    const lock = await sysroot.lock();
    await expect(sysroot.lock()).rejects.toMatchObject(deadlock);
    await sysroot.withLock({}, () => sysroot.initStateroot('debian'));
    await lock.release();
    await sysroot.withLock({}, async () => {
      await expect(sysroot.lock()).rejects.toMatchObject(deadlock);
      await expect(other.lock()).rejects.toMatchObject(deadlock);
      await expect(other.initStateroot('other')).rejects.toMatchObject(deadlock);
    });
    await other.initStateroot('other');
  });

  test('closing lets go, once', async () => {
    const lock = await sysroot.lock();
    await Promise.all([sysroot.close(), sysroot.close()]);
    await lock.release();
    await expect(sysroot.reload()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    await using other = await Sysroot.load(sysroot.path);
    await (await other.lock({ timeout: 0 })).release();
  });
});

describe('between processes', () => {
  test('a holder that is killed leaves nothing behind', async () => {
    const child = await holder(
      `const repo = await Repo.open(${JSON.stringify(repo.path)}); globalThis.lock = await repo.lock('exclusive');`,
    );
    await expect(repo.lock('shared', { timeout: 50 })).rejects.toMatchObject(locked);
    const waiting = repo.lock('shared', { timeout: 20_000 });
    await child.kill();
    await (await waiting).release();
  });

  test('the ostree command waits for us, and we for it', async () => {
    await repo.config.set('core', 'lock-timeout-secs', '0');
    await repo.withLock('shared', {}, async () => {
      const { status, stderr } = await ostreeOn(repo.path, 'prune');
      expect(status).not.toBe(0);
      expect(stderr).toContain('Locking repo exclusive failed');
      expect((await ostreeOn(repo.path, 'refs', '--list')).status).toBe(0);
    });
    expect((await ostreeOn(repo.path, 'prune')).status).toBe(0);
    // Its commit reads from a pipe that stays open, and holds the shared lock for so long. It has to
    // be patient while it starts: the probes below hold the lock for moments.
    await repo.config.set('core', 'lock-timeout-secs', '30');
    const command = spawn(
      'ostree',
      ['commit', `--repo=${repo.path}`, '-b', 'theirs', '--tree=tar=-'],
      { stdio: ['pipe', 'ignore', 'ignore'] },
    );
    command.stdin.on('error', () => {});
    const exclusive = async () => {
      while (true) {
        try {
          await (await repo.lock('exclusive', { timeout: 0 })).release();
        } catch (error) {
          return error;
        }
        await pause(10);
      }
    };
    expect(await exclusive()).toMatchObject(locked);
    await repo.config.set('core', 'lock-timeout-secs', '0');
    await expect(repo.prune()).rejects.toMatchObject(locked);
    await expect(repo.prune({ timeout: 50 })).rejects.toMatchObject(locked);
    await (await repo.lock('shared', { timeout: 0 })).release();
    const waiting = repo.lock('exclusive', { timeout: 20_000 });
    command.kill('SIGKILL');
    await (await waiting).release();
  });

  test('a sysroot: killed holders, functions with the lock, aborts', async () => {
    const path = scratch.join(`sysroot-${count}`);
    await using sysroot = await Sysroot.initialize(path);
    const child = await holder(
      `const sysroot = await Sysroot.load(${JSON.stringify(path)}); globalThis.lock = await sysroot.lock();`,
    );
    await expect(sysroot.lock({ timeout: 50 })).rejects.toMatchObject({ ...locked, path });
    await expect(sysroot.lock({ signal: AbortSignal.timeout(30) })).rejects.toMatchObject({
      name: 'AbortError',
    });
    const waiting = sysroot.withLock({ timeout: 20_000 }, () => sysroot.initStateroot('debian'));
    await child.kill();
    await waiting;
    await using other = await Sysroot.load(path);
    const lock = await sysroot.lock();
    await expect(other.initStateroot('other', { timeout: 0 })).rejects.toMatchObject(locked);
    await sysroot.withLock({}, () => sysroot.initStateroot('again'));
    await lock.release();
    await other.initStateroot('other', { timeout: 20_000 });
    // Its clean-up prunes, and would wait for the caller's own transaction.
    await using own = await sysroot.repo();
    await own.transaction(async () => {
      await expect(sysroot.cleanup()).rejects.toMatchObject({ code: 'EDEADLK' });
      await expect(sysroot.pruneRepo()).rejects.toMatchObject({ code: 'EDEADLK' });
    });
    await sysroot.cleanup();
  });
});
