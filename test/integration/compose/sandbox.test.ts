import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { placeDirectory } from '../../../lib/compose/files.js';
import { makeInitramfs } from '../../../lib/compose/initramfs.js';
import { effectiveLimits } from '../../../lib/compose/limits.js';
import { runInSandbox, type SandboxRun } from '../../../lib/compose/sandbox.js';
import { writeSkeleton } from '../../../lib/compose/skeleton.js';
import { temporaryDirectory } from '../../support/temp.js';

/** A root whose programs are this machine's /usr, over one empty Debian skeleton. */
async function sandbox(directory: string) {
  const lower = path.join(directory, 'lower');
  await mkdir(lower);
  await writeSkeleton(lower, 'amd64', []);
  await placeDirectory(lower, 'usr');
  let count = 0;
  return async (script: string, more: Partial<SandboxRun> = {}) => {
    count += 1;
    const run = path.join(directory, `run-${count}`);
    await mkdir(run);
    const upper = path.join(run, 'layer');
    const output: string[] = [];
    const result = await runInSandbox({
      directory: run,
      lower: [lower],
      upper,
      binds: [{ source: '/usr', target: '/usr' }],
      command: ['sh', '-c', script],
      onOutput: (line) => output.push(line),
      ...more,
    });
    return { ...result, upper, output };
  };
}

describe('the sandbox', () => {
  it('keeps what a run writes in the upper directory', async () => {
    await using directory = await temporaryDirectory();
    const run = await sandbox(directory.path);
    const { exitCode, upper } = await run('echo new > /etc/made; rmdir /srv; exit 3');
    expect(exitCode).toBe(3);
    expect(await readFile(path.join(upper, 'etc/made'), 'utf8')).toBe('new\n');
    expect((await stat(path.join(upper, 'srv'))).isCharacterDevice()).toBe(true);
  });

  it('has scratch space for whoever a script works as', async () => {
    await using directory = await temporaryDirectory();
    const run = await sandbox(directory.path);
    const places = '/tmp /dev/shm /var/tmp /run/lock';
    const { output } = await run(
      `setpriv --reuid 33 --regid 33 --clear-groups sh -c 'for d in ${places}; do echo x > $d/x; done; stat -c "%a %u" /tmp/x'; stat -c %a ${places} /run`,
    );
    expect(output).toEqual(['644 33', '1777', '1777', '1777', '1777', '755']);
  });

  it('passes output and status lines on, and lets scripts reopen their output', async () => {
    await using directory = await temporaryDirectory();
    const run = await sandbox(directory.path);
    const status: string[] = [];
    const { output, tail } = await run(
      'echo one; echo two >/dev/stderr; echo three >/dev/stdout; echo s1 >&3; echo s2 >&3',
      { onStatus: (line) => status.push(line) },
    );
    expect(output).toEqual(['one', 'two', 'three']);
    expect(status).toEqual(['s1', 's2']);
    expect(tail).toBe('one\ntwo\nthree');
  });

  it('shows no network, no other processes and nothing of the host', async () => {
    await using directory = await temporaryDirectory();
    await writeFile(path.join(directory.path, 'secret'), '');
    const run = await sandbox(directory.path);
    const { output } = await run(
      `ls ${directory.path}/secret 2>&1 | grep -c 'No such'; grep -vc lo: /proc/net/dev; ls -d /proc/[0-9]* | wc -l; env | sort | head -1; hostname`,
      { environment: { A_FIRST: 'yes' } },
    );
    const [hidden, interfaces, processes, environment, host] = output;
    expect(hidden).toBe('1');
    // Two header lines and no interface but loopback.
    expect(interfaces).toBe('2');
    expect(Number(processes)).toBeLessThan(8);
    expect(environment).toBe('A_FIRST=yes');
    expect(host).toBe('localhost');
  });

  it('denies mounts and writes to kernel settings', async () => {
    await using directory = await temporaryDirectory();
    const run = await sandbox(directory.path);
    const { output } = await run(
      'mount -t tmpfs none /mnt 2>/dev/null || echo no-mount; (echo 1 > /proc/sys/vm/drop_caches) 2>/dev/null || echo no-sysctl',
    );
    expect(output).toEqual(['no-mount', 'no-sysctl']);
  });

  it('denies what belongs to no namespace and what would give capabilities back', async () => {
    await using directory = await temporaryDirectory();
    const run = await sandbox(directory.path);
    const numbers: Record<string, Record<string, number>> = {
      x64: { keyctl: 250, add_key: 248, ptrace: 101, socket: 41, open_by_handle_at: 304, bpf: 321 },
      arm64: {
        keyctl: 219,
        add_key: 217,
        ptrace: 117,
        socket: 198,
        open_by_handle_at: 265,
        bpf: 280,
      },
    };
    const number = numbers[process.arch] ?? {};
    const call = (name: string, ...args: (number | string)[]) =>
      `$! = 0; my $r = syscall(${[number[name], ...args].join(', ')}); print "${name} ", $r >= 0 ? "done" : 0 + $!, "\\n";`;
    const script = [
      'our ($type, $key) = ("user", "key");',
      // KEYCTL_GET_KEYRING_ID of the user keyring, which root shares with the whole machine.
      call('keyctl', 0, -4, 0),
      call('add_key', '$type', '$key', '$key', 1, -4),
      call('ptrace', 16, 1, 0, 0),
      call('socket', 40, 1, 0),
      call('socket', 2, 1, 0),
      call('open_by_handle_at', 0, 0, 0),
      call('bpf', 0, 0, 0),
    ].map((line) => line.replace('my ', ''));
    const { output } = await run(
      `perl -e '${script.join('\n')}'; unshare -U true 2>/dev/null || echo no-userns; unshare -m true 2>/dev/null || echo no-mountns; chroot / true && echo chroot`,
    );
    expect(output).toEqual([
      'keyctl 1',
      'add_key 1',
      'ptrace 1',
      'socket 97',
      'socket done',
      'open_by_handle_at 1',
      'bpf 1',
      'no-userns',
      'no-mountns',
      'chroot',
    ]);
  });

  it('mounts nothing that runs programs as another user or opens devices', async () => {
    await using directory = await temporaryDirectory();
    const run = await sandbox(directory.path);
    const { output } = await run(
      [
        `grep -v -e ' /proc' -e ' /dev/' /proc/self/mountinfo | while read -r a b c d at options rest; do`,
        'for o in nosuid nodev; do case ",$options," in *,$o,*) ;; *) echo "$at $o";; esac; done; done',
        'grep -c NoNewPrivs.*1 /proc/self/status',
        'grep -e CapEff -e CapBnd /proc/self/status',
      ].join('\n'),
    );
    expect(output).toEqual(['1', 'CapEff:\t00000000800400fb', 'CapBnd:\t00000000800400fb']);
  });

  it('tells nothing of how it was started, and of the kernel only what is not secret', async () => {
    await using directory = await temporaryDirectory();
    const run = await sandbox(directory.path);
    const { output } = await run(
      [
        'wc -c < /proc/1/environ',
        "tr '\\0' ' ' < /proc/1/cmdline | grep -c -e '--[r]o-bind'",
        'for f in keys kallsyms timer_list iomem; do head -c 1 /proc/$f 2>/dev/null | wc -c; done',
        '(: >> /proc/pressure/cpu) 2>/dev/null && echo pressure',
        '[ -s /proc/meminfo ] || head -c 1 /proc/meminfo | wc -c',
      ].join('\n'),
    );
    expect(output).toEqual(['0', '0', '0', '0', '0', '0', '1']);
  });

  it('makes pipes, and no devices', async () => {
    await using directory = await temporaryDirectory();
    const run = await sandbox(directory.path);
    const { output } = await run(
      'mkfifo /etc/pipe && echo pipe; for n in "c 1 3" "b 254 0" "c 0 0"; do mknod /etc/n $n 2>/dev/null || echo no; done; rmdir /srv && mkdir /srv && echo srv',
    );
    expect(output).toEqual(['pipe', 'no', 'no', 'no', 'srv']);
  });

  it('stops an initramfs tool that takes too long', async () => {
    await using directory = await temporaryDirectory();
    const lower = path.join(directory.path, 'lower');
    const tools = path.join(directory.path, 'tools');
    await mkdir(lower);
    await mkdir(tools);
    await writeSkeleton(lower, 'amd64', []);
    await writeFile(path.join(tools, 'mkinitramfs'), '#!/bin/sh\nsleep 100\n', { mode: 0o755 });
    const run = path.join(directory.path, 'run');
    await mkdir(run);
    const work = makeInitramfs(
      {
        directory: run,
        lower: [lower],
        upper: path.join(run, 'layer'),
        binds: [
          { source: '/usr', target: '/usr' },
          { source: tools, target: '/usr/local/sbin' },
        ],
        limits: effectiveLimits({ processes: 100, memory: 1 << 30, seconds: 0.5 }),
      },
      '6.1',
    );
    await expect(work).rejects.toMatchObject({ code: 'ERR_SANDBOX_LIMIT', limit: 'seconds' });
  });

  it('gives up its control groups', async () => {
    await using directory = await temporaryDirectory();
    const run = await sandbox(directory.path);
    await run('true', {
      limits: effectiveLimits({ processes: 50, seconds: 10, memory: 1 << 30 }),
    });
    const groups = await readFile('/proc/self/mountinfo', 'utf8');
    const roots = groups.split('\n').filter((line) => / - cgroup/.test(line));
    for (const line of roots) {
      const point = line.split(' ')[4] as string;
      expect(await readdir(point)).not.toContainEqual(
        expect.stringMatching(`^apt-ostree\\.${process.pid}\\.`),
      );
    }
  });

  it('kills everything inside on abort, and leaves no mount', async () => {
    await using directory = await temporaryDirectory();
    const run = await sandbox(directory.path);
    const abort = new AbortController();
    const start = performance.now();
    const running = run('(sleep 1000 &) ; trap "" TERM; echo up; sleep 1001', {
      signal: abort.signal,
      onOutput: () => abort.abort(),
    });
    await expect(running).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR' });
    expect(performance.now() - start).toBeLessThan(2000);
    expect(await readFile('/proc/self/mounts', 'utf8')).not.toContain(directory.path);
  });

  it('says what is missing when the overlay cannot be mounted', async () => {
    await using directory = await temporaryDirectory();
    const run = await sandbox(directory.path);
    await expect(
      run('true', { lower: [path.join(directory.path, 'nowhere')] }),
    ).rejects.toMatchObject({ code: 'ERR_SANDBOX_UNAVAILABLE', message: /overlayfs/ });
  });

  it('says so when bubblewrap cannot set up', async () => {
    await using directory = await temporaryDirectory();
    const run = await sandbox(directory.path);
    await expect(
      run('true', { binds: [{ source: '/nonexistent', target: '/usr' }] }),
    ).rejects.toMatchObject({ code: 'ERR_SANDBOX_UNAVAILABLE', message: /bubblewrap/ });
  });
});
