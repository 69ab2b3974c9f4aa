/**
 * Finds and loads the addon.
 *
 * The addon is loaded with RTLD_DEEPBIND: Node's executable exports its own OpenSSL, zlib, zstd,
 * nghttp2 and brotli, and a plain `require` lets these replace the system's inside libcurl,
 * libostree and libapt-pkg. A preloaded library (a sanitizer, another allocator) must not be
 * bypassed, so the flag is dropped when LD_PRELOAD is set; APT_OSTREE_DLOPEN=now drops it too.
 */

import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';
import type { NativeBinding } from '../types/binding.js';
import { AptOstreeError } from './errors.js';

const kShared = Symbol.for('apt-ostree.binding');
const kAbis = ['7.0', '6.0'];

/** The addon, loaded at first use and shared by the ESM and the CommonJS build. */
export function binding(): NativeBinding {
  const shared = globalThis as { [kShared]?: NativeBinding };
  shared[kShared] ??= loadForProcess();
  return shared[kShared];
}

function loadForProcess(): NativeBinding {
  const loaded = load();
  // `process.exit()` takes no environment down but those of workers.
  if (isMainThread) process.once('exit', () => loaded.exiting());
  return loaded;
}

function packageRoot(): string {
  let directory = path.dirname(fileURLToPath(import.meta.url));
  while (!existsSync(path.join(directory, 'binding.gyp'))) {
    const parent = path.dirname(directory);
    if (parent === directory) break;
    directory = parent;
  }
  return directory;
}

function candidates(root: string): string[] {
  const chosen = process.env.APT_OSTREE_BINDING;
  if (chosen) return [path.resolve(chosen)];
  const prebuilds = path.join(root, 'prebuilds', `${process.platform}-${process.arch}`);
  return [
    path.join(root, 'build', 'Release', 'apt_ostree.node'),
    path.join(root, 'build', 'Debug', 'apt_ostree.node'),
    ...kAbis.map((abi) => path.join(prebuilds, `apt-ostree.apt${abi}.glibc.node`)),
  ];
}

function dlopenFlags(): number {
  const { RTLD_NOW, RTLD_DEEPBIND } = constants.dlopen;
  const plain = process.env.LD_PRELOAD || process.env.APT_OSTREE_DLOPEN === 'now';
  return plain ? RTLD_NOW : RTLD_NOW | (RTLD_DEEPBIND ?? 0);
}

function load(): NativeBinding {
  const root = packageRoot();
  const failures: Error[] = [];
  for (const file of candidates(root)) {
    if (!existsSync(file)) {
      failures.push(new Error(`${file}: not there`));
      continue;
    }
    try {
      const module = { exports: {} };
      process.dlopen(module, file, dlopenFlags());
      return module.exports as NativeBinding;
    } catch (error) {
      failures.push(new Error(`${file}: ${(error as Error).message}`, { cause: error }));
    }
  }
  throw new AptOstreeError('ERR_BINDING', explain(root, failures), {
    cause: new AggregateError(failures, 'every candidate failed'),
    path: root,
  });
}

/** Packages of the libraries that a prebuilt addon needs; libapt-pkg is on every Debian system. */
const kLibraries: Record<string, string> = {
  'libostree-1.so.1': 'libostree-1-1',
  'libarchive.so.13': 'libarchive13',
};

function remedy(root: string, failures: readonly Error[]): string[] {
  const codes = failures.map((failure) => (failure.cause as { code?: string } | undefined)?.code);
  if (codes.includes('ERR_DLOPEN_DISABLED')) {
    return [
      'Native addons are switched off: start node without --no-addons, or with --allow-addons',
      'under the permission model.',
    ];
  }
  const missing = Object.keys(kLibraries).filter((library) =>
    failures.some(({ message }) => message.includes(`${library}: cannot open shared object file`)),
  );
  if (missing.length > 0) {
    const packages = missing.map((library) => kLibraries[library]);
    return ['A library is missing. To install it:', `  apt-get install ${packages.join(' ')}`];
  }
  return [
    'To build it for this machine (Debian or a derivative):',
    '  apt-get install g++ make python3 pkg-config libostree-dev libapt-pkg-dev libarchive-dev',
    `  cd ${root} && npx --yes node-gyp rebuild`,
  ];
}

function explain(root: string, failures: readonly Error[]): string {
  return [
    `The native addon of apt-ostree could not be loaded on ${process.platform}-${process.arch}, Node ${process.version}.`,
    'Tried:',
    ...failures.map((failure) => `  ${failure.message}`),
    ...remedy(root, failures),
  ].join('\n');
}
