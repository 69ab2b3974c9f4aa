/** Indexes that programs hold up to date by times, which commits have not. */

import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ComposeFixture, composeFixture, expectSound } from '../../support/compose.js';

let fixture: ComposeFixture;

beforeAll(async () => {
  fixture = await composeFixture([
    {
      name: 'pages',
      files: { '/usr/share/man/de/man1/old.1': 'page' },
      scripts: {
        postinst:
          'mkdir -p /var/cache/man/de; echo index > /var/cache/man/de/index.db; chown -R 5:60 /var/cache/man; chmod 2700 /var/cache/man',
      },
    },
    {
      name: 'reader',
      files: { '/usr/share/man/man1/new.1': 'page' },
      scripts: {
        postinst: [
          'for page in de/man1 de/man1/old.1 man1; do',
          '  if [ /var/cache/man/de/index.db -nt /usr/share/man/$page ]; then echo older $page; fi',
          'done > /usr/share/seen',
          'stat -c "%u %g %a" /var/cache/man /var/cache/man/de /var/cache/man/de/index.db >> /usr/share/seen',
        ].join('\n'),
      },
    },
    { name: 'writer', scripts: { postinst: 'echo more >> /var/cache/man/de/index.db' } },
  ]);
  await fixture.composer.compose({ packages: ['pages'], ref: 'base' });
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
});

const kIndex = '/usr/share/factory/var/cache/man/de/index.db';

async function layer(name: string): Promise<(file: string) => Promise<string>> {
  const { repo, composer } = fixture;
  const { commit } = await composer.layer({ base: 'base', install: [name], refresh: false });
  return async (file) => (await repo.readFile(commit, file)).toString();
}

it('are newer than what they index, but for what has come since', async () => {
  const read = await layer('reader');
  expect(await read('/usr/share/seen')).toBe(
    'older de/man1\nolder de/man1/old.1\n5 60 2700\n5 60 755\n5 60 644\n',
  );
  expect(await read(kIndex)).toBe('index\n');
});

it('can be written, and repository objects stay as they are', async () => {
  const read = await layer('writer');
  expect(await read(kIndex)).toBe('index\nmore\n');
  await expectSound(fixture.repo);
});
