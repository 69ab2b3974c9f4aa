/** Text in pieces, as lines of bounded length. */

/** Characters after which a line is cut, so that output without an end takes no memory without one. */
const kLongest = 16 * 1024;

export class LineSplitter {
  readonly #onLine: (line: string) => void;
  #rest = '';

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  add(text: string): void {
    let begin = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', begin)) {
      this.#take(text.slice(begin, end));
      this.#emit();
      begin = end + 1;
    }
    this.#take(text.slice(begin));
  }

  /** What came after the last newline. */
  end(): void {
    if (this.#rest !== '') this.#emit();
  }

  #take(text: string): void {
    this.#rest += text;
    while (this.#rest.length > kLongest) {
      this.#onLine(this.#rest.slice(0, kLongest));
      this.#rest = this.#rest.slice(kLongest);
    }
  }

  #emit(): void {
    const line = this.#rest.endsWith('\r') ? this.#rest.slice(0, -1) : this.#rest;
    this.#rest = '';
    this.#onLine(line);
  }
}
