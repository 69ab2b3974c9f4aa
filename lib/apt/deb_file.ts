/** Package files: control members, listing, content. */

import { Readable } from 'node:stream';
import type {
  NativeDebCursor,
  NativeDebEntry,
  NativeDebFile,
  NativeOpenedDeb,
} from '../../types/deb.js';
import { binding } from '../binding.js';
import {
  checkMembers,
  checkOptions,
  checkPath,
  checkString,
  type Members,
  type PathLike,
} from '../checks.js';
import { AptError, invalidArgType } from '../errors.js';
import { checkSignal, type JobOptions, kJobOptions, runJob } from '../job.js';
import { inPieces, kMostCopied } from '../pieces.js';
import { Deb822 } from './deb822.js';
import { changelogText, kChangelogs } from './source_packages.js';

/** A file of the control archive. */
export interface DebControlMember {
  name: string;
  /** Permission bits. */
  mode: number;
  content: Buffer;
}

/** Something in the data archive. */
export interface DebEntry {
  type: 'file' | 'hardlink' | 'symlink' | 'directory' | 'character' | 'block' | 'pipe';
  /** Absolute, and not looked at: a hostile package may have `..` in it. */
  path: string;
  /** The name in the archive where that is not UTF-8; `path` then has replacement characters. */
  nameBytes?: Buffer;
  /** Permission bits, set-user-id and its like included. */
  mode: number;
  uid: number;
  gid: number;
  user: string;
  group: string;
  /** Bytes. */
  size: number;
  mtime: Date;
  /** Where a symbolic link leads, or the path that a hard link is another name of. */
  link?: string;
  /** Of devices. */
  major?: number;
  minor?: number;
}

/** An entry whose content is there to be read. */
export interface DebContentEntry extends DebEntry {
  /**
   * The content, until the iterator goes on to the next entry; may be read once. Empty for
   * everything but files.
   */
  content(): AsyncGenerator<Buffer, void, void>;
}

export interface DebConffile {
  path: string;
  /** The package no longer has it: dpkg removes what is left of it. */
  removeOnUpgrade: boolean;
}

export interface DebExtractOptions extends JobOptions {
  /** Whether files get the owners that the archive names. Default: for root. */
  owners?: boolean;
}

export interface DebExtracted {
  files: number;
  directories: number;
  /** Of both kinds. */
  links: number;
  /** Of files. */
  bytes: number;
}

export type DebScript = 'preinst' | 'postinst' | 'prerm' | 'postrm' | 'config';

const kScripts: readonly DebScript[] = ['preinst', 'postinst', 'prerm', 'postrm', 'config'];
const kBatch = 500;
const kChunk = 256 * 1024;

/**
 * A .deb file of format 2, with any compression that dpkg knows. Only its control archive is
 * kept; the data archive is read from the file each time, on a native thread.
 *
 * @throws `ERR_DEB_DAMAGED` for what dpkg would not unpack, `ERR_DEB_UNSUPPORTED` for another
 * format, both with `path`; `ENOENT` and others of the system.
 * @see deb(5)
 * @example
 * const deb = await DebFile.open(file);
 * console.log(deb.name, deb.version, deb.fields.Depends);
 * for await (const entry of deb.contents()) {
 *   if (entry.path === '/usr/bin/hello') for await (const part of entry.content()) console.log(part);
 * }
 */
export class DebFile {
  readonly #native: NativeDebFile;
  /** Where it is; absent for one in memory. */
  declare readonly path?: string;
  /** The package, `Package` of its control file. */
  readonly name: string;
  /** `Version` of its control file. */
  readonly version: string;
  /** `Architecture` of its control file: `all`, or a name of Debian. */
  readonly architecture: string;
  /** Fields of the control file, in their order. */
  readonly fields: Readonly<Record<string, string>>;
  /** Files of the control archive. */
  readonly members: readonly DebControlMember[];
  /** Bytes of the file. */
  readonly size: number;
  /** How the two archives inside are compressed. */
  readonly compression: { readonly control: string; readonly data: string };

  private constructor(opened: NativeOpenedDeb, path: string | undefined) {
    this.#native = opened.file;
    if (path !== undefined) this.path = path;
    this.members = opened.members;
    this.size = opened.size;
    this.compression = {
      control: compressionOf(opened.controlCompression),
      data: compressionOf(opened.dataCompression),
    };
    this.fields = fieldsOf(this.member('control'), path);
    const need = (name: string) => {
      const value = this.fields[name];
      if (!value) throw damaged(`its control file has no ${name}`, path);
      return value;
    };
    this.name = need('Package');
    this.version = need('Version');
    this.architecture = need('Architecture');
  }

  /**
   * Reads the control archive of a file, or of the bytes of one; those are copied, and must stay
   * as they are meanwhile.
   *
   * @see deb(5)
   */
  static async open(file: string | URL | Uint8Array, options: JobOptions = {}): Promise<DebFile> {
    const { DebFile: native } = binding();
    if (file instanceof Uint8Array) {
      checkOptions(options);
      checkSignal(options.signal);
      const bytes = file.byteLength > kMostCopied ? await inPieces(file, options.signal) : file;
      return new DebFile(await runJob('apt', () => native.read(bytes), options), undefined);
    }
    const path = checkPath(file, 'file');
    return new DebFile(await runJob('apt', () => native.open(path), options), path);
  }

  /**
   * The content of a file of the control archive; undefined where it has none of the name.
   * Synchronous: the control archive has been read.
   *
   * @throws nothing.
   * @see deb-control(5)
   */
  member(name: string): Buffer | undefined {
    checkString(name, 'name');
    return this.members.find((member) => member.name === name)?.content;
  }

  #text(name: string): string {
    return this.member(name)?.toString('utf8') ?? '';
  }

  /** The maintainer scripts that it has. */
  get scripts(): Partial<Record<DebScript, string>> {
    const present = kScripts.filter((name) => this.member(name));
    return Object.fromEntries(present.map((name) => [name, this.#text(name)]));
  }

  /** Files that dpkg keeps when an administrator has changed them. */
  get conffiles(): DebConffile[] {
    return linesOf(this.#text('conffiles')).map((line) => {
      const match = /^remove-on-upgrade\s+(.*)$/.exec(line);
      return { path: match?.[1] ?? line, removeOnUpgrade: match !== null };
    });
  }

  /** What the package says of its files' content; empty where it says nothing. */
  get md5sums(): { path: string; md5: string }[] {
    return linesOf(this.#text('md5sums')).flatMap((line) => {
      const match = /^([0-9a-f]{32})\s+\*?(.*)$/.exec(line);
      return match ? [{ path: `/${match[2]}`, md5: match[1] ?? '' }] : [];
    });
  }

  /** Directives of deb-triggers(5): `interest`, `interest-noawait`, `activate`, ... */
  get triggers(): { directive: string; name: string }[] {
    return linesOf(this.#text('triggers')).flatMap((line) => {
      const [directive = '', name = ''] = line.replace(/#.*$/, '').trim().split(/\s+/);
      return directive === '' ? [] : [{ directive, name }];
    });
  }

  /**
   * The listing, in batches; to its end, and the whole file has been checked.
   *
   * @see dpkg-deb(1)
   */
  async *entries(options: JobOptions = {}): AsyncGenerator<DebEntry[], void, void> {
    const cursor = this.#native.reader();
    try {
      for (;;) {
        const batch = await runJob('apt', () => cursor.next(kBatch), options);
        if (batch.length === 0) return;
        yield batch.map(entryOf);
      }
    } finally {
      cursor.close();
    }
  }

  /**
   * Every entry with its content, one after the other. What is not read is skipped.
   *
   * @throws `ERR_INVALID_STATE` by the content of an entry that has been passed.
   * @see dpkg-deb(1)
   */
  async *contents(options: JobOptions = {}): AsyncGenerator<DebContentEntry, void, void> {
    const cursor = this.#native.reader();
    let current = 0;
    try {
      for (;;) {
        const [entry] = await runJob('apt', () => cursor.next(1), options);
        if (!entry) return;
        current += 1;
        const own = current;
        yield {
          ...entryOf(entry),
          content: () => contentOf(cursor, options, () => own === current),
        };
      }
    } finally {
      current += 1;
      cursor.close();
    }
  }

  /**
   * The package's own changelog; undefined where it has none, or a link to another package's.
   *
   * @see {@link contents}
   */
  async changelog(options: JobOptions = {}): Promise<string | undefined> {
    const directory = `/usr/share/doc/${this.name}/`;
    const found = new Map<string, Buffer>();
    for await (const entry of this.contents(options)) {
      const name = entry.path.slice(directory.length);
      const wanted = (kChangelogs as readonly string[]).includes(name);
      if (entry.type !== 'file' || !wanted || !entry.path.startsWith(directory)) continue;
      const parts: Buffer[] = [];
      for await (const part of entry.content()) parts.push(part);
      found.set(name, Buffer.concat(parts));
    }
    for (const name of kChangelogs) {
      const content = found.get(name);
      if (content) return changelogText(name, content);
    }
    return undefined;
  }

  /**
   * The data archive, decompressed: what `dpkg-deb --fsys-tarfile` writes.
   *
   * @throws on the stream what {@link entries} throws.
   * @see dpkg-deb(1)
   */
  tar(options: JobOptions = {}): Readable {
    return Readable.from(archiveOf(this.#native.reader(), options), { objectMode: false });
  }

  /**
   * Unpacks the files into a directory, made where it is missing: what `dpkg-deb --extract` does,
   * but that nothing gets out of the directory. Links, of the package or there before, are
   * followed as if the directory were `/`. Existing files are replaced, not written to.
   *
   * When it fails or is aborted, what has been unpacked stays.
   *
   * @throws `ERR_DEB_DAMAGED`; `ENOSPC`, `EACCES` and what else writing fails with, with `path`.
   * @see dpkg-deb(1)
   */
  async extractTo(directory: PathLike, options: DebExtractOptions = {}): Promise<DebExtracted> {
    checkMembers(options, { ...kJobOptions, owners: true } satisfies Members<typeof options>);
    const target = checkPath(directory, 'directory');
    const owners = options.owners ?? process.geteuid?.() === 0;
    if (typeof owners !== 'boolean')
      throw invalidArgType('options.owners', 'of type boolean', owners);
    return runJob('apt', () => this.#native.extract(target, owners), {
      signal: options.signal,
    });
  }
}

function linesOf(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

function compressionOf(suffix: string): string {
  const names: Record<string, string> = { '': 'none', '.gz': 'gzip', '.xz': 'xz', '.zst': 'zstd' };
  return names[suffix] ?? suffix.slice(1);
}

function damaged(problem: string, path: string | undefined, line?: number): AptError {
  return new AptError('ERR_DEB_DAMAGED', `Damaged package: ${problem}`, {
    ...(path !== undefined && { path }),
    ...(line !== undefined && { line }),
  });
}

function fieldsOf(control: Buffer | undefined, path: string | undefined): Record<string, string> {
  if (!control) throw damaged('no control file', path);
  const document = Deb822.parseWith(control.toString('utf8'), (line, problem) => {
    throw damaged(`line ${line} of its control file: ${problem}`, path, line);
  });
  const [stanza] = document.stanzas;
  if (!stanza) throw damaged('its control file is empty', path);
  return stanza.toJSON();
}

function entryOf({ name, nameBytes, mtime, ...rest }: NativeDebEntry): DebEntry {
  const path = name.replace(/^(\.\/|\/)+/, '').replace(/\/+$/, '');
  return {
    ...rest,
    path: path === '.' ? '/' : `/${path}`,
    ...(nameBytes && { nameBytes }),
    mtime: new Date(mtime * 1000),
  };
}

async function* contentOf(
  cursor: NativeDebCursor,
  options: JobOptions,
  isCurrent: () => boolean,
): AsyncGenerator<Buffer, void, void> {
  for (;;) {
    if (!isCurrent()) {
      throw new AptError('ERR_INVALID_STATE', 'The content of an entry that has been passed');
    }
    const bytes = await runJob('apt', () => cursor.read(kChunk), options);
    if (bytes.length === 0) return;
    yield bytes;
  }
}

async function* archiveOf(
  cursor: NativeDebCursor,
  options: JobOptions,
): AsyncGenerator<Buffer, void, void> {
  try {
    for (;;) {
      const bytes = await runJob('apt', () => cursor.readArchive(kChunk), options);
      if (bytes.length === 0) return;
      yield bytes;
    }
  } finally {
    cursor.close();
  }
}
