/**
 * How much a sandbox may use. A control group holds the line where this process may make one
 * (version 1 or 2); otherwise a watchdog counts. Either way everything inside is killed as soon
 * as a limit was met, for a script that cannot fork waits and tries again forever.
 */

import { mkdir, readdir, readFile, rmdir, stat, statfs, writeFile } from 'node:fs/promises';
import { totalmem } from 'node:os';
import path from 'node:path';
import { invalidArgValue } from '../errors.js';
import { heldSpace, SpaceMeter } from './space.js';

export interface SandboxLimits {
  /** Processes and threads at one time. @default 4096 */
  processes?: number;
  /**
   * Bytes of memory of all processes together, with what is in their /tmp and /run.
   * @default three quarters of the machine's
   */
  memory?: number;
  /** Seconds that one call of a maintainer script, or of the initramfs tool, may take. @default 3600 */
  seconds?: number;
  /**
   * Bytes that one run in the sandbox may write to the disk: all packages that dpkg unpacks or
   * configures in it. @default as many as there are
   */
  storage?: number;
}

export type LimitName = keyof SandboxLimits;

const kDefaults = {
  processes: 4096,
  memory: Math.floor(totalmem() * 0.75),
  seconds: 3600,
  storage: Number.POSITIVE_INFINITY,
};
const kPollMilliseconds = 100;
/** bubblewrap and the shell that starts the command. */
const kOwnProcesses = 4;

export type EffectiveLimits = Required<SandboxLimits>;

/** @throws TypeError for what is not a positive number. */
export function effectiveLimits(limits?: SandboxLimits | null): EffectiveLimits {
  const result = { ...kDefaults };
  for (const name of ['processes', 'memory', 'seconds', 'storage'] as const) {
    const value = limits?.[name];
    if (value === undefined || value === null) continue;
    if (!Number.isFinite(value) || value <= 0) {
      throw invalidArgValue(`options.limits.${name}`, 'must be a positive number');
    }
    Object.assign(result, { [name]: value });
  }
  return result;
}

interface ControlGroup {
  directory: string;
  /** Whether the sandbox is in it: joining may fail where making it did not. */
  joined?: boolean;
  /** Whether the limit was met so far. */
  exceeded: () => Promise<boolean>;
}

const kControllers = {
  processes: {
    controller: 'pids',
    files: ['pids.max'],
    events: ['pids.events'],
    pattern: /^max (\d+)$/m,
  },
  memory: {
    controller: 'memory',
    files: ['memory.max', 'memory.limit_in_bytes'],
    events: ['memory.events', 'memory.oom_control'],
    pattern: /^oom_kill (\d+)$/m,
  },
} as const;

let counter = 0;

/** Watches one run. */
export class LimitGuard {
  readonly #limits: EffectiveLimits;
  readonly #groups = new Map<'processes' | 'memory', ControlGroup>();
  #timer: NodeJS.Timeout | undefined;
  #checking: Promise<LimitName | undefined> | undefined;
  #child: number | undefined;
  readonly #clock: ProcessClock;
  #space: SpaceMeter | undefined;

  private constructor(limits: EffectiveLimits) {
    this.#limits = limits;
    this.#clock = new ProcessClock(limits.seconds);
  }

  /** @param upper takes all that is written */
  static async create(limits: EffectiveLimits, upper: string): Promise<LimitGuard> {
    const guard = new LimitGuard(limits);
    if (Number.isFinite(limits.storage)) {
      const held = () => guard.#heldSpace();
      guard.#space = await SpaceMeter.create(upper, limits.storage, held);
    }
    for (const name of ['processes', 'memory'] as const) {
      const value = limits[name];
      const group = await makeGroup(name, name === 'processes' ? value + kOwnProcesses : value);
      if (group) guard.#groups.set(name, group);
    }
    return guard;
  }

  /** The files that take the process id of what is to be limited. */
  get joinFiles(): string[] {
    return [...this.#groups.values()].map(({ directory }) => path.join(directory, 'cgroup.procs'));
  }

  /** @param onExceeded called once */
  start(onExceeded: (name: LimitName) => void): void {
    this.#timer = setInterval(() => {
      this.#checking ??= this.check().then((name) => {
        this.#checking = undefined;
        if (name !== undefined && this.#timer) {
          clearInterval(this.#timer);
          this.#timer = undefined;
          onExceeded(name);
        }
        return name;
      });
    }, kPollMilliseconds);
  }

  /** The first process of the sandbox's process namespace, as seen from here. */
  set child(pid: number) {
    this.#child = pid;
  }

  /** Which limit was met. */
  async check(): Promise<LimitName | undefined> {
    for (const name of ['processes', 'memory'] as const) {
      const group = this.#groups.get(name);
      if (group && (await group.exceeded())) return name;
      if (group && (await this.#isIn(group))) continue;
      if ((await this.#measure(name)) > this.#limits[name]) return name;
    }
    const space = await this.checkSpace();
    if (space !== undefined) return space;
    const proc = this.#clock.isDue ? await this.#proc() : undefined;
    return proc !== undefined && (await this.#clock.exceeded(proc)) ? 'seconds' : undefined;
  }

  /** Whether too much was written, which a run that has ended well does not show. */
  async checkSpace(): Promise<LimitName | undefined> {
    return (await this.#space?.exceeded()) ? 'storage' : undefined;
  }

  async #isIn(group: ControlGroup): Promise<boolean> {
    if (group.joined === undefined && this.#child !== undefined) {
      const text = await readFile(`/proc/${this.#child}/cgroup`, 'utf8').catch(() => undefined);
      group.joined = text?.includes(`/${path.basename(group.directory)}`);
    }
    return group.joined ?? false;
  }

  /** The sandbox's own /proc; undefined before it has one. */
  async #proc(): Promise<string | undefined> {
    if (this.#child === undefined) return undefined;
    const proc = `/proc/${this.#child}/root/proc`;
    try {
      // Until it has its own root the child shows the host's processes.
      return (await stat(proc)).dev === (await stat('/proc')).dev ? undefined : proc;
    } catch {
      return undefined;
    }
  }

  async #heldSpace(): Promise<number> {
    const proc = await this.#proc();
    return proc === undefined ? 0 : heldSpace(proc);
  }

  /** Everything inside must be dead. */
  async end(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#checking;
    for (const { directory } of this.#groups.values()) await removeGroup(directory);
  }

  async #measure(name: 'processes' | 'memory'): Promise<number> {
    const proc = await this.#proc();
    if (proc === undefined) return 0;
    try {
      const pids = (await readdir(proc)).filter((entry) => /^\d+$/.test(entry));
      if (name === 'processes') return pids.length - kOwnProcesses;
      let bytes = 0;
      for (const pid of pids) {
        const fields = await readFile(`${proc}/${pid}/statm`, 'utf8').catch(() => '');
        const [, resident = 0, shared = 0] = fields.split(' ').map(Number);
        bytes += (resident - shared) * 4096;
      }
      for (const name of ['tmp', 'run', 'dev', 'dev/shm']) {
        const { blocks, bfree, bsize } = await statfs(path.join(proc, '..', name));
        bytes += (blocks - bfree) * bsize;
      }
      return bytes;
    } catch {
      return 0;
    }
  }
}

/** Beyond the limit, so that whoever knows the script can tell first. */
const kGraceMilliseconds = 500;
/** A program of the sandbox may work so long by itself, however little its scripts may take. */
const kAloneMilliseconds = 60_000;
const kLongestPoll = 5000;

/**
 * How long scripts run. What dpkg prints about that, its scripts can print too; but only dpkg
 * itself has children.
 */
class ProcessClock {
  readonly #milliseconds: number;
  readonly #poll: number;
  #next = 0;
  /** When each child of the command was first seen; under an empty name: since it has none. */
  #seen = new Map<string, number>();

  constructor(seconds: number) {
    this.#milliseconds = seconds * 1000;
    this.#poll = Math.min(kLongestPoll, this.#milliseconds / 4);
  }

  get isDue(): boolean {
    return performance.now() >= this.#next;
  }

  async exceeded(proc: string): Promise<boolean> {
    const now = performance.now();
    this.#next = now + this.#poll;
    const processes = await listProcesses(proc);
    // The first process started a shell, and that one the command.
    const shell = Math.min(...processes.filter(({ parent }) => parent === 1).map(({ pid }) => pid));
    const command = processes.find(({ parent }) => parent === shell);
    if (!command) return false;
    const children = processes.filter(({ parent }) => parent === command.pid);
    const names = children.length === 0 ? [''] : children.map(({ name }) => name);
    this.#seen = new Map(names.map((name) => [name, this.#seen.get(name) ?? now]));
    return [...this.#seen].some(([name, since]) => {
      const most =
        name === '' ? Math.max(this.#milliseconds, kAloneMilliseconds) : this.#milliseconds;
      return now - since > most + kGraceMilliseconds;
    });
  }
}

interface Process {
  pid: number;
  parent: number;
  /** Tells it from a later process with the same number. */
  name: string;
}

async function listProcesses(proc: string): Promise<Process[]> {
  const found: Process[] = [];
  for (const entry of await readdir(proc).catch(() => [])) {
    if (!/^\d+$/.test(entry)) continue;
    const text = await readFile(`${proc}/${entry}/stat`, 'utf8').catch(() => '');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    if (fields.length < 20) continue;
    found.push({ pid: Number(entry), parent: Number(fields[1]), name: `${entry} ${fields[19]}` });
  }
  return found;
}

async function makeGroup(
  name: 'processes' | 'memory',
  limit: number,
): Promise<ControlGroup | undefined> {
  const { controller, files, events, pattern } = kControllers[name];
  counter += 1;
  for (const parent of await ownGroups(controller)) {
    const directory = path.join(parent, `apt-ostree.${process.pid}.${counter}`);
    try {
      await mkdir(directory);
    } catch {
      continue;
    }
    const set = await firstOf(files, (file) =>
      writeFile(path.join(directory, file), String(Math.ceil(limit)), { flag: 'r+' }),
    );
    const read = () =>
      firstOf(events, (file) => readFile(path.join(directory, file), 'utf8')).catch(
        () => undefined,
      );
    if (set !== undefined && (await read()) !== undefined) {
      const exceeded = async () => Number(pattern.exec((await read())?.value ?? '')?.[1] ?? 0) > 0;
      return { directory, exceeded };
    }
    await removeGroup(directory);
  }
  return undefined;
}

async function firstOf<T>(
  files: readonly string[],
  work: (file: string) => Promise<T>,
): Promise<{ value: T } | undefined> {
  for (const file of files) {
    try {
      return { value: await work(file) };
    } catch {
      // The other version's name.
    }
  }
  return undefined;
}

/** Directories of the control groups that this process is in, where the controller may be. */
async function ownGroups(controller: string): Promise<string[]> {
  try {
    const mounts = await readFile('/proc/self/mountinfo', 'utf8');
    const groups = await readFile('/proc/self/cgroup', 'utf8');
    const found: string[] = [];
    for (const line of mounts.split('\n')) {
      const [fields = '', source = ''] = line.split(' - ');
      const [type, , options = ''] = source.split(' ');
      const [, , , root = '', point = ''] = fields.split(' ');
      const mine =
        type === 'cgroup2'
          ? /^0::(.*)$/m.exec(groups)?.[1]
          : type === 'cgroup' && options.split(',').includes(controller)
            ? new RegExp(`^\\d+:(?:[^:]*,)?${controller}(?:,[^:]*)?:(.*)$`, 'm').exec(groups)?.[1]
            : undefined;
      // A path outside of what is mounted here cannot be named.
      if (mine === undefined || root !== '/' || mine.startsWith('/..')) continue;
      found.push(path.join(point, mine));
    }
    return found;
  } catch {
    return [];
  }
}

async function removeGroup(directory: string): Promise<void> {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    try {
      await rmdir(directory);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY') return;
      // The kernel counts dead processes for a moment more.
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
