/**
 * libapt-pkg in process against apt's tools and python-apt, on the whole archive, in one run.
 *
 * apt-get takes part with `-s`, and with `--assume-no --download-only` where it has to ask: it then
 * stops at the question. Never with `--assume-no` alone, which installs where there is nothing to
 * ask; with `--download-only` it could at most fill the directory of this benchmark.
 */

import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { type AptCache, AptContext, hostRelease, readSources, sourcesForRelease } from 'apt-ostree';
import { aptEnvironment } from '../test/support/apt-get.js';
import { run } from '../test/support/run.js';
import { benchLoop } from './loop.js';
import { measure, median, printComparison, type Row, type Sample } from './measure.js';
import { type Watched, watched } from './watched.js';

const kLanguages = { 'Acquire::Languages': 'en' };
const kWords = 'terminal emulator';
const kPython = '/usr/bin/python3';

/** The same work in python-apt; each step prints its wall-clock and CPU seconds. */
const kPythonSteps = `
import apt_pkg, json, time
apt_pkg.init()
steps = {}
def step(name, work):
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    steps[name] = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    return result
cache = step("open", lambda: apt_pkg.Cache(None))
marks = apt_pkg.DepCache(cache)
def install(name):
    with apt_pkg.ActionGroup(marks):
        marks.mark_install(cache[name])
    apt_pkg.ProblemResolver(marks).resolve(True)
step("hello", lambda: install("hello"))
step("reset", lambda: marks.init())
step("gnome-core", lambda: install("gnome-core"))
def iterate():
    return [(v.parent_pkg.name, v.ver_str, v.arch, v.section, v.size)
            for p in cache.packages for v in p.version_list]
step("versions", iterate)
def search():
    records = apt_pkg.PackageRecords(cache)
    places = sorted({(d[0].id, d[1]): d for p in cache.packages for v in p.version_list
                     for d in v.translated_description.file_list}.items())
    found = 0
    for _, place in places:
        records.lookup(place)
        found += "${kWords}" in records.long_desc.lower()
    return found
step("search", search)
print(json.dumps(steps))
`;

async function repeat(rounds: number, work: () => Promise<unknown>): Promise<Watched> {
  const samples: Watched[] = [];
  for (let i = 0; i < rounds; i++) samples.push(await watched(work));
  // The loop's worst moment of all, not of the median run.
  return { ...median(samples), delay: Math.max(...samples.map(({ delay }) => delay)) };
}

function show(title: string, ours: Watched, rivals: readonly Row[]): void {
  printComparison(title, { name: 'apt-ostree', sample: ours }, rivals);
  process.stdout.write(`      event loop waited at most ${ours.delay.toFixed(1)} ms\n`);
}

async function iterate(cache: AptCache): Promise<number> {
  let sum = 0;
  for await (const batch of cache.versions()) {
    for (const { name, version, recordArchitecture, section, size } of batch) {
      sum += name.length + version.length + recordArchitecture.length + section.length + size;
    }
  }
  return sum;
}

async function openDescriptors(): Promise<number> {
  return (await readdir('/proc/self/fd')).length;
}

/** Memory and descriptors before and after many caches. */
async function cycles(context: AptContext, count: number): Promise<void> {
  const once = async () => {
    await using cache = await context.open();
    await cache.solve({ install: ['hello'], order: false });
  };
  for (let i = 0; i < 20; i++) await once();
  const before = { rss: process.memoryUsage.rss(), descriptors: await openDescriptors() };
  const start = performance.now();
  for (let i = 0; i < count; i++) await once();
  const each = (performance.now() - start) / count;
  const grown = (process.memoryUsage.rss() - before.rss) / 2 ** 20;
  const more = (await openDescriptors()) - before.descriptors;
  process.stdout.write(
    `\n${count} caches opened, solved with and closed: ${each.toFixed(0)} ms each, ` +
      `${grown.toFixed(1)} MiB and ${more} descriptors more\n`,
  );
}

export async function benchApt(directory: string, rounds: number): Promise<void> {
  const sources = sourcesForRelease(readSources(), hostRelease() ?? 'stable');
  const state = path.join(directory, 'whole');
  await mkdir(state, { recursive: true });
  await using context = await AptContext.create({ directory: state, sources, config: kLanguages });
  await context.update();
  const env = await aptEnvironment(state, { config: kLanguages });
  const tool = (program: string, ...args: string[]) => run(program, args, { env });
  const rival = async (program: string, ...args: string[]): Promise<Row> => {
    const samples: Sample[] = [];
    for (let i = 0; i < Math.ceil(rounds / 3); i++) {
      samples.push(await measure(() => tool(program, ...args)));
    }
    return { name: [program, ...args].join(' '), sample: median(samples) };
  };
  const asking = async (name: string): Promise<Row> => {
    const args = ['--assume-no', '--download-only', 'install', name];
    const samples: Sample[] = [];
    for (let i = 0; i < Math.ceil(rounds / 3); i++) {
      const sample = await measure(() => run('apt-get', args, { env, anyStatus: true }));
      const { status, stdout } = sample.result;
      if (status !== 1 || !stdout.endsWith('Abort.\n')) throw new Error(`it went on: ${stdout}`);
      samples.push(sample);
    }
    return { name: ['apt-get', ...args].join(' '), sample: median(samples) };
  };
  // Binary caches and the page cache, for all sides.
  await tool('apt-cache', 'gencaches');
  await (await context.open()).close();
  const python: Record<string, Sample> | undefined = await tool(kPython, '-c', kPythonSteps).then(
    ({ stdout }) => JSON.parse(stdout),
    (error: Error) => {
      process.stdout.write(`python3-apt takes no part: ${error.message.trim()}\n`);
      return undefined;
    },
  );
  const pythonRow = (step: string, name = 'python3-apt, the call alone'): Row[] => {
    const sample = python?.[step];
    return sample ? [{ name, sample }] : [];
  };

  show(
    'Opening the lists to read them',
    await repeat(rounds, async () => (await context.open()).close()),
    [await rival('apt-cache', 'showpkg', 'hello'), ...pythonRow('open')],
  );
  await using cache = await context.open();
  const search = () => cache.search(kWords, { in: 'descriptions' });
  const searchTools = [await rival('apt-cache', 'search', kWords), ...pythonRow('search')];
  show('Searching all descriptions for the first time', await watched(search), searchTools);
  show('Searching them again', await repeat(rounds, search), searchTools);
  await iterate(cache);
  show(
    'All versions of all packages, five fields of each',
    await repeat(rounds, () => iterate(cache)),
    [await rival('apt-cache', 'dumpavail'), ...pythonRow('versions')],
  );
  await cache.solve({ install: ['hello'] });
  for (const name of ['hello', 'gnome-core']) {
    const solve = (order: boolean) => () => cache.solve({ install: [name], order });
    const rivals = [await rival('apt-get', '-s', 'install', name), ...pythonRow(name)];
    if (name === 'gnome-core') rivals.push(await asking(name));
    show(
      `Solving ${name} on an open cache, with reasons`,
      await repeat(rounds, solve(false)),
      rivals,
    );
    show(`... and with the order of work`, await repeat(rounds, solve(true)), rivals);
  }
  await using marks = await cache.marks();
  await marks.edit({ kind: 'install', package: 'gnome-core' });
  const snapshot = await marks.snapshot();
  await using branch = await marks.branch();
  const reset = pythonRow('reset', 'python3-apt, DepCache.init()');
  show('A snapshot of marks', await repeat(rounds, () => marks.snapshot()), reset);
  show('Rolling marks back', await repeat(rounds, () => marks.rollback(snapshot)), reset);
  show(
    'From one branch to another and back',
    await repeat(rounds, async () => {
      await branch.counts();
      await marks.counts();
    }),
    reset,
  );
  await cycles(context, 200);
  await benchLoop(context, cache);
}
