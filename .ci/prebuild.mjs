#!/usr/bin/env node
/**
 * Builds prebuilds/<platform>/apt-ostree.apt<ABI>.glibc.node and the program that belongs to it, of
 * the same name with "-fetch" in place of ".node". libapt-pkg breaks its ABI with each
 * Debian release, so there is one file per ABI, built on a system that has it; the loader tries
 * them in turn.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const macros = execFileSync(
  'g++',
  ['-E', '-dM', '-x', 'c++', '-include', 'apt-pkg/macros.h', '/dev/null'],
  { encoding: 'utf8' },
);
const [major, minor] = ['MAJOR', 'MINOR'].map((part) => {
  const number = new RegExp(`^#define APT_PKG_${part} (\\d+)$`, 'm').exec(macros)?.[1];
  if (!number) throw new Error('apt-pkg/macros.h names no ABI');
  return number;
});
const name = `apt-ostree.apt${major}.${minor}`;

// A tree of links, so that build/ stays as it is.
const tree = path.join(root, 'build-prebuild');
mkdirSync(tree, { recursive: true });
for (const entry of ['binding.gyp', 'native', 'node_modules', 'package.json']) {
  rmSync(path.join(tree, entry), { force: true });
  symlinkSync(path.join('..', entry), path.join(tree, entry));
}

const headers = path.resolve(path.dirname(process.execPath), '..');
const local = existsSync(path.join(headers, 'include/node/node_api.h'));
const { status } = spawnSync(
  path.join(root, 'node_modules/.bin/prebuildify'),
  ['--napi', '--strip', '--tag-libc', '--name', name, '--cwd', tree, '--out', root],
  { stdio: 'inherit', env: { ...process.env, ...(local && { npm_config_nodedir: headers }) } },
);
if (status !== 0) process.exit(status ?? 1);
const program = path.join(
  root,
  'prebuilds',
  `${process.platform}-${process.arch}`,
  `${name}.glibc-fetch`,
);
copyFileSync(path.join(tree, 'build/Release/apt_ostree-fetch'), program);
execFileSync('strip', [program]);
