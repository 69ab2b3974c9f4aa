/** A Debian archive made in the test: packages, indexes, signatures, served on loopback. */

import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { buildDeb, debName, type PackageSpec } from './deb.js';
import { type Fault, type FileServerOptions, serveDirectory } from './file-server.js';
import { createGpgHome } from './gpg.js';
import { run } from './run.js';
import { temporaryDirectory } from './temp.js';

export type { PackageSpec } from './deb.js';

export interface SourceSpec {
  name: string;
  /** Default `1.0`. */
  version?: string;
  binaries: readonly string[];
  /** Further fields of the .dsc. */
  fields?: Record<string, string>;
}

export interface AptRepositoryOptions {
  packages?: readonly PackageSpec[];
  /** Source packages, native ones; `source` then names deb-src too. */
  sources?: readonly SourceSpec[];
  /** Default `stable`. */
  suite?: string;
  /** Default `test`; the directory under `dists/` and the suite of `source`. */
  codename?: string;
  /** Default: this machine's. */
  architectures?: readonly string[];
  /** Default true. `wrong-key`: signed by a key that is not in `keyring`. */
  sign?: boolean | 'wrong-key';
  /** Default `http`. */
  serve?: 'http' | 'file';
  /** Of the server. */
  server?: FileServerOptions;
  /** Whether indexes are also served by their hashes. */
  byHash?: boolean;
  /** Further fields of the Release file, such as `Valid-Until` or `NotAutomatic`. */
  release?: Record<string, string>;
}

export interface AptRepository extends AsyncDisposable {
  /** `http://127.0.0.1:<port>` or `file:///...` */
  readonly url: string;
  /** Path of the public key, binary. */
  readonly keyring: string;
  /** A deb822 stanza for this archive, with `Signed-By`. */
  readonly source: string;
  readonly codename: string;
  /** What is served: `dists/` and `pool/`. */
  readonly directory: string;
  /** `GET /path` of each HTTP request so far. */
  readonly requests: string[];
  /** The most requests that were being answered at one time. */
  readonly most: number;
  /** Faults that the HTTP server makes; change at will. */
  faults: Fault[];
  /** Path of a package's file in the pool. */
  deb(name: string): string;
  /** Builds packages into the pool; `publish` makes them visible. */
  addPackage(...specs: PackageSpec[]): Promise<void>;
  removePackage(name: string): Promise<void>;
  /** Writes and signs the indexes again. */
  publish(sign?: boolean | 'wrong-key'): Promise<void>;
  /** Changes bytes in the middle of a .deb and leaves the indexes as they are. */
  damage(name: string): Promise<void>;
  stop(): Promise<void>;
}

/** A tarball and the .dsc that describes it. */
async function writeSource(spec: SourceSpec, pool: string): Promise<void> {
  const { name, version = '1.0', binaries } = spec;
  const base = `${name}_${version.replace(/^\d+:/, '')}`;
  const content = gzipSync(`source of ${base}\n`.repeat(200));
  await writeFile(path.join(pool, `${base}.tar.gz`), content);
  const line = (kind: string) => {
    const sum = createHash(kind).update(content).digest('hex');
    return `\n ${sum} ${content.length} ${base}.tar.gz`;
  };
  const fields = {
    Format: '3.0 (native)',
    Source: name,
    Binary: binaries.join(', '),
    Architecture: 'any',
    Version: version,
    Maintainer: 'Test <test@example.com>',
    ...spec.fields,
    'Checksums-Sha256': line('sha256'),
    Files: line('md5'),
  };
  const text = Object.entries(fields).map(([field, value]) => `${field}: ${value}\n`);
  await writeFile(path.join(pool, `${base}.dsc`), text.join(''));
}

async function storeByHash(index: string, contents: readonly Buffer[]): Promise<void> {
  // apt asks for the strongest one.
  for (const kind of ['SHA256', 'SHA512']) {
    const store = path.join(index, 'by-hash', kind);
    await mkdir(store, { recursive: true });
    for (const content of contents) {
      const name = createHash(kind).update(content).digest('hex');
      await writeFile(path.join(store, name), content);
    }
  }
}

let machine: Promise<string> | undefined;

/** This machine's Debian architecture. */
export function machineArchitecture(): Promise<string> {
  machine ??= run('dpkg', ['--print-architecture']).then(({ stdout }) => stdout.trim());
  return machine;
}

export async function createAptRepository(
  options: AptRepositoryOptions = {},
): Promise<AptRepository> {
  const { suite = 'stable', codename = 'test', serve = 'http' } = options;
  const architectures = options.architectures ?? [await machineArchitecture()];
  const temporary = await temporaryDirectory('archive');
  const directory = temporary.join('www');
  const keyring = temporary.join('archive.gpg');
  const pool = path.join(directory, 'pool');
  const dist = path.join(directory, 'dists', codename);
  const specs = new Map<string, PackageSpec>();
  await mkdir(pool, { recursive: true });
  const gpg = await createGpgHome();
  const good = await gpg.addKey('Archive <archive@example.com>');
  let foreign: string | undefined;
  await writeFile(keyring, await gpg.exportKey(good));

  async function addPackage(...added: PackageSpec[]): Promise<void> {
    for (const spec of added) {
      await buildDeb(spec, pool);
      specs.set(spec.name, spec);
    }
  }

  function deb(name: string): string {
    const spec = specs.get(name);
    if (!spec) throw new Error(`no package ${name} in this archive`);
    return path.join(pool, debName(spec));
  }

  async function publish(sign = options.sign ?? true): Promise<void> {
    await rm(dist, { recursive: true, force: true });
    for (const architecture of architectures) {
      const index = path.join(dist, 'main', `binary-${architecture}`);
      await mkdir(index, { recursive: true });
      const { bytes } = await run(
        'apt-ftparchive',
        ['-o', `APT::FTPArchive::Architecture=${architecture}`, 'packages', 'pool'],
        { cwd: directory },
      );
      await writeFile(path.join(index, 'Packages'), bytes);
      await writeFile(path.join(index, 'Packages.gz'), gzipSync(bytes));
      if (options.byHash) await storeByHash(index, [bytes, gzipSync(bytes)]);
    }
    if (options.sources) {
      const index = path.join(dist, 'main', 'source');
      await mkdir(index, { recursive: true });
      const { bytes } = await run('apt-ftparchive', ['sources', 'pool'], { cwd: directory });
      await writeFile(path.join(index, 'Sources'), bytes);
    }
    const fields = {
      Origin: 'apt-ostree tests',
      Label: 'apt-ostree tests',
      Suite: suite,
      Codename: codename,
      Architectures: architectures.join(' '),
      Components: 'main',
      ...(options.byHash && { 'Acquire-By-Hash': 'yes' }),
    };
    const settings = Object.entries(fields).flatMap(([name, value]) => [
      '-o',
      `APT::FTPArchive::Release::${name}=${value}`,
    ]);
    const { stdout } = await run('apt-ftparchive', [...settings, 'release', dist]);
    const extra = Object.entries(options.release ?? {}).map(
      ([name, value]) => `${name}: ${value}\n`,
    );
    const release = extra.join('') + stdout;
    await writeFile(path.join(dist, 'Release'), release);
    if (sign) {
      if (sign === 'wrong-key') foreign ??= await gpg.addKey('Somebody <somebody@example.com>');
      const key = sign === 'wrong-key' && foreign ? foreign : good;
      await writeFile(path.join(dist, 'InRelease'), await gpg.sign(key, release, 'clear'));
      await writeFile(path.join(dist, 'Release.gpg'), await gpg.sign(key, release, 'detached'));
      await gpg.stopAgent();
    }
    await stampRelease();
  }

  /** HTTP times have whole seconds: two publications in one second must differ. */
  let stamp = Math.floor(Date.now() / 1000) - 3600;
  async function stampRelease(): Promise<void> {
    stamp += 1;
    for (const name of ['InRelease', 'Release', 'Release.gpg']) {
      await utimes(path.join(dist, name), stamp, stamp).catch(() => {});
    }
  }

  const removeAll = async () => {
    await gpg[Symbol.asyncDispose]();
    await temporary.remove();
  };
  try {
    for (const spec of options.sources ?? []) await writeSource(spec, pool);
    await addPackage(...(options.packages ?? []));
    await publish();
  } catch (error) {
    await removeAll();
    throw error;
  }
  const server = serve === 'http' ? await serveDirectory(directory, options.server) : undefined;
  const url = server?.url ?? `file://${directory}`;
  let stopped = false;
  const stop = async () => {
    if (stopped) return;
    stopped = true;
    await server?.stop();
    await removeAll();
  };
  return {
    url,
    keyring,
    codename,
    directory,
    source: [
      options.sources ? 'Types: deb deb-src' : 'Types: deb',
      `URIs: ${url}`,
      `Suites: ${codename}`,
      'Components: main',
      `Signed-By: ${keyring}`,
      '',
    ].join('\n'),
    requests: server?.requests ?? [],
    get most() {
      return server?.most ?? 0;
    },
    get faults() {
      return server?.faults ?? [];
    },
    set faults(faults) {
      if (!server) throw new Error('only an archive served over HTTP has faults');
      server.faults = faults;
    },
    deb,
    addPackage,
    async removePackage(name) {
      await rm(deb(name));
      specs.delete(name);
    },
    publish,
    async damage(name) {
      const content = await readFile(deb(name));
      const middle = Math.floor(content.length / 2);
      for (let i = middle; i < middle + 16; i += 1) content[i] = (content[i] ?? 0) ^ 0xff;
      await writeFile(deb(name), content);
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
