/** Calls that may fail, but only with an error of this library, in time and without a word. */

import { fstatSync, openSync, readSync, writeSync } from 'node:fs';

/** A call ended as none may. */
export class Finding extends Error {}

/** What libraries say of themselves when they are misused, and sanitizers of everybody. */
const kComplaint = /CRITICAL|WARNING|ERROR|assertion|terminate|runtime error/;

export interface Probe {
  /** Makes a call, named for the report; undefined when it failed as it may. */
  call<T>(name: string, action: () => T | Promise<T>): Promise<T | undefined>;
}

/** `files`: where standard error goes, and where the call of the moment is noted. */
export class ProbeLog implements Probe {
  readonly #stderr: number;
  readonly #progress: number;
  readonly #hang: number;
  #heard: number;
  #input = '';

  constructor(files: { stderr: string; progress: string }, hang: number) {
    this.#stderr = openSync(files.stderr, 'r');
    this.#progress = openSync(files.progress, 'w');
    this.#hang = hang;
    this.#heard = fstatSync(this.#stderr).size;
  }

  /** What the next calls are made with. */
  input(text: string): void {
    this.#input = text;
  }

  async call<T>(name: string, action: () => T | Promise<T>): Promise<T | undefined> {
    const note = `${name}\n${this.#input}\n`;
    writeSync(this.#progress, note, 0);
    const result = await this.#attempt(name, action);
    this.#listen(name);
    return result;
  }

  async #attempt<T>(name: string, action: () => T | Promise<T>): Promise<T | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Finding(`${name} hangs`)), this.#hang);
    });
    try {
      return await Promise.race([action(), late]);
    } catch (error) {
      if (error instanceof Finding) throw error;
      const wrong = wrongWith(error);
      if (wrong) throw new Finding(`${name}: ${wrong}`);
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }

  #listen(name: string): void {
    const { size } = fstatSync(this.#stderr);
    if (size === this.#heard) return;
    const text = Buffer.alloc(Math.min(size - this.#heard, 4000));
    readSync(this.#stderr, text, 0, text.length, this.#heard);
    this.#heard = size;
    if (kComplaint.test(text.toString())) throw new Finding(`${name} said: ${text}`);
  }
}

function wrongWith(error: unknown): string | undefined {
  if (!(error instanceof Error)) return `not an error: ${String(error)}`;
  const { code } = error as { code?: unknown };
  // The sandbox can be written nowhere else.
  if (code === 'EROFS') return `wrote outside of its directory: ${error.message}`;
  if (typeof code === 'string' && code !== 'ERR_INTERNAL') {
    if (/^(ERR_[A-Z0-9_]+|E[A-Z0-9]+|ABORT_ERR)$/.test(code)) return undefined;
  }
  return error.stack ?? error.message;
}
