/**
 * Error classes and codes. Callers switch on `code`; the message is for people.
 *
 * `instanceof` is not reliable between the ESM and the CommonJS build (two copies of each class),
 * so every class carries a brand and `Symbol.hasInstance` looks at that.
 */

import type { constants } from 'node:os';

/**
 * Codes made by this package; docs/errors.md says what they mean. System errors keep their `errno`
 * names (`ENOENT`, `ENOSPC`, ...).
 */
export type AptOstreeErrorCode =
  | 'ABORT_ERR'
  | 'ERR_APT_EXPIRED'
  | 'ERR_APT_FAILED'
  | 'ERR_APT_HASH_MISMATCH'
  | 'ERR_APT_LOCKED'
  | 'ERR_APT_NEEDS_REINSTALL'
  | 'ERR_APT_NETWORK'
  | 'ERR_APT_NOT_AUTHENTICATED'
  | 'ERR_APT_NO_CHANGELOG'
  | 'ERR_APT_PATTERN'
  | 'ERR_APT_REFUSED'
  | 'ERR_APT_SOURCES'
  | 'ERR_APT_STALE_CACHE'
  | 'ERR_APT_UNKNOWN_PACKAGE'
  | 'ERR_APT_UNMET_DEPENDENCIES'
  | 'ERR_BINDING'
  | 'ERR_BUSY'
  | 'ERR_CLOSED'
  | 'ERR_COMPOSE_DPKG'
  | 'ERR_COMPOSE_LAYOUT'
  | 'ERR_COMPOSE_QUESTIONS'
  | 'ERR_COMPOSE_SCRIPT'
  | 'ERR_DEB822'
  | 'ERR_DEB_DAMAGED'
  | 'ERR_DEB_UNSUPPORTED'
  | 'ERR_ILLEGAL_CONSTRUCTOR'
  | 'ERR_INTERNAL'
  | 'ERR_INVALID_ARG_TYPE'
  | 'ERR_INVALID_ARG_VALUE'
  | 'ERR_INVALID_STATE'
  | 'ERR_NEEDS_ROOT'
  | 'ERR_OSTREE_FAILED'
  | 'ERR_OSTREE_GPG_EXPIRED_KEY'
  | 'ERR_OSTREE_GPG_EXPIRED_SIGNATURE'
  | 'ERR_OSTREE_GPG_INVALID_SIGNATURE'
  | 'ERR_OSTREE_GPG_MISSING_KEY'
  | 'ERR_OSTREE_GPG_NO_SIGNATURE'
  | 'ERR_OSTREE_GPG_REVOKED_KEY'
  | 'ERR_OSTREE_LOCKED'
  | 'ERR_OSTREE_NOT_A_REPOSITORY'
  | 'ERR_OSTREE_NOT_A_SYSROOT'
  | 'ERR_OSTREE_NOT_SUPPORTED'
  | 'ERR_OSTREE_NO_KERNEL'
  | 'ERR_OUT_OF_RANGE'
  | 'ERR_SANDBOX_LIMIT'
  | 'ERR_SANDBOX_UNAVAILABLE'
  | 'ERR_SYSTEM'
  | NodeSystemErrorCode;

/** Names of `errno` values, as Node uses them. */
export type NodeSystemErrorCode = keyof typeof constants.errno;

/** One entry of libapt-pkg's error stack. */
export interface ErrorMessage {
  severity: 'error' | 'warning' | 'notice' | 'debug' | 'audit';
  text: string;
}

/** A dependency that a solve could not meet. */
export interface UnmetDependency {
  /** The package that has it. */
  name: string;
  architecture: string;
  version: string;
  /** `Depends`, `PreDepends`, `Conflicts`, `Breaks`, ... */
  type: string;
  /** One of them would be enough. */
  alternatives: {
    name: string;
    architecture: string;
    comparison?: string;
    version?: string;
    /**
     * `unknown`: no source has the name; `version`: none has such a version; `virtual`: only a
     * name, and nothing provides it as wanted; `conflict`: something in the way stays;
     * `not-chosen`: see `tried`.
     */
    reason: 'unknown' | 'version' | 'virtual' | 'conflict' | 'not-chosen';
    /** The version that the package of this name would have. */
    chosen?: string;
    /** Every version that would do (or is in the way), and what the solver made of it. */
    tried: {
      name: string;
      architecture: string;
      version: string;
      outcome: 'installed' | 'removed' | 'not-candidate' | 'not-chosen';
      /** Of what is no candidate: its priority. A negative one rules it out. */
      priority?: number;
      /** Of what is no candidate: the version that is, if one is. */
      candidate?: string;
      /** Whether dpkg holds the package. */
      held?: boolean;
      /** Its own dependencies that cannot be met; each version is explained once. */
      because?: UnmetDependency[];
    }[];
  }[];
}

/** What a failure is about, where it is known. */
export interface ErrorDetails {
  /** A file or directory. */
  path?: string;
  /** A ref, revision or checksum. */
  ref?: string;
  /** A package name, with version or architecture where that matters. */
  package?: string;
  /** A remote of a repository. */
  remote?: string;
  /** A source or file of a source. */
  uri?: string;
  /** The process that holds a lock, where that is known. */
  pid?: number;
  /** The line of `path`, from 1. */
  line?: number;
  /** Why a request cannot be met: what apt-get lists, of hundreds the first. */
  unmet?: readonly UnmetDependency[];
  /** The same from the packages that were asked for down, as `AptCache.whyNot` gives it. */
  why?: readonly UnmetDependency[];
  /** What could not be parsed, where that was a text of the caller. */
  pattern?: string;
  /** Where in `pattern` it went wrong: offsets of its first byte and of the one after the last. */
  start?: number;
  end?: number;
  /** The last output of a maintainer script or dpkg. */
  output?: string;
  /** The maintainer script of `package` that it is about (`postinst`). */
  script?: string;
  /** Questions of debconf that have no answer. */
  questions?: readonly string[];
  /** Which limit a sandbox met: `processes`, `memory`, `seconds`. */
  limit?: string;
}

export interface AptOstreeErrorOptions extends ErrorDetails {
  cause?: unknown;
  /** Where the failure was found: a GLib error domain, `apt` or `posix`. */
  domain?: string;
  /** The number within `domain`. */
  nativeCode?: number;
  messages?: readonly ErrorMessage[];
}

/** Of names and texts of the caller, which messages quote, whatever their size. */
const kLongestMessage = 16_000;

function clipped(message: string): string {
  return message.length > kLongestMessage ? `${message.slice(0, kLongestMessage)}…` : message;
}

const kBrand = Symbol.for('apt-ostree.error');

/** Names a class and its errors, whatever a bundler makes of the identifier; not enumerable. */
function named(type: { prototype: Error }, name: string): void {
  Object.defineProperty(type, 'name', { value: name, configurable: true });
  Object.defineProperty(type.prototype, 'name', {
    value: name,
    configurable: true,
    writable: true,
  });
}

/** The base of every error of this package that is not a wrong argument or an abort. */
export class AptOstreeError extends Error {
  static {
    named(AptOstreeError, 'AptOstreeError');
  }
  readonly code: AptOstreeErrorCode;
  declare readonly domain?: string;
  declare readonly nativeCode?: number;
  /** The whole apt error stack, warnings included. */
  declare readonly messages?: readonly ErrorMessage[];
  declare readonly path?: string;
  declare readonly ref?: string;
  declare readonly package?: string;
  declare readonly remote?: string;
  declare readonly uri?: string;
  declare readonly pid?: number;
  declare readonly line?: number;
  declare readonly unmet?: readonly UnmetDependency[];
  declare readonly why?: readonly UnmetDependency[];
  declare readonly pattern?: string;
  declare readonly start?: number;
  declare readonly end?: number;
  declare readonly output?: string;
  declare readonly script?: string;
  declare readonly questions?: readonly string[];
  declare readonly limit?: string;
  /**
   * What a composition did until it failed, a `ComposeRecord`: script calls, the log. Neither
   * enumerable nor part of `toJSON`.
   */
  declare readonly record?: object;
  /** @internal */
  readonly [kBrand]: readonly string[];

  constructor(code: AptOstreeErrorCode, message: string, options: AptOstreeErrorOptions = {}) {
    const { cause, ...details } = options;
    super(clipped(message), cause === undefined ? undefined : { cause });
    this.code = code;
    Object.assign(this, details);
    const lineage: string[] = [];
    for (let c = new.target as { name: string }; c !== Error; c = Object.getPrototypeOf(c)) {
      lineage.push(c.name);
    }
    this[kBrand] = lineage;
    Object.defineProperty(this, kBrand, { enumerable: false });
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    // biome-ignore lint/complexity/noThisInStatic: subclasses inherit this and mean themselves.
    const name = this.name;
    const brand = (value as { [kBrand]?: readonly string[] } | null | undefined)?.[kBrand];
    return Array.isArray(brand) && brand.includes(name);
  }

  /** Everything that survives a process boundary. Synchronous. @throws nothing. */
  toJSON(): Record<string, unknown> {
    const { name, message } = this;
    return { ...Object.fromEntries(Object.entries(this)), name, message };
  }
}

/** libostree said no, or a repository or sysroot is not in the state that a call needs. */
export class OstreeError extends AptOstreeError {
  static {
    named(OstreeError, 'OstreeError');
  }
}

/** libapt-pkg said no; `messages` has its whole error stack. */
export class AptError extends AptOstreeError {
  static {
    named(AptError, 'AptError');
  }
}

/** A tree could not be composed: a damaged package, a failed script, a sandbox that cannot run. */
export class ComposeError extends AptOstreeError {
  static {
    named(ComposeError, 'ComposeError');
  }
}

/** As Node rejects aborted operations: `name: 'AbortError'`, `code: 'ABORT_ERR'`. */
export class AbortError extends Error {
  static {
    named(AbortError, 'AbortError');
  }
  readonly code = 'ABORT_ERR';
  constructor(reason?: unknown) {
    super('The operation was aborted', reason === undefined ? undefined : { cause: reason });
  }
}

/** @internal A TypeError with Node's code for a value of the wrong type. */
export function invalidArgType(name: string, expected: string, received: unknown): TypeError {
  const kind =
    received === null
      ? 'null'
      : typeof received === 'object'
        ? `an instance of ${classOf(received)}`
        : received === undefined
          ? 'undefined'
          : `type ${typeof received} (${String(received).slice(0, 28)})`;
  return withCode(
    new TypeError(clipped(`The "${name}" argument must be ${expected}. Received ${kind}`)),
    'ERR_INVALID_ARG_TYPE',
  );
}

function classOf(value: object): string {
  try {
    return String(value.constructor?.name ?? 'Object').slice(0, 100);
  } catch {
    return 'Object';
  }
}

/** @internal A TypeError with Node's code for a value of the right type that makes no sense. */
export function invalidArgValue(name: string, problem: string): TypeError {
  return withCode(
    new TypeError(clipped(`The argument '${name}' ${problem}`)),
    'ERR_INVALID_ARG_VALUE',
  );
}

function withCode<E extends Error>(error: E, code: AptOstreeErrorCode): E {
  return Object.assign(error, { code });
}
