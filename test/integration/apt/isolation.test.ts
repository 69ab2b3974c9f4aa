/** What a context must not do: touch the host's files and state, run a root's commands, mix with others. */

import { access, mkdir, readFile, writeFile } from 'node:fs/promises';
import { AptContext } from 'apt-ostree/apt';
import { expect, test } from 'vitest';
import { answers, aptJobs } from '../../support/apt-job.js';
import { type AptRepository, createAptRepository } from '../../support/apt-repository.js';
import { projectRoot, runModule } from '../../support/child.js';
import { run } from '../../support/run.js';
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temp.js';

const kFetched = { name: 'alpha', architecture: 'all', version: '1.0' };

function archive(): Promise<AptRepository> {
  const files = { '/usr/share/alpha': 'alpha\n' };
  return createAptRepository({ packages: [{ name: 'alpha', files }] });
}

/** A root whose configuration asks for commands wherever apt would run one. */
async function hostileRoot(work: TemporaryDirectory): Promise<{ root: string; marker: string }> {
  const root = work.join('root');
  const marker = work.join('marker');
  const command = `touch ${marker}; false`;
  const hooks = [
    ...['Pre-Invoke', 'Post-Invoke', 'Post-Invoke-Success', 'Post-Invoke-Stats'],
    'Auth-Failure',
  ].map((name) => `APT::Update::${name} { "${command}"; };`);
  const more = [
    ...['Pre-Invoke', 'Post-Invoke', 'Pre-Install-Pkgs', 'Chroot-Directory'].map(
      (name) => `DPkg::${name} { "${command}"; };`,
    ),
    ...['http', 'https'].map(
      (name) => `Acquire::${name}::Proxy-Auto-Detect "${work.join('run')}";`,
    ),
    `Acquire::http::ProxyAutoDetect "${work.join('run')}";`,
    ...['update', 'upgrade', 'search'].map((name) => `AptCli::Hooks::${name} { "${command}"; };`),
    `Dir::Bin::methods "${work.path}";`,
    `Dir::Bin::dpkg "${work.join('run')}";`,
    `Dir::Bin::apt-key "${work.join('run')}";`,
    `Dir::Bin::gpg "${work.join('run')}";`,
    `APT::Key::gpgvcommand "${work.join('run')}";`,
    `APT::Compressor::gz::Binary "${work.join('run')}";`,
    `APT::Solver "run"; APT::Planner "run"; Dir::Bin::solvers { "${work.path}"; };`,
    `Dir::State::lists "${work.join('elsewhere')}";`,
    `Acquire::gpgv::Options { "--homedir"; "${work.path}"; }; Acquire::cdrom::mount "${work.path}";`,
    `#include "${work.join('included')}";`,
  ];
  await mkdir(`${root}/etc/apt/apt.conf.d`, { recursive: true });
  await writeFile(`${root}/etc/apt/apt.conf`, hooks.join('\n'));
  await writeFile(`${root}/etc/apt/apt.conf.d/99evil`, [...hooks, ...more].join('\n'));
  await writeFile(work.join('run'), `#!/bin/sh\n${command}\n`, { mode: 0o755 });
  await writeFile(work.join('http'), `#!/bin/sh\n${command}\n`, { mode: 0o755 });
  return { root, marker };
}

test("the host's apt files are neither read nor written, and a root's commands never run", async () => {
  await using work = await temporaryDirectory('isolation');
  await using repository = await archive();
  const { root, marker } = await hostileRoot(work);
  const script = `
    import { AptContext } from 'apt-ostree/apt';
    const [directory, sources, root] = process.argv.slice(1);
    for (const [i, options] of [{}, { root }, { root, rootConfig: true }].entries()) {
      const apt = await AptContext.create({ directory: directory + i, sources, ...options });
      await apt.update();
      const cache = await apt.open();
      const { packages } = await cache.solve({ install: ['alpha'] });
      await cache.fetch(packages);
      await cache.solve({ install: ['nothing'] }).catch(() => {});
      for await (const batch of cache.versions()) for (const one of batch) await cache.record(one);
      cache.close();
      apt.close();
    }`;
  const trace = work.join('trace');
  const { status, stderr } = await run(
    'strace',
    [
      ...['-f', '-qq', '-o', trace, '-e', 'trace=%file'],
      ...[process.execPath, '--import', 'tsx', '--input-type=module', '-e', script, '--'],
      ...[work.join('state'), repository.source, root],
    ],
    { cwd: projectRoot, anyStatus: true },
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const text = await readFile(trace, 'utf8');
  expect(text).toContain('/usr/lib/apt/methods/http');
  const touched = text.split('\n').filter((line) => {
    const [, path] =
      /"(\/(?:etc|var\/lib|var\/cache|var\/log)\/(?:apt|dpkg)[/"][^"]*)/.exec(line) ?? [];
    return path !== undefined;
  });
  expect(touched).toEqual([]);
  // Only the last context read the root's, and started nothing that it names.
  expect(text.match(/"etc\/apt\/apt\.conf\.d"/g)).toHaveLength(1);
  expect(text).not.toContain('included');
  expect(text).not.toContain(`execve("${work.path}`);
  await expect(access(marker)).rejects.toThrow();
  await expect(access(work.join('elsewhere'))).rejects.toThrow();
});

test('the process stays as it is while lists and packages are fetched', async () => {
  await using work = await temporaryDirectory('isolation');
  await using repository = await archive();
  repository.faults = [{ match: /./, delay: 20 }];
  // Where the user of the download methods can reach it, they really change to that user.
  await run('chmod', ['755', work.path]);
  const child = await runModule(
    `import { readFileSync, readdirSync } from 'node:fs';
     import { spawn } from 'node:child_process';
     import { AptContext } from 'apt-ostree/apt';
     const [directory, sources] = process.argv.slice(1);
     process.on('SIGINT', () => {}).on('SIGTERM', () => {}).on('SIGCHLD', () => {});
     process.umask(0o027);
     process.title;
     const kept = /^(Uid|Gid|Groups|Umask|SigIgn|SigCgt|SigBlk|NoNewPrivs|Seccomp):.*$/gm;
     const look = (file) => readFileSync(file, 'utf8').match(kept).join(' ');
     const seen = new Set();
     const users = new Set();
     let samples = 0;
     const sample = () => {
       samples += 1;
       seen.add([
         look('/proc/self/status'), process.umask(), JSON.stringify(process.env), process.cwd(),
         (1234.5).toLocaleString(), new Date(0).toString(),
       ].join(' '));
       for (const task of readdirSync('/proc/self/task')) {
         try {
           users.add(/^Uid:.*$/m.exec(readFileSync('/proc/self/task/' + task + '/status', 'utf8'))[0]);
         } catch {}
       }
     };
     sample();
     const timer = setInterval(sample, 1);
     let ended = 0;
     let began = 0;
     const children = setInterval(() => {
       began += 1;
       spawn('true').on('exit', (code) => { ended += code === 0 ? 1 : 0; });
     }, 5);
     const apt = await AptContext.create({ directory, sources });
     for (let i = 0; i < 3; i++) {
       await apt.update();
       const cache = await apt.open();
       await cache.fetch([${JSON.stringify(kFetched)}]);
       cache.close();
     }
     clearInterval(children);
     while (ended < began) await new Promise((resolve) => setTimeout(resolve, 5));
     clearInterval(timer);
     apt.close();
     console.log(JSON.stringify({ seen: [...seen], users: [...users], samples, began, ended }));
     process.exit();`,
    { args: [work.join('state'), repository.source] },
  );
  expect(child).toMatchObject({ status: 0, stderr: '' });
  const { seen, users, samples, began, ended } = JSON.parse(child.stdout);
  expect(samples).toBeGreaterThan(20);
  expect(seen).toHaveLength(1);
  expect(users).toHaveLength(1);
  expect(ended).toBe(began);
});

test('contexts of other roots, architectures and sources answer as they do alone', async () => {
  await using work = await temporaryDirectory('isolation');
  const jobs = await aptJobs(work);
  // Alone: each in a process of its own.
  const alone: string[][] = [];
  for (const job of jobs) {
    const child = await runModule(
      `import { AptContext } from 'apt-ostree/apt';
       import { answers } from './test/support/apt-job.ts';
       console.log(JSON.stringify(await answers(AptContext, JSON.parse(process.argv[1]), true)));`,
      { args: [JSON.stringify(job)] },
    );
    expect(child).toMatchObject({ status: 0, stderr: '' });
    alone.push(JSON.parse(child.stdout));
  }
  expect(new Set(alone.map(([rows]) => rows)).size).toBe(jobs.length);
  // In turns.
  for (const round of [0, 1]) {
    for (const [i, job] of jobs.entries()) {
      expect(await answers(AptContext, job, round === 0)).toEqual(alone[i]);
    }
  }
  // At the same time; test/package/apt-threads.test.ts does so from several threads.
  expect(await Promise.all(jobs.map((job) => answers(AptContext, job, true)))).toEqual(alone);
});
