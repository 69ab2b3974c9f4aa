/** The whole way on the real archive: the quickstart itself, then a look at what it made. */

import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { Repo, Sysroot } from 'apt-ostree';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runInSandbox } from '../../../lib/compose/sandbox.js';
import { projectRoot } from '../../support/child.js';
import { complaintsAbout, deployTree } from '../../support/deployed.js';
import { obstacle } from '../../support/mirror.js';
import { run } from '../../support/run.js';
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temp.js';

type Line = { type: string; phase?: string; summary?: { peakMegabytes: number } };

const reason = await obstacle();
if (reason !== undefined) process.stderr.write(`The mirror tier is left out: ${reason}.\n`);

describe.skipIf(reason !== undefined)('the quickstart', () => {
  let directory: TemporaryDirectory;
  let lines: Line[];

  beforeAll(async () => {
    directory = await temporaryDirectory('quickstart');
    const { stdout } = await run(
      process.execPath,
      ['--import', 'tsx', 'examples/quickstart.ts', '--json', '--directory', directory.path],
      { cwd: projectRoot, timeout: 600_000 },
    );
    lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  }, 600_000);

  afterAll(() => directory?.remove());

  it('tells every phase and stays small', () => {
    const phases = new Set(lines.map(({ phase }) => phase));
    for (const phase of ['download', 'resolve', 'import', 'unpack', 'configure', 'kernel']) {
      expect(phases).toContain(phase);
    }
    const summary = lines.find((line) => line.summary)?.summary;
    expect(summary?.peakMegabytes).toBeLessThan(250);
  });

  it('leaves a sysroot that the ostree command reads, rolled back to the base', async () => {
    const root = directory.join('sysroot');
    const listed = await run('ostree', ['admin', `--sysroot=${root}`, 'status']);
    const checksums = [...listed.stdout.matchAll(/debian ([0-9a-f]{64})\.\d/g)].map((m) => m[1]);
    await using sysroot = await Sysroot.load(root);
    expect(checksums).toEqual(sysroot.deployments.map(({ checksum }) => checksum));
    await using repo = await sysroot.repo();
    const metadata = await Promise.all(
      sysroot.deployments.map(async ({ checksum }) => (await repo.loadCommit(checksum)).metadata),
    );
    expect(metadata.map((entry) => entry['apt-ostree.requests'])).toEqual([
      expect.arrayContaining(['initramfs-tools']),
      ['htop', 'nginx-light'],
    ]);
    await run('ostree', [`--repo=${repo.path}`, 'fsck', '-q']);
  });

  it('has a package database that dpkg and apt-get find sound', async () => {
    const root = directory.join('checkout');
    await using repo = await Repo.open(directory.join('sysroot/ostree/repo'));
    await deployTree(repo, 'apt-ostree/layered/debian', root);
    expect(await complaintsAbout(root)).toEqual([]);
  });

  it('has an initramfs that knows how to boot a deployment', async () => {
    const scratch = directory.join('initramfs');
    await mkdir(scratch);
    const files: string[] = [];
    await runInSandbox({
      directory: scratch,
      lower: [directory.join('checkout')],
      upper: path.join(scratch, 'layer'),
      command: ['sh', '-c', 'lsinitramfs /usr/lib/modules/*/initramfs.img'],
      onOutput: (line) => files.push(line),
    });
    expect(files).toContain('usr/lib/ostree/ostree-prepare-root');
    expect(files).toContain('scripts/local-bottom/ostree');
  });
});
