/** How much is done in one turn of the event loop, without looking at a clock. */

/** Adds up what is noted in each turn; `most` of all turns is the result. */
export class Turns implements Disposable {
  #now = 0;
  #most = 0;
  #next: NodeJS.Immediate | undefined;

  constructor() {
    const turn = () => {
      this.#now = 0;
      this.#next = setImmediate(turn);
    };
    turn();
  }

  note(amount: number): void {
    this.#now += amount;
    this.#most = Math.max(this.#most, this.#now);
  }

  get most(): number {
    return this.#most;
  }

  [Symbol.dispose](): void {
    clearImmediate(this.#next);
  }
}

/** Bytes that note which parts of them are taken. */
export function watchedBytes(bytes: Uint8Array, turns: Turns): Uint8Array {
  class Watched extends Uint8Array {
    override subarray(start = 0, end = this.length): Uint8Array<ArrayBuffer> {
      const part = new Uint8Array(this.buffer, this.byteOffset).subarray(start, end);
      turns.note(part.byteLength);
      return part as Uint8Array<ArrayBuffer>;
    }
  }
  return new Watched(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength);
}
