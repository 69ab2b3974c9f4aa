/**
 * deb822(5): the format of control files, indexes and `.sources`. A document is kept line by
 * line, so that whatever is not edited is written back byte for byte: comments, the order and
 * spelling of fields, blank lines, line ends.
 */

import { checkMembers, checkOptions, checkString, type Members } from '../checks.js';
import { AptError, invalidArgValue } from '../errors.js';
import { checkInstance, checkIterable } from '../shapes.js';

interface Line {
  text: string;
  /** Empty only for a last line that lacks its end. */
  end: '\n' | '\r\n' | '';
}

/** A field with its continuation lines, and the comments between those. */
interface Field {
  name: string;
  lines: Line[];
  /** From 1; 0 for a field that was not parsed. */
  number: number;
}

/** What a parser says of a bad line. */
type Fail = (line: number, problem: string) => never;

/** Space, tab, and what C's isspace() has besides; not Unicode's spaces, which are content. */
function isBlank(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13);
}

function trimmed(text: string): string {
  let begin = 0;
  let end = text.length;
  while (begin < end && isBlank(text.charCodeAt(begin))) begin++;
  while (end > begin && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(begin, end);
}

function trimmedEnd(text: string): string {
  let end = text.length;
  while (end > 0 && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(0, end);
}

const isComment = (line: Line) => line.text.startsWith('#');
const isContinuation = (line: Line) => line.text.startsWith(' ') || line.text.startsWith('\t');
const isEmpty = (line: Line) => trimmed(line.text) === '';

/** Printable ASCII without space and colon; dpkg wants no hyphen at the start. */
const kName = /^[!"$-,./0-9;-~][!-9;-~]*$/;

function checkName(name: unknown): asserts name is string {
  checkString(name, 'name');
  if (!kName.test(name)) throw invalidArgValue('name', 'must be the name of a field');
}

/**
 * A paragraph of a document: fields in their order, names in any case. Values are as in the
 * file, without the blank at the begin of each further line: a line of a single full stop
 * stands for an empty one, as in descriptions. All calls are synchronous.
 *
 * @throws `ERR_INVALID_ARG_TYPE`
 */
export class Deb822Stanza implements Iterable<[name: string, value: string]> {
  readonly #eol: '\n' | '\r\n';
  /** Comments are lines of their own, unless they are within a field. */
  readonly #parts: (Field | Line)[];
  readonly #fields = new Map<string, Field>();

  /** @internal */
  constructor(parts: (Field | Line)[], eol: '\n' | '\r\n', fail?: Fail) {
    this.#parts = parts;
    this.#eol = eol;
    for (const part of parts) {
      if (!('name' in part)) continue;
      const key = part.name.toLowerCase();
      if (this.#fields.has(key)) fail?.(part.number, `the field ${part.name} is there twice`);
      this.#fields.set(key, part);
    }
  }

  /**
   * The line, from 1, on which a field was found, or the first field; 0 for what was added.
   *
   * @see deb822(5)
   */
  line(name?: string): number {
    if (name !== undefined) checkString(name, 'name');
    const [first] = this.#fields.values();
    return (name === undefined ? first : this.#fields.get(name.toLowerCase()))?.number ?? 0;
  }

  /** Names of the fields as they are spelled. @see deb822(5) */
  names(): string[] {
    return [...this.#fields.values()].map(({ name }) => name);
  }

  /** Whether there is a field of this name, whatever its case. @see deb822(5) */
  has(name: string): boolean {
    checkString(name, 'name');
    return this.#fields.has(name.toLowerCase());
  }

  /** The value of a field, or undefined where there is none. @see deb822(5) */
  get(name: string): string | undefined {
    checkString(name, 'name');
    const field = this.#fields.get(name.toLowerCase());
    return field && textOf(field);
  }

  /**
   * Changes a field in its place, or adds one: at the end, or before the field `before`.
   * Comments within the old value go, all others stay. A value that is there already changes
   * nothing.
   *
   * @throws `ERR_INVALID_ARG_VALUE` for a name that cannot be one.
   * @see deb822(5)
   */
  set(name: string, value: string, options: { before?: string } = {}): this {
    checkMembers(options, { before: true } satisfies Members<typeof options>);
    checkName(name);
    checkString(value, 'value');
    if (options.before != null) checkString(options.before, 'options.before');
    const old = this.#fields.get(name.toLowerCase());
    if (old) {
      if (textOf(old) === value) return this;
      const { end } = old.lines.at(-1) ?? { end: this.#eol };
      old.lines = this.#format(old.name, value);
      const last = old.lines.at(-1);
      if (last) last.end = end;
      return this;
    }
    const field = { name, lines: this.#format(name, value), number: 0 };
    const next = options.before && this.#fields.get(options.before.toLowerCase());
    this.#fields.set(name.toLowerCase(), field);
    if (next) {
      this.#parts.splice(this.#parts.indexOf(next), 0, field);
      this.#reindex();
      return this;
    }
    let place = this.#parts.length;
    while (place > 0 && !('name' in (this.#parts[place - 1] ?? {}))) place--;
    if (place === 0) place = this.#parts.length;
    const previous = this.#parts[place - 1];
    const line = previous && ('name' in previous ? previous.lines.at(-1) : previous);
    if (line && line.end === '') line.end = this.#eol;
    this.#parts.splice(place, 0, field);
    return this;
  }

  /** Takes a field out; whether it was there. Comments above it stay. @see deb822(5) */
  delete(name: string): boolean {
    checkString(name, 'name');
    const field = this.#fields.get(name.toLowerCase());
    if (!field) return false;
    this.#fields.delete(name.toLowerCase());
    this.#parts.splice(this.#parts.indexOf(field), 1);
    return true;
  }

  *[Symbol.iterator](): Iterator<[name: string, value: string]> {
    for (const field of this.#fields.values()) yield [field.name, textOf(field)];
  }

  /** The fields as a plain object. */
  toJSON(): Record<string, string> {
    return Object.fromEntries(this);
  }

  /** The stanza as text. */
  toString(): string {
    return this.#parts
      .flatMap((part) => ('name' in part ? part.lines : [part]))
      .map(({ text, end }) => text + end)
      .join('');
  }

  /** @internal How its last line ends; empty where it does not. */
  lastEnd(): string {
    const last = this.#parts.at(-1);
    const line = last && 'name' in last ? last.lines.at(-1) : last;
    return line?.end ?? this.#eol;
  }

  #format(name: string, value: string): Line[] {
    return value.split(/\r?\n/).map((line, index) => {
      const text = index === 0 ? trimmed(line) : trimmedEnd(line);
      if (index > 0) return { text: ` ${text === '' ? '.' : text}`, end: this.#eol };
      return { text: text === '' ? `${name}:` : `${name}: ${text}`, end: this.#eol };
    });
  }

  /** The map's order is that of the file. */
  #reindex(): void {
    this.#fields.clear();
    for (const part of this.#parts) {
      if ('name' in part) this.#fields.set(part.name.toLowerCase(), part);
    }
  }
}

function textOf(field: Field): string {
  const [first, ...rest] = field.lines;
  const value = trimmed(first?.text.slice(first.text.indexOf(':') + 1) ?? '');
  return [
    value,
    ...rest.filter((line) => !isComment(line)).map((line) => trimmedEnd(line.text.slice(1))),
  ].join('\n');
}

/**
 * A deb822 document that can be edited.
 *
 * Works on text in memory and on the calling thread: for files of a root and control files, not
 * for a mirror's whole indexes, which `AptCache` reads.
 *
 * @see `pkgTagFile`
 * @example
 * const file = `${root}/etc/apt/sources.list.d/test.sources`;
 * const document = Deb822.parse(await readFile(file, 'utf8'), { path: file });
 * for (const stanza of document.stanzas) stanza.set('Suites', 'trixie');
 * await writeFile(file, document.toString());
 */
export class Deb822 {
  #nodes: (Deb822Stanza | Line)[];
  readonly #eol: '\n' | '\r\n';

  private constructor(nodes: (Deb822Stanza | Line)[], eol: '\n' | '\r\n') {
    this.#nodes = nodes;
    this.#eol = eol;
  }

  /**
   * Reads a document. Stanzas end at empty lines, or lines of blanks alone; lines that begin with
   * `#` are comments.
   *
   * @param options.path named in errors.
   * @throws `AptError` `ERR_DEB822` with `line` and, where it is given, `path`.
   * @see deb822(5)
   */
  static parse(text: string, options: { path?: string } = {}): Deb822 {
    checkMembers(options, { path: true } satisfies Members<typeof options>);
    checkString(text, 'text');
    const { path } = options;
    if (path !== undefined) checkString(path, 'options.path');
    return Deb822.parseWith(text, (line, problem) => {
      throw new AptError('ERR_DEB822', `${path ?? '(text)'}:${line}: ${problem}`, {
        ...(path !== undefined && { path }),
        line,
      });
    });
  }

  /** @internal Reads a document whose errors have a name of their own. */
  static parseWith(text: string, fail: Fail): Deb822 {
    const lines = linesOf(text);
    const eol = lines[0]?.end === '\r\n' ? '\r\n' : '\n';
    const nodes: (Deb822Stanza | Line)[] = [];
    let parts: (Field | Line)[] = [];
    let field: Field | undefined;
    const finish = () => {
      if (field) nodes.push(new Deb822Stanza(parts, eol, fail));
      else for (const part of parts) if (!('name' in part)) nodes.push(part);
      parts = [];
      field = undefined;
    };
    for (const [index, line] of lines.entries()) {
      const number = index + 1;
      if (isComment(line)) {
        parts.push(line);
      } else if (isEmpty(line)) {
        finish();
        nodes.push(line);
      } else if (isContinuation(line)) {
        if (!field) fail(number, 'a continuation line without a field');
        // Comments since the field's last line are within it.
        field.lines.push(...(parts.splice(parts.lastIndexOf(field) + 1) as Line[]), line);
      } else {
        const colon = line.text.indexOf(':');
        const name = trimmedEnd(line.text.slice(0, Math.max(colon, 0)));
        if (!kName.test(name)) fail(number, `'${excerpt(line.text)}' is not a field`);
        field = { name, lines: [line], number };
        parts.push(field);
      }
    }
    finish();
    return new Deb822(nodes, eol);
  }

  /**
   * A document of these stanzas, written plainly.
   *
   * @throws `ERR_INVALID_ARG_VALUE` for a name that cannot be one.
   * @see deb822(5)
   */
  static from(stanzas: Iterable<Readonly<Record<string, string>>> = []): Deb822 {
    checkIterable(stanzas, 'stanzas');
    const document = new Deb822([], '\n');
    for (const fields of stanzas) document.add(fields);
    return document;
  }

  /** The stanzas now, in order; changes of the list itself do not count. */
  get stanzas(): Deb822Stanza[] {
    return this.#nodes.filter((node) => node instanceof Deb822Stanza);
  }

  /**
   * Adds a stanza at the end, or before another.
   *
   * @throws `ERR_INVALID_ARG_VALUE` for a name that cannot be one, or a `before` of another
   * document.
   * @see deb822(5)
   */
  add(
    fields: Readonly<Record<string, string>>,
    options: { before?: Deb822Stanza } = {},
  ): Deb822Stanza {
    checkOptions(fields, 'fields');
    checkMembers(options, { before: true } satisfies Members<typeof options>);
    if (options.before != null) checkInstance(options.before, Deb822Stanza, 'options.before');
    const stanza = new Deb822Stanza([], this.#eol);
    for (const [name, value] of Object.entries(fields)) stanza.set(name, value);
    const blank: Line = { text: '', end: this.#eol };
    const place = options.before ? this.#nodes.indexOf(options.before) : -1;
    if (options.before && place < 0) {
      throw invalidArgValue('options.before', 'must be a stanza of this document');
    }
    if (place >= 0) {
      this.#nodes.splice(place, 0, stanza, blank);
      return stanza;
    }
    const last = this.#nodes.at(-1);
    // Ends a last line that had no end.
    if (last && !endOf(last)) this.#nodes.push({ text: '', end: this.#eol });
    if (last && (last instanceof Deb822Stanza || !isEmpty(last))) this.#nodes.push(blank);
    this.#nodes.push(stanza);
    return stanza;
  }

  /**
   * Takes a stanza out, with the comments in it and directly above, and one blank line.
   *
   * @throws nothing; false for a stanza that is not in the document.
   * @see deb822(5)
   */
  remove(stanza: Deb822Stanza): boolean {
    checkInstance(stanza, Deb822Stanza, 'stanza');
    const place = this.#nodes.indexOf(stanza);
    if (place < 0) return false;
    const next = this.#nodes[place + 1];
    const blankFollows = next && !(next instanceof Deb822Stanza) && isEmpty(next);
    this.#nodes.splice(place, blankFollows ? 2 : 1);
    return true;
  }

  /** The file as text. @throws nothing. */
  toString(): string {
    return this.#nodes
      .map((node) => (node instanceof Deb822Stanza ? node.toString() : node.text + node.end))
      .join('');
  }
}

/** How the last line of a node ends; empty where it does not. */
function endOf(node: Deb822Stanza | Line): string {
  return node instanceof Deb822Stanza ? node.lastEnd() : node.end;
}

function linesOf(text: string): Line[] {
  const lines: Line[] = [];
  for (let begin = 0; begin < text.length; ) {
    const end = text.indexOf('\n', begin);
    if (end < 0) {
      lines.push({ text: text.slice(begin), end: '' });
      break;
    }
    const carriage = end > begin && text[end - 1] === '\r';
    const line = text.slice(begin, carriage ? end - 1 : end);
    lines.push({ text: line, end: carriage ? '\r\n' : '\n' });
    begin = end + 1;
  }
  return lines;
}

function excerpt(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
