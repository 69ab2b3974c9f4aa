/** Refs, aliases and revisions, beside the ostree command. */

import type { Repo } from 'apt-ostree/ostree';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commitEdits, ostree } from '../../support/ostree.js';
import { createRepo } from '../../support/repo.js';
import { temporaryDirectory } from '../../support/temp.js';

const scratch = await temporaryDirectory('refs');
afterAll(() => scratch.remove());
let repo: Repo;
const commits: string[] = [];
beforeAll(async () => {
  repo = await createRepo(scratch.join('repo'));
  for (let i = 0; i < 3; i++) {
    const parent = commits.at(-1);
    const edits = [{ op: 'file' as const, path: '/file', content: `${i}` }];
    commits.push(await commitEdits(repo, 'os/one', edits, parent ? { parent, base: parent } : {}));
  }
});
afterAll(() => repo.close());

describe('listing', () => {
  test('by prefix, aliases, remotes and mirrors is as the command’s', async () => {
    const [first, , last] = commits as [string, string, string];
    const at = `--repo=${repo.path}`;
    await repo.setRef('os/two', first);
    await repo.setRef('other', first);
    await ostree('remote', 'add', at, '--no-gpg-verify', 'origin', 'file:///nowhere');
    await repo.setRef('origin:os/three', first);
    await repo.collections.setRef({ collectionId: 'org.example.Os', ref: 'mirrored' }, last);
    await repo.setAlias('os/current', 'os/one');
    const lines = async (...flags: string[]) =>
      (await ostree('refs', at, ...flags)).split('\n').filter(Boolean).sort();
    expect(Object.keys(await repo.listRefs())).toEqual(await lines());
    expect(await repo.listRefs({ prefix: 'os' })).toEqual({
      'os/current': last,
      'os/one': last,
      'os/two': first,
    });
    expect((await lines('--list', 'os')).sort()).toEqual(['os/current', 'os/one', 'os/two']);
    expect(await repo.listRefs({ aliases: true })).toEqual({ 'os/current': 'os/one' });
    expect(await lines('--alias')).toEqual(['os/current -> os/one']);
    const own = Object.keys(await repo.listRefs({ excludeRemotes: true, excludeMirrors: true }));
    expect(own).toEqual(['os/current', 'os/one', 'os/two', 'other']);
    expect(await repo.listRefs({ prefix: 'origin:' })).toEqual({ 'origin:os/three': first });
    expect(await repo.listRefs({ prefix: 'nothing' })).toEqual({});
  });
});

describe('aliases', () => {
  test('follow their ref, whoever made them', async () => {
    const [first, second, last] = commits as [string, string, string];
    const at = `--repo=${repo.path}`;
    await repo.setRef('target', first);
    await repo.setAlias('ours', 'target');
    await ostree('refs', at, '--alias', '--create=theirs', 'target');
    await repo.setRef('target', second);
    expect(await ostree('rev-parse', at, 'ours')).toBe(second);
    expect(await repo.resolveRev('theirs')).toBe(second);
    expect(await repo.listRefs({ aliases: true })).toMatchObject({
      ours: 'target',
      theirs: 'target',
    });
    await repo.setAlias('ours', null);
    expect(await repo.tryResolveRev('ours')).toBeUndefined();
    expect(await repo.resolveRev('target')).toBe(second);
    expect(last).toHaveLength(64);
  });

  test('that lead back to themselves are refused, however long the way', async () => {
    const [first] = commits as [string];
    await repo.setRef('end', first);
    await expect(repo.setAlias('end', 'end')).rejects.toMatchObject({ code: 'ELOOP' });
    await repo.setAlias('a/one', 'end');
    await repo.setAlias('b/c/two', 'a/one');
    for (const alias of ['end', 'a/one', 'b/c/two']) {
      await expect(repo.setAlias(alias, 'b/c/two')).rejects.toMatchObject({
        code: 'ELOOP',
        ref: alias,
      });
    }
    expect(await repo.listRefs({ prefix: 'b' })).toEqual({ 'b/c/two': first });
    await repo.setAlias('b/c/two', 'os/one');
    await repo.setAlias('a/one', 'b/c/two');
    expect(await repo.resolveRev('a/one')).toBe(commits.at(-1));
    for (const alias of ['a/one', 'b/c/two', 'end']) await repo.setAlias(alias, null);
  });

  test('of nothing are refused, and so are names that are none', async () => {
    await expect(repo.setAlias('bad', 'nothing')).rejects.toMatchObject({ code: 'ENOENT' });
    for (const name of ['../../escape', '/abs', '', 'a//b', 'a:b:c', 'a b', 'a\n', '.']) {
      await expect(repo.setAlias(name, 'os/one')).rejects.toMatchObject({
        code: 'ERR_INVALID_ARG_VALUE',
      });
      await expect(repo.setAlias('alias', name)).rejects.toMatchObject({
        code: 'ERR_INVALID_ARG_VALUE',
      });
      await expect(repo.setRef(name, null)).rejects.toMatchObject({
        code: 'ERR_INVALID_ARG_VALUE',
      });
    }
  });
});

describe('revisions', () => {
  test('are what `ostree rev-parse` says', async () => {
    const last = commits[2] as string;
    for (const rev of ['os/one', 'os/one^', 'os/one^^', last, `${last}^`, last.slice(0, 12)]) {
      expect(await repo.resolveRev(rev)).toBe(
        await ostree('rev-parse', `--repo=${repo.path}`, rev),
      );
    }
  });

  test('that lead nowhere are ENOENT, or undefined', async () => {
    for (const rev of ['nothing', 'origin:nothing', 'f'.repeat(64).slice(0, 10)]) {
      await expect(repo.resolveRev(rev)).rejects.toMatchObject({ code: 'ENOENT' });
      expect(await repo.tryResolveRev(rev)).toBeUndefined();
    }
    await expect(repo.resolveRev('os/one^^^')).rejects.toThrow();
  });

  test.each(['', '^', '../x', 'a^b', 'x:y:z', 'a\0', '/', 'a/../b', '~1', 'os/one\n'])(
    '%j is none',
    async (rev) => {
      await expect(repo.resolveRev(rev)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
    },
  );

  test('an ambiguous short checksum is an error', async () => {
    const initial = new Map<string, number>();
    for await (const { checksum } of repo.objects.list({ types: ['commit'] })) {
      initial.set(checksum.slice(0, 1), (initial.get(checksum.slice(0, 1)) ?? 0) + 1);
    }
    for (const [start, many] of initial) {
      if (many > 1) await expect(repo.resolveRev(start)).rejects.toThrow();
      else expect((await repo.resolveRev(start)).startsWith(start)).toBe(true);
    }
  });
});

test('the log goes back as far as wanted', async () => {
  const read = async (limit?: number) => {
    const list: string[] = [];
    for await (const { checksum } of repo.log('os/one', { limit })) list.push(checksum);
    return list;
  };
  expect(await read()).toEqual([...commits].reverse());
  expect(await read(2)).toEqual([...commits].reverse().slice(0, 2));
  expect(await read(0)).toEqual([]);
  const theirs = await ostree('log', `--repo=${repo.path}`, 'os/one');
  expect([...theirs.matchAll(/^commit (\w+)/gm)].map(([, sum]) => sum)).toEqual(await read());
});
