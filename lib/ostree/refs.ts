import type { NativeRepo } from '../../types/ostree.js';
import { checkChecksum, checkMembers, checkString, type Members } from '../checks.js';
import { type JobOptions, kJobOptions, runJob } from '../job.js';

export interface ListRefsOptions extends JobOptions {
  /** Only the ref of this name and those below it; `remote:` for all of a remote. */
  prefix?: string;
  /** Only aliases, with the refs that they stand for in place of commits. @default false */
  aliases?: boolean;
  /** Leave out those of remotes. @default false */
  excludeRemotes?: boolean;
  /** Leave out those of collections that were mirrored. @default false */
  excludeMirrors?: boolean;
}

/** @internal */
export async function listRefs(
  native: NativeRepo,
  options: ListRefsOptions = {},
): Promise<Record<string, string>> {
  checkMembers(options, {
    ...kJobOptions,
    prefix: true,
    aliases: true,
    excludeRemotes: true,
    excludeMirrors: true,
  } satisfies Members<typeof options>);
  const { prefix, signal, ...flags } = options;
  if (prefix !== undefined) checkString(prefix, 'options.prefix');
  return runJob('ostree', () => native.listRefs(prefix, flags), { signal });
}

/** @internal */
export async function setRef(
  native: NativeRepo,
  ref: string,
  checksum: string | null,
  options?: JobOptions,
): Promise<void> {
  checkString(ref, 'ref');
  if (checksum !== null) checkChecksum(checksum, 'checksum');
  await runJob('ostree', () => native.setRef(ref, checksum), options);
}

/** @internal */
export async function setAlias(
  native: NativeRepo,
  alias: string,
  target: string | null,
  options?: JobOptions,
): Promise<void> {
  checkString(alias, 'alias');
  if (target !== null) checkString(target, 'target');
  await runJob('ostree', () => native.setAlias(alias, target), options);
}
