/**
 * Everything that a tree is made of, as one digest. Equal digests give equal trees, so a request
 * whose inputs have not changed is answered with the commit that is there.
 */

import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { AptPlan } from '../apt/cache.js';
import type { Commit } from '../ostree/commit.js';
import type { Repo } from '../ostree/repo.js';
import { orMissing } from './tree_database.js';
import { stateDirectory, type Workspace } from './workspace.js';

/** Raised with every change of the engine that changes trees. */
const kEngine = 3;
/** In the metadata of commits. */
export const kInputs = 'apt-ostree.inputs';

/** What `inputsDigest` is made of: plain data, and `Variant`s with whatever values they have. */
export type Inputs = Readonly<Record<string, unknown>>;

/** Undefined where a package of the plan has no hash to know it by. */
export function inputsDigest(plans: readonly AptPlan[], inputs: Inputs): string | undefined {
  const packages = plans.map((plan) =>
    plan.packages.map(({ name, version, architecture, action, auto, sha256 }) => ({
      name,
      version,
      architecture,
      action,
      auto,
      sha256,
    })),
  );
  const unknown = packages.flat().some(({ action, sha256 }) => {
    return action !== 'remove' && action !== 'purge' && sha256 === '';
  });
  if (unknown) return undefined;
  const operations = plans.map(({ operations: list }) =>
    list.map(({ action, name, architecture }) => `${action} ${name}:${architecture}`),
  );
  const all = { engine: kEngine, packages, operations, ...inputs };
  return createHash('sha256').update(canonical(all)).digest('hex');
}

/** JSON with sorted keys; values that JSON does not have are told apart by their type. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => {
    if (typeof inner === 'bigint') return { bigint: String(inner) };
    if (inner instanceof Uint8Array) return { bytes: Buffer.from(inner).toString('base64') };
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

function memo(repo: Repo, digest: string): string {
  return path.join(stateDirectory(repo), 'results', digest);
}

/** The commit that was made from these inputs, if the repository still has it. */
export async function commitOf(repo: Repo, digest: string): Promise<Commit | undefined> {
  const checksum = (await orMissing(readFile(memo(repo, digest), 'utf8')))?.trimEnd();
  if (checksum === undefined || !/^[0-9a-f]{64}$/.test(checksum)) return undefined;
  const commit = await orMissing(repo.loadCommit(checksum));
  return commit && !commit.partial && commit.metadata[kInputs] === digest ? commit : undefined;
}

/** Remembers that `commit` was made from these inputs. */
export async function rememberCommit(
  repo: Repo,
  workspace: Workspace,
  digest: string,
  commit: string,
): Promise<void> {
  const file = memo(repo, digest);
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const fresh = path.join(await workspace.directory('result'), digest);
  await writeFile(fresh, `${commit}\n`, { mode: 0o600 });
  await rename(fresh, file);
}
