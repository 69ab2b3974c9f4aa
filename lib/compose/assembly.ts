/** One composition: resolve, download, import, run dpkg over layers, merge, commit. */

import type {
  AptCache,
  AptPlan,
  AptPlanPackage,
  FetchedPackage,
  SolveRequest,
} from '../apt/cache.js';
import { updateExtendedStates } from '../apt/extended_states.js';
import type { TreeEdit } from '../ostree/mutable_tree.js';
import { MutableTree } from '../ostree/mutable_tree.js';
import type { Repo } from '../ostree/repo.js';
import type { TransactionStats } from '../ostree/transaction.js';
import { type Variant, variant } from '../variant.js';
import { presetAnswers } from './answers.js';
import { baseLayers, trimBaseCheckouts } from './base.js';
import { bootstrap } from './bootstrap.js';
import type { CommitOptions } from './composer.js';
import { type InstalledPackage, packagesOf, parseStatus, requireConfigured } from './database.js';
import { configureCommand, configureSomeCommand, removeCommand, runDpkg } from './dpkg.js';
import { placeFile } from './files.js';
import {
  accountIds,
  covers,
  type IdLedger,
  idEdits,
  kNoIds,
  ledgerOf,
  mergeLedgers,
  readAccounts,
  writeIdTools,
} from './ids.js';
import { mergeImage } from './image.js';
import { findImported, type ImportedDeb, importDebs } from './import.js';
import { commitOf, type Inputs, inputsDigest, kInputs, rememberCommit } from './inputs.js';
import { LayerStack } from './layers.js';
import { imagePath, kExtendedStates } from './layout.js';
import type { Meter, PhaseTime } from './meter.js';
import {
  type Asked,
  coinstalled,
  describePlan,
  inOrder,
  isRemoved,
  packageKey,
  refuseUnasked,
  requirePresent,
} from './plan.js';
import type { Database, Resolver } from './resolver.js';
import { carryOver, type Secret, secretsOf } from './secrets.js';
import { writeScaffolding } from './skeleton.js';
import { planSteps, type Step } from './steps.js';
import { databaseOf, databaseOfCommit, kStatus, orMissing } from './tree_database.js';
import { type Material, unpack } from './unpack.js';
import type { Workspace } from './workspace.js';

export interface AssemblyResult {
  /** Checksum of the new commit. */
  commit: string;
  /** Checksum of the base, for a layered commit. */
  base?: string;
  /** Everything installed in the tree. */
  packages: InstalledPackage[];
  /** What the solver decided, in dpkg's order. */
  changes: AptPlanPackage[];
  /** Kernel version with modules in the tree, where there is one. */
  kernel?: string;
  /** The inputs were those of `commit`, which was there already: no tree was made. */
  unchanged: boolean;
  phases: PhaseTime[];
  stats: TransactionStats;
}

/** What a tree from nothing is made of. */
export interface BaseRequest {
  packages: readonly string[];
  variant: 'essential' | 'minbase';
  writeSources: boolean;
}

/** What is changed on a base. */
export interface LayerRequest extends Asked {
  base: string;
  keepConfiguration: boolean;
  allowRemoveEssential: boolean;
  unasked: 'refuse' | 'allow';
}

interface AssemblyParts {
  repo: Repo;
  workspace: Workspace;
  resolver: Resolver;
  meter: Meter;
  options: CommitOptions;
  /** Whether scripts have asked for a new initramfs. */
  initramfsTriggered: () => boolean;
  /** Called when every script has run; what it throws, ends the composition without a commit. */
  review: () => void;
}

const kNothingWritten: TransactionStats = {
  metadataObjectsTotal: 0,
  metadataObjectsWritten: 0,
  contentObjectsTotal: 0,
  contentObjectsWritten: 0,
  contentBytesWritten: 0,
  devinoCacheHits: 0,
};

export class Assembly {
  readonly #repo: Repo;
  readonly #workspace: Workspace;
  readonly #resolver: Resolver;
  readonly #meter: Meter;
  readonly #options: CommitOptions;
  readonly #initramfsTriggered: () => boolean;
  readonly #review: () => void;
  readonly #timestamp: Date;
  /** What trees before this one had. */
  #ledger = kNoIds;
  /** What the tree before this one had, where this one may keep secrets. */
  #secrets: readonly Secret[] = [];
  /** Applied to the root form of the finished tree. */
  readonly #additions: TreeEdit[] = [];
  /** The last one opened. */
  #database: Database = {};
  /** Whether nobody is asked them again: as tools have it that begin with nothing, unlike apt-get. */
  #questionsAreSeen = false;
  /** See `#isReal`. */
  #coinstalled = new Set<string>();

  constructor(parts: AssemblyParts) {
    this.#repo = parts.repo;
    this.#workspace = parts.workspace;
    this.#resolver = parts.resolver;
    this.#meter = parts.meter;
    this.#options = parts.options;
    this.#initramfsTriggered = parts.initramfsTriggered;
    this.#review = parts.review;
    this.#timestamp = parts.options.timestamp ?? new Date();
  }

  async fromNothing(request: BaseRequest): Promise<AssemblyResult> {
    this.#questionsAreSeen = true;
    await this.#refresh();
    const { cache, plan, essential, digest } = await this.#meter.measure('resolve', async () => {
      const cache = await this.#open({});
      const { names, essential } = await this.#firstPackages(cache, request.variant);
      const plan = await this.#solve(cache, { install: names });
      // What is installed in the second step, as far as it can be known in the first.
      const both = await this.#solve(cache, { install: [...names, ...request.packages] });
      const sources = request.writeSources ? this.#resolver.sources : undefined;
      const digest = this.#digest([plan, both], { ...request, sources });
      return { cache, plan, essential, digest };
    });
    await this.#readHeritage();
    const known = await this.#unchanged(digest, [plan]);
    if (known) return known;
    const material = await this.#obtain(cache, plan, []);
    this.#resolver.release();
    const layers = this.#stack([await this.#scaffolding(kNoIds)]);
    await bootstrap({
      repo: this.#repo,
      workspace: this.#workspace,
      layers,
      packages: inOrder(plan).map((entry) => required(material.imported, entry)),
      essential,
      architecture: this.#resolver.architecture,
      foreignArchitectures: this.#resolver.foreignArchitectures,
      environment: this.#environment,
      onEvent: this.#options.onEvent,
      signal: this.#options.signal,
      phase: (name, work) => this.#meter.measure(name, work),
    });
    await this.#recordAutomatic(layers, plan);
    if (request.writeSources) await this.#addSources(layers);
    const changes = inOrder(plan);
    if (request.packages.length > 0) {
      const second = await this.#meter.measure('resolve', async () => {
        const read = (file: string) => layers.readFile(file);
        const cache = await this.#open(await databaseOf(this.#workspace, read));
        return { cache, plan: await this.#solve(cache, { install: [...request.packages] }) };
      });
      const added = await this.#obtain(
        second.cache,
        second.plan,
        parseStatus((await layers.readFile(kStatus)).toString('utf8')),
      );
      this.#resolver.release();
      await this.#apply(layers, second.plan, added);
      changes.push(...inOrder(second.plan));
    }
    using tree = MutableTree.create();
    const metadata = { 'apt-ostree.requests': variant('as', [...request.packages]) };
    return await this.#finish(layers, tree, changes, { metadata, digest });
  }

  async onBase(request: LayerRequest): Promise<AssemblyResult> {
    const { base, install, remove, replace, keepConfiguration, allowRemoveEssential } = request;
    await this.#refresh();
    const { cache, plan, digest } = await this.#meter.measure('resolve', async () => {
      const cache = await this.#open(await databaseOfCommit(this.#repo, this.#workspace, base));
      const plan = await this.#solve(cache, {
        install: [...install, ...replace],
        remove: [...remove],
        purge: !keepConfiguration,
        allowRemoveEssential,
        ...(replace.length > 0 && { allowDowngrade: true, allowChangeHeld: true }),
      });
      requirePresent(plan, replace);
      if (request.unasked === 'refuse') refuseUnasked(plan, request);
      return { cache, plan, digest: this.#digest([plan], { ...request }) };
    });
    await this.#readHeritage(base);
    const known = await this.#unchanged(digest, [plan], base);
    if (known) return known;
    const material = await this.#obtain(cache, plan, await packagesOf(this.#repo, base));
    this.#resolver.release();
    const layers = await this.#meter.measure('assemble', async () => {
      const below = await baseLayers(this.#repo, base, this.#workspace, this.#options.signal);
      const accounts = await readAccounts((file) => this.#repo.readFile(base, `/usr/${file}`));
      return this.#stack([...below, await this.#scaffolding(accountIds(accounts))]);
    });
    await this.#apply(layers, plan, material);
    using tree = await MutableTree.fromCommit(this.#repo, base);
    const metadata = {
      'apt-ostree.base': variant('s', base),
      'apt-ostree.requests': variant('as', [...install]),
      'apt-ostree.removals': variant('as', [...remove]),
      'apt-ostree.replacements': variant('as', [...replace]),
      'apt-ostree.keep-configuration': variant('b', keepConfiguration),
      'apt-ostree.remove-essential': variant('b', allowRemoveEssential),
    };
    const result = await this.#finish(layers, tree, plan.packages, { metadata, digest, base });
    await this.#trim(base);
    return result;
  }

  /** What later trees of a machine have from earlier ones: numbers of accounts, secrets. */
  async #readHeritage(base?: string): Promise<void> {
    const { ref, idsFrom = ref, secretsFrom = ref } = this.#options;
    const commitOfRev = (rev: string | undefined) =>
      rev === undefined ? undefined : orMissing(this.#repo.resolveRev(rev));
    const revs = [base, await commitOfRev(idsFrom)].filter((rev) => rev !== undefined);
    this.#ledger = mergeLedgers(
      ...(await Promise.all(revs.map((rev) => ledgerOf(this.#repo, rev)))),
    );
    const before = this.#keepsSecrets(base) ? await commitOfRev(secretsFrom) : undefined;
    if (before !== undefined) this.#secrets = await this.#secretsOf(before);
  }

  #secretsOf(commit: string): Promise<Secret[]> {
    return secretsOf(async (directory) => {
      return (await orMissing(this.#repo.list(commit, imagePath(directory)))) ?? [];
    });
  }

  #keepsSecrets(base: string | undefined): boolean {
    return (this.#options.secrets ?? (base === undefined ? 'remove' : 'keep')) === 'keep';
  }

  #open(database: Database): Promise<AptCache> {
    this.#database = database;
    const { signal, debs } = this.#options;
    return this.#resolver.open(database, { signal, debs });
  }

  #solve(cache: AptCache, request: SolveRequest): Promise<AptPlan> {
    const { recommends = false, signal } = this.#options;
    return cache.solve({ ...request, recommends, signal });
  }

  #digest(plans: readonly AptPlan[], request: Inputs): string | undefined {
    const { timestamp, subject, body, version, metadata, answers, secrets, unanswered, engine } =
      this.#options;
    return inputsDigest(plans, {
      request,
      architecture: [this.#resolver.architecture, ...this.#resolver.foreignArchitectures],
      options: {
        timestamp,
        subject,
        body,
        version,
        metadata,
        answers,
        secrets,
        unanswered,
        engine,
      },
    });
  }

  /** The result of an earlier composition from the same inputs. */
  async #unchanged(
    digest: string | undefined,
    plans: readonly AptPlan[],
    base?: string,
  ): Promise<AssemblyResult | undefined> {
    const { force, ref, signal } = this.#options;
    if (digest === undefined || force) return undefined;
    const known = await commitOf(this.#repo, digest);
    if (!known) return undefined;
    // It must know every number that was ever given: the next tree at its ref learns them from it.
    if (!covers(await ledgerOf(this.#repo, known.checksum), this.#ledger)) return undefined;
    // Nor may it be another machine's.
    if (this.#secrets.length > 0) {
      const edits = carryOver(await this.#secretsOf(known.checksum), this.#secrets);
      if (edits.length > 0) return undefined;
    }
    this.#resolver.release();
    // No transaction: it would end in a sync of the whole file system.
    if (ref !== undefined && (await orMissing(this.#repo.resolveRev(ref))) !== known.checksum) {
      await this.#repo.setRef(ref, known.checksum, { signal });
    }
    const kernel = known.metadata['ostree.linux'];
    return {
      commit: known.checksum,
      base,
      packages: await packagesOf(this.#repo, known.checksum),
      changes: plans.flatMap((plan) => plan.packages),
      ...(typeof kernel === 'string' && { kernel }),
      unchanged: true,
      phases: this.#meter.times,
      stats: kNothingWritten,
    };
  }

  #stack(below: readonly string[]): LayerStack {
    return new LayerStack(this.#workspace, below, this.#options);
  }

  /** The commit is made: what goes wrong with old checkouts is no failure of this composition. */
  async #trim(base: string): Promise<void> {
    try {
      await trimBaseCheckouts(this.#repo, base, this.#workspace);
    } catch (error) {
      const message = `Old checkouts stay: ${(error as Error).message}`;
      this.#options.onEvent?.({ type: 'warning', message });
    }
  }

  get #environment(): Record<string, string> {
    return {
      SOURCE_DATE_EPOCH: String(Math.floor(this.#timestamp.getTime() / 1000)),
      ...(this.#questionsAreSeen && { DEBCONF_NONINTERACTIVE_SEEN: 'true' }),
    };
  }

  async #refresh(): Promise<void> {
    if (this.#options.refresh === false) return;
    const { signal, onEvent } = this.#options;
    await this.#meter.measure('download', () => this.#resolver.update({ signal, onEvent }));
  }

  /** What a tree starts with, and the essential packages with what they need. */
  async #firstPackages(
    cache: AptCache,
    variant: BaseRequest['variant'],
  ): Promise<{ names: string[]; essential: Set<string> }> {
    const names = new Set((await cache.list({ essential: true })).map(({ name }) => name));
    // The tree is merged from the start, so the package that says so replaces the converter.
    const merged = await cache.package('usr-is-merged');
    if (merged?.candidate) names.add('usr-is-merged');
    const { packages } = await this.#solve(cache, { install: [...names] });
    const essential = new Set(packages.map(({ name }) => name));
    if (variant === 'minbase') {
      for (const { name } of await cache.list({ priorities: ['required'] })) names.add(name);
      names.add('apt');
    }
    return { names: [...names], essential };
  }

  /** Fetches and imports what the cache in the repository lacks. */
  async #obtain(
    cache: AptCache,
    plan: AptPlan,
    installed: readonly InstalledPackage[],
  ): Promise<Material> {
    const { signal, onEvent } = this.#options;
    const wanted = plan.packages.filter((entry) => !isRemoved(entry));
    this.#coinstalled = coinstalled([...installed, ...wanted]);
    const found = await findImported(this.#repo, wanted, { signal });
    const imported = new Map<string, ImportedDeb>();
    for (const [index, entry] of wanted.entries()) {
      const known = found[index];
      if (known) imported.set(packageKey(entry), known);
    }
    const needed = wanted.filter(
      (entry) => !imported.has(packageKey(entry)) || this.#isReal(entry),
    );
    const files = new Map<string, string>();
    const material = { imported, files, fetch: this.#fetchLater };
    if (needed.length === 0) return material;
    const fetched = await this.#fetch(cache, needed);
    for (const entry of fetched) files.set(packageKey(entry), entry.path);
    const missing = fetched.filter((entry) => !imported.has(packageKey(entry)));
    await this.#meter.measure('import', async () => {
      const added = await importDebs(this.#repo, missing, { signal, onProgress: onEvent });
      for (const [index, entry] of missing.entries()) {
        imported.set(packageKey(entry), added[index] as ImportedDeb);
      }
    });
    return material;
  }

  #fetch(cache: AptCache, wanted: readonly AptPlanPackage[]): Promise<FetchedPackage[]> {
    const { signal, onEvent } = this.#options;
    return this.#meter.measure('download', () =>
      cache.fetch(wanted, { signal, onProgress: onEvent }),
    );
  }

  /** When the package lists have been let go. */
  readonly #fetchLater: Material['fetch'] = async (wanted) => {
    try {
      const fetched = await this.#fetch(await this.#open(this.#database), wanted);
      return new Map(fetched.map((entry) => [packageKey(entry), entry.path]));
    } finally {
      this.#resolver.release();
    }
  };

  /**
   * Unpacked with its content: over an older version, whose scripts run while the new files are
   * already there; essential, because every script may use it at any moment; or of several
   * architectures, because dpkg compares the files that they share.
   */
  #isReal(entry: AptPlanPackage): boolean {
    if (this.#options.engine === 'reference') return true;
    return entry.action !== 'install' || entry.essential || this.#coinstalled.has(entry.name);
  }

  #steps(plan: AptPlan): Step[] {
    const exact = this.#options.engine === 'reference';
    return planSteps(plan, this.#resolver.architecture, exact);
  }

  async #apply(layers: LayerStack, plan: AptPlan, material: Material): Promise<void> {
    if (plan.operations.length === 0) return;
    const { answers, signal } = this.#options;
    if (answers && Object.keys(answers).length > 0) {
      const directory = await this.#workspace.directory('answers');
      const run = await layers.nextRun('answers');
      await presetAnswers({ ...run, environment: this.#environment, signal }, answers, directory);
      layers.push({ directory: run.upper });
    }
    for (const step of this.#steps(plan)) {
      if (step.kind === 'unpack') {
        await this.#meter.measure('unpack', () => this.#unpack(layers, step.packages, material));
      } else {
        await this.#meter.measure('configure', () => this.#runStep(layers, step, plan));
      }
    }
    await this.#recordAutomatic(layers, plan);
  }

  /** dpkg knows nothing of it; apt would have written it after dpkg. */
  async #recordAutomatic(layers: LayerStack, plan: AptPlan): Promise<void> {
    const before = (await orMissing(layers.readFile(kExtendedStates)))?.toString('utf8') ?? '';
    const marks = plan.packages.map(({ name, architecture, action, auto }) => ({
      name,
      architecture,
      auto: auto && action !== 'remove' && action !== 'purge',
    }));
    const after = updateExtendedStates(before, marks, this.#resolver.architecture);
    if (after === before) return;
    const directory = await this.#workspace.directory('apt-state');
    await placeFile(directory, kExtendedStates, after);
    layers.push({ directory });
  }

  #unpack(
    layers: LayerStack,
    packages: readonly AptPlanPackage[],
    material: Material,
  ): Promise<void> {
    const { signal, onEvent } = this.#options;
    return unpack({
      repo: this.#repo,
      workspace: this.#workspace,
      layers,
      packages,
      material,
      isReal: (entry) => this.#isReal(entry),
      environment: this.#environment,
      onEvent,
      signal,
    });
  }

  async #runStep(
    layers: LayerStack,
    step: Exclude<Step, { kind: 'unpack' }>,
    plan: AptPlan,
  ): Promise<void> {
    const { signal, onEvent } = this.#options;
    const run = await layers.nextRun(step.kind);
    const command =
      step.kind === 'remove'
        ? removeCommand(step.packages, step.purge)
        : step.packages
          ? configureSomeCommand(step.packages)
          : configureCommand();
    const total = step.packages?.length ?? plan.packages.length;
    const environment = this.#environment;
    await runDpkg({ ...run, command, environment, total, onEvent, signal });
    layers.push({ directory: run.upper });
  }

  async #finish(
    layers: LayerStack,
    tree: MutableTree,
    changes: AptPlanPackage[],
    about: { metadata: Record<string, Variant>; digest: string | undefined; base?: string },
  ): Promise<AssemblyResult> {
    const { metadata, digest, base } = about;
    this.#review();
    const { signal, ref, subject, body, version } = this.#options;
    const status = (await layers.readFile(kStatus)).toString('utf8');
    requireConfigured(status);
    const packages = parseStatus(status);
    const accounts = await readAccounts((file) => layers.readFile(file));
    const ledger = mergeLedgers(accountIds(accounts), this.#ledger);
    this.#additions.push(...idEdits(ledger, accounts));
    let kernel: string | undefined;
    const { result: commit, stats } = await this.#repo.transaction(async (transaction) => {
      kernel = await mergeImage({
        repo: this.#repo,
        tree,
        layers,
        meter: this.#meter,
        fromImage: base !== undefined,
        removeSecrets: !this.#keepsSecrets(base),
        secrets: this.#secrets,
        initramfsTriggered: this.#initramfsTriggered(),
        additions: this.#additions,
        environment: this.#environment,
        onEvent: this.#options.onEvent,
        signal,
      });
      return this.#meter.measure('commit', async () => {
        const root = await transaction.writeTree(tree, { signal });
        const checksum = await transaction.writeCommit({
          tree: root,
          parent: base,
          subject: subject ?? describePlan(changes, base),
          body,
          timestamp: this.#timestamp,
          metadata: {
            ...this.#options.metadata,
            ...metadata,
            ...(digest === undefined ? {} : { [kInputs]: variant('s', digest) }),
            ...(version === undefined ? {} : { version: variant('s', version) }),
            ...(kernel === undefined
              ? {}
              : { 'ostree.bootable': variant('b', true), 'ostree.linux': variant('s', kernel) }),
            'apt-ostree.packages': variant(
              'a(sss)',
              packages.map((entry) => [entry.name, entry.version, entry.architecture]),
            ),
          },
        });
        if (ref !== undefined) await transaction.setRef(ref, checksum);
        return checksum;
      });
    });
    if (digest !== undefined) await rememberCommit(this.#repo, this.#workspace, digest, commit);
    const phases = this.#meter.times;
    return { commit, base, packages, changes, kernel, unchanged: false, phases, stats };
  }

  /** @param present the accounts that are there from the start */
  async #scaffolding(present: IdLedger): Promise<string> {
    const directory = await this.#workspace.directory('scaffolding');
    await writeScaffolding(directory);
    await writeIdTools(directory, this.#ledger, present);
    return directory;
  }

  async #addSources(layers: LayerStack): Promise<void> {
    const content = await this.#resolver.sourcesFor((file) => orMissing(layers.readFile(file)));
    this.#additions.push({
      op: 'file',
      path: '/etc/apt/sources.list.d/apt-ostree.sources',
      content,
      mode: 0o644,
      uid: 0,
      gid: 0,
    });
  }
}

function required(imported: Map<string, ImportedDeb>, entry: AptPlanPackage): ImportedDeb {
  const found = imported.get(packageKey(entry));
  if (!found) throw new TypeError(`${packageKey(entry)} was not imported`);
  return found;
}
