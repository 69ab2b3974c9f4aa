/** The same request by this library and by apt-get, on the same base, compared path by path. */

import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { Composer, type FallbackEvent, type Repo } from 'apt-ostree';
import { baseCheckout } from '../../lib/compose/base.js';
import { runInSandbox } from '../../lib/compose/sandbox.js';
import { Workspace } from '../../lib/compose/workspace.js';
import type { AptRepository } from '../support/apt-repository.js';
import { run } from '../support/run.js';
import { removeTree } from '../support/temp.js';
import { allowed, kTexts, type TextRule } from './allowed.js';
import { kArchive, runInChroot } from './chroot.js';
import { describe } from './describe.js';

export interface Request {
  install?: readonly string[];
  remove?: readonly string[];
  /** Requests with the version to put in place of the base's. */
  replace?: readonly string[];
  /** A layered commit whose requests are repeated; they are those of the other fields. */
  layered?: string;
}

export interface Difference {
  path: string;
  ours?: string;
  theirs?: string;
}

export interface Comparison {
  /** What was made. */
  commit: string;
  differences: Difference[];
  /** Differences that a rule allows. */
  tolerated: { path: string; reason: string }[];
  /** Paths looked at. */
  paths: number;
  /** What `dpkg --audit`, `dpkg -V` and `apt-get check` say about our tree; empty when sound. */
  complaints: string[];
  /** Steps that the engine did again with real packages. */
  fallbacks: FallbackEvent[];
  seconds: { ours: number; theirs: number };
  /** Both trees, for a closer look, while the comparison's directory exists. */
  roots: { ours: string; theirs: string };
}

const kTimestamp = new Date(1_700_000_000_000);
/** Of apt, where it leaves nothing in the tree. */
const kState = '/run/state';

const kAptOptions = [
  `Dir::State::lists=${kState}/lists`,
  `Dir::Cache=${kState}/cache`,
  `Dir::Log=${kState}/log`,
  `Dir::Etc::sourcelist=${kState}/sources.list`,
  'Dir::Etc::sourceparts=-',
  'APT::Sandbox::User=root',
  'APT::Install-Recommends=false',
  'Dpkg::Use-Pty=false',
  'Dpkg::Options::=--force-unsafe-io',
  'Dpkg::Options::=--force-confdef',
  'Dpkg::Options::=--force-confold',
].flatMap((option) => ['-o', option]);

const kEnvironment = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  TERM: 'dumb',
  LC_ALL: 'C.UTF-8',
  DEBIAN_FRONTEND: 'noninteractive',
  // Times are data in places; an initramfs takes long and is made beside the modules by the engine.
  SOURCE_DATE_EPOCH: String(kTimestamp.getTime() / 1000),
  INITRD: 'No',
};

export class Differential {
  readonly #repo: Repo;
  readonly #archive: AptRepository;
  readonly #directory: string;
  readonly #composer: Composer;
  #counter = 0;

  /** @param directory on the file system of `repo` */
  constructor(
    repo: Repo,
    archive: AptRepository,
    directory: string,
    foreignArchitectures: readonly string[] = [],
  ) {
    this.#repo = repo;
    this.#archive = archive;
    this.#directory = directory;
    this.#composer = new Composer({ repo, sources: archive.source, foreignArchitectures });
  }

  /** A layered tree, to go on from. */
  async layer(base: string, install: readonly string[]): Promise<string> {
    const options = { base, install, refresh: false, timestamp: kTimestamp };
    return (await this.#composer.layer(options)).commit;
  }

  /** A base tree from the archive. */
  async base(packages: readonly string[]): Promise<string> {
    return (await this.#composer.compose({ packages, timestamp: kTimestamp })).commit;
  }

  async compare(base: string, request: Request): Promise<Comparison> {
    this.#counter += 1;
    const work = path.join(this.#directory, `compare-${this.#counter}`);
    await mkdir(work);
    const start = performance.now();
    const { layered, ...changes } = request;
    const common = { base, refresh: false, timestamp: kTimestamp };
    const result =
      layered === undefined
        ? await this.#composer.layer({ ...common, ...changes, unasked: 'allow' })
        : await this.#composer.relayer({ ...common, layered });
    const middle = performance.now();
    const theirs = await this.#withApt(await this.#rootForm(base), work, request);
    const end = performance.now();
    const ours = await this.#rootForm(result.commit);
    const [left, right] = [await describe(ours), await describe(theirs)];
    const differences: Difference[] = [];
    const tolerated: Comparison['tolerated'] = [];
    const paths = new Set([...left.keys(), ...right.keys()]);
    for (const file of [...paths].sort()) {
      const [mine, other] = [left.get(file), right.get(file)];
      if (mine === other) continue;
      const rule =
        allowed(file, mine, other) ?? (await samePart(file, ours, theirs, layered !== undefined));
      if (rule) tolerated.push({ path: file, reason: rule.reason });
      else differences.push({ path: file, ours: mine, theirs: other });
    }
    const complaints = await this.#check(ours, work);
    await run('ostree', [`--repo=${this.#repo.path}`, 'fsck', '-q']);
    return {
      commit: result.commit,
      differences,
      tolerated,
      paths: paths.size,
      complaints,
      fallbacks: result.record.fallbacks,
      seconds: { ours: (middle - start) / 1000, theirs: (end - middle) / 1000 },
      roots: { ours, theirs },
    };
  }

  async clean(): Promise<void> {
    await removeTree(path.join(this.#directory, `compare-${this.#counter}`));
  }

  async #rootForm(commit: string): Promise<string> {
    await using workspace = await Workspace.create(this.#repo);
    return await baseCheckout(this.#repo, commit, workspace);
  }

  /** apt-get with the real packages on a copy of `base`. The directory of the result. */
  async #withApt(base: string, work: string, request: Request): Promise<string> {
    const { install = [], remove = [], replace = [] } = request;
    const wanted = [...install, ...replace, ...remove.map((name) => `${name}-`)];
    const root = path.join(work, 'root');
    const { codename, directory } = this.#archive;
    const list = `deb [trusted=yes] file:${kArchive} ${codename} main`;
    const apt = (command: string) => `apt-get -qy ${kAptOptions.join(' ')} ${command}`;
    await runInChroot({
      base,
      root,
      archive: directory,
      script: `umask 022
mkdir -p ${kState}/lists ${kState}/cache ${kState}/log
echo "${list}" > ${kState}/sources.list
${apt('update')}
${apt(`--purge --allow-downgrades --allow-change-held-packages --allow-remove-essential install ${wanted.join(' ')}`)}`,
      environment: kEnvironment,
    });
    return root;
  }

  /** The package database must be consistent with itself and with the files. */
  async #check(root: string, work: string): Promise<string[]> {
    await mkdir(path.join(work, 'run-check'));
    const { exitCode, tail } = await runInSandbox({
      directory: path.join(work, 'run-check'),
      lower: [root],
      upper: path.join(work, 'upper-check'),
      command: ['sh', '-c', 'dpkg --audit; dpkg -V; apt-get -qq check || echo apt-get check: $?'],
    });
    const lines = tail.split('\n').filter((line) => line !== '');
    return exitCode === 0 ? lines : [...lines, `status ${exitCode}`];
  }
}

/** The rule for files of which only a part is compared. */
async function samePart(
  file: string,
  ours: string,
  theirs: string,
  relayered: boolean,
): Promise<TextRule | undefined> {
  const rule = kTexts.find(
    ({ path: name, relayeredOnly }) => name === file && (relayered || !relayeredOnly),
  );
  if (!rule) return undefined;
  const part = async (root: string) => {
    const text = await readFile(path.join(root, file), 'utf8').catch(() => undefined);
    return text === undefined ? undefined : rule.same(text);
  };
  const mine = await part(ours);
  return mine !== undefined && mine === (await part(theirs)) ? rule : undefined;
}
