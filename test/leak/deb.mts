// Reading .deb files: control archive, listing, contents, unpacking; damaged and aborted ones too.
import { readFile, writeFile } from 'node:fs/promises';
import { DebFile } from 'apt-ostree/apt';
import { buildDeb } from '../support/deb.js';
import { temporaryDirectory } from '../support/temp.js';

const ignore = () => {};

await using directory = await temporaryDirectory('leak');
for (const compression of ['none', 'gzip', 'xz', 'zstd'] as const) {
  const file = await buildDeb(
    {
      name: `deb-${compression}`,
      compression,
      files: { '/usr/bin/a': 'a'.repeat(300_000), '/usr/share/doc/deb/changelog': 'deb (1) x\n' },
      symlinks: { '/usr/bin/b': 'a' },
      scripts: { postinst: 'true' },
    },
    directory.path,
  );
  const bytes = await readFile(file);
  for (let round = 0; round < 20; round += 1) {
    const deb = await DebFile.open(round % 2 === 0 ? file : bytes);
    for await (const batch of deb.entries()) void batch;
    for await (const entry of deb.contents()) {
      if (round % 3 === 0) break;
      for await (const part of entry.content()) {
        void part;
        if (round % 5 === 0) break;
      }
    }
    await deb.changelog();
    for await (const chunk of deb.tar()) void chunk;
    await deb.extractTo(directory.join('root'));
    await deb.extractTo(directory.join('root'), { signal: AbortSignal.timeout(1) }).catch(ignore);
    const damaged = Buffer.from(bytes);
    damaged.fill(0xff, 200 + round * 10, 220 + round * 10);
    await DebFile.open(damaged)
      .then(async (opened) => {
        for await (const batch of opened.entries()) void batch;
        await opened.extractTo(directory.join('other'));
      })
      .catch(ignore);
    await writeFile(directory.join('cut.deb'), bytes.subarray(0, round * 37));
    await DebFile.open(directory.join('cut.deb')).catch(ignore);
  }
}
