/** The two ways to unpack give one tree; what the fast one cannot take, it leaves to the other. */

import { type ComposeEvent, packagesOf } from 'apt-ostree';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { layerBothWays } from '../../support/both-ways.js';
import { type ComposeFixture, composeFixture, expectSound } from '../../support/compose.js';

const kProgram = (text: string) => ({ content: `#!/bin/sh\necho ${text}\n`, mode: 0o755 });

/** What preinst scripts do to a file of a package that was unpacked right before. */
const kMeddling: Readonly<Record<string, string>> = {
  appending: 'echo more >> /usr/share/list',
  editing: 's=/usr/share/list; sed -i s/base/changed/ $s',
  inserting: "sed -i '1i # header' /usr/share/list",
  patching: 'printf BASE 1<>/usr/share/list',
  joining: 'cat /usr/share/list /etc/os-release > /etc/joined; rm /usr/share/list',
  removing: 'cat /usr/share/list > /dev/null; rm /usr/share/list',
};

let fixture: ComposeFixture;
let base: string;

beforeAll(async () => {
  fixture = await composeFixture(
    [
      {
        name: 'old-owner',
        files: {
          '/usr/bin/shared-name': 'of old-owner',
          '/usr/share/old/own': 'stays',
          '/etc/moved.conf': 'from old-owner\n',
        },
        conffiles: ['/etc/moved.conf'],
        scripts: {
          postinst: 'dpkg-statoverride --add www-data www-data 2750 /usr/bin/overridden',
        },
      },
      { name: 'swallowed', files: { '/usr/share/swallowed': 'whole' } },
      { name: 'diverted', files: { '/usr/bin/diverted': kProgram('original') } },
      {
        name: 'heir',
        replaces: 'old-owner, swallowed',
        files: {
          '/usr/bin/shared-name': 'of heir',
          '/usr/share/swallowed': 'other',
          '/etc/moved.conf': 'from heir\n',
        },
        conffiles: ['/etc/moved.conf'],
      },
      {
        name: 'diverts',
        files: { '/usr/bin/diverted': kProgram('replacement') },
        scripts: {
          preinst:
            'dpkg-divert --package diverts --add --rename --divert /usr/bin/diverted.real /usr/bin/diverted',
          postrm:
            'if [ "$1" = remove ]; then dpkg-divert --package diverts --remove --rename /usr/bin/diverted; fi',
        },
      },
      {
        name: 'many-ways',
        depends: 'heir, diverts',
        files: {
          '/usr/bin/privileged': { content: 'as root', mode: 0o4755 },
          '/usr/bin/overridden': { content: 'for www-data', mode: 0o755 },
          '/usr/share/many/owned': { content: 'daemon', uid: 1, gid: 1, mode: 0o640 },
          '/usr/share/many/empty': '',
          '/etc/many.conf': 'shipped\n',
          '/var/lib/many/state': 'state',
        },
        symlinks: { '/usr/share/many/link': 'owned', '/usr/share/many/dangling': '/nowhere' },
        conffiles: ['/etc/many.conf'],
        triggers: 'interest-noawait /usr/share/watched\n',
        scripts: {
          postinst:
            'echo "$1" >> /var/lib/many/calls; update-alternatives --install /usr/bin/way way /usr/bin/overridden 5',
        },
      },
      { name: 'watched', files: { '/usr/share/watched/file': 'triggers' } },
      { name: 'tool', files: { '/usr/bin/tool': kProgram('from the tool') } },
      {
        name: 'impatient',
        depends: 'tool',
        scripts: { preinst: 'if [ -x /usr/bin/tool ]; then tool > /etc/impatient || true; fi' },
      },
      {
        name: 'demanding',
        depends: 'tool',
        scripts: { preinst: 'if [ -x /usr/bin/tool ]; then tool > /etc/demanding; fi' },
      },
      { name: 'list', files: { '/usr/share/list': 'base line\n' } },
      ...Object.entries(kMeddling).map(([name, command]) => ({
        name,
        depends: 'list',
        scripts: { preinst: `if [ -e /usr/share/list ]; then ${command}; fi` },
      })),
      {
        name: 'measuring',
        depends: 'list',
        scripts: { preinst: '[ ! -e /usr/share/list ] || stat -c %s /usr/share/list > /etc/size' },
      },
      {
        name: 'mover',
        depends: 'list',
        scripts: { preinst: '[ ! -e /usr/share/list ] || mv /usr/share/list /usr/share/list.d' },
      },
      {
        name: 'fallen',
        depends: 'list',
        scripts: {
          preinst:
            'if [ -e /usr/share/list ]; then sed -i s/base/new/ /usr/share/list; grep new /usr/share/list; fi',
        },
      },
      { name: 'broken', depends: 'tool', scripts: { preinst: 'exit 7' } },
      {
        name: 'many-names',
        files: { '/usr/bin/first': kProgram('one file') },
        hardLinks: { '/usr/bin/second': '/usr/bin/first', '/usr/bin/third': '/usr/bin/first' },
      },
    ],
    { unsound: new RegExp([...Object.keys(kMeddling), 'mover', 'fallen'].join('|')) },
  );
  const { composer } = fixture;
  base = (await composer.compose({ packages: ['old-owner', 'swallowed', 'diverted'] })).commit;
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
});

const both = (request: Parameters<ComposeFixture['composer']['layer']>[0]) =>
  layerBothWays(fixture, { refresh: false, ...request });

async function text(commit: string, file: string): Promise<string> {
  return (await fixture.repo.readFile(commit, file)).toString();
}

describe('both ways', () => {
  it('give the same tree where scripts do what is hard', async () => {
    const [fast, reference] = await both({ base, install: ['many-ways', 'watched'] });
    expect(reference.unchanged).toBe(false);
    expect(fast.record.fallbacks).toEqual([]);
    expect(await text(fast.commit, '/usr/bin/diverted.real')).toContain('original');
    const overridden = await fixture.repo.list(fast.commit, '/usr/bin/overridden');
    expect(overridden[0]).toMatchObject({ uid: 33, gid: 33, mode: 0o2750 });
    await expectSound(fixture.repo);
  });

  it('keep dpkg right about files that a package takes over', async () => {
    const [fast] = await both({ base, install: ['heir'] });
    const database = '/usr/lib/sysimage/dpkg';
    expect(await text(fast.commit, '/usr/bin/shared-name')).toBe('of heir');
    const lost = await text(fast.commit, `${database}/info/old-owner.list`);
    expect(lost).toContain('/usr/share/old/own\n');
    expect(lost).not.toContain('/usr/bin/shared-name\n');
    // Nothing is left of it, so that it is gone (Debian Policy, 7.6.2).
    const names = (await packagesOf(fixture.repo, fast.commit)).map(({ name }) => name);
    expect(names).not.toContain('swallowed');
    expect(names).toContain('old-owner');
    const gone = await both({ base: fast.commit, remove: ['heir'] });
    await expect(text(gone[0].commit, '/usr/bin/shared-name')).rejects.toMatchObject({
      code: 'ENOENT',
    });
    expect(await text(gone[0].commit, '/usr/share/old/own')).toBe('stays');
  });
});

describe('a script that uses what has only been unpacked', () => {
  it.each(['impatient', 'demanding'])('makes the step be done again: %s', async (name) => {
    const events: ComposeEvent[] = [];
    const [fast] = await both({
      base,
      install: [name],
      onEvent: (event) => events.push(event),
    });
    expect(await text(fast.commit, `/usr/etc/${name}`)).toBe('from the tool\n');
    const fallback = {
      type: 'fallback',
      reason: 'content',
      paths: ['usr/bin/tool'],
      packages: expect.arrayContaining(['tool', name]),
      voided: 1,
    };
    expect(events.filter(({ type }) => type === 'fallback')).toEqual([fallback]);
    expect(fast.record.fallbacks).toEqual([fallback]);
    await expectSound(fixture.repo);
  });

  it.each(Object.keys(kMeddling))('or writes to it, or takes it away: %s', async (name) => {
    const [fast] = await both({ base, install: [name] });
    expect(fast.record.fallbacks).toMatchObject([
      { reason: 'content', paths: expect.arrayContaining(['usr/share/list']), voided: 1 },
    ]);
    expect(
      fast.record.scripts.map(({ package: by, script, voided }) => [by, script, voided]),
    ).toEqual([
      [name, 'preinst', true],
      [name, 'preinst', false],
    ]);
  });

  it('and fails because of that', async () => {
    const [fast] = await both({ base, install: ['fallen'] });
    expect(await text(fast.commit, '/usr/share/list')).toBe('new line\n');
  });

  it('sees the sizes that files will have', async () => {
    const [fast] = await both({ base, install: ['measuring'] });
    expect(await text(fast.commit, '/usr/etc/size')).toBe('10\n');
    expect(fast.record.fallbacks).toEqual([]);
  });

  it('may move it', async () => {
    const [fast] = await both({ base, install: ['mover'] });
    expect(await text(fast.commit, '/usr/share/list.d')).toBe('base line\n');
    expect(fast.record.fallbacks).toEqual([]);
  });

  it('is not taken for a look at one of several names of a file', async () => {
    const [fast] = await both({ base, install: ['many-names'] });
    expect(fast.record.fallbacks).toEqual([]);
    expect(await text(fast.commit, '/usr/bin/third')).toContain('one file');
  });

  it('needs no list of packages that it still has', async () => {
    // In the repository already: the file itself has to be fetched for it.
    const result = await fixture.composer.layer({ base, install: ['impatient'], force: true });
    expect(result.record.fallbacks).toHaveLength(1);
    expect(await text(result.commit, '/usr/etc/impatient')).toBe('from the tool\n');
  });
});

it('fails at once where a script would fail either way', async () => {
  const events: ComposeEvent[] = [];
  const layering = fixture.composer.layer({
    base,
    install: ['broken'],
    refresh: false,
    onEvent: (event) => events.push(event),
  });
  await expect(layering).rejects.toMatchObject({ code: 'ERR_COMPOSE_SCRIPT', package: 'broken' });
  expect(events.filter(({ type }) => type === 'fallback')).toEqual([]);
  await expectSound(fixture.repo);
});

it('knows two engines', async () => {
  const engine = 'quick' as 'fast';
  await expect(fixture.composer.layer({ base, engine })).rejects.toMatchObject({
    code: 'ERR_INVALID_ARG_VALUE',
  });
});
