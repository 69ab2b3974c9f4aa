/** SELinux policies as objects, and labels that imports take from them. */

import { createHash } from 'node:crypto';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { SePolicy } from 'apt-ostree/ostree';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ostree } from '../../support/ostree.js';
import { createRepo } from '../../support/repo.js';
import { run } from '../../support/run.js';
import { writePolicy } from '../../support/se-policy.js';
import { temporaryDirectory } from '../../support/temp.js';

const scratch = await temporaryDirectory('sepolicy');
afterAll(() => scratch.remove());
const root = scratch.join('root');
const other = scratch.join('other');
const source = scratch.join('source');
const label = (type: string) => `system_u:object_r:${type}:s0`;

beforeAll(async () => {
  await writePolicy(root, [
    `/.*\t${label('default_t')}`,
    `/usr/bin(/.*)?\t${label('bin_t')}`,
    `/usr/bin/tool\t--\t${label('tool_exec_t')}`,
    '/nothing\t<<none>>',
  ]);
  await writePolicy(other, [`/.*\t${label('other_t')}`]);
  await mkdir(`${source}/usr/bin`, { recursive: true });
  await writeFile(`${source}/usr/bin/tool`, 'tool');
});

const labels = async (policy: SePolicy) => [
  await policy.label('/usr/bin/tool', 0o100755),
  await policy.label('/usr/bin/tool', 0o040755),
  await policy.label('/nothing', 0o100644),
  await policy.label('/', 0o040755),
];
const expected = [label('tool_exec_t'), label('bin_t'), undefined, label('default_t')];

describe('a policy', () => {
  test('of a directory', async () => {
    const policy = await SePolicy.fromDirectory(root);
    expect(policy.name).toBe('test');
    expect(policy.checksum).toBe(createHash('sha256').update('binary policy').digest('hex'));
    expect(await labels(policy)).toEqual(expected);
  });

  test('of a commit', async () => {
    await using repo = await createRepo(scratch.join('repo'), 'archive');
    const { checksum: labelled } = await repo.commit({
      trees: [{ directory: root, prefix: '/usr' }],
    });
    expect(await labels(await repo.sePolicy(labelled))).toEqual(expected);
    await expect(repo.sePolicy('no/such')).rejects.toMatchObject({ code: 'ENOENT' });
    const { checksum } = await repo.commit({ trees: [{ directory: source }] });
    const refused = { code: 'ERR_OSTREE_NOT_SUPPORTED', ref: checksum };
    await expect(repo.sePolicy(checksum)).rejects.toMatchObject(refused);
  });

  test('two at a time do not mix', async () => {
    const policies = await Promise.all(
      Array.from({ length: 12 }, (_, i) => SePolicy.fromDirectory(i % 2 === 0 ? root : other)),
    );
    const found = await Promise.all(policies.map((policy) => policy.label('/x', 0o100644)));
    expect(found).toEqual(found.map((_, i) => label(i % 2 === 0 ? 'default_t' : 'other_t')));
  });

  test('that is missing or incomplete', async () => {
    await expect(SePolicy.fromDirectory('/no/such')).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(SePolicy.fromDirectory(source)).rejects.toMatchObject({
      code: 'ERR_OSTREE_NOT_SUPPORTED',
      path: source,
    });
    const broken = scratch.join('broken');
    await writePolicy(broken, [`/.*\t${label('x_t')}`]);
    await rm(`${broken}/etc/selinux/test/policy/policy.33`);
    await expect(SePolicy.fromDirectory(broken)).rejects.toMatchObject({
      code: 'ERR_OSTREE_FAILED',
    });
  });

  test('is asked for odd paths', async () => {
    const policy = await SePolicy.fromDirectory(root);
    for (const path of ['/a/../b', '/a//b', 'a\0b']) {
      await expect(policy.label(path, 0o100644)).rejects.toMatchObject({
        code: 'ERR_INVALID_ARG_VALUE',
      });
    }
    for (const mode of [-1, 1.5, 0o200000]) {
      await expect(policy.label('/a', mode)).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
    }
  });
});

/** Of a path on disk, without following links. */
async function labelOnDisk(path: string): Promise<string> {
  const program =
    'import os, sys; print(os.getxattr(sys.argv[1], "security.selinux", follow_symlinks=False))';
  const { stdout } = await run('python3', ['-c', program, path], { anyStatus: true });
  return stdout.replace(/^b'|\\x00'\n$/g, '');
}

test('restorecon labels what is on disk', async () => {
  const policy = await SePolicy.fromDirectory(root);
  const target = scratch.join('target');
  await mkdir(target);
  await writeFile(`${target}/file`, '');
  await symlink('file', `${target}/link`);
  expect(await policy.restorecon('/usr/bin', target)).toBe(label('bin_t'));
  expect(await labelOnDisk(target)).toBe(label('bin_t'));
  // Neither what is below nor what a link names.
  await policy.restorecon('/usr/bin/link', `${target}/link`);
  expect(await labelOnDisk(`${target}/link`)).toBe(label('bin_t'));
  expect(await labelOnDisk(`${target}/file`)).toBe('');
  expect(await policy.restorecon('/usr/bin/tool', `${target}/file`)).toBe(label('tool_exec_t'));
  const keepExisting = await policy.restorecon('/x', `${target}/file`, { keepExisting: true });
  expect(keepExisting).toBeUndefined();
  expect(await labelOnDisk(`${target}/file`)).toBe(label('tool_exec_t'));
  await expect(policy.restorecon('/nothing', `${target}/file`)).rejects.toMatchObject({
    code: 'ERR_OSTREE_FAILED',
    path: `${target}/file`,
  });
  const allowNoLabel = await policy.restorecon('/nothing', target, { allowNoLabel: true });
  expect(allowNoLabel).toBeUndefined();
  expect(await labelOnDisk(target)).toBe(label('bin_t'));
});

test('restorecon where no label can be kept, or of nothing', async () => {
  const policy = await SePolicy.fromDirectory(root);
  await expect(policy.restorecon('/x', '/proc/version')).rejects.toMatchObject({
    code: 'ERR_OSTREE_NOT_SUPPORTED',
    path: '/proc/version',
  });
  await expect(policy.restorecon('/x', scratch.join('none'))).rejects.toMatchObject({
    code: 'ENOENT',
  });
  await expect(policy.restorecon('/a/../b', root)).rejects.toMatchObject({
    code: 'ERR_INVALID_ARG_VALUE',
  });
  await expect(
    policy.restorecon('/x', root, { signal: AbortSignal.abort() }),
  ).rejects.toMatchObject({ code: 'ABORT_ERR' });
});

describe('labels of imports', () => {
  const xattr = (type: string) => [
    { name: 'security.selinux', value: Buffer.from(`${label(type)}\0`) },
  ];

  test('of another policy than the tree has', async () => {
    await using repo = await createRepo(scratch.join('imports'), 'archive');
    const selinuxPolicy = await SePolicy.fromDirectory(root);
    const archive = scratch.join('source.tar');
    await run('tar', ['-cf', archive, '-C', source, '.']);
    const base = await repo.commit({ trees: [{ directory: source }] });
    for (const from of [{ directory: source }, { archive }, { commit: base.checksum }]) {
      const { checksum } = await repo.commit({
        trees: [
          {
            ...from,
            selinuxPolicy,
            xattrs: [
              { path: '/**', set: [{ name: 'user.a', value: Buffer.from('a') }] },
              { path: '/usr/bin', drop: ['*'] },
            ],
          },
        ],
      });
      const of = async (path: string) => (await repo.stat(checksum, path, { xattrs: true })).xattrs;
      const added = { name: 'user.a', value: Buffer.from('a') };
      const tool = await of('/usr/bin/tool');
      expect(tool).toHaveLength(2);
      expect(tool).toEqual(expect.arrayContaining([...xattr('tool_exec_t'), added]));
      expect(await of('/usr/bin')).toEqual(xattr('bin_t'));
      expect(await of('/usr')).toEqual(expect.arrayContaining([...xattr('default_t'), added]));
    }
  });

  test('as ostree commit gives them', async () => {
    await using repo = await createRepo(scratch.join('theirs'), 'archive');
    const options = ['--orphan', '--no-bindings', '--timestamp=@0', `--tree=dir=${source}`];
    const theirs = await ostree(
      'commit',
      `--repo=${repo.path}`,
      `--selinux-policy=${root}`,
      ...options,
    );
    const { checksum } = await repo.commit({
      trees: [{ directory: source, selinuxPolicy: await SePolicy.fromDirectory(root) }],
    });
    const contents = async (rev: string) => (await repo.loadCommit(rev)).contents;
    expect(await contents(checksum)).toBe(await contents(theirs));
  });

  test('only of a policy', async () => {
    await using repo = await createRepo(scratch.join('odd'), 'archive');
    for (const selinuxPolicy of [{}, 1, false] as unknown as SePolicy[]) {
      await expect(
        repo.commit({ trees: [{ directory: source, selinuxPolicy }] }),
      ).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
    }
  });
});
