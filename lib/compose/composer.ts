/**
 * From packages to commits. One engine: a base tree is composed on nothing, layering is the same
 * on a base.
 */

import path from 'node:path';
import { checkStrings, type PathLike } from '../checks.js';
import { AptOstreeError, ComposeError, invalidArgType } from '../errors.js';
import type { JobOptions } from '../job.js';
import { Repo } from '../ostree/repo.js';
import type { Variant } from '../variant.js';
import { type Answers, checkAnswers } from './answers.js';
import { Assembly, type AssemblyResult } from './assembly.js';
import { packagesOf } from './database.js';
import type { ComposeListener } from './events.js';
import { isInitramfsTool } from './initramfs.js';
import { effectiveLimits, type SandboxLimits } from './limits.js';
import { GuardedListener } from './listener.js';
import { Meter } from './meter.js';
import {
  checkComposeOptions,
  checkComposerOptions,
  checkLayerOptions,
  checkRefreshOptions,
  checkRelayerOptions,
} from './option_checks.js';
import { requestName } from './plan.js';
import { refuseUnanswered } from './questions.js';
import { type ComposeRecord, Recorder } from './record.js';
import { type PackageSources, Resolver } from './resolver.js';
import { requireSandbox } from './sandbox.js';
import { stateDirectory, Workspace } from './workspace.js';

export interface ComposerOptions extends PackageSources {
  /** Takes the commits and caches imported packages; its mode must be `bare`. */
  repo: Repo;
}

export interface RefreshOptions extends JobOptions {
  onEvent?: ComposeListener;
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
  /** Package files that requests may name by their absolute path. */
  debs?: readonly PathLike[];
  /**
   * How packages are unpacked on a tree: without their content, which is linked in afterwards, or
   * as apt has dpkg do it, package by package in full. Both give the same tree; what the first
   * cannot take, is done by the second with a `fallback` event. The minimal packages of a tree
   * from nothing are unpacked the first way. @default 'fast'
   */
  engine?: 'fast' | 'reference';
  /** Make the tree anew even where the repository has one from the same inputs. @default false */
  force?: boolean;
  /**
   * Answers to debconf's questions, by package and question (`{ tzdata: { 'tzdata/Areas': 'Europe'
   * } }`), known before the packages requested here are unpacked. The tree must have debconf.
   */
  answers?: Answers;
  /**
   * What to do about critical questions that `answers` does not answer: take their defaults, as
   * apt-get does when nobody is there, or fail. `record.questions` lists them in any case.
   * @default 'accept'
   */
  unanswered?: 'accept' | 'refuse';
  /**
   * Keys and alike that scripts made: taken out of the tree, to be made again where it first
   * boots, or kept for the one machine that it is for. @default 'remove' when composing, 'keep'
   * when layering
   */
  secrets?: 'remove' | 'keep';
  /** What maintainer scripts may use; met, everything in the sandbox is killed. */
  limits?: SandboxLimits;
  /**
   * Keep the scratch space, with the layer that each step wrote, whether it comes to a commit or
   * not: `record.workDirectory` names it. Remove it with {@link removeTree}. @default false
   */
  keepWork?: boolean;
  /**
   * A commit, ref or refspec whose users and groups keep their numbers where they come again.
   * @default the commit that `ref` names now
   */
  idsFrom?: string;
  /**
   * A commit, ref or refspec whose secrets the tree takes over where its scripts make them anew, so
   * that a machine keeps its keys. Only with `secrets: 'keep'`.
   * @default the commit that `ref` names now
   */
  secretsFrom?: string;
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
  /**
   * Write the sources to /etc/apt/sources.list.d in the tree: without the logins of their URIs,
   * and with the keys in the text where the tree has no such keyring. @default true
   */
  writeSources?: boolean;
}

export interface LayerOptions extends CommitOptions {
  /** The commit, ref or refspec to build on. */
  base: string;
  /** Requests to install, as apt-get takes them. */
  install?: readonly string[];
  /** Packages of the base to take out. */
  remove?: readonly string[];
  /**
   * Packages of the base to put another version of in, older ones and held packages too; requests
   * as those of `install`.
   */
  replace?: readonly string[];
  /** Whether removed packages leave their configuration files in /etc. @default false */
  keepConfiguration?: boolean;
  /** Whether essential and protected packages may be removed. @default false */
  allowRemoveEssential?: boolean;
  /**
   * What to do where the request takes more changes of packages of the base than it names: a
   * removal because of a conflict, an upgrade because of a dependency. @default 'refuse'
   */
  unasked?: 'refuse' | 'allow';
}

/** How to repeat a layering on another base. */
export interface RelayerOptions
  extends Omit<
    LayerOptions,
    'install' | 'remove' | 'replace' | 'keepConfiguration' | 'allowRemoveEssential'
  > {
  /** The layered commit, ref or refspec whose requests are repeated. */
  layered: string;
}

export interface ComposeResult extends AssemblyResult {
  /** What happened: scripts, the time of each package, what was printed. Errors have it too. */
  record: ComposeRecord;
}

/**
 * Composes trees into one repository.
 *
 * Needs root, bubblewrap and overlayfs. Everything that is not a maintainer script, dpkg or the
 * initramfs tool runs in this process, off the JavaScript thread.
 *
 * @see docs/guide-compose.md, dpkg(1), bwrap(1)
 */
export class Composer {
  readonly #repo: Repo;
  readonly #sources: PackageSources;

  constructor(options: ComposerOptions) {
    checkComposerOptions(options, 'options');
    const { repo, ...sources } = options;
    if (!(repo instanceof Repo)) throw invalidArgType('options.repo', 'an instance of Repo', repo);
    this.#repo = repo;
    this.#sources = sources;
  }

  /**
   * Fetches the package lists of all sources.
   *
   * @throws `ERR_APT_NETWORK`, `ERR_APT_NOT_AUTHENTICATED`, `ERR_APT_SOURCES`, as {@link
   * AptContext.update}.
   */
  async refresh(options: RefreshOptions = {}): Promise<void> {
    checkRefreshOptions(options, 'options');
    using resolver = this.#resolver();
    await resolver.update(options);
  }

  /**
   * Composes a base tree from nothing.
   *
   * @throws `ERR_APT_UNKNOWN_PACKAGE`, `ERR_APT_UNMET_DEPENDENCIES`, `ERR_APT_NOT_AUTHENTICATED`,
   * `ERR_APT_NETWORK`, `ERR_APT_HASH_MISMATCH`, `ERR_DEB_DAMAGED`, `ERR_COMPOSE_SCRIPT`,
   * `ERR_COMPOSE_DPKG`, `ERR_COMPOSE_LAYOUT`, `ERR_COMPOSE_QUESTIONS`, `ERR_SANDBOX_LIMIT`,
   * `ERR_SANDBOX_UNAVAILABLE`, `ERR_NEEDS_ROOT`; `ERR_OSTREE_NOT_SUPPORTED` for a repository of
   * another mode than `bare`; `ENOSPC`. No ref has moved and no scratch space is left then.
   */
  compose(options: ComposeOptions = {}): Promise<ComposeResult> {
    checkComposeOptions(options, 'options');
    return this.#run(options, (assembly) =>
      assembly.fromNothing({
        packages: options.packages ?? [],
        variant: options.variant ?? 'minbase',
        writeSources: options.writeSources ?? true,
      }),
    );
  }

  /**
   * Layers packages on a base tree, or takes packages of the base out or replaces them.
   *
   * Where the repository has a tree from the same base, request and packages, the result is its
   * commit (`unchanged`), and no time is spent.
   *
   * @throws as `compose`; `ENOENT` where the base does not exist or has no package database;
   * `ERR_APT_REFUSED` as `unasked` says; `ERR_APT_UNKNOWN_PACKAGE` for a replacement of what the
   * base does not have.
   * @example
   * const { commit } = await composer.layer({ base: 'debian/base', install: ['hello'], ref: 'mine' });
   * assert.equal(await repo.resolveRev('mine'), commit);
   */
  async layer(options: LayerOptions): Promise<ComposeResult> {
    checkLayerOptions(options, 'options');
    const base = await this.#repo.resolveRev(options.base);
    return this.#run(options, (assembly) =>
      assembly.onBase({
        base,
        install: options.install ?? [],
        remove: options.remove ?? [],
        replace: options.replace ?? [],
        keepConfiguration: options.keepConfiguration ?? false,
        allowRemoveEssential: options.allowRemoveEssential ?? false,
        unasked: options.unasked ?? 'refuse',
      }),
    );
  }

  /**
   * Layers on `base` what was asked for when `layered` was made: its requests, not the packages
   * that they brought. What the new base has or lacks by itself is left alone. Answers to
   * debconf's questions are not kept and have to be given again.
   *
   * @throws as `layer`; `ERR_INVALID_STATE` where `layered` was not made by a layering.
   */
  async relayer(options: RelayerOptions): Promise<ComposeResult> {
    checkRelayerOptions(options, 'options');
    const { layered, ...rest } = options;
    const { metadata } = await this.#repo.loadCommit(layered);
    if (typeof metadata['apt-ostree.base'] !== 'string') {
      throw new ComposeError('ERR_INVALID_STATE', `${layered} was not made by a layering`, {
        ref: layered,
      });
    }
    const list = (key: string) => checkStrings(metadata[`apt-ostree.${key}`] ?? [], key);
    const present = new Set((await packagesOf(this.#repo, rest.base)).map(({ name }) => name));
    const applies = (request: string) => {
      const name = requestName(request);
      return name === undefined || present.has(name);
    };
    return this.layer({
      idsFrom: layered,
      secretsFrom: layered,
      ...rest,
      install: list('requests'),
      remove: list('removals').filter(applies),
      replace: list('replacements').filter(applies),
      keepConfiguration: metadata['apt-ostree.keep-configuration'] === true,
      allowRemoveEssential: metadata['apt-ostree.remove-essential'] === true,
    });
  }

  #resolver(): Resolver {
    return new Resolver(path.join(stateDirectory(this.#repo), 'apt'), this.#sources);
  }

  async #run(
    options: CommitOptions,
    work: (assembly: Assembly) => Promise<AssemblyResult>,
  ): Promise<ComposeResult> {
    effectiveLimits(options.limits);
    checkAnswers(options.answers ?? undefined);
    for (const name of ['idsFrom', 'secretsFrom'] as const) {
      const rev = options[name];
      if (rev !== undefined) await this.#repo.resolveRev(rev);
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
    await using workspace = await Workspace.create(repo, { keep: options.keepWork === true });
    using resolver = this.#resolver();
    const listener = new GuardedListener(options.onEvent, options.signal);
    const recorder = new Recorder(resolver.architecture, listener.onEvent);
    const { signal } = listener;
    const recorded = { ...options, onEvent: recorder.listener, signal };
    const meter = new Meter(recorder.listener);
    // Awaited here: the scratch space goes when this function ends.
    const composing = listener.guard(
      work(
        new Assembly({
          repo,
          workspace,
          resolver,
          meter,
          options: recorded,
          initramfsTriggered: () => recorder.record.scripts.some(isInitramfsTool),
          review: () => {
            if (options.unanswered === 'refuse') refuseUnanswered(recorder.record.questions);
          },
        }),
      ),
    );
    const record = (): ComposeRecord => ({
      ...recorder.record,
      ...(workspace.kept !== undefined && { workDirectory: workspace.kept }),
    });
    try {
      return { ...(await composing), record: record() };
    } catch (error) {
      if (error instanceof AptOstreeError) {
        Object.defineProperty(error, 'record', { value: record(), configurable: true });
      }
      throw error;
    }
  }
}
