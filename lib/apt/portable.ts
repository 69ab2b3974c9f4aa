/** Sources as they may leave this machine: without passwords, and with the keys they need. */

import { checkFunction, checkMembers, checkStrings, type Members } from '../checks.js';
import { AptError, invalidArgValue } from '../errors.js';
import { readRegularFile } from '../read-file.js';
import { armored } from './keyring.js';
import { type AptSource, checkSources, formatSources, keyFiles } from './sources.js';

/** A login for what lies below an address; a line of apt_auth.conf(5). */
export interface AptCredentials {
  /** `https://host`, `http://host:port/path`: everything below it. */
  machine: string;
  login: string;
  password: string;
}

const kUserInfo = /^([a-z][a-z0-9+.-]*:\/\/)([^/?#@]*)@/i;

/** An address without user and password, and these apart. */
export function splitCredentials(uri: string): { uri: string; credentials?: AptCredentials } {
  const match = kUserInfo.exec(uri);
  if (!match) return { uri };
  const [whole, scheme = '', info = ''] = match;
  const bare = scheme + uri.slice(whole.length);
  const colon = info.indexOf(':');
  const login = decoded(colon < 0 ? info : info.slice(0, colon));
  const password = decoded(colon < 0 ? '' : info.slice(colon + 1));
  return { uri: bare, credentials: { machine: bare.replace(/\/+$/, ''), login, password } };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The text of an apt_auth.conf(5). Its format has no quotes: blanks cannot be written. */
export function formatCredentials(list: readonly AptCredentials[]): string {
  const word = (value: unknown, name: string): string => {
    if (typeof value !== 'string' || /[\s\0]/.test(value) || value === '') {
      throw invalidArgValue(name, 'must be a text without blanks, and not empty');
    }
    return value;
  };
  return list
    .map(({ machine, login, password }) => {
      const parts = ['machine', word(machine, 'options.auth[].machine')];
      parts.push('login', word(login, 'options.auth[].login'));
      if (password !== '') parts.push('password', word(password, 'options.auth[].password'));
      return `${parts.join(' ')}\n`;
    })
    .join('');
}

export interface PortableOptions {
  /** Key files for sources that do not name their own. */
  keyrings?: readonly string[];
  /**
   * The content of a file where the sources will be used, or undefined. A keyring that is there
   * already, the same, is named by its path; others are written into the text.
   */
  readTarget?: (path: string) => Promise<Uint8Array | undefined>;
}

const kPortableOptions: Members<PortableOptions> = { keyrings: true, readTarget: true };

/**
 * The text of a `.sources` file for another root: users and passwords of URIs are left out, and
 * keyrings that only this machine has become part of the text (apt 2.4 and later read that).
 *
 * @throws `AptError` `ERR_APT_SOURCES` with `path` for a keyring that cannot be read, or where
 * `Signed-By` mixes such files and fingerprints.
 * @see sources.list(5)
 */
export async function portableSources(
  sources: readonly AptSource[],
  options: PortableOptions = {},
): Promise<string> {
  checkSources(sources, 'sources');
  checkMembers(options, kPortableOptions);
  if (options.keyrings != null) checkStrings(options.keyrings, 'options.keyrings');
  if (options.readTarget != null) checkFunction(options.readTarget, 'options.readTarget');
  const portable: AptSource[] = [];
  for (const source of sources) {
    const { signedBy: _signedBy, ...rest } = source;
    const signedBy = await portableKeys(source, options);
    portable.push({
      ...rest,
      uris: source.uris.map((uri) => splitCredentials(uri).uri),
      ...(signedBy !== undefined && { signedBy }),
    });
  }
  return formatSources(portable);
}

async function portableKeys(
  source: AptSource,
  options: PortableOptions,
): Promise<string | undefined> {
  const signedBy = source.signedBy ?? (options.keyrings?.join(',') || undefined);
  if (signedBy === undefined) return undefined;
  const { files, others } = keyFiles(signedBy);
  if (files.length === 0) return signedBy;
  const keyrings: { path: string; content: Buffer }[] = [];
  let allThere = true;
  for (const path of files) {
    const content = await readKeyring(path);
    const target = await options.readTarget?.(path);
    if (!target || !content.equals(target)) allThere = false;
    keyrings.push({ path, content });
  }
  if (allThere) return signedBy;
  if (others.length > 0) {
    throw new AptError(
      'ERR_APT_SOURCES',
      `Signed-By of ${source.suites.join(' ')} has fingerprints beside ${files.join(', ')}, which would not be in the tree`,
      { path: files[0] },
    );
  }
  return armored(keyrings);
}

async function readKeyring(path: string): Promise<Buffer> {
  try {
    return await readRegularFile(path);
  } catch (error) {
    const reason = (error as Error).message;
    throw new AptError('ERR_APT_SOURCES', `The keyring ${path} cannot be read: ${reason}`, {
      path,
      cause: error,
    });
  }
}
