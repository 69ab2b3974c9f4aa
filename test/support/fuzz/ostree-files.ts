/** Hostile summaries, deltas, boot files and texts. */

import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { variantFromBytes, variantFromText, variantToBytes, variantToText } from 'apt-ostree';
import { BootConfig, KernelArguments, parseSummary, type Repo, Sysroot } from 'apt-ostree/ostree';
import { bootableEdits, commitEdits } from '../ostree.js';
import { binaryDamage, textDamage } from './mutate.js';
import { sampleRepo, withFresh } from './ostree-objects.js';
import type { Probe } from './probe.js';
import type { FuzzInput, FuzzTarget } from './target.js';

const kTypes = ['a{sv}', 'aay', 'ay', '(a(s(taya{sv}))a{sv})', 's', 'v', '(taya{sv})'];

/** A remote whose files are changed while it is asked. */
async function remoteFile(
  directory: string,
  file: string,
  read: (fresh: Repo, probe: Probe) => Promise<void>,
): Promise<FuzzInput> {
  const remote = path.join(directory, 'repo');
  const original = await readFile(path.join(remote, file));
  return {
    name: path.basename(file),
    bytes: original,
    damage: binaryDamage(kTypes),
    async read(bytes, probe) {
      await writeFile(path.join(remote, file), bytes);
      try {
        await withFresh(
          path.join(directory, 'fresh'),
          async (fresh) => {
            await fresh.remotes.add('origin', `file://${remote}`, { gpgVerify: false });
            await read(fresh, probe);
          },
          'bare-user',
        );
      } finally {
        await writeFile(path.join(remote, file), original);
      }
    },
  };
}

export const summaries: FuzzTarget = {
  runs: 150,
  async prepare(directory) {
    const { repo, commit } = await sampleRepo(path.join(directory, 'repo'));
    await repo.config.write({ core: { 'collection-id': 'org.example.Os' } });
    await repo.deltas.generate(commit);
    await repo.summary.regenerate();
    const bytes = await readFile(path.join(repo.path, 'summary'));
    await writeFile(
      path.join(repo.path, 'summary.sig'),
      variantToBytes({
        type: 'a{sv}',
        value: {
          'ostree.gpgsigs': { type: 'aay', value: [Buffer.from('none')] },
          'ostree.sign.ed25519': { type: 'aay', value: [Buffer.alloc(64, 3)] },
        },
      }),
    );
    const ask = async (fresh: Repo, probe: Probe): Promise<void> => {
      const options = { networkRetries: 0 };
      await probe.call('fetchSummary', () => fresh.remotes.fetchSummary('origin', options));
      await probe.call('listRefs', () => fresh.remotes.listRefs('origin'));
      await probe.call('listCollectionRefs', () => fresh.remotes.listCollectionRefs('origin'));
      await probe.call('pull', () => fresh.pull('origin', { refs: ['os/main'], ...options }));
      await probe.call('pull, mirror', () => fresh.pull('origin', { mirror: true, ...options }));
      await probe.call('findRemotes', () =>
        fresh.collections.findRemotes([{ collectionId: 'org.example.Os', ref: 'os/main' }]),
      );
      await probe.call('signed', async () => {
        await fresh.remotes.add('signed', `file://${repo.path}`, {
          gpgVerify: false,
          gpgVerifySummary: true,
        });
        await fresh.remotes.fetchSummary('signed', options);
      });
      await probe.call('verifySummary', async () => {
        const signatures = await readFile(path.join(repo.path, 'summary.sig'));
        await fresh.remotes.verifySummary('origin', bytes, signatures);
      });
    };
    return [
      await remoteFile(directory, 'summary', ask),
      await remoteFile(directory, 'summary.sig', ask),
      {
        name: 'bytes',
        bytes,
        damage: binaryDamage(kTypes),
        async read(given, probe) {
          await probe.call('parseSummary', () => parseSummary(given));
        },
      },
    ];
  },
};

export const deltas: FuzzTarget = {
  runs: 150,
  async prepare(directory) {
    const { repo, commit, parent } = await sampleRepo(path.join(directory, 'repo'));
    await repo.deltas.generate(commit);
    await repo.deltas.generate(commit, { from: parent });
    const offline = path.join(directory, 'offline');
    await repo.deltas.generate(commit, { file: offline, inlineParts: true, minFallbackSize: 0 });
    await repo.summary.regenerate();
    const found = (await readdir(path.join(repo.path, 'deltas'), { recursive: true })).map((name) =>
      path.join('deltas', name),
    );
    const key = Buffer.alloc(32, 9).toString('base64');
    const inputs = found
      .filter((name) => /\/(superblock|\d+)$/.test(name))
      .map((name) =>
        remoteFile(directory, name, async (fresh, probe) => {
          await probe.call('list', () => repo.deltas.list());
          await probe.call('show', () => repo.deltas.show({ to: commit }));
          await probe.call('show, from', () => repo.deltas.show({ from: parent, to: commit }));
          await probe.call('reindex', () => repo.deltas.reindex());
          await probe.call('pull', () =>
            fresh.pull('origin', { refs: [commit], requireStaticDeltas: true, networkRetries: 0 }),
          );
          await probe.call('pullLocal', () =>
            fresh.pullLocal(repo.path, { refs: [parent], requireStaticDeltas: false }),
          );
          await probe.call('apply', () =>
            fresh.deltas.apply(path.dirname(path.join(repo.path, name))),
          );
          await probe.call('fsck', () => fresh.fsck());
        }),
      );
    return [
      ...(await Promise.all(inputs)),
      {
        name: 'offline',
        bytes: await readFile(offline),
        damage: binaryDamage(kTypes),
        async read(bytes, probe) {
          const file = path.join(directory, 'damaged');
          await writeFile(file, bytes);
          await withFresh(path.join(directory, 'fresh'), async (fresh) => {
            await probe.call('show', () => fresh.deltas.show(file));
            await probe.call('verify', () =>
              fresh.deltas.verify(file, { engine: 'ed25519', publicKeys: [key] }),
            );
            await probe.call('apply', () => fresh.deltas.apply(file));
            await probe.call('fsck', () => fresh.fsck());
          });
        },
      },
    ];
  },
};

export const texts: FuzzTarget = {
  runs: 4000,
  async prepare(directory) {
    await mkdir(directory, { recursive: true });
    const value = { a: { type: '(sayu)', value: ['text', Buffer.from('bytes'), 7] } };
    const print = variantToText({ type: 'a{sv}', value }, { annotate: true });
    const boot = path.join(directory, 'ostree-1.conf');
    const cmdline = path.join(directory, 'cmdline');
    return [
      {
        name: 'variant, bytes',
        bytes: variantToBytes({ type: 'a{sv}', value }),
        damage: binaryDamage(kTypes),
        async read(bytes, probe) {
          for (const type of kTypes) {
            await probe.call(`variantFromBytes ${type}`, () => {
              const read = variantFromBytes(type, bytes, { typed: true });
              variantToText({ type, value: read });
            });
            await probe.call('variantFromBytes, swapped', () =>
              variantFromBytes(type, bytes, { byteOrder: 'big' }),
            );
          }
        },
      },
      {
        name: 'variant, text',
        bytes: Buffer.from(print),
        damage: textDamage(['@', '<', '>', 'b"', '@a{sv}', 'nothing', 'just', 'nan', '((((((((']),
        async read(bytes, probe) {
          await probe.call('variantFromText', () => {
            variantToBytes(variantFromText(bytes.toString()));
          });
          await probe.call('variantFromText, typed', () =>
            variantFromText(bytes.toString(), 'a{sv}'),
          );
        },
      },
      {
        name: 'kernel arguments',
        bytes: Buffer.from('root=UUID=1 rw quiet a="b c" console=tty0 console=ttyS0,115200 rw=x '),
        damage: textDamage(['a=b=c', '"', '="', ' = ', 'a=1 a=2', 'rw=']),
        async read(bytes, probe) {
          const text = bytes.toString().replaceAll('\0', '');
          await probe.call('parse', () => KernelArguments.parse(bytes.toString()));
          const made = await probe.call('parse, no NUL', () => KernelArguments.parse(text));
          if (!made) return;
          await probe.call('edit', () => {
            made.append('a').set('rw=1').toString();
          });
          for (const edit of ['replace', 'delete', 'deleteIfPresent', 'appendIfMissing'] as const) {
            await probe.call(edit, () => made[edit](text));
          }
          await probe.call('deleteKey', () => made.deleteKey(text));
          await probe.call('getLast', () => [made.getLast(text), made.contains(text)]);
          await writeFile(cmdline, bytes);
          await probe.call('appendProcCmdline', () => made.appendProcCmdline(cmdline));
          await probe.call('toArray', () => KernelArguments.from(made.toArray()).toString());
        },
      },
      {
        name: 'boot entry',
        bytes: Buffer.from(
          'title Debian 12 (ostree:0)\nversion 1\n# comment\noptions root=1 ostree=/ostree/boot.1/x/y/0\n' +
            'linux /ostree/x/vmlinuz\ninitrd /ostree/x/initramfs.img\ninitrd /extra\ninitrd /more\n',
        ),
        damage: textDamage(['initrd', 'initrd ', 'options', 'linux\t/x']),
        async read(bytes, probe) {
          await writeFile(boot, bytes);
          const entry = await probe.call('read', () => BootConfig.read(boot));
          if (!entry) return;
          await probe.call('get', () => [entry.get('options'), entry.overlayInitrds, entry.tries]);
          await probe.call('clone', () => entry.clone().set('title', 'x'));
          await probe.call('write', () => entry.write(path.join(directory, 'again')));
        },
      },
    ];
  },
};

export const sysroots: FuzzTarget = {
  runs: 60,
  async prepare(directory) {
    await mkdir(directory, { recursive: true });
    const root = path.join(directory, 'sysroot');
    await using made = await Sysroot.initialize(root);
    await made.initStateroot('debian');
    await using repo = await made.repo();
    await repo.config.write({ core: { fsync: 'false' } });
    for (const version of ['1', '2']) {
      await commitEdits(repo, 'debian', bootableEdits(version));
      await made.deploy({ stateroot: 'debian', rev: 'debian', kernelArguments: ['quiet'] });
    }
    const [first, second] = made.deployments;
    if (!first || !second) throw new Error('two deployments are needed');
    const origin = `${second.path}.origin`;
    const place = path.isAbsolute(origin) ? origin : path.join(root, origin);
    const entries = path.join(root, 'boot/loader/entries');
    const names = await readdir(entries);
    const files = [
      place,
      ...names.map((name) => path.join(entries, name)),
      path.join(root, 'ostree/repo/config'),
    ];
    return Promise.all(
      files.map(async (file): Promise<FuzzInput> => {
        const original = await readFile(file);
        return {
          name: path.basename(file).replace(/.*(\.origin)$/, 'x$1'),
          bytes: original,
          damage: textDamage([
            'options ostree=/ostree/boot.1/debian/x/0',
            '[origin]',
            'refspec=a:b:c',
            'override-commit=x',
            'pinned=true',
            'ostree=',
          ]),
          async read(bytes, probe) {
            await writeFile(file, bytes);
            const sysroot = await probe.call('load', () => Sysroot.load(root));
            if (sysroot) {
              await probe.call('deployments', () => [sysroot.deployments, sysroot.booted]);
              await probe.call('query', () => sysroot.queryDeployments());
              for (const { id } of sysroot.deployments.slice(0, 2)) {
                await probe.call('configDiff', () => sysroot.configDiff(id));
                await probe.call('setOrigin', () =>
                  sysroot.setOrigin(id, { origin: { refspec: 'debian' } }, { timeout: 1000 }),
                );
              }
              await probe.call('prepareCleanup', () => sysroot.prepareCleanup({ timeout: 1000 }));
              await probe.call('pruneRepo', () =>
                sysroot.pruneRepo({ dryRun: true, timeout: 1000 }),
              );
              await probe.call('upgrade', () =>
                sysroot.upgrade({ stateroot: 'debian', pullOnly: true, timeout: 1000 } as never),
              );
              await probe.call('close', () => sysroot.close());
            }
            await rm(file, { force: true });
            await writeFile(file, original);
          },
        };
      }),
    );
  },
};
