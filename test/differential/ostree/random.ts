/** Choices and directory trees that a seed decides. */

import { randomNumbers } from '../../support/apt-universe.js';
import { run } from '../../support/run.js';

/** `DIFFERENTIAL_SEED=7 npx vitest run --project differential test/differential/ostree` for others. */
const kShift = Number(process.env.DIFFERENTIAL_SEED ?? 0) * 1_000_003;

export class Random {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = randomNumbers(seed + kShift);
  }

  /** From 0 to `end` - 1. */
  below(end: number): number {
    return Math.floor(this.#next() * end);
  }

  chance(part: number): boolean {
    return this.#next() < part;
  }

  pick<T>(list: readonly T[]): T {
    if (list.length === 0) throw new Error('nothing to pick from');
    return list[this.below(list.length)] as T;
  }

  /** Some of them, in their order. */
  some<T>(list: readonly T[], part: number): T[] {
    return list.filter(() => this.chance(part));
  }
}

type Xattr = readonly [name: string, base64: string];

export interface TreeItem {
  /** Relative. */
  path: string;
  kind: 'file' | 'directory' | 'symlink' | 'link';
  mode: number;
  uid: number;
  gid: number;
  /** The content of a file, so many times. */
  text: string;
  times: number;
  /** Of links, hard and symbolic. */
  target: string;
  xattrs: Xattr[];
}

export const kNames = [
  'a',
  'b',
  'bin',
  'etc',
  'usr',
  'lib',
  'zz',
  'A',
  '.hidden',
  '..dots',
  '-dash',
  'with space',
  'tab\there',
  'new\nline',
  'ünï',
  '日本',
  'back\\slash',
  'quo"te\'s',
  '%41',
  '*?[x]',
  '~tilde',
  'x'.repeat(255),
];
/** The import takes another way from 1 MiB on, and for files of nothing. */
const kTexts: readonly (readonly [text: string, times: number])[] = [
  ['', 0],
  ['x', 1],
  ['#!/bin/sh\n', 1],
  ['some text\n', 300],
  ['\0\x01\x02\x7f', 5000],
  ['ab', 524_287],
  ['ab', 524_288],
  ['abc', 400_000],
];
const kFileModes = [0o644, 0o644, 0o755, 0o600, 0o000, 0o777, 0o4755, 0o2711, 0o1644, 0o7777];
const kDirectoryModes = [0o755, 0o755, 0o700, 0o1777, 0o2750, 0o000];
const kTargets = ['a', '/nowhere', '../..', 'ünï/x', 'y'.repeat(3000), './-dash'];
const base64 = (text: string) => Buffer.from(text, 'latin1').toString('base64');
const kXattrs: Record<'files' | 'links', readonly Xattr[]> & { capability: Xattr } = {
  files: [
    ['user.text', base64('value')],
    ['user.aa', base64('\0\xff\n')],
    ['user.empty', ''],
    ['trusted.x', base64('t'.repeat(300))],
  ],
  links: [['trusted.link', base64('of a link')]],
  /** cap_net_raw=ep */
  capability: ['security.capability', base64(`\x01\0\0\x02\0\x20${'\0'.repeat(14)}`)],
};

/** A tree of about `count` entries; a directory comes before what is in it. */
export function randomTree(
  random: Random,
  count: number,
  names: readonly string[] = kNames,
): TreeItem[] {
  const items = new Map<string, TreeItem>();
  const directories = [''];
  for (let tries = 0; items.size < count && tries < 50 * count; tries++) {
    const parent = random.pick(directories);
    const path = `${parent}${random.pick(names)}`;
    // No deeper than a path name can be.
    if (items.has(path) || path.length > 1500) continue;
    const files = [...items.values()].filter(({ kind }) => kind === 'file');
    const whiteout = /(^|\/)\.(wh|ostree-wh)\.[^/]*$/.test(path);
    const kind = random.pick(
      whiteout
        ? (['file'] as const)
        : (['file', 'file', 'file', 'directory', 'symlink', 'link'] as const).filter(
            (each) => each !== 'link' || files.length > 0,
          ),
    );
    const [text, times] = random.pick(kTexts);
    const owned = random.chance(0.3);
    const xattrs = random.chance(0.3)
      ? random.some(kind === 'symlink' ? kXattrs.links : kXattrs.files, 0.5)
      : [];
    items.set(path, {
      path,
      kind,
      mode: random.pick(kind === 'directory' ? kDirectoryModes : kFileModes),
      uid: owned ? random.pick([0, 1, 1000, 4_000_000_000]) : 0,
      gid: owned ? random.pick([0, 2, 100, 65_534]) : 0,
      text,
      times,
      target: kind === 'link' ? random.pick(files).path : random.pick(kTargets),
      xattrs: kind === 'file' && random.chance(0.05) ? [...xattrs, kXattrs.capability] : xattrs,
    });
    if (kind === 'directory') directories.push(`${path}/`);
  }
  return [...items.values()];
}

const kMake = `import base64, json, os, sys
root = os.fsencode(sys.argv[1])
items = json.load(sys.stdin)
os.makedirs(root, exist_ok=True)
name = lambda path: os.path.join(root, path.encode())
for i in items:
    path, kind = name(i["path"]), i["kind"]
    if kind == "directory": os.mkdir(path)
    elif kind == "symlink": os.symlink(i["target"].encode(), path)
    elif kind == "link": os.link(name(i["target"]), path)
    else:
        with open(path, "wb") as f: f.write(i["text"].encode("latin1") * i["times"])
# Modes of directories last, and inner ones first.
for i in reversed(items):
    path, kind = name(i["path"]), i["kind"]
    if kind == "link": continue
    os.lchown(path, i["uid"], i["gid"])
    if kind != "symlink": os.chmod(path, i["mode"])
    for key, value in i["xattrs"]:
        os.setxattr(path, key, base64.b64decode(value), follow_symlinks=False)`;

/** Needs root, and a file system with extended attributes. */
export async function makeTree(root: string, items: readonly TreeItem[]): Promise<void> {
  await run('python3', ['-c', kMake, root], { input: JSON.stringify(items) });
}
