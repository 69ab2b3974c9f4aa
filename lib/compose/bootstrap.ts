/**
 * The first packages of a tree that starts from nothing.
 *
 * dpkg runs from a *seed* root, the union of the packages' trees as hardlinks, and unpacks hollow
 * packages into the new root. No program of the new root can run before its files are filled in,
 * so preinst scripts are held back: after the fill they run in apt's order, as they would have
 * on an empty root, then everything is configured.
 */

import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { ComposeError } from '../errors.js';
import type { Repo } from '../ostree/repo.js';
import {
  configureCommand,
  configureSomeCommand,
  kDebsInside,
  runDpkg,
  unpackCommand,
} from './dpkg.js';
import type { ComposeListener } from './events.js';
import { placeFile } from './files.js';
import { type ImportedDeb, writeHollowDebs } from './import.js';
import { fillLayer } from './layer.js';
import type { LayerStack } from './layers.js';
import { throwIfDiskFull } from './sandbox.js';
import { bracketScript } from './scripts.js';
import { kTarget, readMaster, writeSeed } from './seed.js';
import { writeSkeleton } from './skeleton.js';
import { runScripts } from './supervise.js';
import type { Workspace } from './workspace.js';

/**
 * Configured first and without regard to dependencies, in this order: scripts of essential
 * packages count on users, the base directories, awk and debconf, and only these can run before
 * anything else is configured.
 */
const kConfigureFirst = ['base-passwd', 'base-files', 'mawk', 'gawk', 'original-awk', 'debconf'];

const kInfo = 'var/lib/dpkg/info';
/** Where dpkg keeps the control members of the package that it unpacks. */
const kUnpackedControl = '/var/lib/dpkg/tmp.ci';
const kControlInside = '/run/apt-ostree/control';

export interface BootstrapOptions {
  repo: Repo;
  workspace: Workspace;
  layers: LayerStack;
  /** In apt's order of unpacking. */
  packages: readonly ImportedDeb[];
  /** Names of the essential packages and what they need. */
  essential: ReadonlySet<string>;
  architecture: string;
  foreignArchitectures: readonly string[];
  environment: Readonly<Record<string, string>>;
  onEvent?: ComposeListener;
  signal?: AbortSignal;
  phase: <T>(name: 'unpack' | 'configure', work: () => Promise<T>) => Promise<T>;
}

export async function bootstrap(options: BootstrapOptions): Promise<void> {
  const { workspace, layers, phase } = options;
  const skeleton = await workspace.directory('skeleton');
  await writeSkeleton(skeleton, options.architecture, options.foreignArchitectures);
  layers.push({ directory: skeleton });
  await phase('unpack', async () => {
    const seed = await workspace.directory('seed');
    const { repo, packages, architecture, signal } = options;
    await writeSeed(repo, seed, packages, architecture, { signal });
    await unpack(options, seed);
  });
  await phase('configure', () => configure(options));
}

async function unpack(options: BootstrapOptions, seed: string): Promise<void> {
  const { repo, workspace, layers, packages, signal, onEvent } = options;
  const debs = await workspace.directory('debs');
  const files = packages.map((_, index) => `${index}.deb`);
  await writeHollowDebs(
    repo,
    packages.map(({ commit }, index) => ({
      commit,
      destination: path.join(debs, files[index] as string),
    })),
    { preinst: false, signal },
  );
  const run = await layers.nextRun('unpack');
  await runDpkg({
    ...run,
    tools: seed,
    mountAt: kTarget,
    binds: [{ source: debs, target: kDebsInside }],
    // Every dependency is in the set; their order is for configuring.
    command: unpackCommand(files, [`--root=${kTarget}`, '--force-depends']),
    archives: packages.map((entry) => entry.package),
    environment: options.environment,
    total: packages.length,
    onEvent,
    signal,
  });
  const { links } = await fillLayer(
    repo,
    run.upper,
    packages.map(({ commit }) => commit),
    { signal },
  );
  layers.push({ directory: run.upper, links });
}

async function configure(options: BootstrapOptions): Promise<void> {
  const { repo, layers, packages, environment, onEvent, signal } = options;
  const held = await heldBack(options);
  const run = await layers.nextRun('preinst');
  await writeFirstUsers(options, run.upper);
  for (const { entry, name } of held) {
    const script = await repo.readFile(entry.commit, '/deb/control/preinst');
    const file = `${kInfo}/${name}.preinst`;
    await placeFile(run.upper, file, script, 0o755);
  }
  await runPreinsts(options, held, run);
  layers.push({ directory: run.upper });

  const names = new Set(packages.map((entry) => entry.package));
  const first = kConfigureFirst.filter((name) => names.has(name));
  // Scripts may use essential packages without depending on them, their configuration files too.
  const essential = [...names].filter(
    (name) => options.essential.has(name) && !first.includes(name),
  );
  for (const command of [
    configureSomeCommand(first, ['--force-depends', '--no-triggers']),
    // Another alternative of a dependency may have been chosen for the whole set.
    ...(essential.length > 0
      ? [configureSomeCommand(essential, ['--force-depends', '--no-triggers'])]
      : []),
    configureCommand(),
  ]) {
    const configuring = await layers.nextRun('configure');
    const total = packages.length;
    await runDpkg({ ...configuring, command, environment, total, onEvent, signal });
    layers.push({ directory: configuring.upper });
  }
}

/** base-passwd and mawk make these when they are configured; preinst scripts need them before. */
async function writeFirstUsers(
  { repo, packages, signal }: BootstrapOptions,
  upper: string,
): Promise<void> {
  for (const name of ['passwd', 'group'] as const) {
    const master = await readMaster(repo, packages, name, { signal });
    await placeFile(upper, `etc/${name}`, master);
  }
}

/**
 * Calls each script as dpkg does for a package that was not there before (deb-preinst(5)), in the
 * directory where dpkg keeps a package's control members meanwhile: debconf looks for them there.
 */
async function runPreinsts(
  { repo, workspace, environment, signal, onEvent }: BootstrapOptions,
  held: readonly HeldScript[],
  run: Awaited<ReturnType<LayerStack['nextRun']>>,
): Promise<void> {
  const controls = await workspace.directory('control');
  for (const [index, { entry }] of held.entries()) {
    const target = path.join(controls, String(index));
    await repo.checkout(entry.commit, target, { subpath: '/deb/control', signal });
  }
  const lines = held.map(({ entry, name }, index) => {
    const call = `DPKG_MAINTSCRIPT_PACKAGE=${entry.package} DPKG_MAINTSCRIPT_ARCH=${entry.architecture} ${kUnpackedControl}/preinst`;
    const script = bracketScript(`/${kInfo}/${name}.preinst`, 'install', call);
    const copy = `cp -R ${kControlInside}/${index} ${kUnpackedControl}`;
    return `${copy} || exit 1\n{\n${script}\n} || exit 1\nrm -rf ${kUnpackedControl}`;
  });
  const result = await runScripts({
    ...run,
    binds: [{ source: controls, target: kControlInside }],
    command: ['sh', '-c', ['[ -e /usr/bin/awk ] || ln -s mawk /usr/bin/awk', ...lines].join('\n')],
    environment: {
      ...environment,
      DPKG_ADMINDIR: '/var/lib/dpkg',
      DPKG_MAINTSCRIPT_NAME: 'preinst',
      DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT: '1',
      DPKG_ROOT: '',
    },
    onEvent,
    signal,
  });
  if (result.exitCode === 0) return;
  const failed = result.lastScript?.package;
  throwIfDiskFull(result.tail, run.upper, failed);
  throw new ComposeError(
    'ERR_COMPOSE_SCRIPT',
    `${failed}: preinst install failed: ${result.tail.split('\n').at(-1) ?? ''}`,
    { package: failed, script: 'preinst', output: result.tail },
  );
}

/** A preinst script that has yet to run, and how dpkg's database names its package. */
interface HeldScript {
  entry: ImportedDeb;
  name: string;
}

/** dpkg names the files of co-installable packages with the architecture. */
async function heldBack({ packages, layers }: BootstrapOptions): Promise<HeldScript[]> {
  const known = new Set(await readdir(path.join(layers.directories[0] as string, kInfo)));
  return packages
    .filter(({ scripts }) => scripts.includes('preinst'))
    .map((entry) => ({
      entry,
      name: known.has(`${entry.package}.list`)
        ? entry.package
        : `${entry.package}:${entry.architecture}`,
    }));
}
