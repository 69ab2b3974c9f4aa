/**
 * Programs of a tree (dpkg, maintainer scripts, the initramfs tool) run in bubblewrap over an
 * overlay: the layers below are never written, everything lands in the upper directory.
 *
 * The overlay is mounted in a private mount namespace of the child, so that nothing is left
 * mounted whatever happens to the child or to this process.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, closeSync, constants } from 'node:fs';
import { mkdir, symlink } from 'node:fs/promises';
import { Socket } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { binding } from '../binding.js';
import { AbortError, ComposeError } from '../errors.js';

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
  signal?: AbortSignal;
}

export interface SandboxResult {
  exitCode: number;
  /** The last lines of output. */
  tail: string;
}

/**
 * What maintainer scripts need, and nothing else: change owners and modes, act on files of any
 * owner, set file capabilities, make device nodes dpkg ships, drop to another user, chroot, send
 * signals inside the sandbox.
 */
const kCapabilities = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_DAC_READ_SEARCH',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_MKNOD',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
];

const kEnvironment: Readonly<Record<string, string>> = {
  DEBCONF_NONINTERACTIVE_SEEN: 'true',
  DEBIAN_FRONTEND: 'noninteractive',
  HOME: '/root',
  // Debian's kernel hook then leaves the initramfs to us.
  INITRD: 'No',
  LC_ALL: 'C.UTF-8',
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  SYSTEMD_OFFLINE: '1',
  TERM: 'dumb',
};

const kReadOnlyKernel = ['/proc/sys', '/proc/sysrq-trigger'];

/** `volatile`: the upper layer is scratch space until the commit, so dpkg's syncs are void. */
const kMountScript = [
  'cd "$1"',
  'mount -t overlay apt-ostree -o "lowerdir=$2,upperdir=upper,workdir=work,volatile" root || exit 97',
  'shift 2',
  'exec "$@"',
].join('\n');

const kMountFailed = 97;
const kTailLines = 40;

/** Looks a program up as the shell does. */
export function findProgram(name: string): string | undefined {
  const directories = (process.env.PATH ?? '/usr/bin:/bin').split(':');
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
 * Runs one command. Resolves with its exit code, whatever that is.
 *
 * @throws `ERR_SANDBOX_UNAVAILABLE` where the overlay or bubblewrap itself failed; `AbortError`
 *   once everything inside is dead after `signal`.
 */
export async function runInSandbox(run: SandboxRun): Promise<SandboxResult> {
  run.signal?.throwIfAborted();
  const lower = await prepare(run);
  const output = binding().createPipe();
  const status = binding().createPipe();
  const started = binding().createPipe();
  const tail: string[] = [];
  let commandRan = false;
  let child: ChildProcess;
  try {
    child = spawn('unshare', command(run, lower), {
      stdio: ['ignore', output.write, output.write, status.write, started.write],
      env: { PATH: process.env.PATH },
    });
  } finally {
    for (const end of [output, status, started]) closeSync(end.write);
  }
  const readers = [
    readLines(output.read, (line) => {
      tail.push(line);
      if (tail.length > kTailLines) tail.shift();
      run.onOutput?.(line);
    }),
    readLines(status.read, (line) => run.onStatus?.(line)),
    readLines(started.read, (line) => {
      // bubblewrap reports an exit code only for a command that it could start.
      commandRan ||= line.includes('"exit-code"');
    }),
  ];
  // bubblewrap dies with its parent and its process namespace dies with it.
  const kill = () => child.kill('SIGKILL');
  run.signal?.addEventListener('abort', kill, { once: true });
  try {
    const exitCode = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve(code ?? -1));
    });
    await Promise.all(readers);
    if (run.signal?.aborted) throw new AbortError(run.signal.reason);
    if (!commandRan) throw unavailable(exitCode, tail);
    return { exitCode, tail: tail.join('\n') };
  } finally {
    run.signal?.removeEventListener('abort', kill);
  }
}

function unavailable(exitCode: number, tail: readonly string[]): ComposeError {
  const what = exitCode === kMountFailed ? 'overlayfs' : 'bubblewrap';
  return new ComposeError(
    'ERR_SANDBOX_UNAVAILABLE',
    `${what} cannot work on this host: ${tail.join(' ') || `exit status ${exitCode}`}`,
    { output: tail.join('\n') },
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

function command(run: SandboxRun, lower: string): string[] {
  const inside = run.mountAt ?? '/';
  const binds = run.binds ?? [];
  const environment = { ...kEnvironment, ...run.environment };
  return [
    '--mount',
    '--propagation=private',
    '--',
    'sh',
    '-c',
    kMountScript,
    'sandbox',
    run.directory,
    lower,
    'bwrap',
    '--die-with-parent',
    '--new-session',
    ...['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-net', '--unshare-cgroup-try'],
    ...(run.tools ? ['--ro-bind', run.tools, '/'] : []),
    ...['--bind', 'root', inside],
    ...['--dev', '/dev', '--proc', '/proc', '--tmpfs', '/run', '--tmpfs', '/tmp'],
    // These belong to uid 0 whatever its capabilities.
    ...kReadOnlyKernel.flatMap((file) => ['--ro-bind-try', file, file]),
    ...['--hostname', 'localhost'],
    ...binds.flatMap(({ source, target, writable }) => [
      writable ? '--bind' : '--ro-bind',
      source,
      target,
    ]),
    ...['--cap-drop', 'ALL', ...kCapabilities.flatMap((name) => ['--cap-add', name])],
    '--clearenv',
    ...Object.entries(environment).flatMap(([key, value]) => ['--setenv', key, value]),
    ...['--chdir', '/', '--json-status-fd', '4', '--'],
    ...run.command,
  ];
}

/** Ends when the last writer has closed its end. */
function readLines(fd: number, onLine: (line: string) => void): Promise<void> {
  const socket = new Socket({ fd, readable: true, writable: false });
  const lines = createInterface({ input: socket, crlfDelay: Number.POSITIVE_INFINITY });
  lines.on('line', onLine);
  return new Promise((resolve) => {
    lines.once('close', resolve);
    socket.once('error', () => lines.close());
  });
}
