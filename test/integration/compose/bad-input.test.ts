/** Whatever is wrong: an error that says what and where, and nothing left behind. */

import { randomBytes } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { mkdir, rm, truncate } from 'node:fs/promises';
import path from 'node:path';
import { type ComposeEvent, Composer, Repo } from 'apt-ostree';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createAptRepository } from '../../support/apt-repository.js';
import { runModule } from '../../support/child.js';
import {
  type ComposeFixture,
  composeFixture,
  expectSound,
  processesWith,
  refsOf,
} from '../../support/compose.js';
import { commitEdits } from '../../support/ostree.js';
import { run } from '../../support/run.js';
import { temporaryDirectory } from '../../support/temp.js';

/** A time to sleep that no other process of this machine sleeps. */
const kForever = `4${process.pid}`;

let fixture: ComposeFixture;
let repo: Repo;
let composer: Composer;
let refs: Record<string, string>;

beforeAll(async () => {
  fixture = await composeFixture([
    { name: 'lying', files: { '/usr/share/lying': 'x'.repeat(4096) } },
    { name: 'cut', files: { '/usr/share/cut': 'x'.repeat(4096) } },
    { name: 'rotten', files: { '/usr/share/rotten': { content: randomBytes(65536) } } },
    {
      name: 'big',
      files: { '/usr/share/big': { content: Buffer.alloc(3_000_000, 'big') } },
      scripts: { preinst: 'sleep 0.5', postinst: 'echo x > /var/lib/big' },
      compression: 'none',
    },
    { name: 'greedy', scripts: { postinst: 'cat /dev/zero > /var/lib/greedy' } },
    {
      name: 'hanging',
      scripts: {
        postinst: `(trap "" HUP TERM INT; setsid sleep ${kForever}1 &); trap "" TERM; sleep ${kForever}2`,
      },
    },
    {
      name: 'daemon',
      scripts: {
        postinst: `setsid sleep ${kForever}3 </dev/null >/dev/null 2>&1 3>&- & setsid sleep ${kForever}4 &`,
      },
    },
    {
      name: 'talkative',
      scripts: {
        postinst:
          "head -c 100000000 /dev/zero | tr '\\0' x; head -c 2000000 /dev/zero | tr '\\0' '\\n'; printf '\\nlast'",
      },
    },
  ]);
  ({ repo, composer } = fixture);
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  refs = await refsOf(repo);
});

/** The error of layering `name`, once it is sure that nothing else came of it. */
async function failureOf(name: string, refresh = false): Promise<Record<string, unknown>> {
  const failure = await composer
    .layer({ base: 'base', install: [name], ref: 'base', refresh })
    .then(() => ({ code: 'no failure' }))
    .catch((error) => error);
  await expectSound(repo);
  expect(await refsOf(repo)).toEqual(refs);
  return failure;
}

describe('sources', () => {
  it.each([
    ['unsigned', false],
    ['signed by somebody else', 'wrong-key'],
  ] as const)('refuses one that is %s', async (_, sign) => {
    await using other = await createAptRepository({ sign, packages: [{ name: 'x' }] });
    await using directory = await temporaryDirectory('source');
    await using target = await Repo.create(directory.join('repo'), 'bare');
    const failing = new Composer({ repo: target, sources: other.source });
    await expect(failing.compose()).rejects.toMatchObject({
      name: 'AptError',
      code: 'ERR_APT_NOT_AUTHENTICATED',
      uri: expect.stringContaining(other.url),
    });
    expect(await target.listRefs()).toEqual({});
    await expectSound(target);
  });

  it('names a package that no source has', async () => {
    expect(await failureOf('no-such-package')).toMatchObject({
      name: 'AptError',
      code: 'ERR_APT_UNKNOWN_PACKAGE',
      package: 'no-such-package',
    });
  });
});

describe('packages', () => {
  const isCached = async (name: string) =>
    Object.keys(await repo.listRefs()).includes(`apt-ostree/pkg/${name}/1.0_all`);

  it('refuses a file of another size than the index says', async () => {
    await fixture.archive.addPackage({ name: 'lying', files: { '/usr/share/lying': 'short' } });
    expect(await failureOf('lying')).toMatchObject({ name: 'AptError', package: 'lying' });
    expect(await isCached('lying')).toBe(false);
  });

  it('refuses a file that ends early', async () => {
    await truncate(fixture.archive.deb('cut'), 300);
    expect(await failureOf('cut')).toMatchObject({ name: 'AptError', package: 'cut' });
    expect(await isCached('cut')).toBe(false);
  });

  it('refuses a file that is damaged though its hash is right', async () => {
    await fixture.archive.damage('rotten');
    await fixture.archive.publish();
    expect(await failureOf('rotten', true)).toMatchObject({
      name: 'ComposeError',
      code: 'ERR_DEB_DAMAGED',
      package: 'rotten',
      path: expect.stringContaining('rotten'),
    });
    expect(await isCached('rotten')).toBe(false);
  });
});

describe('repositories and bases', () => {
  it('says that a base does not exist', async () => {
    await expect(composer.layer({ base: 'nowhere', install: ['big'] })).rejects.toMatchObject({
      name: 'OstreeError',
      code: 'ENOENT',
      message: expect.stringContaining('nowhere'),
    });
  });

  it('says that a base has no package database', async () => {
    const commit = await commitEdits(repo, 'other', [{ op: 'mkdir', path: '/usr' }]);
    const layered = composer.layer({ base: 'other', install: ['big'], refresh: false });
    await expect(layered).rejects.toMatchObject({
      code: 'ENOENT',
      ref: commit,
      path: '/usr/lib/sysimage/dpkg/status',
    });
    await repo.setRef('other', null);
    await expectSound(repo);
  });

  it('refuses a closed repository', async () => {
    const closed = await Repo.open(repo.path);
    const late = new Composer({ repo: closed, sources: fixture.archive.source });
    closed.close();
    await expect(late.compose()).rejects.toMatchObject({ code: 'ERR_CLOSED', path: repo.path });
    await expect(late.layer({ base: 'base' })).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  });
});

describe('this machine', () => {
  const kModule = `
    import { Composer, Repo } from 'apt-ostree';
    const [path, sources, user] = process.argv.slice(1);
    if (user) { process.setgroups([]); process.setgid(65534); process.setuid(65534); }
    const repo = await Repo.open(path);
    const composer = new Composer({ repo, sources });
    const error = await composer.layer({ base: 'base', install: ['big'] }).catch((e) => e);
    const entries = await repo.list('base', '/usr');
    console.log(JSON.stringify({ ...error, name: error.name, entries: entries.length }));
  `;

  it('needs root to compose, but not to read', async () => {
    await run('chmod', ['755', fixture.directory.path]);
    const before = await run('find', [repo.path]);
    const child = await runModule(kModule, {
      args: [repo.path, fixture.archive.source, 'nobody'],
    });
    expect(child.stderr).toBe('');
    const result = JSON.parse(child.stdout);
    expect(result).toMatchObject({ name: 'ComposeError', code: 'ERR_NEEDS_ROOT' });
    expect(result.entries).toBeGreaterThan(0);
    expect((await run('find', [repo.path])).stdout).toBe(before.stdout);
  });

  it('names the package that has a missing program', async () => {
    await using directory = await temporaryDirectory('path');
    const child = await runModule(kModule.replace('\n', `\nprocess.env.PATH = '';`), {
      args: [repo.path, fixture.archive.source],
      env: { PATH: directory.path },
    });
    expect(JSON.parse(child.stdout)).toMatchObject({
      name: 'ComposeError',
      code: 'ERR_SANDBOX_UNAVAILABLE',
      package: 'bubblewrap',
    });
  });

  it('says that a file system is no place for overlays', async () => {
    await using directory = await temporaryDirectory('overlay');
    for (const name of ['lower', 'upper', 'work', 'mounted']) await mkdir(directory.join(name));
    await run(
      'mount',
      [
        ...['-t', 'overlay', 'overlay', '-o', 'lowerdir=lower,upperdir=upper,workdir=work'],
        'mounted',
      ],
      { cwd: directory.path },
    );
    try {
      await using target = await Repo.create(directory.join('mounted/repo'), 'bare');
      await target.pullLocal(repo.path, { refs: ['base'] });
      const failing = new Composer({ repo: target, sources: fixture.archive.source });
      await expect(failing.layer({ base: 'base', install: ['big'] })).rejects.toMatchObject({
        name: 'ComposeError',
        code: 'ERR_SANDBOX_UNAVAILABLE',
        message: expect.stringContaining('overlayfs'),
        path: expect.stringContaining(target.path),
      });
      await run('ostree', [`--repo=${target.path}`, 'fsck', '-q']);
    } finally {
      await run('umount', [directory.join('mounted')]);
    }
  });
});

describe('a full disk', () => {
  let mounted: string;
  let small: Repo;

  beforeAll(async () => {
    mounted = fixture.directory.join('small');
    await mkdir(mounted);
    await run('mount', ['-t', 'tmpfs', '-o', 'size=200m', 'apt-ostree-test', mounted]);
    small = await Repo.create(path.join(mounted, 'repo'), 'bare');
    await small.pullLocal(repo.path, { refs: ['base'] });
    await new Composer({ repo: small, sources: fixture.archive.source }).refresh();
  });

  afterAll(async () => {
    small?.close();
    await run('umount', [mounted]);
  });

  /** Leaves no byte free, at once. */
  function fill(): void {
    const file = openSync(path.join(mounted, 'ballast'), 'a');
    try {
      for (let size = 4 << 20; size >= 1024; size /= 4) {
        const piece = Buffer.alloc(size, 1);
        try {
          for (;;) writeSync(file, piece);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        }
      }
    } finally {
      closeSync(file);
    }
  }

  async function failureWhen(
    name: string,
    isTime: (event: ComposeEvent) => boolean,
  ): Promise<Record<string, unknown>> {
    const before = await refsOf(small);
    const failing = new Composer({ repo: small, sources: fixture.archive.source });
    const failure = await failing
      .layer({
        base: 'base',
        install: [name],
        ref: 'base',
        refresh: false,
        onEvent: (event) => {
          if (isTime(event)) fill();
        },
      })
      .then(() => ({ code: 'no failure' }))
      .catch((error) => error);
    await rm(path.join(mounted, 'ballast'), { force: true });
    await expectSound(small);
    expect(await refsOf(small)).toEqual(before);
    return failure;
  }

  it.each(['download', 'import', 'assemble', 'unpack', 'merge', 'commit'])(
    'ends a composition at %s',
    async (phase) => {
      const failure = await failureWhen(
        'big',
        (event) => event.type === 'phase-start' && event.phase === phase,
      );
      expect(failure).toMatchObject({ code: 'ENOSPC' });
    },
  );

  it('is told by dpkg, with the package', async () => {
    const failure = await failureWhen(
      'big',
      (event) => event.type === 'dpkg' && event.action === 'unpack',
    );
    expect(failure).toMatchObject({
      name: 'ComposeError',
      code: 'ENOSPC',
      path: expect.stringContaining(small.path),
      output: expect.stringContaining('No space left on device'),
    });
    expect(failure.package).toBe('big');
  });

  it('is told by a script, with the package', async () => {
    const failure = await failureWhen('greedy', () => false);
    expect(failure).toMatchObject({ name: 'ComposeError', code: 'ENOSPC', package: 'greedy' });
  });

  it('is no obstacle once there is room again', async () => {
    const again = new Composer({ repo: small, sources: fixture.archive.source });
    await again.layer({ base: 'base', install: ['big'], refresh: false });
    await expectSound(small);
  });
});

describe('scripts', () => {
  it('end with their whole process tree within two seconds of an abort', async () => {
    const abort = new AbortController();
    let aborted = 0;
    const layered = composer.layer({
      base: 'base',
      install: ['hanging'],
      refresh: false,
      signal: abort.signal,
      onEvent: (event) => {
        if (event.type !== 'dpkg' || event.action !== 'configure') return;
        setTimeout(() => {
          aborted = performance.now();
          abort.abort(new Error('enough'));
        }, 300);
      },
    });
    await expect(layered).rejects.toMatchObject({
      name: 'AbortError',
      cause: { message: 'enough' },
    });
    expect(performance.now() - aborted).toBeLessThan(2000);
    expect(await processesWith(`sleep ${kForever}`)).toBe(0);
    await expectSound(repo);
    expect(await refsOf(repo)).toEqual(refs);
  });

  it('take the daemons that they start with them', async () => {
    await composer.layer({ base: 'base', install: ['daemon'], refresh: false });
    expect(await processesWith(`sleep ${kForever}`)).toBe(0);
    await expectSound(repo);
  });

  it('may say much: it takes no memory', async () => {
    const before = process.memoryUsage().rss;
    let most = 0;
    let longest = 0;
    let total = 0;
    let last = '';
    await composer.layer({
      base: 'base',
      install: ['talkative'],
      refresh: false,
      onEvent: (event) => {
        if (event.type !== 'output') return;
        total += event.line.length;
        longest = Math.max(longest, event.line.length);
        last = event.line;
        if (total % 1000 === 0) most = Math.max(most, process.memoryUsage.rss());
      },
    });
    expect(total).toBeGreaterThan(100_000_000);
    expect(last).toBe('last');
    expect(longest).toBeLessThan(100_000);
    expect(most - before).toBeLessThan(80_000_000);
  });
});
