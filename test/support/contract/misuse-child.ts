/**
 * Calls everything public with everything bad, and writes one line of JSON for each call that did
 * not end in a typed error or a result. Started by misuse.ts, inside bubblewrap.
 */

import { createHash } from 'node:crypto';
import {
  appendFileSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import * as library from 'apt-ostree';
import type { ApiMember, ParameterSpec, TypeSpec } from './api.js';
import { Fixture, type Subject } from './fixture.js';
import {
  conforms,
  hostile,
  junk,
  kUnknownMember,
  type Sample,
  trapError,
  valid,
} from './values.js';

export interface MisuseRun {
  members: ApiMember[];
  /** A directory of its own, the only one that may be written. */
  sandbox: string;
  /** Calls to leave out: they were made by a child that died. */
  skip: number;
}

export interface MisuseReport {
  member: string;
  call: string;
  problem: string;
}

const input: MisuseRun = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8'));
try {
  writeFileSync('/apt-ostree-misuse', '');
  throw new Error('this must not run where it can write outside of its sandbox');
} catch (error) {
  if ((error as NodeJS.ErrnoException).code !== 'EROFS') throw error;
}

const work = path.join(input.sandbox, 'work/a/b/c');
const fixture = new Fixture(path.join(input.sandbox, 'fixture'));
const progress = openSync(path.join(input.sandbox, 'progress'), 'w');
let calls = 0;
let current: { member: string; call: string } = { member: 'preparing', call: '' };

function report(problem: string, about = current): void {
  // Not standard output: calls are told to write there.
  appendFileSync(path.join(input.sandbox, 'reports'), `${JSON.stringify({ ...about, problem })}\n`);
}

for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (error: unknown) => {
    report(`${event}: ${error instanceof Error ? error.stack : String(error)}`);
    if (calls === 0) process.exit(1);
  });
}

/** What libraries said on standard error since the last look. */
let heard = 0;
function overheard(): string {
  const { size } = fstatSync(2);
  if (size === heard) return '';
  const text = Buffer.alloc(Math.min(size - heard, 2000));
  const file = openSync(path.join(input.sandbox, 'stderr'), 'r');
  readSync(file, text, 0, text.length, heard);
  heard = size;
  return text.toString();
}

/** What is wrong with an error, if anything is. */
function wrongWith(error: unknown): string | undefined {
  if (error === trapError) return undefined;
  if (!(error instanceof Error)) return `not an error: ${String(error)}`;
  const { code } = error as { code?: unknown };
  if (code === 'ERR_INTERNAL') return `internal: ${error.message}`;
  if (typeof code === 'string' && /^(ERR_[A-Z0-9_]+|E[A-Z0-9]+|ABORT_ERR)$/.test(code)) {
    return error.message.length > 20_000 ? `a message of ${error.message.length}` : undefined;
  }
  return `untyped: ${error.stack?.split('\n').slice(0, 4).join(' | ')}`;
}

/** Takes what a call gave until it is done with: iterators, streams, handles. */
async function consume(given: unknown): Promise<void> {
  const result = await given;
  if (typeof result !== 'object' || result === null) return;
  if (Symbol.asyncIterator in result) {
    let taken = 0;
    for await (const _ of result as AsyncIterable<unknown>) if (++taken === 3) break;
  } else if (Symbol.iterator in result && !ArrayBuffer.isView(result)) {
    let taken = 0;
    for (const _ of result as Iterable<unknown>) if (++taken === 3) break;
  }
  if (Symbol.asyncDispose in result) {
    await (result as AsyncDisposable)[Symbol.asyncDispose]();
  } else if (Symbol.dispose in result) {
    (result as Disposable)[Symbol.dispose]();
  }
}

class Hang extends Error {}

async function attempt(call: () => unknown): Promise<{ error: unknown } | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Hang()), Number(process.env.APT_OSTREE_HANG ?? 30_000));
  });
  try {
    // Calls may have removed it, as they were asked to.
    mkdirSync(work, { recursive: true });
    process.chdir(work);
    await Promise.race([consume(call()), late]);
    return undefined;
  } catch (error) {
    return { error };
  } finally {
    clearTimeout(timer);
  }
}

type Expect = 'anything' | 'refusal' | 'baseline';

async function check(
  member: string,
  description: string,
  expected: Expect,
  call: () => unknown,
): Promise<void> {
  calls += 1;
  if (calls <= input.skip) return;
  current = { member, call: description };
  const line = `${calls}\n${JSON.stringify(current)}\n`;
  writeSync(progress, line.padEnd(600), 0);
  const about = current;
  const outcome = await attempt(call);
  const said = overheard();
  if (/CRITICAL|WARNING|ERROR|Error|terminate/.test(said)) report(`said: ${said}`, about);
  if (outcome?.error instanceof Hang) return report('hangs', about);
  const problem = outcome && wrongWith(outcome.error);
  if (problem) return report(problem, about);
  if (expected === 'refusal' && !outcome) report('took a value of a wrong type', about);
  const { code = '', message = '' } = (outcome?.error ?? {}) as { code?: string; message?: string };
  if (expected === 'baseline' && /^ERR_(INVALID_ARG|OUT_OF_RANGE)/.test(code)) {
    report(`no case: good arguments were refused: ${message}`, about);
  }
}

/** They wait for a held lock as long as nothing aborts them, which no bad value does. */
const kPatient = new Set(['Sysroot.lock', 'Sysroot.withLock']);

/** Whose good arguments cannot be told in advance: marks take snapshots of their own alone. */
const kNoBaseline = new Set(['AptMarks.rollback']);

/** Bad values for one parameter; APT_OSTREE_MISUSE=all tries all that there are. */
const kMost = process.env.APT_OSTREE_MISUSE === 'all' ? Number.POSITIVE_INFINITY : 120;

/** The simple ones, and of the others about as many as are wanted: always the same. */
function some(title: string, samples: Iterable<Sample>): Sample[] {
  const all = [...samples];
  const wanted = kMost / all.length;
  return all.filter(
    ({ label }, index) =>
      index < junk.length || label.includes(kUnknownMember) || part(title + label) < wanted,
  );
}

/** A number from 0 to 1 that is the same for the same text. */
function part(text: string): number {
  return createHash('sha1').update(text).digest().readUInt32LE(0) / 2 ** 32;
}

/** Calls of one member: the good one, then one for each bad value in each place. */
async function tryMember(member: ApiMember, shared: ReadonlyMap<string, unknown>): Promise<void> {
  const title = member.owner ? `${member.owner}.${member.name}` : member.name;
  const drops: (() => unknown)[] = [];
  const fresh = async (): Promise<Subject[]> =>
    member.owner && (member.kind === 'method' || member.kind === 'getter')
      ? fixture.subjects(member.owner, (end) => drops.push(end))
      : [{ state: '', value: Object(member.owner ? exported(member.owner) : undefined) }];
  const words = fixture.words(title, shared);
  /** As many as are needed, or all up to one that takes a signal. */
  const good = (): unknown[] => {
    const { parameters } = member;
    const signals = parameters.findLastIndex(({ type }) => takesSignal(type));
    const needed = parameters.findLastIndex(({ optional, rest }) => !optional && !rest);
    return parameters
      .slice(0, Math.max(signals, needed) + 1)
      .map(({ type, name, optional }, index) =>
        optional && index !== signals ? undefined : valid(type, name, words),
      );
  };
  let subjects = await fresh();
  for (const { state, value } of subjects) {
    await check(
      title,
      `${state}: good arguments`,
      state === subjects[0]?.state && !kNoBaseline.has(title) ? 'baseline' : 'anything',
      () => invoke(member, value, good()),
    );
  }
  subjects = await fresh();
  const [first, ...others] = subjects;
  if (!first) throw new Error(`no instance for ${title}`);
  for (const [index, parameter] of member.parameters.entries()) {
    const samples = hostile(typeOf(parameter), parameter.name, words, areOptions(parameter));
    for (const { label, value } of some(title, samples)) {
      const args = good();
      while (args.length < index) args.push(undefined);
      args[index] = value;
      const unknown = label.includes(kUnknownMember);
      const expected = accepts(parameter, value) && !unknown ? 'anything' : 'refusal';
      await check(title, `${first.state}: ${parameter.name} = ${label}`, expected, () =>
        invoke(member, first.value, args),
      );
    }
    for (const other of others) {
      if (kPatient.has(title) && other.state === 'locked') continue;
      for (const { label, value } of junk) {
        const args = good();
        while (args.length < index) args.push(undefined);
        args[index] = value;
        await check(title, `${other.state}: ${parameter.name} = ${label}`, 'anything', () =>
          invoke(member, other.value, args),
        );
      }
    }
  }
  await check(title, 'no arguments', 'anything', () => invoke(member, first.value, []));
  for (const drop of drops) await attempt(drop as () => unknown);
}

function takesSignal(type: TypeSpec): boolean {
  if (type.kind === 'union') return type.of.some(takesSignal);
  return type.kind === 'object' && 'signal' in type.properties;
}

/** Objects that are read by the names of their members, all of which the call must know. */
function areOptions({ type, name }: ParameterSpec): boolean {
  return takesSignal(type) || ['options', 'edits', 'sources'].includes(name);
}

/** Of one argument. */
function typeOf({ type, rest }: ParameterSpec): TypeSpec {
  return rest && type.kind === 'array' ? type.of : type;
}

function accepts(parameter: ParameterSpec, value: unknown): boolean {
  if (parameter.optional && value == null) return true;
  return conforms(value, typeOf(parameter));
}

function exported(name: string): unknown {
  return (library as Record<string, unknown>)[name];
}

function invoke(member: ApiMember, subject: object, args: unknown[]): unknown {
  if (member.kind === 'function') {
    return (exported(member.name) as (...all: unknown[]) => unknown)(...args);
  }
  if (member.kind === 'constructor') {
    return new (subject as new (...all: unknown[]) => object)(...args);
  }
  const symbol = /^\[Symbol\.(.+)\]$/.exec(member.name)?.[1] as 'iterator' | undefined;
  const key = symbol ? Symbol[symbol] : member.name;
  const value = Reflect.get(subject, key) as unknown;
  return member.kind === 'getter' ? value : Reflect.apply(value as () => unknown, subject, args);
}

/** Classes whose instances are arguments of calls. */
const kArguments = [
  'AptMarksSnapshot',
  'AptVersion',
  'Deb822Stanza',
  'DevinoCache',
  'MutableTree',
  'Objects',
  'Repo',
  'Sysroot',
];

mkdirSync(work, { recursive: true });
await fixture.prepare();
const shared = new Map<string, unknown>();
for (const owner of kArguments) {
  const [usable] = await fixture.subjects(owner, () => {});
  shared.set(owner, usable?.value);
}
overheard();
for (const member of input.members) {
  if (member.internal) continue;
  try {
    await tryMember(member, shared);
  } catch (error) {
    report(error instanceof Error ? (error.stack ?? error.message) : String(error), {
      member: `${member.owner ?? ''}.${member.name}`,
      call: '',
    });
  }
}
report(String(calls), { member: 'done', call: '' });
process.exit(0);
