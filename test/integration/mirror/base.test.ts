/** A base tree from nothing, against mmdebstrap's from the same packages, path by path. */

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Composer, Repo } from 'apt-ostree';
import { describe, expect, it } from 'vitest';
import { benchArchive } from '../../../bench/archive.js';
import { mmdebstrap } from '../../../bench/base.js';
import { baseCheckout } from '../../../lib/compose/base.js';
import { Workspace } from '../../../lib/compose/workspace.js';
import { allowed } from '../../differential/allowed.js';
import { describe as describeTree } from '../../differential/describe.js';
import { obstacle } from '../../support/mirror.js';
import { temporaryDirectory } from '../../support/temp.js';

/** What may differ, beside the rules for layered trees. */
const kRules: readonly { path: RegExp; reason: string }[] = [
  { path: /^\/etc\/apt\/sources\.list\.d\//, reason: 'the same source under another name' },
  { path: /^\/etc\/fstab$/, reason: 'mmdebstrap writes one without entries' },
  {
    path: /^\/usr\/(lib\/(sysimage|sysusers\.d)|share\/factory)(\/|$)/,
    reason: 'places of the image form',
  },
  {
    path: /^\/var\/(cache\/apt\/archives|lib\/apt\/lists)\/(lock|partial)$/,
    reason: 'made by apt-get when it fetches',
  },
  {
    path: /^\/var\/lib\/dpkg\/(arch|available)$/,
    reason: 'without foreign architectures and dselect they say nothing',
  },
  {
    path: /^\/var\/lib\/apt\/extended_states$/,
    reason: 'mmdebstrap unpacks the essential set without apt, which then marks none of it',
  },
];

/** Files that are compared as sets of lines or paragraphs, or without dates. */
const kComparable: Readonly<Record<string, (text: string) => string>> = {
  // The day on which the password was set is that of the composition.
  '/etc/shadow': (text) => text.replace(/^([^:]*:[^:]*):\d+:/gm, '$1::'),
  '/var/cache/debconf/config.dat': (text) => text.trim().split('\n\n').sort().join('\n\n'),
};

const reason = await obstacle();

describe.runIf(reason === undefined)('a base tree of real packages', () => {
  it('is the one that mmdebstrap makes', { timeout: 600_000 }, async () => {
    await using directory = await temporaryDirectory('base');
    await using archive = await benchArchive(directory.path, []);
    const theirs = directory.join('theirs');
    await mmdebstrap(archive, theirs);
    await using repo = await Repo.create(directory.join('repo'), 'bare');
    const composer = new Composer({ repo, sources: archive.repository.source });
    const { commit } = await composer.compose({ secrets: 'keep' });
    await using workspace = await Workspace.create(repo);
    const ours = await baseCheckout(repo, commit, workspace);

    const left = await describeTree(ours);
    const right = await describeTree(theirs);
    expect(left.size).toBeGreaterThan(5000);
    const differences: Record<string, unknown> = {};
    for (const file of new Set([...left.keys(), ...right.keys()])) {
      const [mine, other] = [left.get(file), right.get(file)];
      if (mine === other || allowed(file, mine, other)) continue;
      if (kRules.some((rule) => rule.path.test(file))) continue;
      const comparable = kComparable[file];
      if (comparable && mine !== undefined && other !== undefined) {
        const text = async (root: string) =>
          comparable(await readFile(path.join(root, file), 'utf8'));
        expect(await text(ours), file).toBe(await text(theirs));
        continue;
      }
      differences[file] = { ours: mine, theirs: other };
    }
    expect(differences).toEqual({});
  });
});
