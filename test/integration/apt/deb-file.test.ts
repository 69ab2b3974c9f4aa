/** Package files against what dpkg-deb makes of them. */

import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { AptError } from 'apt-ostree';
import { DebFile } from 'apt-ostree/apt';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildDeb } from '../../support/deb.js';
import { buildStaged, stageNasty } from '../../support/nasty-deb.js';
import { run } from '../../support/run.js';
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temp.js';
import { Turns, watchedBytes } from '../../support/turns.js';

let work: TemporaryDirectory;
let nasty: string;

beforeAll(async () => {
  work = await temporaryDirectory('deb-file');
  nasty = work.join('nasty.deb');
  await mkdir(work.join('stage'));
  await stageNasty(work.join('stage'));
  await buildStaged(work.join('stage'), nasty);
});

afterAll(() => work.remove());

/** A .deb whose data archive a shell script writes to `$OUT`, beside a plain control archive. */
async function assemble(script: string, members = 'control.tar data.tar'): Promise<string> {
  await using stage = await temporaryDirectory('assemble');
  const output = work.join(
    `assembled-${createHash('md5')
      .update(script + members)
      .digest('hex')}.deb`,
  );
  const setup = `set -e; cd "$1"; mkdir t; cd t
    printf 'Package: odd\\nVersion: 1\\nArchitecture: all\\nDescription: odd\\n' > ../control
    tar -cf ../control.tar -C .. ./control; OUT=$1/data.tar; ${script}
    cd ..; echo 2.0 > debian-binary; ar rc "$2" debian-binary ${members}`;
  await run('sh', ['-c', setup, 'sh', stage.path, output]);
  return output;
}

/** Everything about the files below a directory that a package decides. */
async function snapshot(directory: string): Promise<string> {
  // Times of directories are left out: GNU tar, which dpkg-deb calls, changes some again.
  const script = `cd "$1" && find . -type d -printf '%y %m %U:%G %p\\n' | sort
    find . ! -type d -printf '%y %m %U:%G %p -> %l %T@ ' \\( -type f -exec md5sum {} \\; -o -printf '\\n' \\) | sort -k4
    find . -type f -links +1 -printf '%i %p\\n' | sort | awk '{ names[$1] = names[$1] " " $2 } END { for (i in names) print names[i] }' | sort`;
  return (await run('sh', ['-c', script, 'sh', directory])).stdout;
}

async function collect(parts: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const part of parts) chunks.push(part);
  return Buffer.concat(chunks);
}

async function failure(work: Promise<unknown>): Promise<AptError> {
  const error = await work.then(
    () => new Error('nothing failed'),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(AptError);
  return error as AptError;
}

describe('a package with everything', () => {
  test('fields and members are those of dpkg-deb', async () => {
    const deb = await DebFile.open(nasty);
    expect(deb).toMatchObject({ name: 'nasty', version: '1:2.0~rc1+dfsg-1', architecture: 'all' });
    for (const [name, value] of Object.entries(deb.fields)) {
      const { stdout } = await run('dpkg-deb', ['-f', nasty, name]);
      expect(value).toBe(stdout.trimEnd().replace(/\n /g, '\n'));
    }
    await run('dpkg-deb', ['-e', nasty, work.join('control')]);
    const names = await readdir(work.join('control'));
    expect(deb.members.map(({ name }) => name).sort()).toEqual(names.sort());
    for (const name of names) {
      expect(deb.member(name)).toEqual(await readFile(work.join('control', name)));
    }
    expect(deb.member('nothing')).toBeUndefined();
    expect(deb.conffiles).toEqual([
      { path: '/etc/nasty/conf', removeOnUpgrade: false },
      { path: '/etc/nasty/long.conf', removeOnUpgrade: false },
    ]);
    expect(Object.keys(deb.scripts)).toEqual(['preinst', 'postinst']);
    expect(deb.triggers).toEqual([{ directive: 'interest-noawait', name: '/usr/lib/nasty' }]);
    expect(deb.compression).toEqual({ control: 'xz', data: 'xz' });
  });

  test('the listing is that of dpkg-deb -c', async () => {
    const { stdout } = await run('dpkg-deb', ['-c', nasty], { env: { TZ: 'UTC' } });
    const deb = await DebFile.open(nasty);
    const lines: string[] = [];
    for await (const batch of deb.entries()) {
      for (const entry of batch) {
        const letter = { directory: 'd', symlink: 'l', hardlink: 'h', file: '-' }[
          entry.type as 'file'
        ];
        const size = String(entry.size);
        const time = entry.mtime.toISOString().slice(0, 16).replace('T', ' ');
        const link = { symlink: ` -> ${entry.link}`, hardlink: ` link to ${entry.link}` };
        const tail = entry.type === 'directory' && entry.path !== '/' ? '/' : '';
        lines.push(
          `${letter}${permissions(entry.mode)} ${entry.user || entry.uid}/${entry.group || entry.gid} ${size} ${time} .${entry.path}${tail}${link[entry.type as 'symlink'] ?? ''}`,
        );
      }
    }
    const plain = (text: string) => text.replace(/ +/g, ' ').replace(/\\\\/g, '\\');
    const unquoted = plain(stdout).replace(/((?:\\[0-7]{3})+)/g, (bytes) =>
      Buffer.from(
        bytes
          .split('\\')
          .slice(1)
          .map((octal) => Number.parseInt(octal, 8)),
      ).toString(),
    );
    expect(lines.map((line) => line.replace(/ +/g, ' '))).toEqual(unquoted.trimEnd().split('\n'));
  });

  test.each(['none', 'gzip', 'xz', 'zstd'])('unpacked as by dpkg-deb -x, from %s', async (kind) => {
    const file = work.join(`${kind}.deb`);
    await buildStaged(work.join('stage'), file, kind);
    const deb = await DebFile.open(file);
    expect(deb.compression.data).toBe(kind);
    const [ours, theirs] = [work.join(`${kind}-ours`), work.join(`${kind}-theirs`)];
    const done = await deb.extractTo(ours);
    await run('dpkg-deb', ['-x', file, theirs]);
    expect(await snapshot(ours)).toBe(await snapshot(theirs));
    const { stdout } = await run('sh', ['-c', `find "${ours}" -type f | wc -l`]);
    expect(done.files + done.links).toBeGreaterThanOrEqual(Number(stdout));
  });

  test.each(['bzip2 .bz2', 'lzma .lzma'])('old compressions: %s', async (kind) => {
    const [tool, suffix] = kind.split(' ');
    const script = `echo x > file; tar -c ./file | ${tool === 'lzma' ? 'xz --format=lzma' : tool} > $OUT${suffix}`;
    const file = await assemble(script, `control.tar data.tar${suffix}`);
    await (await DebFile.open(file)).extractTo(work.join(`old${suffix}`));
    expect(await readFile(work.join(`old${suffix}/file`), 'utf8')).toBe('x\n');
  });

  test('content entry by entry, and the archive itself', async () => {
    const bytes = await readFile(nasty);
    const deb = await DebFile.open(bytes);
    expect(deb.path).toBeUndefined();
    const reference = work.join('reference');
    await run('dpkg-deb', ['-x', nasty, reference]);
    let seen = 0;
    let passed: AsyncGenerator<Buffer> | undefined;
    for await (const entry of deb.contents()) {
      if (entry.path.endsWith('/usr/lib/nasty/random')) {
        // Of a big file only the begin.
        const stream = entry.content();
        expect((await stream.next()).value).toHaveLength(256 * 1024);
        passed = stream;
      } else if (entry.type === 'file') {
        const content = await readFile(reference + entry.path);
        expect((await collect(entry.content())).equals(content)).toBe(true);
        seen++;
      } else {
        expect(await collect(entry.content())).toHaveLength(0);
      }
    }
    expect(seen).toBeGreaterThan(10);
    await expect(passed?.next()).rejects.toMatchObject({ code: 'ERR_INVALID_STATE' });
    const { bytes: theirs } = await run('dpkg-deb', ['--fsys-tarfile', nasty]);
    await pipeline(deb.tar(), createWriteStream(work.join('data.tar')));
    expect((await readFile(work.join('data.tar'))).equals(theirs)).toBe(true);
  });

  test('a large one in memory, taken over in parts', async () => {
    const script = 'head -c 3000000 /dev/urandom > file; tar -c ./file > $OUT';
    const bytes = await readFile(await assemble(script));
    using turns = new Turns();
    const deb = await DebFile.open(watchedBytes(bytes, turns));
    expect(turns.most).toBe(1 << 20);
    expect(deb.size).toBe(bytes.length);
    const archive = await collect(deb.tar());
    expect(bytes.includes(archive)).toBe(true);
    expect(archive.length).toBeGreaterThan(3_000_000);
    const signal = AbortSignal.abort();
    await expect(DebFile.open(bytes, { signal })).rejects.toMatchObject({ code: 'ABORT_ERR' });
  });

  test('stops when it is told to', async () => {
    const deb = await DebFile.open(nasty);
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(deb.extractTo(work.join('never'), { signal })).rejects.toMatchObject({
      name: 'AbortError',
    });
    const controller = new AbortController();
    const entries = deb.contents({ signal: controller.signal });
    await entries.next();
    controller.abort();
    await expect(entries.next()).rejects.toMatchObject({ name: 'AbortError' });
  });
});

function permissions(mode: number): string {
  const bit = (mask: number, letter: string) => (mode & mask ? letter : '-');
  const special = (set: number, execute: number, on: string) =>
    mode & set ? (mode & execute ? on : on.toUpperCase()) : bit(execute, 'x');
  return [
    bit(0o400, 'r') + bit(0o200, 'w') + special(0o4000, 0o100, 's'),
    bit(0o040, 'r') + bit(0o020, 'w') + special(0o2000, 0o010, 's'),
    bit(0o004, 'r') + bit(0o002, 'w') + special(0o1000, 0o001, 't'),
  ].join('');
}

describe('unpacking stays in its directory', () => {
  test('links lead nowhere else, whoever made them', async () => {
    const outside = work.join('outside');
    await mkdir(outside);
    await writeFile(`${outside}/kept`, 'kept');
    const file = await assemble(`
      mkdir a; ln -s ${outside} a/absolute; ln -s ../../../../../..${outside} a/relative
      tar -cf $OUT ./a
      rm -r a; mkdir -p a/absolute a/relative there
      for d in a/absolute a/relative there; do echo bad > $d/kept; done
      tar -rf $OUT ./a/absolute/kept ./a/relative/kept ./there/kept`);
    const target = work.join('contained');
    await mkdir(target);
    await symlink(outside, `${target}/there`);
    const deb = await DebFile.open(file);
    // As in a root: the same path, inside.
    await mkdir(`${target}${outside}`, { recursive: true });
    await deb.extractTo(target);
    expect(await readFile(`${outside}/kept`, 'utf8')).toBe('kept');
    expect(await readdir(outside)).toEqual(['kept']);
    expect(await readFile(`${target}${outside}/kept`, 'utf8')).toBe('bad\n');
  });

  test.each([
    ['a name', `echo x > ../evil; tar -P -cf $OUT ./../evil`],
    ['a hard link', `echo x > a; ln a b; tar --transform 's,^./a$,../a,' -cf $OUT ./a ./b`],
  ])('%s that leads out is damage', async (_what, script) => {
    const deb = await DebFile.open(await assemble(script));
    const error = await failure(deb.extractTo(work.join('out')));
    expect(error).toMatchObject({ code: 'ERR_DEB_DAMAGED', path: deb.path });
    expect(await readdir(work.path)).not.toContain('evil');
  });

  test('a file in the way of a directory is an error; others are replaced, not written to', async () => {
    const file = await assemble('mkdir d; echo new > d/f; tar -cf $OUT ./d');
    const deb = await DebFile.open(file);
    await writeFile(work.join('elsewhere'), 'old');
    const target = work.join('there');
    await mkdir(`${target}/d`, { recursive: true });
    await symlink(work.join('elsewhere'), `${target}/d/f`);
    await deb.extractTo(target);
    expect(await readFile(`${target}/d/f`, 'utf8')).toBe('new\n');
    expect(await readFile(work.join('elsewhere'), 'utf8')).toBe('old');
    await mkdir(work.join('blocked'));
    await writeFile(work.join('blocked/d'), '');
    expect(await failure(deb.extractTo(work.join('blocked')))).toMatchObject({
      code: 'ENOTDIR',
    });
  });

  test('directories that the archive leaves out are made', async () => {
    const file = await assemble('mkdir -p x/y; echo deep > x/y/z; tar -cf $OUT ./x/y/z');
    await (await DebFile.open(file)).extractTo(work.join('made'));
    expect(await readFile(work.join('made/x/y/z'), 'utf8')).toBe('deep\n');
  });

  test('devices and pipes, names that are not UTF-8', async () => {
    const file = await assemble(
      `mknod null c 1 3; mkfifo pipe; echo x > "$(printf 'a\\377b')"; tar -cf $OUT .`,
    );
    const deb = await DebFile.open(file);
    const entries = [];
    for await (const batch of deb.entries()) entries.push(...batch);
    expect(entries).toContainEqual(
      expect.objectContaining({ type: 'character', path: '/null', major: 1, minor: 3 }),
    );
    expect(entries).toContainEqual(
      expect.objectContaining({ nameBytes: Buffer.from('./a\xffb', 'latin1') }),
    );
    await deb.extractTo(work.join('nodes'));
    await run('dpkg-deb', ['-x', file, work.join('nodes-theirs')]);
    expect(await snapshot(work.join('nodes'))).toBe(await snapshot(work.join('nodes-theirs')));
  });
});

describe('damaged files', () => {
  async function readAll(bytes: Buffer): Promise<void> {
    const deb = await DebFile.open(bytes);
    for await (const entry of deb.contents()) for await (const _part of entry.content());
  }

  test('cut anywhere, or changed, they are a typed error or what they were', async () => {
    const file = await buildDeb(
      { name: 'small', files: { '/a': 'a'.repeat(2000) }, compression: 'xz' },
      work.path,
    );
    const good = await readFile(file);
    await readAll(good);
    const codes = new Set<string>();
    const attempt = async (bytes: Buffer) => {
      try {
        await readAll(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(AptError);
        codes.add((error as AptError).code);
      }
    };
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - 1), async (length) => {
        await expect(readAll(good.subarray(0, length))).rejects.toMatchObject({
          code: 'ERR_DEB_DAMAGED',
        });
      }),
      { numRuns: 60 },
    );
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), async (i, by) => {
        const bytes = Buffer.from(good);
        bytes[i] = (bytes[i] ?? 0) ^ by;
        await attempt(bytes);
      }),
      { numRuns: 150 },
    );
    expect([...codes].filter((code) => !/^ERR_DEB_(DAMAGED|UNSUPPORTED)$/.test(code))).toEqual([]);
  });

  test('what is no package', async () => {
    await expect(DebFile.open(work.join('nowhere.deb'))).rejects.toMatchObject({
      code: 'ENOENT',
      path: work.join('nowhere.deb'),
    });
    await expect(DebFile.open(work.path)).rejects.toMatchObject({ code: 'ERR_DEB_DAMAGED' });
    await run('mkfifo', [work.join('fifo')]);
    await expect(DebFile.open(work.join('fifo'))).rejects.toMatchObject({
      code: 'ERR_DEB_DAMAGED',
    });
    await expect(DebFile.open(Buffer.alloc(0))).rejects.toMatchObject({ code: 'ERR_DEB_DAMAGED' });
    await expect(DebFile.open(7 as never)).rejects.toThrow(TypeError);
    const deb = await DebFile.open(nasty);
    await expect(deb.extractTo('')).rejects.toThrow(TypeError);
  });
});
