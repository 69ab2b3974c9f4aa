/** Trees that libostree itself would never write, or never come back from. */

import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type Variant, variant, variantToBytes } from 'apt-ostree';
import type { Repo } from 'apt-ostree/ostree';

const digest = (checksum: string) => Buffer.from(checksum, 'hex');

export function objectFile(repo: Repo, type: string, checksum: string): string {
  return path.join(repo.path, 'objects', checksum.slice(0, 2), `${checksum.slice(2)}.${type}`);
}

/** Stores an object under its checksum, whatever is in it. */
async function store(repo: Repo, type: string, value: Variant): Promise<string> {
  const bytes = variantToBytes(value);
  const checksum = createHash('sha256').update(bytes).digest('hex');
  const file = objectFile(repo, type, checksum);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, bytes);
  return checksum;
}

/** A directory that holds one other, or nothing. */
export function directoryWith(contents: string | undefined, metadata: string): Variant {
  const child = contents && [['d', digest(contents), digest(metadata)]];
  return variant('(a(say)a(sayay))', [[], child ?? []]);
}

export interface DeepTrees {
  /** The dirtree with as many directories in each other below it as its index says. */
  contents: string[];
  metadata: string;
}

export async function deepTrees(repo: Repo, levels: number): Promise<DeepTrees> {
  // The numbers stand as big-endian.
  const metadata = await store(repo, 'dirmeta', variant('(uuua(ayay))', [0, 0, 0xed410000, []]));
  const contents: string[] = [];
  for (let i = 0; i <= levels; i++) {
    contents.push(await store(repo, 'dirtree', directoryWith(contents.at(-1), metadata)));
  }
  return { contents, metadata };
}

/** A commit, as bytes; the default parent is none. */
export function commitOf(contents: string, metadata: string, parent?: string): Variant {
  return variant('(a{sv}aya(say)sstayay)', [
    {},
    parent ? digest(parent) : Buffer.alloc(0),
    [],
    'subject',
    '',
    0n,
    digest(contents),
    digest(metadata),
  ]);
}

export function storeCommit(repo: Repo, commit: Variant): Promise<string> {
  return store(repo, 'commit', commit);
}
