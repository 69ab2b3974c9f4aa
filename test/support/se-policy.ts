/** SELinux policies for tests: as little of one as libostree and libselinux read. */

import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

/** `contexts`: lines of `file_contexts`. The binary policy is only hashed by libostree. */
export async function writePolicy(root: string, contexts: readonly string[]): Promise<void> {
  const at = (...parts: string[]) => path.join(root, 'etc/selinux', ...parts);
  await mkdir(at('test/contexts/files'), { recursive: true });
  await mkdir(at('test/policy'));
  await writeFile(at('config'), 'SELINUX=permissive\nSELINUXTYPE=test\n');
  await writeFile(at('test/contexts/files/file_contexts'), `${contexts.join('\n')}\n`);
  await writeFile(at('test/policy/policy.33'), 'binary policy');
}
