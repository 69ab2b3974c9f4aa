/** One composition: resolve, download, import, run dpkg over layers, merge, commit. */

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { AptCache, AptPlan, AptPlanPackage } from '../apt/cache.js';
import { ComposeError } from '../errors.js';
import type { TreeEdit } from '../ostree/mutable_tree.js';
import { MutableTree } from '../ostree/mutable_tree.js';
import type { Repo } from '../ostree/repo.js';
import type { TransactionStats } from '../ostree/transaction.js';
import { type Variant, variant } from '../variant.js';
import { presetAnswers } from './answers.js';
import { baseCheckout, trimBaseCheckouts } from './base.js';
import { bootstrap } from './bootstrap.js';
import type { CommitOptions } from './composer.js';
import {
  type InstalledPackage,
  packagesOf,
  parseStatus,
  readStatus,
  requireConfigured,
} from './database.js';
import {
  configureCommand,
  configureSomeCommand,
  kDebsInside,
  removeCommand,
  runDpkg,
  unpackCommand,
} from './dpkg.js';
import { kExtendedStates, updateExtendedStates } from './extended_states.js';
import { placeFile } from './files.js';
import { findImported, type ImportedDeb, importDebs, writeHollowDebs } from './import.js';
import { makeInitramfs, writeInitramfsHook } from './initramfs.js';
import { fillLayer, mergeLayer } from './layer.js';
import { LayerStack } from './layers.js';
import {
  kAptState,
  kDatabase,
  kernelVersions,
  kFactoryVar,
  listIfPresent,
  toImage,
  toRoot,
} from './layout.js';
import type { Meter, PhaseTime } from './meter.js';
import { normalise, tmpfiles } from './normalise.js';
import type { Database, Resolver } from './resolver.js';
import { removeSecrets } from './secrets.js';
import { writeScaffolding } from './skeleton.js';
import { planSteps, type Step } from './steps.js';
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
  phases: PhaseTime[];
  stats: TransactionStats;
}

interface AssemblyParts {
  repo: Repo;
  workspace: Workspace;
  resolver: Resolver;
  meter: Meter;
  options: CommitOptions;
}

/** dpkg's database, in the root form. */
const kStatus = 'var/lib/dpkg/status';

/** A package with what dpkg is to be given for it. */
interface Material {
  imported: Map<string, ImportedDeb>;
  /** Fetched files, for packages that must not be unpacked hollow. */
  files: Map<string, string>;
}

export class Assembly {
  readonly #repo: Repo;
  readonly #workspace: Workspace;
  readonly #resolver: Resolver;
  readonly #meter: Meter;
  readonly #options: CommitOptions;
  readonly #timestamp: Date;
  /** Applied to the root form of the finished tree. */
  readonly #additions: TreeEdit[] = [];
  /** See `#isReal`. */
  #coinstalled = new Set<string>();

  constructor(parts: AssemblyParts) {
    this.#repo = parts.repo;
    this.#workspace = parts.workspace;
    this.#resolver = parts.resolver;
    this.#meter = parts.meter;
    this.#options = parts.options;
    this.#timestamp = parts.options.timestamp ?? new Date();
  }

  async fromNothing(request: {
    packages: readonly string[];
    variant: 'essential' | 'minbase';
    writeSources: boolean;
  }): Promise<AssemblyResult> {
    await this.#refresh();
    const first = await this.#meter.measure('resolve', async () => {
      const cache = await this.#resolver.open({}, this.#options);
      return { cache, plan: await this.#solveFirst(cache, request.variant) };
    });
    const material = await this.#obtain(first.cache, first.plan, []);
    this.#resolver.release();
    const layers = this.#stack([await this.#scaffolding()]);
    await bootstrap({
      repo: this.#repo,
      workspace: this.#workspace,
      layers,
      packages: inOrder(first.plan).map((entry) => required(material.imported, entry)),
      architecture: this.#resolver.architecture,
      foreignArchitectures: this.#resolver.foreignArchitectures,
      environment: this.#environment,
      onEvent: this.#options.onEvent,
      signal: this.#options.signal,
      phase: (name, work) => this.#meter.measure(name, work),
    });
    await this.#recordAutomatic(layers, first.plan);
    if (request.writeSources) this.#addSources();
    const changes = inOrder(first.plan);
    if (request.packages.length > 0) {
      const second = await this.#meter.measure('resolve', async () => {
        const database = await this.#writeDatabase((file) => layers.readFile(file));
        const cache = await this.#resolver.open(database, this.#options);
        const { recommends = false, signal } = this.#options;
        const plan = await cache.solve({ install: [...request.packages], recommends, signal });
        return { cache, plan };
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
    return await this.#finish(layers, tree, changes, {
      'apt-ostree.requests': variant('as', [...request.packages]),
    });
  }

  async onBase(request: {
    base: string;
    install: readonly string[];
    remove: readonly string[];
  }): Promise<AssemblyResult> {
    const { base } = request;
    await this.#refresh();
    const { cache, plan } = await this.#meter.measure('resolve', async () => {
      const database = await this.#databaseOf(base);
      const cache = await this.#resolver.open(database, this.#options);
      const { recommends = false, signal } = this.#options;
      const plan = await cache.solve({
        install: [...request.install],
        remove: [...request.remove],
        recommends,
        signal,
      });
      return { cache, plan };
    });
    const material = await this.#obtain(cache, plan, await packagesOf(this.#repo, base));
    this.#resolver.release();
    const layers = await this.#meter.measure('assemble', async () => {
      const root = await baseCheckout(this.#repo, base, this.#workspace, this.#options.signal);
      return this.#stack([root, await this.#scaffolding()]);
    });
    await this.#apply(layers, plan, material);
    using tree = await MutableTree.fromCommit(this.#repo, base);
    const result = await this.#finish(
      layers,
      tree,
      inOrder(plan),
      {
        'apt-ostree.base': variant('s', base),
        'apt-ostree.requests': variant('as', [...request.install]),
        'apt-ostree.removals': variant('as', [...request.remove]),
      },
      base,
    );
    await this.#trim(base);
    return result;
  }

  #stack(below: readonly string[]): LayerStack {
    return new LayerStack(this.#workspace, below, this.#options.limits);
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
    return { SOURCE_DATE_EPOCH: String(Math.floor(this.#timestamp.getTime() / 1000)) };
  }

  async #refresh(): Promise<void> {
    if (this.#options.refresh === false) return;
    const { signal, onEvent } = this.#options;
    await this.#meter.measure('download', () => this.#resolver.update({ signal, onEvent }));
  }

  async #solveFirst(cache: AptCache, variant: 'essential' | 'minbase'): Promise<AptPlan> {
    const chosen = await cache.list({ essential: true });
    if (variant === 'minbase') chosen.push(...(await cache.list({ priorities: ['required'] })));
    const names = new Set(chosen.map(({ name }) => name));
    if (variant === 'minbase') names.add('apt');
    // The tree is merged from the start, so the package that says so replaces the converter.
    const merged = await cache.package('usr-is-merged');
    if (merged?.candidate) names.add('usr-is-merged');
    const { signal } = this.#options;
    return cache.solve({ install: [...names], recommends: false, signal });
  }

  /** Fetches and imports what the cache in the repository lacks. */
  async #obtain(
    cache: AptCache,
    plan: AptPlan,
    installed: readonly InstalledPackage[],
  ): Promise<Material> {
    const { signal, onEvent } = this.#options;
    const wanted = plan.packages.filter(isUnpacked);
    this.#coinstalled = coinstalled([...installed, ...wanted]);
    const found = await findImported(this.#repo, wanted, { signal });
    const imported = new Map<string, ImportedDeb>();
    for (const [index, entry] of wanted.entries()) {
      const known = found[index];
      if (known) imported.set(id(entry), known);
    }
    const needed = wanted.filter((entry) => !imported.has(id(entry)) || this.#isReal(entry));
    const files = new Map<string, string>();
    if (needed.length === 0) return { imported, files };
    await this.#meter.measure('download', async () => {
      const fetched = await cache.fetch(needed, { signal, onProgress: onEvent });
      for (const entry of fetched) files.set(id(entry), entry.path);
    });
    const missing = needed
      .filter((entry) => !imported.has(id(entry)))
      .map((entry) => ({ ...entry, path: files.get(id(entry)) as string }));
    await this.#meter.measure('import', async () => {
      const added = await importDebs(this.#repo, missing, { signal, onProgress: onEvent });
      for (const [index, entry] of missing.entries()) {
        imported.set(id(entry), added[index] as ImportedDeb);
      }
    });
    return { imported, files };
  }

  /**
   * Unpacked with its content: over an older version, whose scripts run while the new files are
   * already there; essential, because every script may use it at any moment; or of several
   * architectures, because dpkg compares the files that they share.
   */
  #isReal(entry: AptPlanPackage): boolean {
    return entry.action !== 'install' || entry.essential || this.#coinstalled.has(entry.name);
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
    for (const step of planSteps(plan, this.#resolver.architecture)) {
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
    const after = updateExtendedStates(before, plan.packages, this.#resolver.architecture);
    if (after === before) return;
    const directory = await this.#workspace.directory('apt-state');
    await placeFile(directory, kExtendedStates, after);
    layers.push({ directory });
  }

  async #unpack(
    layers: LayerStack,
    packages: readonly AptPlanPackage[],
    { imported, files }: Material,
  ): Promise<void> {
    const { signal, onEvent } = this.#options;
    const debs = await this.#workspace.directory('debs');
    const binds = [{ source: debs, target: kDebsInside }];
    const hollow: { commit: string; destination: string }[] = [];
    const names = packages.map((entry, index) => {
      const name = `${index}.deb`;
      const file = this.#isReal(entry) ? files.get(id(entry)) : undefined;
      if (file === undefined) {
        const { commit } = required(imported, entry);
        hollow.push({ commit, destination: path.join(debs, name) });
        return name;
      }
      binds.push({ source: file, target: `/run/apt-ostree/real/${name}` });
      return `../real/${name}`;
    });
    await writeHollowDebs(this.#repo, hollow, { signal });
    const run = await layers.nextRun('unpack');
    await runDpkg({
      ...run,
      binds,
      command: unpackCommand(names),
      archives: packages.map(({ name }) => name),
      environment: this.#environment,
      total: packages.length,
      onEvent,
      signal,
    });
    const { links } = await fillLayer(
      this.#repo,
      run.upper,
      hollow.map(({ commit }) => commit),
      { signal },
    );
    layers.push({ directory: run.upper, links });
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
    metadata: Record<string, Variant>,
    base?: string,
  ): Promise<AssemblyResult> {
    const { signal, ref, subject, body, version } = this.#options;
    const status = (await layers.readFile(kStatus)).toString('utf8');
    requireConfigured(status);
    const packages = parseStatus(status);
    let kernel: string | undefined;
    const { result: commit, stats } = await this.#repo.transaction(async (transaction) => {
      kernel = await this.#mergeInto(layers, tree, base);
      return this.#meter.measure('commit', async () => {
        const root = await transaction.writeTree(tree, { signal });
        const checksum = await transaction.writeCommit({
          tree: root,
          parent: base,
          subject: subject ?? describe(changes, base),
          body,
          timestamp: this.#timestamp,
          metadata: {
            ...this.#options.metadata,
            ...metadata,
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
    const phases = this.#meter.times;
    return { commit, base, packages, changes, kernel, phases, stats };
  }

  /** Brings the layers into the tree and the tree into the image form. */
  async #mergeInto(
    layers: LayerStack,
    tree: MutableTree,
    base: string | undefined,
  ): Promise<string | undefined> {
    const { signal } = this.#options;
    const repo = this.#repo;
    if (base !== undefined) {
      await tree.apply(repo, toRoot(await kernelVersions(this.#repo, tree)), { signal });
    }
    const merge = async (from: number) => {
      for (const layer of layers.merged.slice(from)) {
        await mergeLayer(repo, tree, layer.directory, { links: layer.links, signal });
      }
    };
    await this.#meter.measure('merge', () => merge(0));
    const kernels = await kernelVersions(this.#repo, tree);
    const merged = layers.merged.length;
    await this.#makeInitramfs(layers, tree, kernels);
    await this.#meter.measure('merge', async () => {
      await merge(merged);
      if ((this.#options.secrets ?? (base === undefined ? 'remove' : 'keep')) === 'remove') {
        const list = (directory: string) => listIfPresent(repo, tree, directory);
        await tree.apply(repo, await removeSecrets(list), { signal });
      }
      await tree.apply(repo, [...this.#additions, ...normalise(), ...toImage(kernels)], { signal });
      const state = await tree.list(repo, kFactoryVar, { recursive: true });
      const opt = await tree.list(repo, '/usr/lib/opt');
      const names = opt.map((entry) => path.basename(entry.path));
      await tree.apply(repo, [tmpfiles(state, names)], { signal });
    });
    return kernels.at(-1);
  }

  /** For kernels that have none, where the tree has the tool. */
  async #makeInitramfs(
    layers: LayerStack,
    tree: MutableTree,
    kernels: readonly string[],
  ): Promise<void> {
    const tool = await listIfPresent(this.#repo, tree, '/usr/sbin/mkinitramfs');
    if (tool.length === 0) return;
    for (const kernel of kernels) {
      const image = `/usr/lib/modules/${kernel}/initramfs.img`;
      const made = await listIfPresent(this.#repo, tree, image);
      if (made.length > 0) continue;
      await this.#meter.measure('kernel', async () => {
        const run = await layers.nextRun('initramfs');
        await writeInitramfsHook(run.upper);
        const { signal, onEvent } = this.#options;
        const onOutput = onEvent && ((line: string) => onEvent({ type: 'output' as const, line }));
        const environment = this.#environment;
        await makeInitramfs({ ...run, environment, onOutput, signal }, kernel);
        layers.push({ directory: run.upper });
      });
    }
  }

  async #scaffolding(): Promise<string> {
    const directory = await this.#workspace.directory('scaffolding');
    await writeScaffolding(directory);
    return directory;
  }

  #addSources(): void {
    this.#additions.push({
      op: 'file',
      path: '/etc/apt/sources.list.d/apt-ostree.sources',
      content: this.#resolver.sourcesText,
      mode: 0o644,
      uid: 0,
      gid: 0,
    });
  }

  /** The package database of a commit, for libapt-pkg. */
  #databaseOf(commit: string): Promise<Database> {
    return this.#writeDatabase(async (file) => {
      if (file === kExtendedStates) {
        return this.#repo.readFile(commit, `${kAptState}/extended_states`);
      }
      const status = await orMissing(readStatus(this.#repo, commit));
      if (status !== undefined) return status;
      throw new ComposeError(
        'ENOENT',
        `The base ${commit} has no package database: it was not made by a composition.`,
        { ref: commit, path: `${kDatabase}/status` },
      );
    });
  }

  /** Files that libapt-pkg can read, from a tree that `read` sees in the root form. */
  async #writeDatabase(read: (file: string) => Promise<Buffer>): Promise<Database> {
    const directory = await this.#workspace.directory('status');
    const status = path.join(directory, 'status');
    await writeFile(status, await read(kStatus));
    const states = await orMissing(read(kExtendedStates));
    if (states === undefined) return { status };
    const extendedStates = path.join(directory, 'extended_states');
    await writeFile(extendedStates, states);
    return { status, extendedStates };
  }
}

async function orMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Packages in the order in which apt would have dpkg unpack them. */
function inOrder(plan: AptPlan): AptPlanPackage[] {
  const byId = new Map(plan.packages.map((entry) => [id(entry), entry]));
  return plan.operations
    .filter(({ action }) => action === 'unpack')
    .flatMap((operation) => byId.get(id(operation)) ?? []);
}

function isUnpacked({ action }: AptPlanPackage): boolean {
  return action !== 'remove' && action !== 'purge';
}

/** Names with packages of several architectures, in what is installed and what a plan adds. */
function coinstalled(packages: readonly { name: string; architecture: string }[]): Set<string> {
  const seen = new Map<string, string>();
  const names = new Set<string>();
  for (const { name, architecture } of packages) {
    const before = seen.get(name) ?? architecture;
    if (before !== architecture) names.add(name);
    seen.set(name, before);
  }
  return names;
}

function id({
  name,
  version,
  architecture,
}: {
  name: string;
  version: string;
  architecture: string;
}) {
  return `${name}_${version}_${architecture}`;
}

function required(imported: Map<string, ImportedDeb>, entry: AptPlanPackage): ImportedDeb {
  const found = imported.get(id(entry));
  if (!found) throw new TypeError(`${id(entry)} was not imported`);
  return found;
}

function describe(changes: readonly AptPlanPackage[], base: string | undefined): string {
  if (base === undefined) return `Compose ${changes.length} packages`;
  const names = changes.map(({ name }) => name);
  const shown = names.slice(0, 5).join(' ');
  return `Layer ${shown}${names.length > 5 ? ` and ${names.length - 5} more` : ''}`;
}
