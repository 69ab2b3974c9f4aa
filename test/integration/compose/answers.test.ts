import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answersText } from '../../../lib/compose/answers.js';
import { type ComposeFixture, composeFixture, expectSound } from '../../support/compose.js';
import { installedPackage, librariesOf } from '../../support/installed-package.js';

let fixture: ComposeFixture;

beforeAll(async () => {
  const perl = await installedPackage('perl-base');
  const debconf = await installedPackage('debconf');
  fixture = await composeFixture([
    await librariesOf('/usr/bin/perl', 'test-libcrypt'),
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
    const { commit, record } = await fixture.composer.layer({
      base: 'with-debconf',
      install: ['asker'],
      answers: { asker: { 'asker/colour': 'blue', 'asker/sure': true } },
      unanswered: 'refuse',
      refresh: false,
    });
    expect(record.questions.every(({ answered }) => answered)).toBe(true);
    const text = await fixture.repo.readFile(commit, '/usr/etc/answers');
    expect(text.toString()).toBe('blue true\n');
    await expectSound(fixture.repo);
  });

  it('are the defaults where nobody gave any, without waiting', async () => {
    const { commit, record } = await fixture.composer.layer({
      base: 'with-debconf',
      install: ['asker'],
      refresh: false,
    });
    expect(record.questions).toEqual([
      { package: 'asker', question: 'asker/colour', priority: 'critical', answered: false },
      { package: 'asker', question: 'asker/sure', priority: 'high', answered: false },
    ]);
    expect(record.log).not.toContain('debconf (');
    const text = await fixture.repo.readFile(commit, '/usr/etc/answers');
    expect(text.toString()).toBe('red false\n');
  });

  it('are required for critical questions on request', async () => {
    await expect(
      fixture.composer.layer({
        base: 'with-debconf',
        install: ['asker'],
        answers: { asker: { 'asker/sure': true } },
        unanswered: 'refuse',
        ref: 'refused',
        refresh: false,
      }),
    ).rejects.toMatchObject({ code: 'ERR_COMPOSE_QUESTIONS', questions: ['asker/colour'] });
    expect(Object.keys(await fixture.repo.listRefs())).not.toContain('refused');
    await expectSound(fixture.repo);
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
