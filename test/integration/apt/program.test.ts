/** The program that downloads: what becomes of a download, and of this process, when it fails. */

import { chmod, chown, cp, mkdir, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AptContext } from 'apt-ostree/apt';
import { expect, test } from 'vitest';
import { type AptRepository, createAptRepository } from '../../support/apt-repository.js';
import { projectRoot, runModule } from '../../support/child.js';
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temp.js';

const kAddon = process.env.APT_OSTREE_BINDING ?? 'build/Release/apt_ostree.node';
const built = path.resolve(projectRoot, kAddon);
const program = built.replace(/\.node$/, '-fetch');

function archive(): Promise<AptRepository> {
  return createAptRepository({ packages: [{ name: 'alpha' }] });
}

/** Pids of running programs whose command line has `text`. */
async function running(text: string): Promise<number[]> {
  const found: number[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (command.includes(text)) found.push(Number(pid));
  }
  return found;
}

/** Processes of a group that have not ended. */
async function group(leader: number): Promise<number[]> {
  const found: number[] = [];
  for (const pid of await readdir('/proc')) {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    const [state, , of] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    if (Number(of) === leader && state !== 'Z') found.push(Number(pid));
  }
  return found;
}

async function until<T>(what: () => Promise<T | undefined>): Promise<T> {
  for (let i = 0; i < 1000; i++) {
    const value = await what();
    if (value !== undefined) return value;
    await sleep(20);
  }
  throw new Error('it did not happen');
}

/** An addon of its own, so that its program can be told from others'. */
async function addonCopy(work: TemporaryDirectory, withProgram = true): Promise<string> {
  await chmod(work.path, 0o755);
  await cp(built, work.join('own.node'));
  if (withProgram) await cp(program, work.join('own-fetch'));
  return work.join('own.node');
}

/** The program of that addon, once it has started a method. */
function started(work: TemporaryDirectory): Promise<number> {
  return until(async () => {
    const [pid] = await running(work.join('own-fetch'));
    return pid !== undefined && (await group(pid)).length > 1 ? pid : undefined;
  });
}

test('one that is killed is an error like any other, and takes its methods along', async () => {
  await using work = await temporaryDirectory('program');
  await using repository = await archive();
  repository.faults = [{ match: /InRelease/, hang: true }];
  const child = runModule(
    `import { AptContext } from 'apt-ostree/apt';
     const [directory, sources] = process.argv.slice(1);
     const apt = await AptContext.create({ directory, sources });
     const { name, code, message } = await apt.update().catch((error) => error);
     console.log(JSON.stringify({ name, code, message }));`,
    {
      args: [work.join('state'), repository.source],
      env: { APT_OSTREE_BINDING: await addonCopy(work) },
    },
  );
  const pid = await started(work);
  process.kill(pid, 'SIGKILL');
  const { status, stdout } = await child;
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toEqual({
    name: 'AptError',
    code: 'ERR_APT_FAILED',
    message: expect.stringContaining('signal 9'),
  });
  await until(async () => ((await group(pid)).length === 0 ? true : undefined));
  repository.faults = [];
  await using apt = await AptContext.create({
    directory: work.join('state'),
    sources: repository.source,
  });
  expect((await apt.update()).sources).toMatchObject([{ ok: true }]);
});

test('it ends when the process that asked is gone', async () => {
  await using work = await temporaryDirectory('program');
  await using repository = await archive();
  repository.faults = [{ match: /InRelease/, hang: true }];
  const child = runModule(
    `import { AptContext } from 'apt-ostree/apt';
     const [directory, sources] = process.argv.slice(1);
     const apt = await AptContext.create({ directory, sources });
     await apt.update();`,
    {
      args: [work.join('state'), repository.source],
      env: { APT_OSTREE_BINDING: await addonCopy(work) },
    },
  );
  const pid = await started(work);
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const [, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  process.kill(Number(parent), 'SIGKILL');
  await child;
  await until(async () => ((await group(pid)).length === 0 ? true : undefined));
});

test('one that is missing is named', async () => {
  await using work = await temporaryDirectory('program');
  const child = await runModule(
    `import { AptContext } from 'apt-ostree/apt';
     const apt = await AptContext.create({ directory: process.argv[1], sources: '' });
     const { name, code, path } = await apt.update().catch((error) => error);
     console.log(JSON.stringify({ name, code, path }));`,
    {
      args: [work.join('state')],
      env: { APT_OSTREE_BINDING: await addonCopy(work, false) },
    },
  );
  expect(child).toMatchObject({ status: 0, stderr: '' });
  expect(JSON.parse(child.stdout)).toEqual({
    name: 'AptError',
    code: 'ENOENT',
    path: work.join('own-fetch'),
  });
});

// The limit does not hold for root. A user that nobody else is has this many processes: the threads
// of this one, then perhaps the program; the program's methods are one too many.
test.each([0, 1])('where only %i more processes can be started, that is an error', async (more) => {
  await using work = await temporaryDirectory('program');
  await using repository = await archive();
  const user = 54321 + more;
  await mkdir(work.join('user'));
  await chown(work.join('user'), user, user);
  const child = await runModule(
    `import { execFileSync } from 'node:child_process';
     import { readFileSync } from 'node:fs';
     import { AptContext } from 'apt-ostree/apt';
     const [directory, sources, user, more] = process.argv.slice(1);
     process.setgroups([]);
     process.setgid(Number(user));
     process.setuid(Number(user));
     const apt = await AptContext.create({ directory, sources });
     await (await apt.open()).close();
     const threads = /^Threads:\\s*(\\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1];
     const limit = Number(threads) + Number(more);
     execFileSync('prlimit', ['--pid', String(process.pid), '--nproc=' + limit + ':' + limit]);
     const { name, code } = await apt.update().catch((error) => error);
     console.log(JSON.stringify({ name, code }));`,
    {
      args: [work.join('user/state'), repository.source, String(user), String(more)],
      env: { APT_OSTREE_BINDING: await addonCopy(work) },
    },
  );
  expect(child).toMatchObject({ status: 0 });
  expect(JSON.parse(child.stdout)).toEqual({ name: 'AptError', code: 'EAGAIN' });
});
