/** Whether the real archive can be reached from here. */

import { lookup } from 'node:dns/promises';
import { hostRelease, readSources, sourcesForRelease } from 'apt-ostree';

/** Why this machine cannot take part; undefined where it can. */
export async function obstacle(): Promise<string | undefined> {
  const release = hostRelease();
  const source = release ? sourcesForRelease(readSources(), release)[0] : undefined;
  const uri = source?.uris[0];
  if (uri === undefined) return 'this machine has no package sources for its release';
  try {
    await lookup(new URL(uri).hostname);
    return undefined;
  } catch {
    return `no network: ${new URL(uri).hostname} cannot be resolved`;
  }
}
