/**
 * How much a sandbox may use. A control group holds the line where this process may make one
 * (version 1 or 2); otherwise a watchdog counts. Either way everything inside is killed as soon
 * as a limit was met, for a script that cannot fork waits and tries again forever.
 */

import { mkdir, readdir, readFile, rmdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { invalidArgValue } from '../errors.js';

export interface SandboxLimits {
  /** Processes and threads at one time. @default 4096 */
  processes?: number;
  /** Bytes of memory of all processes together. @default no limit */
  memory?: number;
  /** Seconds that one call of a maintainer script, or of the initramfs tool, may take. @default 3600 */
  seconds?: number;
}

export type LimitName = keyof SandboxLimits;

const kDefaults = { processes: 4096, seconds: 3600 };
const kPollMilliseconds = 100;
/** bubblewrap and the shell that starts the command. */
const kOwnProcesses = 4;

export type EffectiveLimits = Required<Pick<SandboxLimits, 'processes' | 'seconds'>> &
  SandboxLimits;

/** @throws TypeError for what is not a positive number. */
export function effectiveLimits(limits?: SandboxLimits | null): EffectiveLimits {
  const result = { ...kDefaults };
  for (const name of ['processes', 'memory', 'seconds'] as const) {
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

  private constructor(limits: EffectiveLimits) {
    this.#limits = limits;
  }

  static async create(limits: EffectiveLimits): Promise<LimitGuard> {
    const guard = new LimitGuard(limits);
    for (const name of ['processes', 'memory'] as const) {
      const value = limits?.[name];
      if (value === undefined) continue;
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
      const limit = this.#limits[name];
      if (limit === undefined) continue;
      const group = this.#groups.get(name);
      if (group) {
        if (await group.exceeded()) return name;
      } else if ((await this.#measure(name)) > limit) {
        return name;
      }
    }
    return undefined;
  }

  /** Everything inside must be dead. */
  async end(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#checking;
    for (const { directory } of this.#groups.values()) await removeGroup(directory);
  }

  async #measure(name: 'processes' | 'memory'): Promise<number> {
    if (this.#child === undefined) return 0;
    const proc = `/proc/${this.#child}/root/proc`;
    try {
      // Until it has its own root the child shows the host's processes.
      if ((await stat(proc)).dev === (await stat('/proc')).dev) return 0;
      const pids = (await readdir(proc)).filter((entry) => /^\d+$/.test(entry));
      if (name === 'processes') return pids.length - kOwnProcesses;
      let bytes = 0;
      for (const pid of pids) {
        const fields = await readFile(`${proc}/${pid}/statm`, 'utf8').catch(() => '');
        const [, resident = 0, shared = 0] = fields.split(' ').map(Number);
        bytes += (resident - shared) * 4096;
      }
      return bytes;
    } catch {
      return 0;
    }
  }
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
