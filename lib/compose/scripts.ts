/**
 * Maintainer script calls, from what dpkg prints.
 *
 * dpkg's debug flags for scripts and for triggers in detail give a line right before each exec of
 * a script and another as soon as the script has been reaped, on the descriptor that the scripts
 * print on; so order tells which output belongs to which call. Scripts that are not called by
 * dpkg are bracketed by the same lines (`bracketScript`).
 */

import { isDebconfLog, type Question, questionIn } from './questions.js';

/** One call of a maintainer script, or of the tool that makes an initramfs. */
export interface ScriptCall {
  package: string;
  script: 'preinst' | 'postinst' | 'prerm' | 'postrm' | 'config';
  arguments: string[];
}

/** A script begins. */
export interface ScriptStartEvent extends ScriptCall {
  type: 'script-start';
}

/** A script has ended. */
export interface ScriptEvent extends ScriptCall {
  type: 'script';
  /** Wall-clock seconds. */
  seconds: number;
  /** 128 + N after signal N. */
  exitCode: number;
  /** What it printed: the first and last parts of it where that was much. */
  output: string;
}

/** dbg_scripts and dbg_triggersdetail (dpkg(1)). */
export const kDebugScripts = '--debug=20002';

const kBegin = /^D000002: fork\/exec (\S+) \((.*)\)$/;
const kEnd = 'D020000: post_script_tasks - ensure_diversions';
const kDebugLine = /^D0[0-7]{5}: /;
/** One of dpkg's behind output without a newline at its end. */
const kDebugBehind = /(?<=.)(?:D0(?:00002|20000): (?:fork\/exec \/|post_)|debconf \(developer\): )/;
const kUnpacking = /^Preparing to unpack \S*?(\d+)\.deb \.\.\.$/;
const kFailed =
  /script subprocess (?:returned error exit status (\d+)|was killed by signal \((.*?)\))/;
const kNames = ['preinst', 'postinst', 'prerm', 'postrm', 'config'] as const;

/** Characters of output kept from the beginning of a call, and as many from its end. */
const kHalf = 16 * 1024;

/** Text of which the beginning and the end stay. */
const kMostLines = 10_000;

export class BoundedText {
  #head = '';
  /** The lines from `#first` on; shift() on a long array would move all of it each time. */
  #tail: string[] = [];
  #first = 0;
  #tailLength = 0;
  #dropped = 0;
  readonly #half: number;

  constructor(half: number = kHalf) {
    this.#half = half;
  }

  add(line: string): void {
    if (this.#dropped === 0 && this.#tail.length === 0) {
      if (this.#head.length + line.length < this.#half) {
        this.#head += `${line}\n`;
        return;
      }
    }
    this.#tail.push(line);
    this.#tailLength += line.length + 1;
    while (this.#full && this.#tail.length - this.#first > 1) {
      this.#tailLength -= (this.#tail[this.#first] as string).length + 1;
      this.#first += 1;
      this.#dropped += 1;
    }
    if (this.#first * 2 > this.#tail.length) {
      this.#tail = this.#tail.slice(this.#first);
      this.#first = 0;
    }
  }

  /** Empty lines take room too. */
  get #full(): boolean {
    return this.#tailLength > this.#half || this.#tail.length - this.#first > kMostLines;
  }

  toString(): string {
    const gap = this.#dropped === 0 ? '' : `[${this.#dropped} lines left out]\n`;
    const lines = this.#tail.slice(this.#first);
    const tail = lines.length === 0 ? '' : `${lines.join('\n')}\n`;
    return this.#head + gap + tail;
  }
}

export interface ScriptTrackerOptions {
  /** Which package is in `<index>.deb`, when unpacking. */
  archives?: readonly string[];
  onScript?: (event: ScriptStartEvent | ScriptEvent) => void;
  onQuestion?: (question: Omit<Question, 'answered'>) => void;
  /** Every line but dpkg's debugging and debconf's log. */
  onOutput?: (line: string) => void;
  /** Milliseconds; for tests. */
  now?: () => number;
}

/** Takes the lines of one run in order. */
export class ScriptTracker {
  readonly #options: ScriptTrackerOptions;
  readonly #now: () => number;
  #unpacking = '';
  #running: { call: ScriptCall; begin: number; output: BoundedText; exitCode: number } | undefined;
  #last: ScriptCall | undefined;

  constructor(options: ScriptTrackerOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** The call that has not ended. */
  get running(): ScriptCall | undefined {
    return this.#running?.call;
  }

  /** The call that runs or ended last. */
  get last(): ScriptCall | undefined {
    return this.#last;
  }

  /** What the running call has printed so far. */
  get output(): string {
    return this.#running?.output.toString() ?? '';
  }

  line(text: string): void {
    const behind = text.search(kDebugBehind);
    if (behind > 0) {
      this.line(text.slice(0, behind));
      this.line(text.slice(behind));
      return;
    }
    if (kDebugLine.test(text)) {
      this.#debug(text);
      return;
    }
    if (isDebconfLog(text)) {
      const question = questionIn(text);
      const name = (this.running ?? this.last)?.package ?? '';
      if (question) this.#options.onQuestion?.({ package: name, ...question });
      return;
    }
    const index = kUnpacking.exec(text)?.[1];
    if (index !== undefined) this.#unpacking = this.#options.archives?.[Number(index)] ?? '';
    const failed = kFailed.exec(text);
    if (this.#running) {
      // dpkg says how it ended before it does anything else.
      if (failed) this.#running.exitCode = exitCode(failed);
      else if (!text.startsWith('dpkg: error processing ')) this.#running.output.add(text);
    }
    this.#options.onOutput?.(text);
  }

  /** The run is over; a script that it was killed in has no other end. */
  end(code: number): void {
    if (this.#running && this.#running.exitCode === 0) this.#running.exitCode = code;
    this.#finish();
  }

  #debug(text: string): void {
    const begin = kBegin.exec(text);
    if (text === kEnd) {
      this.#finish();
    } else if (begin) {
      this.#finish();
      const call = this.#parse(begin[1] as string, (begin[2] as string).slice(1, -1));
      if (!call) return;
      this.#last = call;
      this.#running = { call, begin: this.#now(), output: new BoundedText(), exitCode: 0 };
      this.#options.onScript?.({ type: 'script-start', ...call });
    }
  }

  #parse(file: string, text: string): ScriptCall | undefined {
    const base = file.slice(file.lastIndexOf('/') + 1);
    const script = kNames.find((name) => base === name || base.endsWith(`.${name}`));
    if (!script) return undefined;
    const name = base === script ? this.#unpacking : base.slice(0, -script.length - 1);
    return { package: name, script, arguments: splitArguments(text) };
  }

  #finish(): void {
    const running = this.#running;
    if (!running) return;
    this.#running = undefined;
    this.#options.onScript?.({
      type: 'script',
      ...running.call,
      seconds: Math.max(0, this.#now() - running.begin) / 1000,
      exitCode: running.exitCode,
      output: running.output.toString(),
    });
  }
}

/**
 * Shell code that calls a script as dpkg would, between the same lines. Its status is the
 * script's.
 */
export function bracketScript(file: string, argument: string, command: string): string {
  return [
    `echo 'D000002: fork/exec ${file} ( ${argument} )' >&2`,
    `if ${command} ${argument}; then code=0; else code=$?; fi`,
    `[ $code = 0 ] || echo "script subprocess returned error exit status $code" >&2`,
    `echo '${kEnd}' >&2`,
    '[ $code = 0 ]',
  ].join('\n');
}

/** dpkg prints the arguments between spaces; the one that has spaces itself lists triggers. */
function splitArguments(text: string): string[] {
  if (text === '') return [];
  const [first = '', ...rest] = text.split(' ');
  return first === 'triggered' && rest.length > 0 ? [first, rest.join(' ')] : [first, ...rest];
}

const kSignals: Readonly<Record<string, number>> = {
  Hangup: 1,
  Interrupt: 2,
  Quit: 3,
  Aborted: 6,
  Killed: 9,
  'Segmentation fault': 11,
  Terminated: 15,
};

function exitCode([, status, signal]: RegExpExecArray): number {
  if (status !== undefined) return Number(status);
  return 128 + (kSignals[signal ?? ''] ?? 0);
}
