#!/usr/bin/env node
/**
 * Makes a fresh Debian machine ready, and is done at once when it is. Plain Node: it runs before
 * anything is installed. What it says goes to standard error.
 *
 *   --run     what the library needs to run
 *   --build   and to be built: npm's packages, the addon (this is the default)
 *   --dist    and the JavaScript that is published
 *   --test    and what `npm test` needs
 *   --ci      and what .ci/run needs beyond that
 */

import { spawnSync } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

/** Debian packages and why. `a|b`: the first that this release has, or any that is installed. */
const kDebian = {
  run: {
    'libostree-1-1': 'libostree',
    'libarchive13|libarchive13t64': 'reads tar streams',
    apt: 'its download methods',
    gpgv: 'checks signatures of archives',
    bubblewrap: 'the sandbox of maintainer scripts',
    'debian-archive-keyring': "keys of Debian's archives",
    'ca-certificates': 'archives over HTTPS',
    'util-linux': 'unshare, for private mounts',
    mount: 'overlays',
  },
  build: {
    'g++': 'compiles the addon',
    make: 'compiles the addon',
    python3: 'node-gyp',
    'pkg-config|pkgconf': 'finds the libraries',
    'libostree-dev': 'headers',
    'libapt-pkg-dev': 'headers',
    'libarchive-dev': 'headers',
  },
  test: {
    ostree: 'the tool that results are compared with',
    'apt-utils': 'indexes of test archives',
    dpkg: 'builds test packages',
    gpg: 'signs test archives',
    'gpg-agent': 'signs test archives',
    mmdebstrap: 'reference trees',
    'python3-apt': 'what native calls are compared with',
    'libcap2-bin': 'setcap, for layers with file capabilities',
    e2fsprogs: 'chattr, to remove deployments',
    openssl: 'certificates of test servers',
    systemd: 'systemd-tmpfiles and -sysusers, to make trees as a machine has them',
    ucf: 'what maintainer scripts of a test use',
    strace: 'shows which files are opened',
    'clang-format': 'format of C++',
  },
  ci: {
    'clang-tidy': 'analysis of C++',
    cmake: 'the second build',
    'qemu-system-x86': 'boots a composed tree',
  },
};

const flags = new Set(process.argv.slice(2));
for (const flag of flags) {
  if (!['--run', '--build', '--dist', '--test', '--ci'].includes(flag)) fail(`unknown: ${flag}`);
}
const wants = {
  ci: flags.has('--ci'),
  test: flags.has('--test') || flags.has('--ci'),
  dist: flags.has('--dist') || flags.has('--test') || flags.has('--ci'),
  build: !(flags.size === 1 && flags.has('--run')),
};

checkNode();
debianPackages(['run', ...['build', 'test', 'ci'].filter((group) => wants[group])]);
if (wants.build) {
  npmPackages();
  addon();
}
if (wants.dist) dist();

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 10)) {
    fail(`Node ${process.versions.node} is too old; 20.10 or later is needed.`);
  }
  if (!existsSync('/etc/debian_version')) {
    fail('This is no Debian system: apt-ostree works on Debian and its derivatives.');
  }
}

function debianPackages(groups) {
  const wanted = Object.assign({}, ...groups.map((group) => kDebian[group]));
  const names = Object.keys(wanted).flatMap((name) => name.split('|'));
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders.
  const format = '${db:Status-Abbrev} ${Package}\n';
  const query = spawnSync('dpkg-query', ['-W', '-f', format, ...names], {
    encoding: 'utf8',
  });
  const installed = new Set(
    query.stdout
      .split('\n')
      .filter((line) => /^.i/.test(line))
      .map((line) => line.slice(3).trim()),
  );
  const missing = Object.keys(wanted).filter(
    (name) => !name.split('|').some((option) => installed.has(option)),
  );
  if (missing.length === 0) return;
  say('Debian packages to install:');
  for (const name of missing) say(`  ${name.split('|')[0].padEnd(24)} ${wanted[name]}`);
  const become = asRoot();
  const install = () => {
    const chosen = missing.map((name) => name.split('|').find(isKnown));
    if (!chosen.every(Boolean)) return false;
    // sudo would drop the variable.
    const quiet = ['env', 'DEBIAN_FRONTEND=noninteractive'];
    return run([...become, ...quiet, ...aptGet(chosen)], { mayFail: true });
  };
  if (!become) {
    const chosen = missing.map((name) => name.split('|').find(isKnown) ?? name.split('|')[0]);
    fail(`Run this as root, then try again:\n  apt-get update && ${aptGet(chosen).join(' ')}`);
  }
  if (install()) return;
  // The lists are absent or older than the mirror.
  run([...become, 'apt-get', 'update']);
  if (!install()) fail('apt-get could not install them.');
}

function aptGet(names) {
  return ['apt-get', 'install', '--yes', '--no-install-recommends', ...names];
}

function isKnown(name) {
  const { stdout } = spawnSync('apt-cache', ['policy', name], { encoding: 'utf8' });
  return /Candidate: (?!\(none\))/.test(stdout ?? '');
}

/** The words before a command that make it root's; undefined where that is impossible. */
function asRoot() {
  if (process.getuid() === 0) return [];
  const sudo = spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' });
  if (sudo.error) return undefined;
  return sudo.status === 0 || process.stdin.isTTY ? ['sudo'] : undefined;
}

function npmPackages() {
  const packages = (file) => {
    try {
      return JSON.parse(readFileSync(path.join(root, file), 'utf8')).packages;
    } catch {
      return {};
    }
  };
  const have = packages('node_modules/.package-lock.json');
  // Optional packages are absent where they are for another platform.
  const stale = Object.entries(packages('package-lock.json')).some(
    ([name, { version, optional }]) => name && !optional && have[name]?.version !== version,
  );
  if (stale) run(['npm', 'ci', '--no-audit', '--no-fund']);
}

function addon() {
  const built = path.join(root, 'build/Release/apt_ostree.node');
  const sources = newest(['native', 'binding.gyp']);
  const prebuilds = path.join(root, 'prebuilds', `${process.platform}-${process.arch}`);
  const candidates = existsSync(built)
    ? [built]
    : existsSync(prebuilds)
      ? readdirSync(prebuilds)
          .filter((name) => name.endsWith('.node'))
          .map((name) => path.join(prebuilds, name))
      : [];
  if (candidates.some((file) => newest([file, programOf(file)]) >= sources && loads(file))) return;
  const makefile = newest(['build/Makefile']);
  const configured =
    makefile > newest(['binding.gyp', 'native/sources.gypi']) && existsSync(built) && loads(built);
  const headers = path.resolve(path.dirname(realpathSync(process.execPath)), '..');
  const local = existsSync(path.join(headers, 'include/node/node_api.h'));
  run([
    process.execPath,
    path.join(root, 'node_modules/node-gyp/bin/node-gyp.js'),
    configured ? 'build' : 'rebuild',
    '--loglevel=warn',
    // Otherwise node-gyp fetches the headers of this Node release.
    ...(local ? [`--nodedir=${headers}`] : []),
    ...(process.env.JOBS ? [] : ['--jobs=max']),
  ]);
  if (!loads(built)) fail(`${built} was built but does not load.`);
}

function programOf(addon) {
  return addon.replace(/\.node$/, '-fetch');
}

/** Whether the addon fits the libraries of this machine, and its program is there. */
function loads(file) {
  try {
    accessSync(programOf(file), constants.X_OK);
    process.dlopen({ exports: {} }, file);
    return true;
  } catch {
    return false;
  }
}

function dist() {
  const sources = newest(['lib', 'types', 'tsup.config.ts', 'tsconfig.json', 'package.json']);
  if (newest(['dist/index.js']) >= sources && existsSync(path.join(root, 'dist/index.d.ts'))) {
    return;
  }
  run([path.join(root, 'node_modules/.bin/tsup'), '--silent']);
}

/** The latest change among files and trees, in milliseconds; 0 where nothing is there. */
function newest(names) {
  let latest = 0;
  for (const name of names) {
    const file = path.resolve(root, name);
    const info = statSync(file, { throwIfNoEntry: false });
    if (info?.isDirectory()) {
      latest = Math.max(latest, newest(readdirSync(file).map((entry) => path.join(file, entry))));
    } else if (info) {
      latest = Math.max(latest, info.mtimeMs);
    }
  }
  return latest;
}

function run([program, ...args], { mayFail = false } = {}) {
  say(`$ ${[program.replace(`${root}/`, ''), ...args].join(' ')}`);
  const { status, error } = spawnSync(program, args, {
    cwd: root,
    // Standard output belongs to the program that this prepares.
    stdio: ['inherit', 2, 2],
  });
  if (status === 0) return true;
  if (mayFail) return false;
  return fail(`${program} failed: ${error?.message ?? `exit status ${status}`}`);
}

function say(text) {
  process.stderr.write(`${text}\n`);
}

function fail(text) {
  say(`setup: ${text}`);
  process.exit(1);
}
