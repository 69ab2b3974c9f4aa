import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { placeDirectory } from '../../../lib/compose/files.js';
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
