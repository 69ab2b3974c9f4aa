/**
 * Packages as commits. Each .deb becomes one commit at `apt-ostree/pkg/<name>/<version>_<arch>`:
 *
 * - `tree/`: its files at the places of a merged-/usr system
 * - `deb/control/`: its control members
 * - `deb/hollow.tar`: its data archive with stubs in place of most files' content
 *
 * The same .deb gives the same commit in every repository. Refs keep them from being pruned and
 * let others pull them; which commits are trusted is recorded apart (vouchers.ts).
 */

import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { binding } from '../binding.js';
import {
  checkArray,
  checkChecksum,
  checkFunction,
  checkMembers,
  checkPath,
  checkString,
  type Members,
  type PathLike,
} from '../checks.js';
import { ComposeError, invalidArgType, invalidArgValue } from '../errors.js';
import { callNative, type JobOptions, kJobOptions, runJob } from '../job.js';
import type { Commit } from '../ostree/commit.js';
import { Repo } from '../ostree/repo.js';
import { readVoucher, writeVoucher } from './vouchers.js';

/** A package file to import; one with a `sha256` is found again in the cache. */
export interface DebToImport extends PackageIdentity {
  path: PathLike;
}

/** A package in the repository. */
export interface ImportedDeb {
  commit: string;
  ref: string;
  package: string;
  version: string;
  architecture: string;
  sha256: string;
  /** Bytes of the .deb. */
  size: number;
  /** Bytes, as the control file says. */
  installedSize: number;
  /** Regular files. */
  files: number;
  /** Bytes of their content. */
  bytes: number;
  hardlinks: number;
  /** Absolute paths. */
  conffiles: string[];
  /** Which of preinst, postinst, prerm, postrm and config it has. */
  scripts: string[];
  /** The field as it is; empty where there is none. */
  preDepends: string;
  essential: boolean;
  /** It was in the repository already. */
  cached: boolean;
}

/** One package is in the repository. */
export interface ImportEvent {
  type: 'import';
  package: string;
  /** Packages so far, this one included. */
  done: number;
  total: number;
  cached: boolean;
}

export interface DebImportOptions extends JobOptions {
  onProgress?: (event: ImportEvent) => void;
  /** Packages at a time. @default the number of processors */
  parallel?: number;
}

const kImportOptions: Members<DebImportOptions> = {
  ...kJobOptions,
  onProgress: true,
  parallel: true,
};
const kFormat = 1;
const kPackageRefs = 'apt-ostree/pkg';
/** Commits that are loaded side by side. */
const kAtOnce = 8;

/**
 * The ref of a package; characters that refs cannot have are escaped as `_XX`. Synchronous.
 *
 * @throws `ERR_INVALID_ARG_TYPE`
 */
export function packageRef(name: string, version: string, architecture: string): string {
  checkString(name, 'name');
  checkString(version, 'version');
  checkString(architecture, 'architecture');
  for (const [key, part] of Object.entries({ name, version, architecture })) {
    if (part === '') throw invalidArgValue(key, 'must not be empty');
  }
  return callNative('compose', () => binding().packageRef(name, version, architecture));
}

/**
 * What {@link packageRef} was called with; undefined for any other ref. Synchronous.
 *
 * @throws nothing.
 */
export function parsePackageRef(
  ref: string,
): { name: string; version: string; architecture: string } | undefined {
  checkString(ref, 'ref');
  // Escapes are upper case with two digits, so the last other underscore parts the two.
  const match =
    /^apt-ostree\/pkg\/([^/]+)\/((?:[^/_]|_[0-9A-F]{2})*)_((?:[^/_]|_[0-9A-F]{2})*)$/.exec(ref);
  if (!match) return undefined;
  const [name, version, architecture] = match.slice(1).map(unescapeRef) as [string, string, string];
  return { name, version, architecture };
}

function unescapeRef(text: string): string {
  const latin = text.replace(/_([0-9A-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(latin, 'latin1').toString('utf8');
}

/**
 * Imports packages, several at a time, in one transaction: all or none get their refs. A package
 * whose ref has the wanted SHA-256 is not read again.
 *
 * @throws `ERR_DEB_DAMAGED` for a file that is no sound package or not the one wanted,
 * `ERR_DEB_UNSUPPORTED` for one that a tree cannot hold (device nodes, names that are not UTF-8);
 * `ERR_BUSY` while a transaction of this repository object is open.
 */
export async function importDebs(
  repo: Repo,
  debs: readonly DebToImport[],
  options: DebImportOptions = {},
): Promise<ImportedDeb[]> {
  checkMembers(options, kImportOptions);
  Repo.native(repo);
  checkArray(debs, 'debs');
  const { signal, onProgress, parallel = availableParallelism() } = options;
  if (!Number.isInteger(parallel)) throw invalidArgType('options.parallel', 'an integer', parallel);
  if (parallel < 1) throw invalidArgValue('options.parallel', 'must be at least 1');
  if (onProgress !== undefined) checkFunction(onProgress, 'options.onProgress');
  const wanted = Array.from(debs, (deb, index) => checkDeb(deb, `debs[${index}]`));
  const results = new Array<ImportedDeb>(wanted.length);
  let done = 0;
  const finished = (index: number, result: ImportedDeb) => {
    results[index] = result;
    done += 1;
    const { package: name, cached } = result;
    onProgress?.({ type: 'import', package: name, done, total: wanted.length, cached });
  };

  let missing: number[] = [];
  for (const [index, known] of (await findImported(repo, wanted, { signal })).entries()) {
    if (known) finished(index, known);
    else missing.push(index);
  }
  if (missing.length === 0) return results;
  missing = await largestFirst(missing, wanted);

  // One failure stops the others; the transaction must not end before they have.
  const stop = new AbortController();
  const either = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  await repo.transaction(
    async () => {
      let failure: { error: unknown } | undefined;
      const work = async () => {
        for (let index = missing.shift(); index !== undefined; index = missing.shift()) {
          const deb = wanted[index] as CheckedDeb;
          try {
            const { path, sha256 } = deb;
            const result = await runJob(
              'compose',
              () => binding().importDeb(Repo.native(repo), path, { sha256 }),
              { signal: either },
            );
            finished(index, checkIdentity(deb, { ...result, cached: false }));
          } catch (error) {
            failure ??= { error };
            stop.abort();
            return;
          }
        }
      };
      await Promise.all(Array.from({ length: Math.min(parallel, missing.length) }, work));
      if (failure) throw failure.error;
    },
    { signal },
  );
  // Only now does the repository have them for good.
  await Promise.all(results.map((result) => writeVoucher(repo, result)));
  return results;
}

/** Which package, and what its file must hash to. */
export interface PackageIdentity {
  name: string;
  version: string;
  architecture: string;
  sha256?: string;
}

/**
 * For each package its import, or undefined where the repository lacks one with this SHA-256 that
 * it made itself or has been told to trust ({@link adoptPackages}).
 */
export async function findImported(
  repo: Repo,
  packages: readonly PackageIdentity[],
  options: JobOptions = {},
): Promise<(ImportedDeb | undefined)[]> {
  const refs = await repo.listRefs({ prefix: kPackageRefs, ...options });
  const find = async ({ name, version, architecture, sha256 }: PackageIdentity) => {
    const ref = packageRef(name, version, architecture);
    const commit = refs[ref];
    // Of a package file that was given, a plan knows none.
    if (!sha256 || commit === undefined) return undefined;
    if ((await readVoucher(repo, sha256)) !== commit) return undefined;
    const known = fromCommit(ref, await repo.loadCommit(commit, options));
    return known?.sha256 === sha256 ? known : undefined;
  };
  const found: (ImportedDeb | undefined)[] = [];
  // Node warns of a leak where a signal has more listeners than ten.
  for (let index = 0; index < packages.length; index += kAtOnce) {
    found.push(...(await Promise.all(packages.slice(index, index + kAtOnce).map(find))));
  }
  return found;
}

export interface AdoptOptions extends JobOptions {
  /** Take the packages that were pulled from this remote. Default: those of local refs. */
  remote?: string;
}

/**
 * Trusts packages that came by a pull. A commit only claims to be made of the .deb with a certain
 * SHA-256, so pulled packages are not used until somebody vouches for where they come from: this
 * does, for all that the repository has at `apt-ostree/pkg/`.
 *
 * @returns the packages that are trusted now
 * @throws `ENOENT` where a commit is missing; `ERR_CLOSED`.
 */
export async function adoptPackages(
  repo: Repo,
  options: AdoptOptions = {},
): Promise<ImportedDeb[]> {
  checkMembers(options, { ...kJobOptions, remote: true } satisfies Members<typeof options>);
  Repo.native(repo);
  const { signal, remote } = options;
  if (remote !== undefined) checkString(remote, 'options.remote');
  const before = remote === undefined ? '' : `${remote}:`;
  const refs = await repo.listRefs({ prefix: before + kPackageRefs, signal });
  const adopted: ImportedDeb[] = [];
  for (const [refspec, commit] of Object.entries(refs)) {
    const ref = refspec.slice(before.length);
    const known = refspec.startsWith(before)
      ? fromCommit(ref, await repo.loadCommit(commit, { signal }))
      : undefined;
    if (known) adopted.push(known);
  }
  if (remote !== undefined) {
    await repo.transaction(
      async (transaction) => {
        for (const { ref, commit } of adopted) await transaction.setRef(ref, commit);
      },
      { signal },
    );
  }
  await Promise.all(adopted.map((known) => writeVoucher(repo, known)));
  return adopted;
}

interface CheckedDeb extends PackageIdentity {
  path: string;
}

function checkDeb(deb: DebToImport, name: string): CheckedDeb {
  if (typeof deb !== 'object' || deb === null) throw invalidArgType(name, 'of type object', deb);
  const { sha256, version, architecture } = deb;
  if (sha256 !== undefined) checkChecksum(sha256, `${name}.sha256`);
  const path = checkPath(deb.path, `${name}.path`);
  checkString(deb.name, `${name}.name`);
  checkString(version, `${name}.version`);
  checkString(architecture, `${name}.architecture`);
  return { path, name: deb.name, version, architecture, sha256 };
}

function checkIdentity(wanted: CheckedDeb, deb: ImportedDeb): ImportedDeb {
  const is = `${deb.package} ${deb.version} ${deb.architecture}`;
  const should = `${wanted.name} ${wanted.version} ${wanted.architecture}`;
  if (is === should) return deb;
  throw new ComposeError('ERR_DEB_DAMAGED', `The package is ${is}, not ${should}`, {
    path: wanted.path,
    package: wanted.name,
  });
}

/** Large packages first, so that the last to finish is not a large one alone. */
async function largestFirst(indexes: number[], debs: readonly CheckedDeb[]): Promise<number[]> {
  const sized = await Promise.all(
    indexes.map(async (index) => {
      const { path } = debs[index] as CheckedDeb;
      // The import itself tells what is wrong with a file that is not there.
      const size = await stat(path).then(
        (file) => file.size,
        () => 0,
      );
      return { index, size };
    }),
  );
  return sized.sort((a, b) => b.size - a.size).map(({ index }) => index);
}

/**
 * The metadata that an import wrote; undefined for another format, a commit without its tree, or
 * one at the ref of another package.
 */
function fromCommit(ref: string, commit: Commit): ImportedDeb | undefined {
  const { metadata, partial } = commit;
  if (partial || metadata['apt-ostree.format'] !== kFormat) return undefined;
  const value = <T>(key: string) => metadata[`apt-ostree.${key}`] as T;
  const number = (key: string) => Number(value<bigint>(key));
  const identity = {
    package: value<string>('package'),
    version: value<string>('version'),
    architecture: value<string>('architecture'),
  };
  if (packageRef(identity.package, identity.version, identity.architecture) !== ref) {
    return undefined;
  }
  return {
    commit: commit.checksum,
    ref,
    ...identity,
    sha256: value('sha256'),
    size: number('size'),
    installedSize: number('installed-size'),
    files: number('files'),
    bytes: number('bytes'),
    hardlinks: number('hardlinks'),
    conffiles: value('conffiles'),
    scripts: value('scripts'),
    preDepends: value('pre-depends'),
    essential: value('essential'),
    cached: true,
  };
}

/** A hollow package to write. */
export interface HollowDeb {
  /** Checksum of the package's commit. */
  commit: string;
  /** Path of the .deb; replaced if it exists. */
  destination: PathLike;
}

/**
 * Writes packages that dpkg unpacks with all its bookkeeping, but with stubs in place of most
 * files' content; {@link fillLayer} puts the content there.
 *
 * @param options.preinst - false leaves the preinst script out, for a root that cannot run any
 * yet. Default true.
 */
export async function writeHollowDebs(
  repo: Repo,
  debs: readonly HollowDeb[],
  options: JobOptions & { preinst?: boolean } = {},
): Promise<void> {
  const requests = debs.map(({ commit, destination }, index) => {
    checkChecksum(commit, `debs[${index}].commit`);
    return { commit, destination: checkPath(destination, `debs[${index}].destination`) };
  });
  const { preinst, signal } = options;
  await runJob(
    'compose',
    () => binding().writeHollowDebs(Repo.native(repo), requests, { preinst }),
    { signal },
  );
}
