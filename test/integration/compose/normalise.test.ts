/** What an image must not carry, made by a script: every rule, on a base and on a layer. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { normalise } from '../../../lib/compose/normalise.js';
import { type ComposeFixture, composeFixture, expectSound } from '../../support/compose.js';

const kEdits = normalise();
const kMade = kEdits.flatMap((edit) => (edit.op === 'mkdir' ? [edit.path] : []));
const kInstead = kEdits.flatMap((edit) => (edit.op === 'file' ? [edit.path] : []));
const kDropped = kEdits.flatMap((edit) =>
  edit.op === 'remove' && ![...kMade, ...kInstead].includes(edit.path) ? [edit.path] : [],
);

let fixture: ComposeFixture;

beforeAll(async () => {
  const make = [
    'set -e',
    ...[...kDropped, ...kInstead].map(
      (file) => `mkdir -p ${file.replace(/[^/]*$/, '')}; echo made >> ${file}`,
    ),
    ...kMade.map((directory) => `mkdir -p ${directory}; echo made > ${directory}/made`),
  ].join('\n');
  fixture = await composeFixture([{ name: 'messy', scripts: { postinst: make } }]);
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
});

/** Where the image has a path of the root form. */
function inImage(file: string): string {
  return file
    .replace(/^\/etc\//, '/usr/etc/')
    .replace(/^\/var\/lib\/dpkg\//, '/usr/lib/sysimage/dpkg/')
    .replace(/^\/var\//, '/usr/share/factory/var/');
}

describe.each([
  ['a base', () => fixture.composer.compose({ packages: ['messy'], refresh: false })],
  [
    'a layered tree',
    () => fixture.composer.layer({ base: 'base', install: ['messy'], refresh: false }),
  ],
])('%s', (_, compose) => {
  let entries: Map<string, { mode: number; size?: number }>;

  beforeAll(async () => {
    const { commit } = await compose();
    const list = await fixture.repo.list(commit, '/', { recursive: true });
    entries = new Map(list.map((entry) => [entry.path, entry]));
    await expectSound(fixture.repo);
  });

  it.each(kDropped)('has no %s', (file) => {
    expect(entries.has(inImage(file))).toBe(false);
  });

  it.each(kMade)('has an empty %s', (directory) => {
    const inside = [...entries.keys()].filter((file) => file.startsWith(`${inImage(directory)}/`));
    expect(entries.has(inImage(directory))).toBe(true);
    expect(inside).toEqual([]);
  });

  it('has a machine-id that is to be made', () => {
    const { size, mode = 0 } = entries.get('/usr/etc/machine-id') ?? {};
    expect({ size, mode: mode & 0o777 }).toEqual({ size: 0, mode: 0o444 });
  });
});
