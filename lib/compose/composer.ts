/**
 * From packages to commits. One engine: a base tree is composed on nothing, layering is the same
 * on a base.
 */

import path from 'node:path';
import { checkOneOf, checkString, checkStrings } from '../checks.js';
import { ComposeError, invalidArgType } from '../errors.js';
import type { JobOptions } from '../job.js';
import { Repo } from '../ostree/repo.js';
import type { Variant } from '../variant.js';
import { type Answers, checkAnswers } from './answers.js';
import { Assembly, type AssemblyResult } from './assembly.js';
import type { ComposeListener } from './events.js';
import { effectiveLimits, type SandboxLimits } from './limits.js';
import { GuardedListener } from './listener.js';
import { Meter } from './meter.js';
import { type ComposeRecord, Recorder } from './record.js';
import { type PackageSources, Resolver } from './resolver.js';
import { requireSandbox } from './sandbox.js';
import { stateDirectory, Workspace } from './workspace.js';

export interface ComposerOptions extends PackageSources {
  /** Takes the commits and caches imported packages; its mode must be `bare`. */
  repo: Repo;
}

/** What the two kinds of composition share. */
export interface CommitOptions extends JobOptions {
  /** Moved to the new commit. */
  ref?: string;
  subject?: string;
  body?: string;
  /** Stored as `version`, which status shows. */
  version?: string;
  /** More commit metadata; keys starting with `apt-ostree.` and `ostree.` are ours. */
  metadata?: Readonly<Record<string, Variant>>;
  /** Of the commit, and SOURCE_DATE_EPOCH for scripts. @default now */
  timestamp?: Date;
  /** Fetch the package lists first. @default true */
  refresh?: boolean;
  /** Also install what packages recommend. @default false */
  recommends?: boolean;
  /**
   * Answers to debconf's questions, by package and question (`{ tzdata: { 'tzdata/Areas': 'Europe'
   * } }`), known before the packages requested here are unpacked. The tree must have debconf.
   */
  answers?: Answers;
  /**
   * Keys and alike that scripts made: taken out of the tree, to be made again where it first
   * boots, or kept for the one machine that it is for. @default 'remove' when composing, 'keep'
   * when layering
   */
  secrets?: 'remove' | 'keep';
  /** What maintainer scripts may use; met, everything in the sandbox is killed. */
  limits?: SandboxLimits;
  onEvent?: ComposeListener;
}

export interface ComposeOptions extends CommitOptions {
  /** Requests as apt-get takes them: `name`, `name=version`, `name/suite`, `name:architecture`. */
  packages?: readonly string[];
  /**
   * What a tree starts with: the essential packages alone, or with them those of priority
   * `required` and apt. @default 'minbase'
   */
  variant?: 'essential' | 'minbase';
  /** Write the sources to /etc/apt/sources.list.d in the tree. @default true */
  writeSources?: boolean;
}

export interface LayerOptions extends CommitOptions {
  /** The commit, ref or refspec to build on. */
  base: string;
  /** Requests to install, as apt-get takes them. */
  install?: readonly string[];
  /** Packages of the base to take out. */
  remove?: readonly string[];
}

export interface ComposeResult extends AssemblyResult {
  /** What happened: scripts, the time of each package, what was printed. */
  record: ComposeRecord;
}

/**
 * Composes trees into one repository.
 *
 * Needs root, bubblewrap and overlayfs. Everything that is not a maintainer script, dpkg or the
 * initramfs tool runs in this process, off the JavaScript thread.
 */
export class Composer {
  readonly #repo: Repo;
  readonly #sources: PackageSources;

  constructor(options: ComposerOptions) {
    if (!(options.repo instanceof Repo)) {
      throw invalidArgType('options.repo', 'an instance of Repo', options.repo);
    }
    const { repo, ...sources } = options;
    this.#repo = repo;
    this.#sources = sources;
  }

  /** Fetches the package lists of all sources. */
  async refresh(options: JobOptions & { onEvent?: ComposeListener } = {}): Promise<void> {
    using resolver = this.#resolver();
    await resolver.update(options);
  }

  /**
   * Composes a base tree from nothing.
   *
   * @throws `ERR_APT_UNKNOWN_PACKAGE`, `ERR_APT_UNMET_DEPENDENCIES`, `ERR_APT_NOT_AUTHENTICATED`,
   *   `ERR_DEB_DAMAGED`, `ERR_COMPOSE_SCRIPT`, `ERR_COMPOSE_DPKG`, `ERR_SANDBOX_LIMIT`,
   *   `ERR_SANDBOX_UNAVAILABLE`, `ERR_NEEDS_ROOT`, `ENOSPC`, `AbortError`. No ref has moved and no scratch space is left then.
   */
  compose(options: ComposeOptions = {}): Promise<ComposeResult> {
    const packages = checkStrings(options.packages ?? [], 'options.packages');
    return this.#run(options, (assembly) =>
      assembly.fromNothing({
        packages,
        variant: options.variant ?? 'minbase',
        writeSources: options.writeSources ?? true,
      }),
    );
  }

  /**
   * Layers packages on a base tree, or takes packages of the base out.
   *
   * @throws as `compose`; `ENOENT` where the base does not exist or has no package database.
   */
  async layer(options: LayerOptions): Promise<ComposeResult> {
    checkString(options.base, 'options.base');
    const install = checkStrings(options.install ?? [], 'options.install');
    const remove = checkStrings(options.remove ?? [], 'options.remove');
    const base = await this.#repo.resolveRev(options.base);
    return this.#run(options, (assembly) => assembly.onBase({ base, install, remove }));
  }

  #resolver(): Resolver {
    return new Resolver(path.join(stateDirectory(this.#repo), 'apt'), this.#sources);
  }

  async #run(
    options: CommitOptions,
    work: (assembly: Assembly) => Promise<AssemblyResult>,
  ): Promise<ComposeResult> {
    effectiveLimits(options.limits);
    checkAnswers(options.answers);
    if (options.secrets !== undefined) {
      checkOneOf(options.secrets, ['remove', 'keep'], 'options.secrets');
    }
    requireSandbox();
    if (this.#repo.mode !== 'bare') {
      throw new ComposeError(
        'ERR_OSTREE_NOT_SUPPORTED',
        `Trees are composed in a repository of mode 'bare'; ${this.#repo.path} is '${this.#repo.mode}'.`,
        { path: this.#repo.path },
      );
    }
    // A handle has one transaction at a time, and the caller's may be in use.
    await using repo = await Repo.open(this.#repo.path);
    await using workspace = await Workspace.create(repo);
    using resolver = this.#resolver();
    const listener = new GuardedListener(options.onEvent, options.signal);
    const recorder = new Recorder(resolver.architecture, listener.onEvent);
    const { signal } = listener;
    const recorded = { ...options, onEvent: recorder.listener, signal };
    const meter = new Meter(recorder.listener);
    // Awaited here: the scratch space goes when this function ends.
    const result = await listener.guard(
      work(new Assembly({ repo, workspace, resolver, meter, options: recorded })),
    );
    return { ...result, record: recorder.record };
  }
}
