import { constants } from 'node:fs';
import { invalidArgValue } from '../errors.js';

/** A file, directory or link on its way into a tree, as the rules before the filter left it. */
export interface ImportEntry {
  /** Absolute within what is imported. */
  readonly path: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'other';
  /** Permission bits, with set-user-id, set-group-id and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of a file; 0 for all else. */
  readonly size: number;
}

/** What an {@link ImportFilter} may change. */
export interface ImportChanges {
  mode?: number;
  uid?: number;
  gid?: number;
}

/**
 * Decides about one entry: leave it out, with all below it; change it; or take it as it is
 * (undefined). Must not be asynchronous. What it throws ends the import, which rejects with that.
 */
export type ImportFilter = (entry: ImportEntry) => 'skip' | ImportChanges | undefined;

/** Entries that native code asks about. */
export interface FilterQuestion {
  /** Joined by NUL. */
  paths: string;
  /** mode with the file type, uid, gid, size */
  numbers: Float64Array;
  answer(values: Float64Array): void;
}

const kColumns = 4;
const kTypes = new Map<number, ImportEntry['type']>([
  [constants.S_IFREG, 'file'],
  [constants.S_IFDIR, 'directory'],
  [constants.S_IFLNK, 'symlink'],
]);
const kLargestId = 0xffffffff;
const kPermissions = 0o7777;

/** Asks the filter about each entry; throws what it throws, unanswered. */
export function answerFilter(filter: ImportFilter, question: FilterQuestion): void {
  const { numbers } = question;
  const answer = new Float64Array(numbers.length);
  question.paths.split('\0').forEach((path, index) => {
    const row = index * kColumns;
    const fullMode = numbers[row] as number;
    const entry: ImportEntry = {
      path,
      type: kTypes.get(fullMode & constants.S_IFMT) ?? 'other',
      mode: fullMode & kPermissions,
      uid: numbers[row + 1] as number,
      gid: numbers[row + 2] as number,
      size: numbers[row + 3] as number,
    };
    const decision = filter(entry);
    if (decision === 'skip') {
      answer.set([1, entry.uid, entry.gid, entry.mode], row);
      return;
    }
    const { uid, gid, mode } = checkChanges(decision, entry);
    answer.set([0, uid, gid, mode], row);
  });
  question.answer(answer);
}

function checkChanges(decision: unknown, entry: ImportEntry): Required<ImportChanges> {
  const { uid, gid, mode } = entry;
  if (decision === undefined) return { uid, gid, mode };
  if (typeof decision !== 'object' || decision === null || 'then' in decision) {
    throw invalidArgValue(
      'options.filter',
      `must return 'skip', an object or undefined, not what it returned for ${entry.path}`,
    );
  }
  const changes = decision as ImportChanges;
  return {
    uid: inRange(changes.uid ?? uid, kLargestId, 'uid', entry),
    gid: inRange(changes.gid ?? gid, kLargestId, 'gid', entry),
    mode: inRange(changes.mode ?? mode, kPermissions, 'mode', entry),
  };
}

function inRange(value: unknown, largest: number, name: string, entry: ImportEntry): number {
  if (Number.isInteger(value) && (value as number) >= 0 && (value as number) <= largest) {
    return value as number;
  }
  throw invalidArgValue('options.filter', `gave ${entry.path} the ${name} ${String(value)}`);
}
