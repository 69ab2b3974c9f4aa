/** Source packages and changelogs. `AptCache` extends this class. */

import { copyFile, readFile, realpath, unlink } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { checkMembers, checkPath, checkString, type Members, type PathLike } from '../checks.js';
import { makeDirectories } from '../files.js';
import { type JobOptions, kJobOptions, runJob } from '../job.js';
import type { FetchEvent } from './context.js';
import { AptReader, type VersionName } from './reader.js';
import type { AptVersion } from './version-row.js';

/** A file of a source package. */
export interface AptSourceFile {
  /** Below the URI of the source. */
  path: string;
  /** `dsc`, `tar`, `diff`, ... */
  type: string;
  /** Bytes. */
  size: number;
  /** By kind: `SHA256`, `SHA512`, `MD5Sum`, ... */
  hashes: Record<string, string>;
  uri: string;
}

/** What a source package needs to be built, for the context's architecture. */
export interface AptBuildDependency {
  /** `Build-Depends`, `Build-Depends-Indep`, `Build-Conflicts`, ... */
  type: string;
  /** One of them is enough; of conflicts each counts. */
  alternatives: {
    /** With `:architecture` or `:any` where it has that. */
    name: string;
    /** `<<`, `<=`, `=`, `>=` or `>>`, with `version`. */
    comparison?: string;
    version?: string;
  }[];
}

export interface AptSourcePackage {
  name: string;
  version: string;
  maintainer: string;
  section: string;
  /** Whether a signature that counts stands behind it. */
  trusted: boolean;
  /** Where the record is. */
  index: string;
  /** Binary packages that are made of it. */
  binaries: string[];
  files: AptSourceFile[];
  /** Without those that other architectures or build profiles need. */
  buildDepends: AptBuildDependency[];
  /** Every field of the record, in its order. */
  fields: Record<string, string>;
}

export interface FetchSourceOptions extends JobOptions {
  onProgress?: (event: FetchEvent) => void;
  /** Where to put copies of the files; made where it is missing. Default: in the context. */
  directory?: PathLike;
}

export interface FetchedSource {
  name: string;
  version: string;
  /** Where the files are. */
  directory: string;
  /** Their paths; the `.dsc` among them. */
  files: string[];
}

export interface ChangelogOptions extends JobOptions {
  onProgress?: (event: FetchEvent) => void;
  /**
   * A root file system with the packages of the context's `dpkgStatus`: an installed version's
   * own changelog is read there, without network.
   */
  root?: PathLike;
}

const kFetchSourceOptions: Members<FetchSourceOptions> = {
  ...kJobOptions,
  onProgress: true,
  directory: true,
};
const kChangelogOptions: Members<ChangelogOptions> = {
  ...kJobOptions,
  onProgress: true,
  root: true,
};

const kBatch = 64;
const unzip = promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip);
/** Bytes; the longest real ones have a few millions. */
const kLongestChangelog = 64 * 1024 * 1024;

/** @internal */
export class AptSourceReader extends AptReader {
  /**
   * The source package that apt-get source would take: by the name of a source package or of a
   * binary one, with `=version` or `/release` after it.
   *
   * The context's sources need `deb-src` among their types.
   *
   * @throws `ERR_APT_UNKNOWN_PACKAGE` with `package`.
   * @see `pkgSrcRecords`
   */
  async source(name: string, options?: JobOptions): Promise<AptSourcePackage> {
    checkString(name, 'name');
    const answer = await runJob('apt', () => this.native.source(name, false), options);
    return answer as AptSourcePackage;
  }

  /** Every version of a source package; none for an unknown name. @see `pkgSrcRecords` */
  async sourceVersions(name: string, options?: JobOptions): Promise<AptSourcePackage[]> {
    checkString(name, 'name');
    const answer = await runJob('apt', () => this.native.source(name, true), options);
    return answer as AptSourcePackage[];
  }

  /** All source packages of the sources, in batches. @see `pkgSrcRecords` */
  async *sources(options?: JobOptions): AsyncGenerator<AptSourcePackage[], void, void> {
    for (let after = 0; ; ) {
      const place = after;
      const page = await runJob('apt', () => this.native.sources(place, kBatch), options);
      if (page.sources.length > 0) yield page.sources as AptSourcePackage[];
      if (page.next === 0) return;
      after = page.next;
    }
  }

  /**
   * Downloads the files of a source package, named as for `source`, and checks their hashes. It
   * is not unpacked. What is there already and has the right hash is not fetched again.
   *
   * @throws `ERR_APT_HASH_MISMATCH`, `ERR_APT_NETWORK`, `ERR_APT_NOT_AUTHENTICATED`,
   * `ERR_APT_UNKNOWN_PACKAGE`, `ENOSPC`.
   * @see `pkgAcqFile`
   */
  async fetchSource(name: string, options: FetchSourceOptions = {}): Promise<FetchedSource> {
    checkString(name, 'name');
    checkMembers(options, kFetchSourceOptions);
    const { signal, onProgress } = options;
    const target =
      options.directory === undefined
        ? undefined
        : checkPath(options.directory, 'options.directory');
    const fetched = await runJob<FetchedSource, FetchEvent>(
      'apt',
      (progress) => this.native.fetchSource(name, progress),
      { signal },
      onProgress,
    );
    const directory = target ?? fetched.directory;
    if (target !== undefined) {
      await makeDirectories(target);
      for (const file of fetched.files) {
        await copyFile(path.join(fetched.directory, file), path.join(target, file));
      }
    }
    return {
      ...fetched,
      directory,
      files: fetched.files.map((file) => path.join(directory, file)),
    };
  }

  /**
   * The changelog of a version, as apt-get changelog shows it: from where its Release file says,
   * or where Debian and Ubuntu keep them. Others are named by the option
   * `Acquire::Changelogs::URI::Override::Origin::<origin>` of `AptContextOptions.config`, with
   * `@CHANGEPATH@` for the place of the package. Changelogs have no hashes: a package's own one,
   * see `DebFile.changelog`, is signed for.
   *
   * @throws `ERR_APT_NO_CHANGELOG` where no address is known; `ERR_APT_NETWORK`.
   * @see `pkgAcqChangelog`
   */
  async changelog(
    version: AptVersion | VersionName,
    options: ChangelogOptions = {},
  ): Promise<string> {
    checkMembers(options, kChangelogOptions);
    const { root, signal, onProgress } = options;
    const id = await this.idOf(version, { signal });
    if (root !== undefined) {
      const all = await this.versionsOf(version.name, version.architecture, { signal });
      if (all.some((one) => one.installed && one.version === version.version)) {
        const text = await installedChangelog(checkPath(root, 'options.root'), version.name);
        if (text !== undefined) return text;
      }
    }
    const file = await runJob<string, FetchEvent>(
      'apt',
      (progress) => this.native.fetchChangelog(id, progress),
      { signal },
      onProgress,
    );
    try {
      return await readFile(file, 'utf8');
    } finally {
      await unlink(file);
    }
  }
}

/** Names of a package's changelog below its directory of documents, the best first. */
export const kChangelogs = [
  'changelog.Debian.gz',
  'changelog.Debian',
  'changelog.gz',
  'changelog',
] as const;

/** The text of a changelog, which may be compressed. */
export async function changelogText(name: string, content: Buffer): Promise<string> {
  if (!name.endsWith('.gz')) return content.toString('utf8');
  return (await unzip(content, { maxOutputLength: kLongestChangelog })).toString('utf8');
}

async function installedChangelog(root: string, name: string): Promise<string | undefined> {
  const base = await realpath(root);
  for (const file of kChangelogs) {
    try {
      // A link that leads out of the root means another file there than it does here.
      const found = await realpath(path.join(base, 'usr/share/doc', name, file));
      if (!found.startsWith(base === '/' ? '/' : `${base}/`)) continue;
      return await changelogText(file, await readFile(found));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'ELOOP') throw error;
    }
  }
  return undefined;
}
