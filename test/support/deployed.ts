/** A tree as a machine has it that booted it, and what dpkg and apt then say of it. */

import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Repo } from 'apt-ostree';
import { run } from './run.js';

/** What `dpkg -V` misses on a machine, with the reason. */
const kExceptions: readonly { line: RegExp; reason: string }[] = [
  { line: /^missing\s+(c )?\/boot\//, reason: 'the boot partition has what libostree puts there' },
  { line: /^missing\s+(c )?\/media\//, reason: 'a link into /run' },
];

/**
 * Checks a commit out and does what libostree does to /etc and systemd-tmpfiles to /var, without
 * anything of ours.
 */
export async function deployTree(repo: Repo, commit: string, root: string): Promise<void> {
  await repo.checkout(commit, root);
  await rename(path.join(root, 'usr/etc'), path.join(root, 'etc'));
  // Those of packages would ask for users of this machine.
  await run('systemd-tmpfiles', [
    `--root=${root}`,
    '--create',
    '--prefix=/var',
    `${root}/usr/lib/tmpfiles.d/apt-ostree.conf`,
  ]);
}

/** Lines of `dpkg --audit`, `dpkg -V` and `apt-get check` about a deployed tree; none when sound. */
export async function complaintsAbout(root: string): Promise<string[]> {
  const dpkg = ['--root', root];
  const audit = await run('dpkg', [...dpkg, '--audit']);
  const verify = await run('dpkg', [...dpkg, '--verify'], { anyStatus: true });
  const cache = `${root}.apt`;
  for (const name of ['lists/partial', 'etc/sources.list.d', 'etc/preferences.d']) {
    await mkdir(path.join(cache, name), { recursive: true });
  }
  for (const name of ['sources.list', 'preferences']) await writeFile(`${cache}/etc/${name}`, '');
  const check = await run(
    'apt-get',
    [
      `Dir=${root}`,
      `Dir::State::status=${root}/var/lib/dpkg/status`,
      `Dir::State::lists=${cache}/lists`,
      `Dir::Cache=${cache}`,
      `Dir::Etc=${cache}/etc`,
      'Debug::NoLocking=true',
    ]
      .flatMap((option) => ['-o', option])
      .concat('-qq', 'check'),
    { anyStatus: true },
  );
  await rm(cache, { recursive: true });
  const lines = [audit.stdout, verify.stdout, verify.stderr, check.stdout, check.stderr]
    .flatMap((text) => text.split('\n'))
    .filter((line) => line !== '');
  return lines.filter((line) => !kExceptions.some((exception) => exception.line.test(line)));
}
