/** Hostile packages, control files and tar archives. */

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { MutableTree, Repo } from 'apt-ostree';
import { Deb822, DebFile } from 'apt-ostree/apt';
import { importDebs } from '../../../lib/compose/import.js';
import { buildDeb, type Compression } from '../deb.js';
import { run } from '../run.js';
import { binaryDamage, textDamage } from './mutate.js';
import { drain, exhaust } from './ostree-objects.js';
import { Finding, type Probe } from './probe.js';
import type { FuzzInput, FuzzTarget } from './target.js';

/** What a package may hold, and what its numbers and names may be. */
const kDebWords = [
  'debian-binary   ',
  'control.tar.xz  ',
  'data.tar.zst    ',
  '!<arch>\n',
  '`\n',
  'ustar',
  '././@LongLink',
  'L',
  'K',
  'x',
  'S',
  '77777777777',
  '\x80\xff\xff\xff\xff\xff\xff\xff\xff',
  '9999999999',
];

async function readDeb(deb: DebFile, directory: string, probe: Probe): Promise<void> {
  await probe.call('scripts', () => [deb.scripts, deb.conffiles, deb.md5sums, deb.triggers]);
  await probe.call('entries', () => exhaust(deb.entries()));
  await probe.call('contents', async () => {
    for await (const entry of deb.contents()) await exhaust(entry.content());
  });
  await probe.call('changelog', () => deb.changelog());
  await probe.call('tar', () => drain(deb.tar()));
  await probe.call('extractTo', () => deb.extractTo(path.join(directory, 'root')));
  await rm(path.join(directory, 'root'), { recursive: true, force: true });
}

export const file: FuzzTarget = {
  runs: 400,
  async prepare(directory) {
    await mkdir(directory, { recursive: true });
    const repo = await Repo.create(path.join(directory, 'repo'), 'bare-user');
    await repo.config.write({ core: { fsync: 'false', 'min-free-space-percent': '0' } });
    // Without compression, damage gets to what reads the tar archives.
    const kinds: readonly Compression[] = ['none', 'none', 'xz', 'gzip', 'zstd'];
    return Promise.all(
      kinds.map(async (compression, index): Promise<FuzzInput> => {
        const own = path.join(directory, String(index));
        await mkdir(own, { recursive: true });
        const deb = await buildDeb(
          {
            name: 'fuzzed',
            compression,
            depends: 'a (>= 1) | b, c',
            files: {
              '/usr/bin/tool': { content: '#!/bin/sh\n', mode: 0o755 },
              '/usr/share/doc/fuzzed/changelog': 'fuzzed (1.0) unstable; urgency=low\n',
              [`/usr/lib/${'long/'.repeat(30)}name`]: 'x'.repeat(700),
              '/etc/fuzzed.conf': 'a=b\n',
            },
            symlinks: { '/usr/lib/link': 'bin', '/usr/lib/l2': 'x'.repeat(150) },
            conffiles: ['/etc/fuzzed.conf'],
            triggers: 'interest-noawait /usr/lib\n',
            scripts: { postinst: 'true' },
          },
          own,
        );
        const damaged = path.join(own, 'damaged.deb');
        const identity = { name: 'fuzzed', version: '1.0', architecture: 'all' };
        return {
          name: compression,
          bytes: await readFile(deb),
          damage: binaryDamage(kDebWords),
          async read(bytes, probe) {
            const opened = await probe.call('open', () => DebFile.open(bytes));
            if (opened) await readDeb(opened, own, probe);
            await writeFile(damaged, bytes);
            await probe.call('open, file', () => DebFile.open(damaged));
            await probe.call('importDebs', async () => {
              const [imported] = await importDebs(repo, [{ ...identity, path: damaged }]);
              if (imported) await repo.setRef(imported.ref, null);
            });
          },
        };
      }),
    );
  },
};

const kControl = `# before
Package: fuzzed
Version: 1:2.0-3~rc1
Depends: a (>= 1) | b,
 c [amd64] <!nocheck>
Description: short
 long
 .
 more

# between
Package: other
X-Empty:
Multi: 
 one
\ttwo
`;

/** What an editor of such files promises, whatever the file is. */
export const deb822: FuzzTarget = {
  runs: 4000,
  async prepare() {
    const read = async (bytes: Buffer, probe: Probe) => {
      const text = bytes.toString('utf8');
      const parsed = await probe.call('parse', () => Deb822.parse(text));
      if (!parsed) return;
      await probe.call('round trip', () => {
        if (parsed.toString() !== text) throw new Finding('another text came back');
      });
      await probe.call('edit', () => {
        const [stanza] = parsed.stanzas;
        if (!stanza) return;
        const before = stanza.names();
        stanza.set('New-Field', 'a\nb');
        if (stanza.get('New-Field') !== 'a\nb') throw new Finding('another value came back');
        if (Deb822.parse(parsed.toString()).stanzas.length !== parsed.stanzas.length) {
          throw new Finding('an edit made another number of stanzas');
        }
        stanza.delete('New-Field');
        if (stanza.names().join() !== before.filter((name) => !/^new-field$/i.test(name)).join()) {
          throw new Finding('other names came back');
        }
        for (const name of stanza.names()) stanza.set(name, stanza.get(name) ?? '');
        Deb822.parse(parsed.toString());
        parsed.remove(stanza);
        Deb822.parse(parsed.toString());
      });
    };
    return [
      {
        name: 'control',
        bytes: Buffer.from(kControl),
        damage: textDamage(['-field', 'Field', ' .', '\t', '#x', 'A: b\n\nC: d']),
        read,
      },
    ];
  },
};

export const tar: FuzzTarget = {
  runs: 200,
  async prepare(directory) {
    await mkdir(path.join(directory, 'tree/usr/lib'), { recursive: true });
    await run(
      'sh',
      [
        '-ec',
        `cd tree; echo a > usr/a; ln usr/a usr/b; ln -s a usr/c; printf x > usr/lib/${'n'.repeat(120)}
         mkdir -p etc dev; echo e > etc/e; setfattr -n user.x -v y usr/a || true
         tar --format=pax --xattrs -cf ../pax.tar .; tar --format=gnu -cf ../gnu.tar .
         gzip -kn ../gnu.tar; (find . | cpio -o -H newc --quiet > ../newc.cpio) || cp ../gnu.tar ../newc.cpio`,
      ],
      { cwd: directory },
    );
    const repo = await Repo.create(path.join(directory, 'repo'), 'bare-user');
    await repo.config.write({ core: { fsync: 'false', 'min-free-space-percent': '0' } });
    return Promise.all(
      ['pax.tar', 'gnu.tar', 'gnu.tar.gz', 'newc.cpio'].map(async (name): Promise<FuzzInput> => {
        const damaged = path.join(directory, `damaged-${name}`);
        return {
          name,
          bytes: await readFile(path.join(directory, name)),
          damage: binaryDamage([...kDebWords, 'SCHILY.xattr.user.x', '30 mtime=', '../../x']),
          async read(bytes, probe) {
            await writeFile(damaged, bytes);
            for (const source of [damaged, () => Readable.from([bytes])]) {
              await probe.call(`writeArchive, ${typeof source}`, () =>
                repo.transaction(async (transaction) => {
                  using tree = MutableTree.create();
                  await transaction.writeArchive(
                    typeof source === 'string' ? source : source(),
                    tree,
                    { createParents: true, skipDevices: true, usrEtc: true },
                  );
                  await tree.list(repo, '/', { recursive: true });
                  const { contents, metadata } = await transaction.writeTree(tree);
                  await transaction.writeCommit({ tree: { contents, metadata } });
                }),
              );
            }
          },
        };
      }),
    );
  },
};
