/** adduser(8), which most packages use, where the numbers of the tree before are known. */

import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ComposeFixture, composeFixture, expectSound } from '../../support/compose.js';
import { installedPackage, librariesOf } from '../../support/installed-package.js';

let fixture: ComposeFixture;

/** Names of packages are more restricted than those of accounts. */
const packageOf = (account: string) => `makes-${account.replaceAll('_', '')}`;

beforeAll(async () => {
  const perl = await installedPackage('perl-base');
  const adduser = await installedPackage('adduser');
  const passwd = await installedPackage('passwd', (file) => /bin\/(usermod|chfn)$/.test(file));
  const libraries = await librariesOf('/usr/sbin/usermod', 'usermod-libraries');
  const perlLibraries = await librariesOf('/usr/bin/perl', 'perl-libraries');
  for (const file of Object.keys(libraries.files ?? {})) delete perlLibraries.files?.[file];
  const maker = (name: string, postinst: string) => ({
    name: packageOf(name),
    depends: 'test-adduser, test-perl-base, test-passwd, usermod-libraries, perl-libraries',
    files: { [`/usr/share/makes-${name}`]: name },
    scripts: { postinst: `${postinst}\nchown ${name}:${name} /usr/share/makes-${name}` },
  });
  const user = (name: string) => `adduser --system --group --no-create-home --quiet ${name}`;
  fixture = await composeFixture([
    libraries,
    perlLibraries,
    perl,
    adduser,
    passwd,
    maker('one', user('one')),
    maker('two', user('two')),
    maker(
      '_three',
      'addgroup --system --quiet --force-badname _three; useradd -r -g _three _three',
    ),
  ]);
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
});

async function idOf(commit: string, name: string, file: 'passwd' | 'group'): Promise<number> {
  const text = (await fixture.repo.readFile(commit, `/usr/etc/${file}`)).toString();
  return Number(new RegExp(`^${name}:[^:]*:(\\d+):`, 'm').exec(text)?.[1]);
}

it.each(['two', '_three'])(
  'gives another number where somebody has the old one: %s',
  async (name) => {
    const { composer, repo, base } = fixture;
    const layered = await composer.layer({ base, install: [packageOf(name)], refresh: false });
    const other = await composer.layer({ base, install: ['makes-one'], refresh: false });
    const number = await idOf(layered.commit, name, 'group');
    expect(await idOf(other.commit, 'one', 'group')).toBe(number);
    const moved = await composer.relayer({
      layered: layered.commit,
      base: other.commit,
      refresh: false,
    });
    const ids = await Promise.all(
      (['passwd', 'group'] as const).map((file) => idOf(moved.commit, name, file)),
    );
    expect(ids[1]).toBeGreaterThanOrEqual(100);
    expect(ids[1]).not.toBe(number);
    const [file] = await repo.list(moved.commit, `/usr/share/makes-${name}`);
    expect(file).toMatchObject({ uid: ids[0], gid: ids[1] });
    await expectSound(repo);
  },
);
