/** Checks of plain data that callers hand in, put together of checks of its parts. */

import {
  checkArray,
  checkBoolean,
  checkDate,
  checkMembers,
  checkNumber,
  checkOneOf,
  checkOptions,
  checkString,
} from './checks.js';
import { invalidArgType } from './errors.js';

/** Throws a TypeError for a value that it does not want; `name` says which value that is. */
export type Check = (value: unknown, name: string) => void;

export const aString: Check = checkString;
export const aNumber: Check = checkNumber;
export const aBoolean: Check = checkBoolean;
export const aDate: Check = checkDate;

export function oneOf(...allowed: readonly string[]): Check {
  return (value, name) => checkOneOf(value, allowed, name);
}

/** Absent is fine; null counts as absent. */
export function optional(check: Check): Check {
  return (value, name) => {
    if (value !== undefined && value !== null) check(value, name);
  };
}

export function arrayOf(check: Check): Check {
  return (value, name) => {
    checkArray(value, name);
    // Not forEach: that steps over holes.
    for (let index = 0; index < value.length; index += 1) check(value[index], `${name}[${index}]`);
  };
}

export function recordOf(check: Check): Check {
  return (value, name) => {
    checkOptions(value, name);
    for (const [key, entry] of Object.entries(value)) {
      check(entry, `${name}.${key.slice(0, 100)}`);
    }
  };
}

/** An object; members that are not named may be anything. */
export function objectOf(members: Readonly<Record<string, Check>>): Check {
  return (value, name) => {
    checkOptions(value, name);
    for (const [key, check] of Object.entries(members)) {
      check((value as Record<string, unknown>)[key], `${name}.${key}`);
    }
  };
}

/** A check for each member that a type of options has: TypeScript compares both. */
export type MemberChecks<T> = { readonly [Name in keyof T]-?: Check };

/** An object with no other members than these. */
export function optionsOf(members: Readonly<Record<string, Check>>): Check {
  const checkEach = objectOf(members);
  return (value, name) => {
    checkMembers(value, members, name);
    checkEach(value, name);
  };
}

/** An object of one of our classes. */
export function checkInstance(
  value: unknown,
  type: { readonly name: string; prototype: object },
  name: string,
): void {
  if (
    typeof value === 'object' &&
    value !== null &&
    type.prototype.isPrototypeOf.call(type.prototype, value)
  ) {
    return;
  }
  throw invalidArgType(name, `an instance of ${type.name}`, value);
}

/** What can be spread; strings can, and are not meant. */
export function checkIterable(value: unknown, name: string): asserts value is Iterable<unknown> {
  const iterator =
    typeof value === 'object' && value !== null && Reflect.get(value, Symbol.iterator);
  if (typeof iterator !== 'function') throw invalidArgType(name, 'an iterable object', value);
}
