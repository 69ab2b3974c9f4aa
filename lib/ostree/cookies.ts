/** Cookies that go with requests to a remote: the file `REMOTE.cookies.txt` of its repository. */

import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { checkDate, checkMembers, checkString, type Members } from '../checks.js';
import { invalidArgValue, OstreeError } from '../errors.js';

/** Which cookie: a remote has one of these at most. */
export interface CookieName {
  /** The host; with a leading dot all below it too. */
  domain: string;
  /** Requests for what is below this path get it. */
  path: string;
  name: string;
}

/** A cookie that goes with requests to a remote. */
export interface RemoteCookie extends CookieName {
  value: string;
  /** Only by HTTPS. @default false */
  secure?: boolean;
  /** @default in 25 years, as with the command */
  expires?: Date;
}

const kYears = 25;
const kColumns = 7;
const kName: Members<CookieName> = { domain: true, path: true, name: true };
const kCookie: Members<RemoteCookie> = { ...kName, value: true, secure: true, expires: true };

/** @internal Adds one, in place of the one of the same name. */
export async function addCookie(jar: string, cookie: RemoteCookie): Promise<void> {
  checkMembers(cookie, kCookie, 'cookie');
  checkWords(cookie, ['domain', 'path', 'name', 'value'], 'cookie');
  const { domain, path, name, value, secure = false, expires } = cookie;
  if (expires !== undefined) checkDate(expires, 'cookie.expires');
  const until = expires ?? new Date();
  if (expires === undefined) until.setUTCFullYear(until.getUTCFullYear() + kYears);
  const seconds = String(Math.max(0, Math.floor(until.getTime() / 1000)));
  const flag = (set: boolean) => (set ? 'TRUE' : 'FALSE');
  const columns = [domain, flag(domain.startsWith('.')), path, flag(secure), seconds, name, value];
  const lines = (await readLines(jar)).filter((line) => !isNamed(line, cookie));
  await writeLines(jar, [...lines, columns.join('\t')]);
}

/** @internal */
export async function removeCookie(jar: string, cookie: CookieName): Promise<void> {
  checkMembers(cookie, kCookie, 'cookie');
  checkWords(cookie, ['domain', 'path', 'name'], 'cookie');
  const lines = await readLines(jar);
  const left = lines.filter((line) => !isNamed(line, cookie));
  if (left.length === lines.length) {
    throw new OstreeError('ENOENT', `There is no cookie ${cookie.name}`, { path: jar });
  }
  await writeLines(jar, left);
}

/** @internal */
export async function listCookies(jar: string): Promise<RemoteCookie[]> {
  return (await readLines(jar)).flatMap((line) => parse(line) ?? []);
}

/** The command and libcurl end each of them at white space. */
function checkWords<T>(cookie: T, members: readonly (keyof T & string)[], name: string): void {
  for (const member of members) {
    const value: unknown = cookie[member];
    checkString(value, `${name}.${member}`);
    if (!/^[^\s\p{Cc}]+$/u.test(value)) {
      throw invalidArgValue(`${name}.${member}`, 'must be text without white space');
    }
  }
}

function parse(line: string): Required<RemoteCookie> | undefined {
  const columns = line.trim().split(/\s+/);
  const [domain, , path, secure, seconds, name, value] = columns;
  if (columns.length < kColumns || !/^\d+$/.test(seconds ?? '')) return undefined;
  return {
    domain: domain as string,
    path: path as string,
    name: name as string,
    value: value as string,
    secure: secure === 'TRUE',
    expires: new Date(Number(seconds) * 1000),
  };
}

function isNamed(line: string, { domain, path, name }: CookieName): boolean {
  const cookie = parse(line);
  return cookie?.domain === domain && cookie.path === path && cookie.name === name;
}

async function readLines(jar: string): Promise<string[]> {
  try {
    return (await readFile(jar, 'utf8')).split('\n').filter((line) => line !== '');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Cookies let others in, so nobody else reads them. */
async function writeLines(jar: string, lines: readonly string[]): Promise<void> {
  const temporary = path.join(path.dirname(jar), `tmp/cookies-${process.pid}-${Date.now()}`);
  try {
    await writeFile(temporary, lines.map((line) => `${line}\n`).join(''), {
      mode: 0o600,
      flag: 'wx',
    });
    await rename(temporary, jar);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
