import type { NativeAptMarks } from '../../types/apt.js';
import { checkMembers, checkOneOf, checkOptions, checkString, type Members } from '../checks.js';
import { invalidArgType, type UnmetDependency } from '../errors.js';
import { callNative, type JobOptions, kJobOptions, runJob } from '../job.js';
import { readRegularFile } from '../read-file.js';
import { Columns, pages } from './batch.js';
import { type AutoMark, updateExtendedStates } from './extended_states.js';
import {
  type AptPlan,
  type PackageName,
  type SolveRequest,
  toPlan,
  withoutPseudo,
} from './plan.js';
import type { AptReader } from './reader.js';
import { type AptPackageState, stateOf } from './state.js';
import { rowsOf } from './table.js';
import { explain, type WhyNot } from './why_not.js';

export interface MarksOptions extends JobOptions {
  /** Whether recommended packages come in. Default: as the context has it. */
  recommends?: boolean;
}

/** @internal */
export const kMarksOptions: Members<MarksOptions> = { ...kJobOptions, recommends: true };

/**
 * One edit; `package` is a text as in `SolveRequest`. There `name-` and `name+` install or remove in
 * spite of `install` and `remove`; other edits refuse what says the opposite of them.
 */
export type MarkEdit =
  | {
      kind: 'install';
      package: string;
      /** Whether what the package needs comes with it. Default: true. */
      dependencies?: boolean;
      /** Whether it comes only because something needs it. Default: false. */
      auto?: boolean;
    }
  | { kind: 'remove'; package: string; purge?: boolean }
  /**
   * `reinstall`: the installed version once more; `keep`: undoes what was marked, `forbid` too; `auto` and
   * `manual`: whether it is there only because something needs it; `hold` and `unhold`: whether
   * the solver must leave it alone; `candidate`: `name=version` or `name/release` is what would be
   * installed from now on; `forbid`: the solver must not bring it in.
   */
  | {
      kind: 'reinstall' | 'keep' | 'auto' | 'manual' | 'hold' | 'unhold' | 'candidate' | 'forbid';
      package: string;
    };

/** What marks come to. */
export interface MarkCounts {
  /** Packages that come or change. */
  installs: number;
  removals: number;
  keeps: number;
  /** Packages with dependencies that are not met. */
  broken: number;
  /** Bytes. */
  downloadSize: number;
  /** Bytes. */
  installSizeDelta: number;
}

type ChangeAction = 'install' | 'upgrade' | 'downgrade' | 'reinstall' | 'remove' | 'purge';

/** A package as marks have it. */
export interface AptMark extends PackageName {
  action: ChangeAction | 'keep';
  installed?: string;
  candidate?: string;
  /** The version that there will be. */
  version?: string;
  auto: boolean;
  /** Whether its dependencies are not met. */
  broken: boolean;
  /** Whether an edit named it, and not the solver. */
  chosen: boolean;
  held: boolean;
  state: AptPackageState;
}

/** One package that marks change. */
export type AptMarkChange = Omit<AptMark, 'candidate' | 'action'> & { action: ChangeAction };

/** One step from a package that stands for itself to one that it needs. */
export interface AptNeed extends PackageName {
  version: string;
  /** Of the first step: why it stands for itself. */
  root?: 'manual' | 'essential' | 'protected';
  /** The kind of its dependency on the next step; empty in the last one. */
  type: string;
}

const kEdit = { kind: true, package: true } as const;
const kEdits: { readonly [Kind in MarkEdit['kind']]: Members<MarkEdit & { kind: Kind }> } = {
  install: { ...kEdit, dependencies: true, auto: true },
  reinstall: kEdit,
  remove: { ...kEdit, purge: true },
  keep: kEdit,
  auto: kEdit,
  manual: kEdit,
  hold: kEdit,
  unhold: kEdit,
  candidate: kEdit,
  forbid: kEdit,
};
const kKinds = Object.keys(kEdits) as readonly MarkEdit['kind'][];
const kResolutions = [
  'install',
  'keep',
  'fix',
  'upgrade',
  'with-new',
  'full',
  'autoremove',
] as const;

/** Rows that are made at once. */
const kRows = 2048;

function isThere({ status }: AptPackageState): boolean {
  return status !== 'not-installed' && status !== 'config-files';
}

function selectionAfter(action: string, before: AptPackageState['wanted']): string {
  if (action === 'remove') return 'deinstall';
  if (action === 'purge') return 'purge';
  return action === '' || before === 'hold' ? before : 'install';
}

async function readIfThere(file: string): Promise<string> {
  try {
    return (await readRegularFile(file)).toString('utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

/**
 * Marks of what is to become of each package, edited step by step. They are a value: `snapshot`
 * and `branch` copy it, `rollback` puts a copy back, in a few milliseconds.
 *
 * @throws `ERR_CLOSED` by every method, once the marks or the cache are closed;
 * `ERR_APT_STALE_CACHE` after lists or status changed.
 * @see `pkgDepCache`
 * @example
 * await using mine = await cache.marks();
 * const before = await mine.snapshot();
 * await mine.edit({ kind: 'install', package: 'hello' }, { kind: 'remove', package: 'leftover' });
 * if ((await mine.counts()).removals > 1) await mine.rollback(before);
 */
export class AptMarks {
  readonly #native: NativeAptMarks;
  readonly #reader: AptReader;

  /** @internal */
  constructor(native: NativeAptMarks, reader: AptReader) {
    this.#native = native;
    this.#reader = reader;
  }

  /**
   * Does all of the edits, or none where one throws. Edits may leave dependencies that are not
   * met: see `counts`, `unmet`, `resolve`.
   *
   * @throws `ERR_APT_UNKNOWN_PACKAGE`, `ERR_APT_PATTERN`; `ERR_APT_REFUSED` for a package that
   * cannot be reinstalled; `ERR_INVALID_ARG_VALUE` for `name-` or `name+` where they say nothing.
   * @see `pkgDepCache::MarkInstall`, `MarkDelete`, `MarkKeep`, `MarkAuto`, `SetCandidateVersion`
   */
  edit(...edits: readonly MarkEdit[]): Promise<MarkCounts> {
    for (const edit of edits) {
      checkOptions(edit, 'edits');
      checkOneOf(edit.kind, kKinds, 'edit.kind');
      checkMembers(edit, kEdits[edit.kind], 'edit');
      checkString(edit.package, 'edit.package');
    }
    return runJob('apt', () => this.#native.edit(edits.map((edit) => ({ ...edit }))));
  }

  /**
   * Has the solver change more packages until all dependencies are met. `install`: what `edit`
   * named stays as it is; `keep`: gives edits up rather than changing other packages; `fix`:
   * repairs a system that was broken before; `upgrade` and `full`: as in `SolveRequest`;
   * `autoremove`: removes what nothing needs.
   *
   * @throws `ERR_APT_UNMET_DEPENDENCIES`, with `unmet`; the marks are then as before.
   * @see `pkgProblemResolver`, `APT::Upgrade::Upgrade`
   */
  resolve(
    how: (typeof kResolutions)[number] = 'install',
    options?: JobOptions,
  ): Promise<MarkCounts> {
    checkOneOf(how, kResolutions, 'how');
    return runJob('apt', () => this.#native.resolve(how), options);
  }

  /** What the marks amount to by now. @see `pkgDepCache::InstCount` */
  counts(options?: JobOptions): Promise<MarkCounts> {
    return runJob('apt', () => this.#native.counts(), options);
  }

  /** A package; undefined where the cache has none of the name. @see `pkgDepCache::StateCache` */
  async of(
    name: string,
    architecture?: string,
    options?: JobOptions,
  ): Promise<AptMark | undefined> {
    checkString(name, 'name');
    if (architecture !== undefined) checkString(architecture, 'architecture');
    const found = await runJob('apt', () => this.#native.of(name, architecture), options);
    if (found === null) return undefined;
    const mark = found as Omit<AptMark, 'state'> & { state: number };
    return { ...mark, state: stateOf(mark.state) };
  }

  /** Every package that the marks change. @see `pkgDepCache::StateCache` */
  async changes(options?: JobOptions): Promise<AptMarkChange[]> {
    const columns = new Columns(await runJob('apt', () => this.#native.changes(), options));
    return Array.from({ length: columns.rows }, (_, row) => {
      const flags = columns.number('flags', row);
      const installed = columns.text('installed', row);
      const version = columns.text('version', row);
      return {
        name: columns.text('name', row),
        architecture: columns.text('architecture', row),
        action: columns.text('action', row) as ChangeAction,
        ...(installed !== '' && { installed }),
        ...(version !== '' && { version }),
        auto: (flags & 1) !== 0,
        broken: (flags & 2) !== 0,
        chosen: (flags & 4) !== 0,
        held: (flags & 8) !== 0,
        state: stateOf(columns.number('state', row)),
      };
    });
  }

  /**
   * Dependencies that are not met: of which package, and what became of each way to meet them.
   *
   * @see `pkgDepCache`
   */
  async unmet(options?: JobOptions): Promise<UnmetDependency[]> {
    return (await runJob('apt', () => this.#native.unmet(), options)) as UnmetDependency[];
  }

  /**
   * Why a package cannot be installed on top of the marks, as `AptCache.whyNot` says it of the
   * system as it is. The marks stay as they are.
   *
   * @throws `ERR_APT_PATTERN` for a text that is none.
   * @see `pkgProblemResolver`
   */
  async whyNot(what: string, options: JobOptions = {}): Promise<WhyNot | undefined> {
    checkMembers(options, kJobOptions);
    const { signal } = options;
    await using branch = await this.branch({ signal });
    return await explain(this.#reader, what, { signal }, () =>
      branch.solve({ install: [what], order: false, signal }),
    );
  }

  /**
   * The file of automatically installed packages (`Dir::State::extended_states`) after the plan of
   * these marks: that of the context with what the marks say, which keeps what it does not know.
   *
   * @see apt-mark(8)
   */
  async extendedStates(options: JobOptions = {}): Promise<string> {
    checkMembers(options, kJobOptions);
    const { architecture, extendedStates: file } = this.#reader.about;
    const before = file === undefined ? '' : await readIfThere(file);
    const marks: AutoMark[] = [];
    for await (const page of this.#states(options)) {
      for (let row = 0; row < page.rows; row++) {
        const goes = /^(remove|purge)$/.test(page.text('action', row));
        const comes = page.text('action', row) !== '' && !goes;
        const there = isThere(stateOf(page.number('state', row)));
        // Of what is not there and does not come, the file keeps what it says.
        if (!there && !comes) continue;
        const auto = (page.number('flags', row) & 1) !== 0 && !goes;
        marks.push({
          name: page.text('name', row),
          architecture: page.text('architecture', row),
          auto,
        });
      }
    }
    return updateExtendedStates(before, marks, architecture);
  }

  /**
   * What dpkg is to think of packages, holds among them, as `dpkg --set-selections` takes it: one
   * line for each package that is there, comes, goes, or that dpkg remembers.
   *
   * @see dpkg(1)
   */
  async selections(options: JobOptions = {}): Promise<string> {
    checkMembers(options, kJobOptions);
    const { architecture: native } = this.#reader.about;
    const lines: string[] = [];
    for await (const page of this.#states(options)) {
      for (let row = 0; row < page.rows; row++) {
        const action = page.text('action', row);
        const { wanted } = stateOf(page.number('state', row));
        const word = selectionAfter(action, wanted);
        if (word === 'unknown') continue;
        const architecture = page.text('architecture', row);
        const plain = architecture === native && (page.number('flags', row) & 2) === 0;
        lines.push(`${page.text('name', row)}${plain ? '' : `:${architecture}`}\t${word}\n`);
      }
    }
    return lines.sort().join('');
  }

  #states(options: JobOptions) {
    return pages((after) => runJob('apt', () => this.#native.states(after, kRows), options));
  }

  /** Packages that nothing needs any more. @see `pkgDepCache` */
  async unneeded(options?: JobOptions): Promise<PackageName[]> {
    return rowsOf(await runJob('apt', () => this.#native.unneeded(), options), (row) => row);
  }

  /**
   * Why a package is there, or will be: the shortest chain of dependencies to it from one that
   * was asked for or is essential. Empty where nothing needs it, or it is not there.
   *
   * @see aptitude(8), `aptitude why`
   */
  async why(name: string, architecture?: string, options?: JobOptions): Promise<AptNeed[]> {
    checkString(name, 'name');
    if (architecture !== undefined) checkString(architecture, 'architecture');
    const found = await runJob('apt', () => this.#native.why(name, architecture), options);
    return (found as AptNeed[] | null) ?? [];
  }

  /**
   * What it takes to bring the system to where the marks are.
   *
   * @throws `ERR_APT_UNMET_DEPENDENCIES` where dependencies are not met.
   * @see `pkgPackageManager`
   */
  async plan(options: JobOptions & Pick<SolveRequest, 'order'> = {}): Promise<AptPlan> {
    checkMembers(options, { ...kJobOptions, order: true } satisfies Members<typeof options>);
    const { order = true, signal } = options;
    return toPlan(await runJob('apt', () => this.#native.plan(order), { signal }));
  }

  /**
   * Solves a request on top of the marks, as `AptCache.solve` does on the system as it is. The
   * marks are then those of the plan; where it throws they are as before. `recommends` is that of
   * the marks.
   *
   * @throws as {@link AptCache.solve}.
   * @see {@link AptCache.solve}
   */
  async solve(request: SolveRequest): Promise<AptPlan> {
    const native = withoutPseudo(request);
    const { signal } = request;
    return toPlan(await runJob('apt', () => this.#native.solve(native), { signal }));
  }

  /** The marks as they are now, for `rollback`. */
  async snapshot(options?: JobOptions): Promise<AptMarksSnapshot> {
    return new AptMarksSnapshot(await runJob('apt', () => this.#native.copy(), options));
  }

  /**
   * Makes the marks what they were; the snapshot stays good, also for branches.
   *
   * @throws `ERR_CLOSED` for a snapshot that was closed; `ERR_INVALID_ARG_VALUE` for one of another
   * cache.
   */
  async rollback(snapshot: AptMarksSnapshot, options?: JobOptions): Promise<void> {
    if (!(snapshot instanceof AptMarksSnapshot)) {
      throw invalidArgType('snapshot', 'an instance of AptMarksSnapshot', snapshot);
    }
    const source = AptMarksSnapshot.native(snapshot);
    await runJob('apt', () => this.#native.assign(source), options);
  }

  /** Marks of their own that begin as these are now. */
  async branch(options?: JobOptions): Promise<AptMarks> {
    const native = await runJob('apt', () => this.#native.copy(), options);
    return new AptMarks(native, this.#reader);
  }

  /** Frees them; later calls throw `ERR_CLOSED`. Synchronous. */
  close(): void {
    callNative('apt', () => this.#native.close());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}

/**
 * Marks as they were once: some megabytes for a whole archive, until it is collected or closed.
 * Synchronous.
 *
 * @throws nothing.
 */
export class AptMarksSnapshot {
  readonly #native: NativeAptMarks;

  /** @internal */
  constructor(native: NativeAptMarks) {
    this.#native = native;
  }

  /** @internal */
  static native(snapshot: AptMarksSnapshot): NativeAptMarks {
    return snapshot.#native;
  }

  /** Gives the memory up; later calls throw `ERR_CLOSED`. Closing twice is fine. */
  close(): void {
    callNative('apt', () => this.#native.close());
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
