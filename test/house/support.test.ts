import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { type AptRepository, createAptRepository } from '../support/apt-repository.js';
import { runModule } from '../support/child.js';
import { run } from '../support/run.js';
import { temporaryDirectory } from '../support/temp.js';

/** The real apt-get on a private root that knows only `repo`. */
async function realApt(repo: AptRepository, root: string) {
  for (const name of ['lists/partial', 'cache/archives/partial', 'sources.list.d']) {
    await mkdir(`${root}/${name}`, { recursive: true });
  }
  await writeFile(`${root}/status`, '');
  await writeFile(`${root}/sources.list.d/test.sources`, repo.source);
  const settings = {
    'Dir::State::lists': `${root}/lists`,
    'Dir::State::status': `${root}/status`,
    'Dir::Cache': `${root}/cache`,
    'Dir::Etc::sourcelist': '/dev/null',
    'Dir::Etc::sourceparts': `${root}/sources.list.d`,
    'APT::Sandbox::User': 'root',
  };
  const options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
  return (...args: string[]) =>
    run('apt-get', [...options, ...args], {
      cwd: root,
      anyStatus: true,
      env: { http_proxy: undefined, HTTP_PROXY: undefined },
    });
}

describe('the archive for tests', () => {
  test('satisfies the real apt-get: update, solve, fetch; then damage and wrong keys', async () => {
    await using temporary = await temporaryDirectory();
    await using repo = await createAptRepository({
      packages: [
        { name: 'alpha', version: '1:2.0-1', depends: 'beta (>= 1.0)' },
        { name: 'beta', files: { '/usr/share/beta/data': 'beta\n' } },
      ],
    });
    const apt = await realApt(repo, temporary.path);
    const update = await apt('update');
    expect(update).toMatchObject({ status: 0, stderr: '' });
    const plan = await apt('-s', 'install', 'alpha');
    expect(plan.stdout).toContain('Inst beta (1.0');
    expect(plan.stdout).toContain('Inst alpha (1:2.0-1');
    expect((await apt('download', 'beta')).status).toBe(0);
    expect(repo.requests).toContain('GET /pool/beta_1.0_all.deb');

    await repo.damage('alpha');
    const damaged = await apt('download', 'alpha');
    expect(damaged.status).not.toBe(0);
    expect(damaged.stderr).toContain('Hash Sum mismatch');

    await repo.publish('wrong-key');
    expect((await apt('update')).stderr).toContain('NO_PUBKEY');
    await repo.publish(false);
    expect((await apt('update')).stderr).toContain('is no longer signed');
  });

  test('serves ranges and faults', async () => {
    await using repo = await createAptRepository({ packages: [{ name: 'alpha' }] });
    const url = `${repo.url}/dists/${repo.codename}/Release`;
    const whole = await (await fetch(url)).text();
    const part = await fetch(url, { headers: { Range: 'bytes=10-' } });
    expect(part.status).toBe(206);
    expect(await part.text()).toBe(whole.slice(10));
    repo.faults = [{ match: /Release$/, status: 503 }];
    expect((await fetch(url)).status).toBe(503);
    repo.faults = [{ match: /Release$/, cutAfter: 5 }];
    await expect(fetch(url).then((response) => response.text())).rejects.toThrow();
    repo.faults = [{ match: /Release$/, hang: true }];
    const hanging = await fetch(url, { signal: AbortSignal.timeout(200) });
    await expect(hanging.text()).rejects.toThrow();
    await expect(fetch(`${repo.url}/../../etc/passwd`).then((r) => r.status)).resolves.toBe(404);
  });

  test('builds what a description says', async () => {
    await using repo = await createAptRepository({
      serve: 'file',
      packages: [
        {
          name: 'gamma',
          compression: 'gzip',
          files: { '/usr/bin/gamma': { content: 'x', mode: 0o4755 }, '/etc/gamma.conf': 'y' },
          symlinks: { '/usr/bin/g': 'gamma' },
          directories: { '/var/lib/gamma': { mode: 0o1777 } },
          conffiles: ['/etc/gamma.conf'],
          scripts: { postinst: 'echo "$1"' },
          control: { Homepage: 'https://example.com' },
        },
      ],
    });
    const { stdout: list } = await run('dpkg-deb', ['-c', repo.deb('gamma')]);
    expect(list).toMatch(/^-rwsr-xr-x root\/root .* \.\/usr\/bin\/gamma$/m);
    expect(list).toMatch(/^drwxrwxrwt root\/root .* \.\/var\/lib\/gamma\/$/m);
    expect(list).toContain('./usr/bin/g -> gamma');
    const { stdout: info } = await run('dpkg-deb', ['-I', repo.deb('gamma')]);
    expect(info).toContain('Homepage: https://example.com');
    expect(info).toMatch(/postinst +#!\/bin\/sh/);
    const packages = `${repo.directory}/dists/${repo.codename}/main`;
    const [index] = await readdir(packages);
    expect(await readFile(`${packages}/${index}/Packages`, 'utf8')).toContain('Package: gamma');
    expect(repo.url).toBe(`file://${repo.directory}`);
  });
});

test('temporary directories with immutable files go away', async () => {
  const directory = await temporaryDirectory();
  await mkdir(directory.join('deploy'));
  await writeFile(directory.join('deploy', 'file'), '');
  await run('chattr', ['+i', directory.join('deploy')], { anyStatus: true });
  await directory.remove();
  await expect(readdir(directory.path)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('child programs import the library and their end is reported', async () => {
  const child = await runModule(
    `import { Repo } from 'apt-ostree';
     import { Repo as same } from 'apt-ostree/ostree';
     console.log(Repo === same, process.argv.slice(1).join());
     process.kill(process.pid, 'SIGTERM');`,
    { args: ['one', 'two'] },
  );
  expect(child).toMatchObject({ status: null, signal: 'SIGTERM', stderr: '' });
  expect(child.stdout).toBe('true one,two\n');
});
