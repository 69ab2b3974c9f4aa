/** Which packages: lists, solving and fetching for one composer, on any package database. */

import path from 'node:path';
import type { AptCache } from '../apt/cache.js';
import { AptContext } from '../apt/context.js';
import { type AptSource, formatSources } from '../apt/sources.js';
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
  /** More options for libapt-pkg, as apt.conf(5) names them. */
  aptConfig?: Readonly<Record<string, string>>;
}

/** The package database that a solution starts from. */
export interface Database {
  /** A dpkg status file; absent for an empty system. */
  status?: string;
  extendedStates?: string;
}

export class Resolver {
  readonly #directory: string;
  readonly #sources: PackageSources;
  readonly #open: { close(): unknown }[] = [];

  private constructor(directory: string, sources: PackageSources) {
    this.#directory = directory;
    this.#sources = sources;
  }

  static async create(directory: string, sources: PackageSources): Promise<Resolver> {
    return new Resolver(directory, sources);
  }

  get architecture(): string {
    return this.#sources.architecture ?? AptContext.hostArchitecture();
  }

  get foreignArchitectures(): readonly string[] {
    return this.#sources.foreignArchitectures ?? [];
  }

  /** The sources as a deb822 file for the tree. */
  get sourcesText(): string {
    const { sources } = this.#sources;
    return typeof sources === 'string' ? sources : formatSources(sources);
  }

  async update(options: JobOptions & { onEvent?: ComposeListener }): Promise<void> {
    const context = await this.#context({});
    const { signal, onEvent } = options;
    const result = await context.update({ signal, onProgress: onEvent });
    for (const source of result.sources) {
      if (!source.ok) {
        onEvent?.({ type: 'warning', message: `${source.uri}: ${source.message ?? source.kind}` });
      }
    }
  }

  /** A cache over the lists and `database`; closed with the resolver. */
  async open(database: Database, options: JobOptions): Promise<AptCache> {
    const context = await this.#context(database);
    const cache = await context.open({ signal: options.signal });
    this.#open.push(cache);
    return cache;
  }

  async #context(database: Database): Promise<AptContext> {
    const { sources, keyrings, preferences, aptConfig } = this.#sources;
    const context = await AptContext.create({
      directory: path.resolve(this.#directory),
      dpkgStatus: database.status,
      extendedStates: database.extendedStates,
      architecture: this.architecture,
      architectures: [this.architecture, ...this.foreignArchitectures],
      sources: typeof sources === 'string' ? sources : [...sources],
      keyrings: keyrings && [...keyrings],
      preferences,
      config: aptConfig,
    });
    this.#open.push(context);
    return context;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const handle of this.#open.reverse()) await handle.close();
  }
}
