/** Random sequences of `ostree admin` on two sysroots, with each boot loader. */

import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { type Deployment, KernelArguments, Repo, Sysroot } from 'apt-ostree/ostree';
import { afterAll, describe, expect, test } from 'vitest';
import { canBoot, runBooted, runModuleBooted } from '../../support/booted.js';
import { bootableEdits, commitEdits, ostree } from '../../support/ostree.js';
import { run } from '../../support/run.js';
import { type SysrootPair, sysrootPair } from '../../support/sysroot-pair.js';
import { temporaryDirectory } from '../../support/temp.js';
import { bothOrNeither, describePaths, sameLines } from './pair.js';
import { Random } from './random.js';

process.env.OSTREE_SYSROOT_DEBUG = 'mutable-deployments';
const scratch = await temporaryDirectory('differential-sysroot');
afterAll(() => scratch.remove());

/** What makes libostree find the boot loader. */
const kLoaders: Record<string, (root: string) => Promise<unknown>> = {
  none: async () => {},
  syslinux: async (root) => {
    await mkdir(`${root}/boot/syslinux`);
    await mark(root, 'syslinux.cfg', 'syslinux/syslinux.cfg', '../loader/syslinux.cfg');
  },
  uboot: (root) => mark(root, 'uEnv.txt', 'uEnv.txt', 'loader/uEnv.txt'),
  grub2: async (root) => {
    await mkdir(`${root}/boot/grub2`);
    await mark(root, 'grub.cfg', 'grub2/grub.cfg', '../loader/grub.cfg');
    const program = scratch.join('grub-mkconfig');
    await writeFile(program, '#!/bin/sh\nprintf "%s\\n" "$_OSTREE_GRUB2_BOOTVERSION" > "$2"\n');
    await chmod(program, 0o755);
    process.env.OSTREE_GRUB2_EXEC = program;
  },
};

async function mark(root: string, file: string, link: string, target: string) {
  await mkdir(`${root}/boot/loader.0`);
  await symlink('loader.0', `${root}/boot/loader`);
  await writeFile(`${root}/boot/loader/${file}`, '# made by hand\nTIMEOUT 5\n');
  await symlink(target, `${root}/boot/${link}`);
}

/** A server that both know as `remote`, with two branches. */
async function publish(repo: Repo, step: number, ref: string): Promise<void> {
  const edits = bootableEdits(String(step));
  if (step % 3 === 0) {
    // Another kernel, so that boot checksums differ.
    edits.push({ op: 'file', path: '/usr/lib/modules/6.1.0/vmlinuz', content: `kernel ${step}` });
  }
  await commitEdits(repo, ref, edits, {
    timestamp: new Date(step * 1_000_000),
    metadata: { version: { type: 's', value: String(step) } },
  });
}

interface State {
  random: Random;
  pair: SysrootPair;
  server: Repo;
  step: number;
  log: string[];
}

async function same(
  { pair, log }: State,
  ours: (sysroot: Sysroot) => Promise<unknown>,
  command: string,
  ...args: string[]
): Promise<void> {
  log.push([command, ...args].join(' '));
  await bothOrNeither(
    async () => {
      await ours(pair.sysroot);
      // Each command cleans up at its end.
      await pair.sysroot.cleanup();
    },
    async () => void (await pair.admin(command, ...args)),
    log.join('\n'),
  );
}

const kStateroot = { stateroot: 'debian' };
const kRefs = ['remote:stable', 'remote:testing'];
const kArguments = ['quiet', 'root=LABEL=x', 'console=tty0', 'console=ttyS0', 'rw', 'a=b=c'];

const deploy = async (state: State) => {
  const { random, pair } = state;
  const ref = random.pick(kRefs);
  const args: string[] = [];
  const options: Parameters<Sysroot['deploy']>[0] = { ...kStateroot, rev: ref, refspec: ref };
  const flags = [
    ['retain', '--retain'],
    ['retainPending', '--retain-pending'],
    ['retainRollback', '--retain-rollback'],
    ['notAsDefault', '--not-as-default'],
  ] as const;
  for (const [member, flag] of flags) {
    if (!random.chance(member === 'retain' ? 0.4 : 0.15)) continue;
    options[member] = true;
    args.push(flag);
  }
  const merged = !random.chance(0.15);
  if (!merged) {
    options.mergeDeployment = 'none';
    args.push('--no-merge');
  }
  const edits: NonNullable<typeof options.kernelArgumentEdits> = {};
  if (random.chance(0.2)) {
    edits.base = 'none';
    args.push('--karg-none');
  }
  if (random.chance(0.3)) {
    edits.set = random.some(kArguments, 0.4);
    args.push(...edits.set.map((each) => `--karg=${each}`));
  }
  if (random.chance(0.4)) {
    edits.append = random.some(kArguments, 0.3);
    args.push(...edits.append.map((each) => `--karg-append=${each}`));
  }
  if (random.chance(0.2)) {
    edits.delete = [random.pick(kArguments)];
    args.push(`--karg-delete=${edits.delete[0]}`);
  }
  if (Object.keys(edits).length > 0) options.kernelArgumentEdits = edits;
  await same(state, (sysroot) => sysroot.deploy(options), 'deploy', '--os=debian', ...args, ref);
  await pair.sysroot.reload();
};

const onDeployment =
  (
    command: string,
    change: (sysroot: Sysroot, deployment: Deployment) => Promise<unknown>,
    ...flags: string[]
  ) =>
  async (state: State) => {
    const { random, pair } = state;
    const index = random.below(Math.max(1, pair.sysroot.deployments.length));
    const ours = async (sysroot: Sysroot) => {
      const deployment = sysroot.deployments[index];
      if (!deployment) throw new Error('no such index');
      await change(sysroot, deployment);
    };
    await same(state, ours, command, ...flags, String(index));
  };

const upgrade = async (state: State) => {
  const { random, server, step } = state;
  if (random.chance(0.7)) await publish(server, step, random.pick(['stable', 'testing']));
  if (random.chance(0.3)) {
    const refspec = random.pick(kRefs);
    const ours = async (sysroot: Sysroot) => {
      const merge = (await sysroot.queryDeployments('debian')).merge;
      // The command refuses to switch to what is there.
      if (merge?.refspec === refspec) throw new Error('the same');
      await sysroot.upgrade({ ...kStateroot, refspec });
      // Rule `switchedRefs`.
      await using repo = await sysroot.repo();
      await repo.setRef(merge?.refspec ?? '', null);
    };
    await same(state, ours, 'switch', '--os=debian', refspec);
    return;
  }
  const flag = random.pick([undefined, '--allow-downgrade', '--pull-only', '--deploy-only']);
  const options = {
    ...kStateroot,
    ...(flag === '--allow-downgrade' && { allowOlder: true }),
    ...(flag === '--pull-only' && { deploy: false }),
    ...(flag === '--deploy-only' && { pull: false }),
  };
  const args = ['--os=debian', ...(flag ? [flag] : [])];
  await same(state, (sysroot) => sysroot.upgrade(options), 'upgrade', ...args);
};

const kargs = async (state: State) => {
  const { random } = state;
  const added = random.pick(kArguments);
  const ours = async (sysroot: Sysroot) => {
    if (sysroot.deployments.length === 0) throw new Error('nothing deployed');
    for (const { id, kernelArguments } of sysroot.deployments) {
      const list = KernelArguments.from(kernelArguments).appendIfMissing(added);
      await sysroot.setKernelArgumentsInPlace(id, list);
    }
  };
  await same(state, ours, 'kargs edit-in-place', `--append-if-missing=${added}`);
};

const setOrigin = async (state: State) => {
  const { random } = state;
  const branch = random.pick(['stable', 'testing']);
  const ours = async (sysroot: Sysroot) => {
    const deployment = sysroot.deployments[0];
    if (!deployment) throw new Error('nothing deployed');
    // Rule `freshOrigin`.
    const others = Object.keys(deployment.origin).map((group) => [group, null]);
    await sysroot.setOrigin(deployment.id, {
      ...Object.fromEntries(others),
      origin: { refspec: `remote:${branch}` },
    });
  };
  const url = `file://${state.server.path}`;
  await same(
    state,
    ours,
    'set-origin',
    '--index=0',
    '--set=gpg-verify=false',
    'remote',
    url,
    branch,
  );
};

const operations = [
  deploy,
  deploy,
  deploy,
  onDeployment('undeploy', (sysroot, { id }) => sysroot.undeploy(id)),
  onDeployment('pin', (sysroot, { id }) => sysroot.setPinned(id, true)),
  onDeployment('pin', (sysroot, { id }) => sysroot.setPinned(id, false), '--unpin'),
  upgrade,
  upgrade,
  kargs,
  setOrigin,
  (state: State) => same(state, (sysroot) => sysroot.cleanup(), 'cleanup'),
];

async function compare({ pair, log }: State): Promise<void> {
  const context = log.join('\n');
  // Everything of /boot; of ostree/ all but the objects, which a prune may leave for later.
  const parts = ['boot', 'ostree/deploy', 'ostree/repo/refs'];
  const [ours, theirs] = await describePaths([pair.ours, pair.theirs], parts, ['owners', 'xattrs']);
  sameLines(ours, theirs, context);
  const links = async (root: string) => {
    const find = ['ostree', '-maxdepth', '6', '-path', 'ostree/boot*', '-printf', '%p %l\n'];
    return (await run('find', find, { cwd: root })).stdout.split('\n').sort();
  };
  sameLines(await links(pair.ours), await links(pair.theirs), context);
  await using read = await Sysroot.load(pair.theirs);
  await pair.sysroot.reload();
  const plain = (list: readonly Deployment[]) => list.map(({ path: _path, ...rest }) => rest);
  expect(plain(pair.sysroot.deployments), context).toEqual(plain(read.deployments));
  const status = (root: string) => ostree('admin', 'status', `--sysroot=${root}`);
  expect(await status(pair.ours), context).toBe(await status(pair.theirs));
}

describe.each(Object.keys(kLoaders))('with boot loader %s', (loader) => {
  test.each([1, 2, 3, 4])('sequence %i', async (seed) => {
    const random = new Random(10_000 + seed * 10 + Object.keys(kLoaders).indexOf(loader));
    const name = `${loader}-${seed}`;
    await using host = await Sysroot.initialize(scratch.join(`${name}-server`));
    await using server = await host.repo();
    await publish(server, 1, 'stable');
    await publish(server, 2, 'testing');
    await using pair = await sysrootPair(scratch.join(name), async (root) => {
      await kLoaders[loader]?.(root);
      await using repo = await Repo.open(`${root}/ostree/repo`);
      await repo.config.write({ sysroot: { bootloader: loader }, core: { fsync: 'false' } });
      await repo.remotes.add('remote', `file://${server.path}`, { gpgVerify: false });
      await repo.pull('remote', { refs: ['stable', 'testing'] });
    });
    const state: State = { random, pair, server, step: 0, log: [loader] };
    for (let step = 1; step <= 10; step++) {
      state.step = step + 2;
      await (step < 3 ? deploy : random.pick(operations))(state);
      await compare(state);
    }
  });
});

// Elsewhere than on the running system: rule `ziplElsewhere`.
test.runIf(canBoot)('with boot loader zipl, on the running system', async () => {
  await using pair = await sysrootPair(scratch.join('zipl'), async (root) => {
    await mkdir(`${root}/tools`);
    // What it is run for, and what it finds then.
    const stamp = '/boot/ostree-bootloader-update.stamp';
    const lines = `#!/bin/sh\n{ ls ${stamp}; cat /boot/loader/entries/*; } >> /sysroot/zipl.log\n`;
    await writeFile(`${root}/tools/zipl`, lines, { mode: 0o755 });
  });
  await pair.commit('1');
  await pair.admin('deploy', '--os=debian', 'debian');
  const first = await pair.sysroot.deploy({
    stateroot: 'debian',
    rev: 'debian',
    refspec: 'debian',
  });
  await pair.commit('2');
  for (const root of [pair.ours, pair.theirs]) {
    await using repo = await Repo.open(`${root}/ostree/repo`);
    await repo.config.set('sysroot', 'bootloader', 'zipl');
  }
  const paths = 'PATH=/sysroot/tools:/usr/sbin:/usr/bin';
  const at = (root: string) => first.path.replace(pair.ours, root);
  const theirs = (...args: string[]) =>
    runBooted(pair.theirs, at(pair.theirs), 'env', paths, 'ostree', 'admin', ...args);
  const ours = (call: string) =>
    runModuleBooted(
      pair.ours,
      at(pair.ours),
      `import { Sysroot } from 'apt-ostree/ostree';
       process.env.PATH = '${paths.slice(5)}';
       const sysroot = await Sysroot.load('/', { mountNamespace: 'private' });
       ${call}
       await sysroot.cleanup();
       await sysroot.close();`,
    );
  const same = async () => {
    await pair.sysroot.reload();
    const parts = ['boot', 'zipl.log', 'ostree/deploy', 'ostree/repo/refs'];
    const facts = ['owners', 'xattrs'] as const;
    const [a, b] = await describePaths([pair.ours, pair.theirs], parts, facts);
    sameLines(a, b, await readFile(`${pair.ours}/zipl.log`, 'utf8'));
  };
  await theirs('deploy', '--os=debian', '--karg-append=quiet', 'debian');
  await ours(`await sysroot.deploy({
    stateroot: 'debian', rev: 'debian', refspec: 'debian', kernelArgumentEdits: { append: ['quiet'] },
  });`);
  await same();
  expect(await readFile(`${pair.ours}/zipl.log`, 'utf8')).toMatch(/stamp\n(.|\n)*options .*quiet/);
  await theirs('undeploy', '0');
  await ours('await sysroot.undeploy(sysroot.deployments[0].id);');
  await same();
  expect(pair.sysroot.deployments).toMatchObject([{ id: first.id }]);
});
