/** Files put into a layer by hand; their directories end up in the tree, so modes are exact. */

import { chmod, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

/** Makes one directory with exactly this mode, whatever the umask. */
export async function makeDirectory(directory: string, mode = 0o755): Promise<void> {
  await mkdir(directory);
  await chmod(directory, mode);
}

/** Makes `relative` and its parents below `root` as 0755, whatever the umask. */
export async function placeDirectory(root: string, relative: string, mode = 0o755): Promise<void> {
  let directory = root;
  for (const name of relative.split('/')) {
    directory = path.join(directory, name);
    try {
      await makeDirectory(directory);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  if (mode !== 0o755) await chmod(directory, mode);
}

export async function placeFile(
  root: string,
  relative: string,
  content: string | Uint8Array,
  mode = 0o644,
): Promise<void> {
  await placeDirectory(root, path.dirname(relative));
  const file = path.join(root, relative);
  await writeFile(file, content);
  await chmod(file, mode);
}
