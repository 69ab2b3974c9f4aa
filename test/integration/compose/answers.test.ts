import { lstat, readFile, readlink } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answersText } from '../../../lib/compose/answers.js';
import { type ComposeFixture, composeFixture, expectSound } from '../../support/compose.js';
import type { PackageSpec } from '../../support/deb.js';
import { run } from '../../support/run.js';

/** This machine's own package, without its scripts, conffiles and documentation. */
async function installedPackage(name: string): Promise<PackageSpec> {
  const { stdout } = await run('dpkg', ['-L', name]);
  const files: NonNullable<PackageSpec['files']> = {};
  const symlinks: Record<string, string> = {};
  for (const file of stdout.split('\n')) {
    if (!/^\/(usr\/(s?bin|lib|share\/(perl5|debconf))|etc)\//.test(file)) continue;
    const info = await lstat(file).catch(() => undefined);
    if (info?.isSymbolicLink()) symlinks[file] = await readlink(file);
    else if (info?.isFile()) {
      files[file] = { content: await readFile(file), mode: info.mode & 0o7777 };
    }
  }
  return { name: `test-${name}`, files, symlinks, compression: 'gzip' };
}

async function libraries(): Promise<PackageSpec> {
  const { stdout } = await run('ldd', ['/usr/bin/perl']);
  const files: NonNullable<PackageSpec['files']> = {};
  for (const [, library = ''] of stdout.matchAll(/=> \/?(\S*libcrypt\S*) \(0x/g)) {
    files[`/usr/${library.replace(/^usr\//, '')}`] = { content: await readFile(`/${library}`) };
  }
  return { name: 'test-libcrypt', files };
}

let fixture: ComposeFixture;

beforeAll(async () => {
  const perl = await installedPackage('perl-base');
  const debconf = await installedPackage('debconf');
  fixture = await composeFixture([
    await libraries(),
    { ...perl, depends: 'test-libcrypt' },
    {
      ...debconf,
      depends: 'test-perl-base',
      directories: { '/var/cache/debconf': {} },
    },
    {
      name: 'asker',
      depends: 'test-debconf',
      templates:
        'Template: asker/colour\nType: select\nChoices: red, blue, green\nDefault: red\nDescription: Which colour?\n Choose one.\n\nTemplate: asker/sure\nType: boolean\nDefault: false\nDescription: Sure?\n Say so.\n',
      scripts: {
        config:
          '. /usr/share/debconf/confmodule\ndb_input critical asker/colour || :\ndb_input high asker/sure || :\ndb_go || :',
        postinst:
          '. /usr/share/debconf/confmodule\ndb_get asker/colour; c=$RET; db_get asker/sure; echo "$c $RET" > /etc/answers',
      },
    },
  ]);
  await fixture.composer.layer({
    base: 'base',
    install: ['test-debconf'],
    ref: 'with-debconf',
    refresh: false,
  });
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
});

describe('answers to questions', () => {
  it('are preset', async () => {
    const { commit } = await fixture.composer.layer({
      base: 'with-debconf',
      install: ['asker'],
      answers: { asker: { 'asker/colour': 'blue', 'asker/sure': true } },
      refresh: false,
    });
    const text = await fixture.repo.readFile(commit, '/usr/etc/answers');
    expect(text.toString()).toBe('blue true\n');
    await expectSound(fixture.repo);
  });

  it('are the defaults where nobody gave any, without waiting', async () => {
    const { commit } = await fixture.composer.layer({
      base: 'with-debconf',
      install: ['asker'],
      refresh: false,
    });
    const text = await fixture.repo.readFile(commit, '/usr/etc/answers');
    expect(text.toString()).toBe('red false\n');
  });

  it('need debconf', async () => {
    await expect(
      fixture.composer.layer({
        base: 'base',
        install: ['asker'],
        answers: { asker: { 'asker/sure': true } },
        refresh: false,
      }),
    ).rejects.toMatchObject({ code: 'ERR_COMPOSE_QUESTIONS' });
  });

  it('are lines', () => {
    expect(answersText({ a: { 'a/b': 'c d', 'a/e': false } })).toBe(
      'a a/b string c d\na a/e boolean false\n',
    );
    expect(() => answersText({ a: { 'a b': 'c' } })).toThrow(TypeError);
    expect(() => answersText({ a: { b: 'c\nd' } })).toThrow(TypeError);
  });
});
