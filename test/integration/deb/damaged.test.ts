import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import type { Repo } from 'apt-ostree';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { importDebs } from '../../../lib/compose/import.js';
import { buildDeb, type Compression } from '../../support/deb.js';
import { createRepo } from '../../support/repo.js';
import { run } from '../../support/run.js';
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temp.js';

let work: TemporaryDirectory;
let repo: Repo;
const built = new Map<Compression, string>();
const kCompressions: readonly Compression[] = ['xz', 'gzip', 'zstd', 'none'];

beforeAll(async () => {
  work = await temporaryDirectory('damaged');
  repo = await createRepo(work.join('repo'));
  for (const compression of kCompressions) {
    const spec = {
      name: compression,
      files: { '/usr/bin/a': 'a'.repeat(3000), '/usr/share/b': createHash('sha256').digest() },
      conffiles: [],
      compression,
    };
    const files = Object.fromEntries(
      Object.entries(spec.files).map(([name, content]) => [name, { content }]),
    );
    built.set(compression, await buildDeb({ ...spec, files }, work.path));
  }
});

afterAll(async () => {
  repo.close();
  await work.remove();
});

function debOf(compression: Compression): string {
  return built.get(compression) as string;
}

async function importFile(path: string, name: string, sha256?: string): Promise<string> {
  const [deb] = await importDebs(repo, [
    { path, name, version: '1.0', architecture: 'all', sha256 },
  ]);
  return (await repo.loadCommit(deb?.commit ?? '')).contents;
}

async function importBytes(bytes: Buffer, name: string, sha256?: string): Promise<string> {
  const file = work.join('changed.deb');
  await writeFile(file, bytes);
  return importFile(file, name, sha256);
}

/** A .deb of `control` and the data archive that a shell script writes to `$OUT`. */
async function assemble(script: string): Promise<string> {
  await using stage = await temporaryDirectory('assemble');
  const output = work.join('assembled.deb');
  await run(
    'sh',
    [
      '-ec',
      `rm -f ${output}; mkdir data c; printf '2.0\\n' > debian-binary
      printf 'Package: x\\nVersion: 1.0\\nArchitecture: all\\nMaintainer: t\\nDescription: d\\n' > c/control
      tar -C c --format=gnu -cf control.tar ./control
      ( cd data; OUT=../data.tar; ${script} )
      ar rcD ${output} debian-binary control.tar data.tar`,
    ],
    { cwd: stage.path },
  );
  return output;
}

describe.each(kCompressions)('a damaged package (%s)', (compression) => {
  it('is refused wherever it is cut off', async () => {
    const bytes = await readFile(debOf(compression));
    for (const part of [0, 0.001, 0.05, 0.1, 0.3, 0.5, 0.8, 0.95, 1]) {
      const length = Math.min(Math.floor(bytes.length * part), bytes.length - 4);
      await expect(importBytes(bytes.subarray(0, length), compression)).rejects.toMatchObject({
        name: 'ComposeError',
        code: 'ERR_DEB_DAMAGED',
        path: work.join('changed.deb'),
      });
    }
    expect(await repo.listRefs()).toEqual({});
  });

  it('is refused for the wrong SHA-256, before there is a ref', async () => {
    const bytes = await readFile(debOf(compression));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    // A space of padding in a member's header: nothing else would notice.
    const changed = Buffer.from(bytes);
    changed[8 + 16 + 5] = 0x31;
    await expect(importBytes(changed, compression, sha256)).rejects.toMatchObject({
      code: 'ERR_DEB_DAMAGED',
      package: compression,
    });
    expect(await repo.listRefs()).toEqual({});
  });
});

it.each(['xz', 'gzip', 'zstd'] as const)('finds changed bytes by %s alone', async (compression) => {
  const bytes = await readFile(debOf(compression));
  const whole = await importFile(debOf(compression), compression);
  for (let i = 0; i < 60; i++) {
    const changed = Buffer.from(bytes);
    const at = Math.floor((bytes.length * (i + 0.5)) / 60);
    changed[at] = (changed[at] ?? 0) ^ 0x10;
    // Times and owners in headers may change without harm; what is stored may not.
    const outcome = await importBytes(changed, compression).catch((error) => error.code);
    expect(['ERR_DEB_DAMAGED', 'ERR_DEB_UNSUPPORTED', whole], `byte ${at}`).toContain(outcome);
  }
});

it('imports all packages or none', async () => {
  const before = await repo.listRefs();
  const bad = work.join('bad.deb');
  await writeFile(bad, (await readFile(debOf('xz'))).subarray(0, 700));
  const file = (path: string, name: string) => ({
    path,
    name,
    version: '1.0',
    architecture: 'all',
  });
  await expect(
    importDebs(repo, [file(debOf('none'), 'none'), file(bad, 'xz')]),
  ).rejects.toMatchObject({ code: 'ERR_DEB_DAMAGED' });
  expect(await repo.listRefs()).toEqual(before);
});

it('refuses another package than the one named', async () => {
  await expect(importFile(debOf('xz'), 'other')).rejects.toMatchObject({
    code: 'ERR_DEB_DAMAGED',
    package: 'other',
  });
});

it.each([
  ['a device node', 'mknod null c 1 3; tar --format=gnu -cf $OUT .', 'UNSUPPORTED'],
  ['a named pipe', 'mkfifo pipe; tar --format=gnu -cf $OUT .', 'UNSUPPORTED'],
  ['a pax header', 'touch a; tar --format=pax --pax-option=x=y -cf $OUT .', 'UNSUPPORTED'],
  [
    'a name that is not UTF-8',
    `touch "$(printf 'a\\377')"; tar --format=gnu -cf $OUT .`,
    'UNSUPPORTED',
  ],
  [
    'a name that leads out',
    'touch a; tar --format=gnu -P --transform s,a,../a, -cf $OUT a',
    'DAMAGED',
  ],
  [
    'a hard link to nothing',
    'touch a; ln a b; tar --format=gnu -cf $OUT a b; tar --delete -f $OUT a',
    'DAMAGED',
  ],
  [
    'a file that is a directory too',
    'mkdir d; touch d/a; tar --format=gnu -cf $OUT d; rm -r d; touch d; tar --format=gnu -rf $OUT d',
    'UNSUPPORTED',
  ],
])('refuses %s', async (_what, script, code) => {
  await expect(importFile(await assemble(script), 'x')).rejects.toMatchObject({
    code: `ERR_DEB_${code}`,
    package: 'x',
  });
});

it.each([
  ['something else', 'hello world, this is no package at all'],
  ['an empty file', ''],
])('refuses %s', async (_what, content) => {
  await expect(importBytes(Buffer.from(content), 'x')).rejects.toMatchObject({
    code: 'ERR_DEB_DAMAGED',
  });
});

it('says when a file is not there', async () => {
  await expect(importFile(work.join('absent.deb'), 'x')).rejects.toMatchObject({
    code: 'ENOENT',
    path: work.join('absent.deb'),
  });
});
