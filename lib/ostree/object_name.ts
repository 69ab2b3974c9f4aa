/** Names of objects and the forms of their checksums. */

import { checkBytes, checkChecksum, checkOneOf, checkString } from '../checks.js';
import { invalidArgValue } from '../errors.js';

/**
 * The kinds of objects in a repository. The last five are not part of commits: detached metadata,
 * what is left of a deleted commit, and parts that some modes keep apart.
 */
export type ObjectType =
  | 'commit'
  | 'file'
  | 'dirtree'
  | 'dirmeta'
  | 'commitmeta'
  | 'tombstone-commit'
  | 'payload-link'
  | 'file-xattrs'
  | 'file-xattrs-link';

/** @internal */
export const kObjectTypes: readonly ObjectType[] = [
  'commit',
  'file',
  'dirtree',
  'dirmeta',
  'commitmeta',
  'tombstone-commit',
  'payload-link',
  'file-xattrs',
  'file-xattrs-link',
];

/** Which object. */
export interface ObjectName {
  readonly checksum: string;
  readonly type: ObjectType;
}

/** @internal */
export function checkObjectName(type: unknown, checksum: unknown): asserts type is ObjectType {
  checkOneOf(type, kObjectTypes, 'type');
  checkChecksum(checksum, 'checksum');
}

/**
 * The name of an object, `CHECKSUM.TYPE`, as files of a repository have it. Synchronous.
 *
 * @throws `ERR_INVALID_ARG_VALUE` for no checksum or type.
 * @see `ostree_object_to_string`
 * @example
 * const checksum = await repo.resolveRev('os/stable');
 * assert.equal(formatObjectName({ checksum, type: 'commit' }), `${checksum}.commit`);
 */
export function formatObjectName(name: ObjectName): string {
  checkObjectName(name?.type, name?.checksum);
  return `${name.checksum}.${name.type}`;
}

/**
 * The opposite of {@link formatObjectName}. Synchronous.
 *
 * @throws `ERR_INVALID_ARG_VALUE`
 * @see `ostree_object_from_string`, which ends the process instead
 */
export function parseObjectName(text: string): ObjectName {
  checkString(text, 'text');
  const checksum = text.slice(0, 64);
  const type = text.slice(65);
  checkChecksum(checksum, 'text');
  if (text[64] !== '.') throw invalidArgValue('text', "must be 'CHECKSUM.TYPE'");
  checkOneOf(type, kObjectTypes, 'text');
  return { checksum, type };
}

/** @internal Of native code, which needs no check. */
export function splitObjectName(text: string): ObjectName {
  return { checksum: text.slice(0, 64), type: text.slice(65) as ObjectType };
}

/**
 * The 32 bytes of a checksum. Synchronous.
 *
 * @throws `ERR_INVALID_ARG_VALUE`
 * @see `ostree_checksum_to_bytes`
 */
export function checksumToBytes(checksum: string): Buffer {
  checkChecksum(checksum, 'checksum');
  return Buffer.from(checksum, 'hex');
}

/**
 * The checksum of 32 bytes. Synchronous.
 *
 * @throws `ERR_INVALID_ARG_VALUE` for more or fewer bytes.
 * @see `ostree_checksum_from_bytes`
 */
export function checksumFromBytes(bytes: Uint8Array): string {
  checkBytes(bytes, 'bytes');
  if (bytes.length !== 32) throw invalidArgValue('bytes', 'must be 32 bytes long');
  return Buffer.from(bytes).toString('hex');
}

/**
 * The form in names of static deltas: base64 with `_` for `/`, without padding. Synchronous.
 *
 * @throws `ERR_INVALID_ARG_VALUE`
 * @see `ostree_checksum_b64_from_bytes`
 */
export function checksumToBase64(checksum: string): string {
  return checksumToBytes(checksum).toString('base64').replaceAll('/', '_').replace('=', '');
}

/**
 * The opposite of {@link checksumToBase64}. Synchronous.
 *
 * @throws `ERR_INVALID_ARG_VALUE`
 * @see `ostree_checksum_b64_to_bytes`
 */
export function checksumFromBase64(text: string): string {
  checkString(text, 'text');
  if (!/^[A-Za-z0-9+_]{43}$/.test(text)) {
    throw invalidArgValue('text', 'must be 43 characters of base64');
  }
  const checksum = Buffer.from(text.replaceAll('_', '/'), 'base64').toString('hex');
  // The last character has two bits too many.
  if (checksumToBase64(checksum) !== text) throw invalidArgValue('text', 'is not canonical');
  return checksum;
}
