/** What counts as written below a directory, whoever wishes that it is not seen. */

import { link, mkdir, symlink, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SpaceMeter } from '../../../lib/compose/space.js';
import { run } from '../../support/run.js';
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temp.js';

const kMiB = 1 << 20;
let work: TemporaryDirectory;

beforeEach(async () => {
  work = await temporaryDirectory('space');
  await mkdir(work.join('ours'));
});
afterEach(() => work.remove());

/** A meter of a file system on which others have just written more than the limit. */
async function meter(limit: number): Promise<SpaceMeter> {
  const meter = await SpaceMeter.create(work.join('ours'), limit);
  await writeFile(work.join('others'), Buffer.alloc(16 * kMiB, 1), { flush: true });
  return meter;
}

test('what others write does not count', async () => {
  const space = await meter(4 * kMiB);
  await writeFile(work.join('ours/file'), Buffer.alloc(kMiB, 1), { flush: true });
  expect(await space.exceeded()).toBe(false);
});

test('what names do not tell does', async () => {
  const space = await meter(4 * kMiB);
  const name = Buffer.concat([Buffer.from(work.join('ours/')), Buffer.from([0xff, 0xfe])]);
  await writeFile(name, Buffer.alloc(8 * kMiB, 1), { flush: true });
  expect(await space.exceeded()).toBe(true);
});

test('names of one file count once', async () => {
  const space = await meter(4 * kMiB);
  await writeFile(work.join('ours/file'), Buffer.alloc(kMiB, 1), { flush: true });
  for (let i = 0; i < 8; i += 1) await link(work.join('ours/file'), work.join(`ours/${i}`));
  expect(await space.exceeded()).toBe(false);
});

test('links are not followed', async () => {
  const space = await meter(4 * kMiB);
  await symlink(work.path, work.join('ours/out'));
  expect(await space.exceeded()).toBe(false);
});

test('directories deeper than any path can tell are beyond the limit', async () => {
  const space = await meter(4 * kMiB);
  const back = process.cwd();
  process.chdir(work.join('ours'));
  try {
    for (let i = 0; i < 1100; i += 1) {
      await mkdir('nested');
      process.chdir('nested');
    }
    await writeFile('file', Buffer.alloc(8 * kMiB, 1), { flush: true });
  } finally {
    process.chdir(back);
  }
  expect(await space.exceeded()).toBe(true);
  await run('rm', ['-rf', work.join('ours')]);
});
