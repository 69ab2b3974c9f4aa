/** Reading files that callers name, which may be anything. */

import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { AptOstreeError } from './errors.js';

/**
 * The content of a file. Where `fs.readFile` would wait for the writer of a FIFO, or read a device
 * without end, this throws.
 *
 * @throws `EINVAL` for what is no regular file; `EISDIR`, `ENOENT` and alike as `fs.readFile`.
 */
export async function readRegularFile(
  file: string,
  options: { signal?: AbortSignal } = {},
): Promise<Buffer> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const info = await handle.stat();
    if (!info.isFile() && !info.isDirectory()) {
      throw new AptOstreeError('EINVAL', `${file} is not a regular file`, { path: file });
    }
    return await handle.readFile({ signal: options.signal });
  } finally {
    await handle.close();
  }
}
