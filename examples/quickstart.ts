/**
 * The main job, whole, in one process: the machine's own package sources become a base tree, the
 * tree becomes a deployment, packages are layered on it, the result is deployed, compared and
 * rolled back. Run by `npm run quickstart`.
 *
 *   --json             events as JSON lines instead of bars
 *   --directory DIR    where to work; default /var/tmp/apt-ostree-quickstart
 *   --clean            remove what an earlier run left, and end
 */

import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import {
  Composer,
  compareVersions,
  diffPackages,
  formatStatus,
  hostRelease,
  packagesOf,
  readSources,
  removeTree,
  Sysroot,
  sourcesForRelease,
  status,
} from 'apt-ostree';
import { jsonReporter, textReporter } from './support/progress.js';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    clean: { type: 'boolean', default: false },
    directory: { type: 'string', default: '/var/tmp/apt-ostree-quickstart' },
  },
});

const kStateroot = 'debian';
const kLayered = ['htop', 'nginx-light'];
const kKernels: Partial<Record<NodeJS.Architecture, string>> = {
  x64: 'linux-image-cloud-amd64',
  arm64: 'linux-image-cloud-arm64',
};

const directory = path.resolve(values.directory);
if (values.clean) {
  await removeTree(directory);
  process.stdout.write(`Removed ${directory}.\n`);
} else {
  await quickstart();
}

async function quickstart(): Promise<void> {
  const report = values.json
    ? jsonReporter((line) => process.stdout.write(`${line}\n`))
    : textReporter(process.stdout);
  // Loads the addon, as the first use of the library would; from here on the event loop is watched.
  compareVersions('1', '2');
  const loop = monitorEventLoopDelay({ resolution: 1 });
  loop.enable();
  const times: { step: string; seconds: number }[] = [];
  const step = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    report.note(`${name} ...`, { step: name });
    const start = performance.now();
    const result = await work();
    times.push({ step: name, seconds: (performance.now() - start) / 1000 });
    return result;
  };

  const codename = hostRelease();
  if (codename === undefined) throw new Error('This machine does not say which release it runs.');
  const sources = sourcesForRelease(readSources(), codename);
  const branch = `debian/${codename}/base`;
  const sysrootPath = path.join(directory, 'sysroot');

  await mkdir(directory, { recursive: true });
  await using sysroot = await step('Create the sysroot', async () => {
    const sysroot = await Sysroot.initialize(sysrootPath);
    await sysroot.initStateroot(kStateroot).catch((error: { code?: string }) => {
      // A run before this one left it; its imported packages are used again.
      if (error.code !== 'EEXIST') throw error;
    });
    return sysroot;
  });
  await using repo = await sysroot.repo();
  const composer = new Composer({ repo, sources });

  const base = await step(`Compose a base tree of ${codename}`, () =>
    composer.compose({
      ref: branch,
      version: `${codename}.1`,
      packages: [
        kKernels[process.arch] ?? 'linux-image-generic',
        'initramfs-tools',
        'ostree-boot',
        'systemd-sysv',
        'udev',
        'dbus',
        'kmod',
        'procps',
        'e2fsprogs',
        'iproute2',
      ],
      onEvent: report.event,
    }),
  );
  report.note(`Base ${base.commit}: ${base.packages.length} packages, kernel ${base.kernel}`);

  const kernelArguments = ['rw', 'root=LABEL=root'];
  await step('Deploy the base', () =>
    sysroot.deploy({ stateroot: kStateroot, rev: base.commit, refspec: branch, kernelArguments }),
  );

  const layered = await step(`Layer ${kLayered.join(' and ')}`, () =>
    composer.layer({
      base: base.commit,
      install: kLayered,
      ref: `apt-ostree/layered/${kStateroot}`,
      version: `${codename}.1`,
      refresh: false,
      onEvent: report.event,
    }),
  );
  await step('Deploy the layered tree', () =>
    sysroot.deploy({
      stateroot: kStateroot,
      rev: layered.commit,
      refspec: branch,
      kernelArguments,
    }),
  );
  await sysroot.cleanup();

  const before = await status(sysroot);
  report.note(formatStatus(before), { status: before });

  const difference = diffPackages(
    await packagesOf(repo, base.commit),
    await packagesOf(repo, layered.commit),
    compareVersions,
  );
  report.note(
    [
      `Packages, from ${base.commit.slice(0, 10)} to ${layered.commit.slice(0, 10)}:`,
      ...difference.added.map(({ name, version }) => `  + ${name} ${version}`),
      ...difference.removed.map(({ name, version }) => `  - ${name} ${version}`),
      ...[...difference.upgraded, ...difference.downgraded].map(
        ({ name, from, to }) => `  ~ ${name} ${from} -> ${to}`,
      ),
    ].join('\n'),
    { packages: difference },
  );

  await step('Roll back', async () => {
    const previous = sysroot.deployments[1];
    if (previous) await sysroot.setDefault(previous.id);
  });
  const after = await status(sysroot);
  report.note(formatStatus(after), { status: after });

  loop.disable();
  const usage = {
    seconds: times,
    eventLoopDelayMs: Number((loop.max / 1e6).toFixed(1)),
    peakMegabytes: Number((process.resourceUsage().maxRSS / 1024).toFixed(0)),
    directory,
  };
  report.note(
    [
      ...times.map(({ step, seconds }) => `${step.padEnd(36)} ${seconds.toFixed(2).padStart(8)} s`),
      '',
      `Longest wait of the event loop: ${usage.eventLoopDelayMs} ms; peak memory: ${usage.peakMegabytes} MB.`,
      `Left in ${directory}: sysroot (deployments, and the repository in ostree/repo).`,
      'Remove it with: npm run quickstart -- --clean',
    ].join('\n'),
    { summary: usage },
  );
}
