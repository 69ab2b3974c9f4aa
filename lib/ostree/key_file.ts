import { checkString } from '../checks.js';
import { invalidArgType, invalidArgValue } from '../errors.js';

/** Groups of a key file, such as an origin: group, key, value, in the order of the file. */
export type KeyFile = Record<string, Record<string, string>>;

/** Changes of a key file; null removes a key or a whole group. Everything not named stays. */
export type KeyFileChanges = Record<string, Record<string, string | null> | null>;

/** As GLib has it, and no key that would be read back as a comment. */
const kKeyName = /^[^=[\]#\s]([^=[\]]*[^=[\]\s])?(\[[\p{L}\p{N}_.@-]*\])?$/u;
const kGroupName = /^[^[\]]+$/;
const kControl = /\p{Cc}/u;

/** Throws a TypeError for a name that no group of a key file can have. */
export function checkGroupName(value: unknown, name: string): asserts value is string {
  checkString(value, name);
  if (kGroupName.test(value) && !kControl.test(value)) return;
  throw invalidArgValue(name, 'is not a name that a group can have');
}

/** Throws a TypeError for a name that no key of a key file can have. */
export function checkKeyName(value: unknown, name: string): asserts value is string {
  checkString(value, name);
  if (kKeyName.test(value) && !kControl.test(value)) return;
  throw invalidArgValue(name, 'is not a name that a key can have');
}

/** Throws a TypeError for changes that a key file cannot hold. */
export function checkKeyFileChanges(value: unknown, name: string): asserts value is KeyFileChanges {
  if (typeof value !== 'object' || value === null)
    throw invalidArgType(name, 'of type object', value);
  for (const [group, keys] of Object.entries(value)) {
    checkGroupName(group, name);
    if (keys === null) continue;
    if (typeof keys !== 'object') {
      throw invalidArgType(`${name}.${group}`, 'of type object or null', keys);
    }
    for (const [key, text] of Object.entries(keys)) {
      checkKeyName(key, `${name}.${group}`);
      if (text !== null) checkString(text, `${name}.${group}.${key}`);
    }
  }
}
