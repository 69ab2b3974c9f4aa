/**
 * Programs of a tree (dpkg, maintainer scripts, the initramfs tool) run in bubblewrap over an
 * overlay: the layers below are never written, everything lands in the upper directory.
 *
 * The overlay is mounted in a private mount namespace of the child, so that nothing is left
 * mounted whatever happens to the child or to this process.
 */

import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  readFileSync,
  writeSync,
} from 'node:fs';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { Socket } from 'node:net';
import path from 'node:path';
import { binding } from '../binding.js';
import { ComposeError } from '../errors.js';
import { runJob } from '../job.js';
import { type EffectiveLimits, effectiveLimits, LimitGuard, type LimitName } from './limits.js';
import { LineSplitter } from './lines.js';

/** A directory of the host made visible inside. */
export interface SandboxBind {
  source: string;
  target: string;
  writable?: boolean;
}

export interface SandboxRun {
  /** A directory of its own for this run: mount point, work directory of the overlay. */
  directory: string;
  /** The layers, lowest last; never written. */
  lower: readonly string[];
  /** Takes what the run writes. */
  upper: string;
  /** Where the overlay appears inside; `/` unless another root runs the programs. */
  mountAt?: string;
  /** The root to run in when `mountAt` is not `/`. */
  tools?: string;
  binds?: readonly SandboxBind[];
  command: readonly string[];
  /** Added to the fixed environment. */
  environment?: Readonly<Record<string, string>>;
  onOutput?: (line: string) => void;
  /** Lines written to descriptor 3. */
  onStatus?: (line: string) => void;
  /** `seconds` is for whoever knows what runs inside. */
  limits?: EffectiveLimits;
  signal?: AbortSignal;
}

export interface SandboxResult {
  exitCode: number;
  /** The last lines of output. */
  tail: string;
}

/**
 * What maintainer scripts need, and nothing else; there is no way to more, by a program's own
 * marks either.
 *
 * Not CAP_DAC_READ_SEARCH: CAP_DAC_OVERRIDE says the same about names, and the former also opens
 * any file of a mounted file system by its handle, outside of the mount too. Not CAP_MKNOD: a tree
 * cannot hold devices, no package ships one, and while nothing inside can open them (every mount
 * is nodev), the layers lie on a file system of the host where anybody could. Pipes and
 * overlayfs's marks for what was removed need no capability.
 */
const kCapabilities = [
  // Give files to the users of packages.
  'CAP_CHOWN',
  // Act on files of any owner.
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  // Keep set-group-id on files of groups that root is not in.
  'CAP_FSETID',
  // Stop what a script started as another user.
  'CAP_KILL',
  // setcap in place of set-user-id (iputils-ping).
  'CAP_SETFCAP',
  // Work as another user: runuser, su, initdb.
  'CAP_SETGID',
  'CAP_SETUID',
  // Trees that packages make for their daemons.
  'CAP_SYS_CHROOT',
];

const kEnvironment: Readonly<Record<string, string>> = {
  DEBIAN_FRONTEND: 'noninteractive',
  HOME: '/root',
  // Debian's kernel hook then leaves the initramfs to us.
  INITRD: 'No',
  LC_ALL: 'C.UTF-8',
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  SYSTEMD_OFFLINE: '1',
  TERM: 'dumb',
};

/** Files of the kernel that obey uid 0 whatever its capabilities. */
const kReadOnlyKernel = [
  ...['acpi', 'asound', 'bus', 'driver', 'dynamic_debug', 'fs', 'irq', 'mtrr', 'pressure'],
  ...['scsi', 'sys', 'sysrq-trigger'],
];

/** Files of the kernel that tell of the whole machine, and of its memory. */
const kHiddenKernel = [
  ...['iomem', 'ioports', 'kallsyms', 'kcore', 'key-users', 'keys', 'kpagecgroup', 'kpagecount'],
  ...['kpageflags', 'latency_stats', 'sched_debug', 'slabinfo', 'timer_list', 'timer_stats'],
  'vmallocinfo',
];

/**
 * `volatile`: the upper layer is scratch space until the commit, so dpkg's syncs are void. The
 * other two keep whole files and directories in it, which is what merging reads.
 */
const kMountScript = [
  // The parent may have died before its death could be a signal. /proc is still the host's, and
  // tells the numbers that processes have there.
  'read -r pid name state parent rest < /proc/self/stat',
  'read -r name < "/proc/$parent/comm" && [ "$name" = unshare ] || exit 1',
  'echo "outer $pid" >&4',
  'umask 022',
  'cd "$1"',
  'mount -t overlay apt-ostree -o "lowerdir=$2,upperdir=upper,workdir=work,volatile,redirect_dir=off,metacopy=off" root || exit 97',
  // ext4 makes directories that are copied up apart then: dpkg's database frees inodes all the
  // time, and new files beside it would be slow.
  'chattr +T work/work 2>/dev/null || :',
  // Where a group takes nobody the watchdog still counts.
  'for group in $3; do echo $$ > "$group"; done',
  'shift 3',
  // What a process was started with can be read inside.
  'exec env -i "$@"',
].join('\n');

const kMountFailed = 97;
const kHostPath = process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Runs the command and tells the CPU time of its processes. bubblewrap does not wait for them
 * itself, so they would be missing from this process's own account.
 */
const kTimed = '"$@" 5>&-; code=$?; times >&5; exit $code';

let usedCpuSeconds = 0;

/** CPU seconds of everything that ran in sandboxes of this process so far. */
export function sandboxCpuSeconds(): number {
  return usedCpuSeconds;
}

const kTailLines = 40;

/** Looks a program up as the shell does. */
export function findProgram(name: string): string | undefined {
  const directories = kHostPath.split(':');
  for (const directory of [...directories, '/usr/sbin', '/sbin']) {
    const file = path.join(directory, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Next one.
    }
  }
  return undefined;
}

/**
 * Says before any work whether the sandbox can run at all.
 *
 * @throws `ERR_NEEDS_ROOT`, `ERR_SANDBOX_UNAVAILABLE` with the package that is missing.
 */
export function requireSandbox(): void {
  if (process.geteuid?.() !== 0) {
    throw new ComposeError(
      'ERR_NEEDS_ROOT',
      'Composing a tree needs root: packages own files as other users, and overlays are mounted.',
    );
  }
  for (const [program, debian] of [
    ['bwrap', 'bubblewrap'],
    ['setpriv', 'util-linux'],
    ['unshare', 'util-linux'],
    ['mount', 'mount'],
  ] as const) {
    if (!findProgram(program)) {
      throw new ComposeError(
        'ERR_SANDBOX_UNAVAILABLE',
        `The program '${program}' is missing: install the package '${debian}'.`,
        { package: debian },
      );
    }
  }
}

/**
 * Runs one command. Resolves with its exit code, whatever that is, once everything inside is dead.
 *
 * @throws `ERR_SANDBOX_UNAVAILABLE` where the overlay or bubblewrap itself failed;
 *   `ERR_SANDBOX_LIMIT` with `limit`; `AbortError` after `signal`.
 */
export async function runInSandbox(run: SandboxRun): Promise<SandboxResult> {
  const lower = await prepare(run);
  const limits = run.limits ?? effectiveLimits();
  const tail: string[] = [];
  let commandRan = false;
  let child: Child | undefined;
  const guard = await LimitGuard.create(limits, run.upper);
  const pipes: Pipe[] = [];
  let nothing: number | undefined;
  let options: number | undefined;
  let filter: number | undefined;
  const abort = new AbortController();
  const forward = () => abort.abort(run.signal?.reason);
  let exceeded: LimitName | undefined;
  let exitCode = 0;
  try {
    const lines = (onLine: (line: string) => void): number => {
      const made = pipe(onLine);
      pipes.push(made);
      return made.fd;
    };
    const output = lines((line) => {
      tail.push(line);
      if (tail.length > kTailLines) tail.shift();
      run.onOutput?.(line);
    });
    const status = lines((line) => run.onStatus?.(line));
    let outer: string | undefined;
    const started = lines((line) => {
      outer ??= /^outer (\d+)$/.exec(line)?.[1];
      const pid = line.includes('"child-pid"') ? onlyChild(outer) : undefined;
      if (pid !== undefined) {
        child = new Child(pid);
        guard.child = pid;
      }
      // bubblewrap reports an exit code only for a command that it could start.
      commandRan ||= line.includes('"exit-code"');
    });
    const times = lines((line) => {
      usedCpuSeconds += parseTimes(line);
    });
    const input = openSync('/dev/null', 'r');
    nothing = input;
    const calls = filterPipe();
    filter = calls;
    const wrapped = await writeOptions(run);
    options = wrapped;
    if (run.signal?.aborted) forward();
    run.signal?.addEventListener('abort', forward, { once: true });
    guard.start((name) => {
      exceeded = name;
      abort.abort();
    });
    // Killed on abort, and its process namespaces die with it.
    const job = runJob(
      'compose',
      () =>
        binding().runProcess(
          'setpriv',
          command(run, lower, guard.joinFiles),
          [`PATH=${kHostPath}`],
          [input, output, output, status, started, times, calls, wrapped],
        ),
      { signal: abort.signal },
    );
    for (const { close } of pipes) close();
    exitCode = await job;
    exceeded ??= await (exitCode === 0 ? guard.checkSpace() : guard.check());
  } catch (error) {
    if (exceeded === undefined) throw error;
  } finally {
    run.signal?.removeEventListener('abort', forward);
    for (const { close } of pipes) close();
    if (nothing !== undefined) closeSync(nothing);
    if (options !== undefined) closeSync(options);
    if (filter !== undefined) binding().closeDescriptor(filter);
    await Promise.all(pipes.map(({ ended }) => ended));
    await child?.gone();
    await guard.end();
  }
  if (exceeded !== undefined) throw limitError(exceeded, limits, tail.join('\n'));
  if (!commandRan) throw unavailable(run, exitCode, tail);
  return { exitCode, tail: tail.join('\n') };
}

/** What a run was stopped for. */
export function limitError(
  limit: LimitName,
  limits: EffectiveLimits,
  output: string,
  about: { package?: string; script?: string } = {},
): ComposeError {
  const units = {
    processes: 'processes',
    memory: 'bytes of memory',
    seconds: 'seconds',
    storage: 'bytes of disk space',
  };
  const who =
    about.package === undefined ? 'A program' : `${about.package}: ${about.script ?? 'a script'}`;
  return new ComposeError(
    'ERR_SANDBOX_LIMIT',
    `${who} was stopped at the limit of ${limits[limit]} ${units[limit]}`,
    { limit, ...about, output },
  );
}

/** The number here of the child of bubblewrap, which itself knows only the one in its namespace. */
function onlyChild(parent: string | undefined): number | undefined {
  try {
    const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8');
    return children === '' ? undefined : Number.parseInt(children, 10);
  } catch {
    // It has died.
    return undefined;
  }
}

/** The first process of a process namespace; the others are dead when it is gone. */
class Child {
  readonly #file: string;
  readonly #started: Promise<string | undefined>;

  constructor(pid: number) {
    this.#file = `/proc/${pid}/stat`;
    this.#started = this.#read();
  }

  async gone(): Promise<void> {
    const started = await this.#started;
    while (started !== undefined && (await this.#read()) === started) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  /** When it was started; undefined for a process that only waits to be reaped. */
  async #read(): Promise<string | undefined> {
    const text = await readFile(this.#file, 'utf8').catch(() => '');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  }
}

/** A descriptor from which bubblewrap reads the system call filter. */
function filterPipe(): number {
  const { read, write } = binding().createPipe();
  try {
    // Far below what a pipe holds.
    writeSync(write, binding().syscallFilter());
  } finally {
    binding().closeDescriptor(write);
  }
  return read;
}

/** Programs tell of a full file system only in words; the sandbox has them in English. */
export function throwIfDiskFull(output: string, path: string, name?: string): void {
  const line = output.split('\n').find((text) => text.includes('No space left on device'));
  if (line === undefined) return;
  throw new ComposeError('ENOSPC', `The file system of ${path} is full: ${line}`, {
    path,
    ...(name === undefined ? {} : { package: name }),
    output,
  });
}

function unavailable(
  { upper }: SandboxRun,
  exitCode: number,
  tail: readonly string[],
): ComposeError {
  const what = exitCode === kMountFailed ? 'overlayfs' : 'bubblewrap';
  return new ComposeError(
    'ERR_SANDBOX_UNAVAILABLE',
    `${what} cannot work on this host: ${tail.join(' ') || `exit status ${exitCode}`}`,
    { path: upper, output: tail.join('\n') },
  );
}

/** Links the layers under short names: the option string of an overlay mount is limited. */
async function prepare(run: SandboxRun): Promise<string> {
  for (const name of ['root', 'work']) await mkdir(path.join(run.directory, name));
  await mkdir(run.upper, { recursive: true });
  await symlink(run.upper, path.join(run.directory, 'upper'));
  const names = run.lower.map((_, index) => `l${index}`);
  await Promise.all(
    names.map((name, index) => symlink(run.lower[index] as string, path.join(run.directory, name))),
  );
  return names.join(':');
}

function command(run: SandboxRun, lower: string, joinFiles: readonly string[]): string[] {
  return [
    // unshare dies with this process, and all in its namespace with it. This keeps what the bounding set will lack.
    ...['--pdeathsig', 'KILL', '--inh-caps', `+${ownCapabilities().join(',+')}`, '--', 'unshare'],
    // A process namespace around bubblewrap's own: the child that bubblewrap has just made does not
    // die with it yet, and would wait for it for ever.
    ...['--mount', '--pid', '--kill-child=KILL', '--propagation=private', '--'],
    'sh',
    '-c',
    kMountScript,
    'sandbox',
    run.directory,
    lower,
    joinFiles.join(' '),
    findProgram('setpriv') ?? 'setpriv',
    ...['--bounding-set', ['-all', ...kCapabilities.map(boundingName)].join(','), '--'],
    findProgram('bwrap') ?? 'bwrap',
    ...['--args', '7', '--'],
    ...['sh', '-c', kTimed, 'timed', ...run.command],
  ];
}

/** As setpriv names it. */
function boundingName(name: string): string {
  return `+${name.slice('CAP_'.length).toLowerCase()}`;
}

/** What this process may do, by number. */
function ownCapabilities(): string[] {
  const mask = /^CapPrm:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  const bits = BigInt(`0x${mask ?? '0'}`);
  return Array.from({ length: 64 }, (_, bit) => bit)
    .filter((bit) => (bits >> BigInt(bit)) & 1n)
    .map((bit) => `cap_${bit}`);
}

/** bubblewrap's own options, in a file: its arguments can be read inside, and name host paths. */
async function writeOptions(run: SandboxRun): Promise<number> {
  const inside = run.mountAt ?? '/';
  const binds = run.binds ?? [];
  const environment = { ...kEnvironment, ...run.environment };
  const hidden = kHiddenKernel.filter((name) => existsSync(`/proc/${name}`));
  const options = [
    '--die-with-parent',
    '--new-session',
    ...['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-net', '--unshare-cgroup-try'],
    ...(run.tools ? ['--ro-bind', run.tools, '/'] : []),
    ...['--bind', 'root', inside],
    ...['--dev', '/dev', '--proc', '/proc', '--tmpfs', '/run'],
    // Scripts that work as another user write there as well.
    ...['/tmp', '/dev/shm'].flatMap((place) => ['--perms', '1777', '--tmpfs', place]),
    ...['--perms', '1777', '--dir', '/run/lock'],
    ...kReadOnlyKernel.flatMap((name) => ['--ro-bind-try', `/proc/${name}`, `/proc/${name}`]),
    ...hidden.flatMap((name) => ['--ro-bind', '/dev/null', `/proc/${name}`]),
    ...['--hostname', 'localhost'],
    ...binds.flatMap(({ source, target, writable }) => [
      writable ? '--bind' : '--ro-bind',
      source,
      target,
    ]),
    ...['--cap-drop', 'ALL', ...kCapabilities.flatMap((name) => ['--cap-add', name])],
    '--clearenv',
    ...Object.entries(environment).flatMap(([key, value]) => ['--setenv', key, value]),
    ...['--chdir', '/', '--json-status-fd', '4', '--seccomp', '6'],
  ];
  const file = path.join(run.directory, 'options');
  await writeFile(file, options.map((option) => `${option}\0`).join(''));
  return openSync(file, 'r');
}

interface Pipe {
  /** The write end. */
  fd: number;
  close: () => void;
  /** When the last writer is gone. */
  ended: Promise<void>;
}

/** A pipe whose lines go to `onLine`. */
function pipe(onLine: (line: string) => void): Pipe {
  const { read, write } = binding().createPipe();
  const socket = new Socket({ fd: read, readable: true, writable: false });
  const lines = new LineSplitter(onLine);
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => lines.add(text));
  const ended = new Promise<void>((resolve) => {
    socket.once('close', () => {
      lines.end();
      resolve();
    });
    // `close` follows; what came before the error counts.
    socket.on('error', () => {});
  });
  let open = true;
  const close = () => {
    if (open) binding().closeDescriptor(write);
    open = false;
  };
  return { fd: write, close, ended };
}

/** The second line of the shell's `times`: its ended children, user and system. */
function parseTimes(line: string): number {
  return [...line.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds),
    0,
  );
}
