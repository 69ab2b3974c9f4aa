/** Entries of a tree as the ostree command prints them. */

import { variantToText } from 'apt-ostree';
import type { TreeEntry } from 'apt-ostree/ostree';

/** A line of `ostree ls`, with `-C` and `-X` where the entry has these. */
export function listingLine(entry: TreeEntry, options: { checksums?: boolean } = {}): string {
  const type = { file: '-', directory: 'd', symlink: 'l' }[entry.type];
  // Of symbolic links the command prints what the repository stores: nothing.
  const size = entry.type === 'symlink' ? 0 : entry.size;
  const parts = [
    `${type}0${entry.mode.toString(8).padStart(4, '0')}`,
    entry.uid,
    entry.gid,
    String(size).padStart(6),
  ];
  if (options.checksums) {
    parts.push(entry.checksum ?? '');
    if (entry.metadataChecksum) parts.push(entry.metadataChecksum);
  }
  if (entry.xattrs) {
    const pairs = entry.xattrs.map(({ name, value }) => [Buffer.from(`${name}\0`), value]);
    parts.push(`{ ${variantToText({ type: 'a(ayay)', value: pairs })} }`);
  }
  parts.push(entry.path);
  if (entry.target !== undefined) parts.push(`-> ${entry.target}`);
  return parts.join(' ');
}
