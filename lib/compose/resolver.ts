/** Which packages: lists, solving and fetching for one composer, on any package database. */

import { setTimeout } from 'node:timers/promises';
import type { AptCache } from '../apt/cache.js';
import { AptContext } from '../apt/context.js';
import { type AptCredentials, type PortableOptions, portableSources } from '../apt/portable.js';
import { type AptSource, parseSources } from '../apt/sources.js';
import { binding } from '../binding.js';
import type { PathLike } from '../checks.js';
import { AbortError } from '../errors.js';
import type { JobOptions } from '../job.js';
import type { ComposeListener } from './events.js';

/** Where packages come from, and for which machine. */
export interface PackageSources {
  /** Parsed sources, or text in deb822 format. */
  sources: readonly AptSource[] | string;
  /** Keyring files that sources without `Signed-By` are checked with. */
  keyrings?: readonly string[];
  /** Debian architecture of the tree. @default that of this machine */
  architecture?: string;
  foreignArchitectures?: readonly string[];
  /** Pins, as apt_preferences(5). */
  preferences?: string;
  /** Logins for sources. They are never written into a tree, nor are those in URIs. */
  auth?: readonly AptCredentials[];
  /** More options for libapt-pkg, as apt.conf(5) names them. */
  aptConfig?: Readonly<Record<string, string>>;
}

/** The package database that a solution starts from. */
export interface Database {
  /** A dpkg status file; absent for an empty system. */
  status?: string;
  extendedStates?: string;
}

/** How often to look whether another composition has let the package lists go, in milliseconds. */
const kPoll = 100;

/** One user of the lists at a time; a second composition waits for the first to have its files. */
export class Resolver {
  readonly #directory: string;
  readonly #sources: PackageSources;
  #context: AptContext | undefined;
  #cache: AptCache | undefined;

  constructor(directory: string, sources: PackageSources) {
    this.#directory = directory;
    this.#sources = sources;
  }

  get architecture(): string {
    return this.#sources.architecture ?? binding().versions.architecture;
  }

  /** As they were given. */
  get sources(): PackageSources['sources'] {
    return this.#sources.sources;
  }

  get foreignArchitectures(): readonly string[] {
    return this.#sources.foreignArchitectures ?? [];
  }

  /** The sources as a deb822 file for a tree, without passwords and paths of this machine. */
  async sourcesFor(readTarget: NonNullable<PortableOptions['readTarget']>): Promise<string> {
    const { sources, keyrings } = this.#sources;
    const parsed = typeof sources === 'string' ? parseSources(sources) : sources;
    return portableSources(parsed, { keyrings, readTarget });
  }

  async update(options: JobOptions & { onEvent?: ComposeListener }): Promise<void> {
    const { signal, onEvent } = options;
    const context = await this.#use({}, signal);
    const result = await context.update({ signal, onProgress: onEvent });
    for (const source of result.sources) {
      if (!source.ok) {
        onEvent?.({ type: 'warning', message: `${source.uri}: ${source.message ?? source.kind}` });
      }
    }
  }

  /** The cache over the lists and `database`, good until `release` or the next call. */
  async open(
    database: Database,
    { signal, debs }: JobOptions & { debs?: readonly PathLike[] },
  ): Promise<AptCache> {
    const context = await this.#use(database, signal);
    this.#cache = await context.open({ signal, debs });
    return this.#cache;
  }

  /** Lets the lists go. */
  release(): void {
    this.#cache?.close();
    this.#cache = undefined;
    this.#context?.close();
    this.#context = undefined;
  }

  async #use(database: Database, signal: AbortSignal | undefined): Promise<AptContext> {
    this.release();
    const { sources, keyrings, preferences, auth, aptConfig } = this.#sources;
    for (;;) {
      try {
        this.#context = await AptContext.create({
          directory: this.#directory,
          dpkgStatus: database.status,
          extendedStates: database.extendedStates,
          architecture: this.architecture,
          architectures: [this.architecture, ...this.foreignArchitectures],
          sources,
          keyrings,
          preferences,
          auth,
          config: aptConfig,
          signal,
        });
        return this.#context;
      } catch (error) {
        if ((error as { code?: string }).code !== 'ERR_APT_LOCKED') throw error;
        await waitUnlessAborted(signal);
      }
    }
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

async function waitUnlessAborted(signal: AbortSignal | undefined): Promise<void> {
  try {
    await setTimeout(kPoll, undefined, { signal });
  } catch {
    throw new AbortError(signal?.reason);
  }
}
