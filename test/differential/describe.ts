/** What a tree is, as the root form shows it: independent of this library, by find and coreutils. */

import path from 'node:path';
import { run } from '../support/run.js';

/** One path: its kind, mode, owner, target, content hash and capabilities. */
export type Description = Map<string, string>;

const kScript = `
set -e
cd "$1"
find . -mindepth 1 -printf '%P\\0%y %m %U:%G %l\\0'
printf '\\0'
find . -type f -print0 | xargs -0 -r sha256sum -z --
printf '\\0'
getcap -r . 2>/dev/null || true
`;

export async function describe(root: string): Promise<Description> {
  const { bytes } = await run('sh', ['-c', kScript, 'describe', root]);
  const text = bytes.toString('latin1');
  const firstEnd = text.indexOf('\0\0');
  const fields = text.slice(0, firstEnd).split('\0');
  const result: Description = new Map();
  for (let index = 0; index + 1 < fields.length; index += 2) {
    result.set(`/${fields[index]}`, fields[index + 1] as string);
  }
  const secondEnd = text.indexOf('\0\0', firstEnd + 2);
  for (const entry of text.slice(firstEnd + 2, secondEnd).split('\0')) {
    add(result, path.join('/', entry.slice(66)), entry.slice(0, 64));
  }
  for (const line of text.slice(secondEnd + 2).split('\n')) {
    const match = /^(.*) (cap_\S+)$/.exec(line);
    if (match) add(result, path.join('/', match[1] as string), match[2] as string);
  }
  return result;
}

function add(result: Description, file: string, what: string): void {
  result.set(file, `${result.get(file)} ${what}`);
}
