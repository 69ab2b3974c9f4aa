// Contexts, caches, plans, downloads; failures too. Run by .ci/asan.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { AptContext } from '../../dist/apt.js';

const directory = await mkdtemp('/var/tmp/apt-ostree-leak-');
const ignore = () => {};
const archive = path.join(directory, 'archive');
const record = (name, fields) =>
  `Package: ${name}\nVersion: 1\nArchitecture: all\nMaintainer: T <t@example.com>\n${fields}` +
  `Filename: ./${name}.deb\nSize: 10\nSHA256: ${'a'.repeat(64)}\nDescription: ${name}\n\n`;
await mkdir(archive);
await writeFile(path.join(archive, 'a.deb'), '0123456789');
await writeFile(
  path.join(archive, 'Packages'),
  record('a', 'Depends: b\nEssential: yes\n') + record('b', '') + record('c', 'Depends: none\n'),
);
const sources = `Types: deb\nURIs: file:${archive}\nSuites: ./\n`;

for (let round = 0; round < 10; round += 1) {
  const context = await AptContext.create({
    directory: path.join(directory, `state${round % 2}`),
    sources: round % 3 ? `${sources}Trusted: yes\n` : sources,
  });
  await context.update().catch(ignore);
  const cache = await context.open();
  await AptContext.create({ directory: context.directory, sources: '' }).catch(ignore);
  for (const name of ['a', 'c', 'none', 'b=7']) {
    await cache.solve({ install: [name], recommends: round % 2 === 0 }).catch(ignore);
  }
  await cache.package('a');
  await cache.list({ essential: true });
  await cache.fetch([{ name: 'a', architecture: 'all', version: '1' }]).catch(ignore);
  if (round % 4) cache.close();
  context.close();
  await new Promise((resolve) => setTimeout(resolve, 20));
  globalThis.gc?.();
  if (round % 4 === 0) cache.close();
}
await rm(directory, { recursive: true, force: true });
