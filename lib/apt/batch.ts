/**
 * Thousands of rows as they come from native code: one string per text column with the places
 * where its parts end, one array per number column. Rows are views that cut their texts out
 * when asked, so that rows nobody looks at cost next to nothing.
 */

import type { NativeColumns } from '../../types/apt.js';

export class Columns<Text extends string, Numeric extends string> {
  readonly #native: NativeColumns<Text, Numeric>;

  constructor(native: NativeColumns<Text, Numeric>) {
    this.#native = native;
  }

  get rows(): number {
    return this.#native.rows;
  }

  text(column: Text, row: number): string {
    const ends = this.#native.ends[column];
    const start = row === 0 ? 0 : ends[row - 1];
    return this.#native.texts[column].slice(start, ends[row]);
  }

  number(column: Numeric, row: number): number {
    return this.#native.numbers[column][row] ?? 0;
  }
}

/**
 * Gives the first of equal texts: of rows that all stay, few texts are left for the collector to
 * move, which holds up the event loop as long as it does.
 */
export function sharedTexts(): (text: string) => string {
  const known = new Map<string, string>();
  return (text) => {
    const first = known.get(text);
    if (first === undefined) known.set(text, text);
    return first ?? text;
  };
}

/**
 * Pages of native columns; the next one is fetched while the last one is looked at.
 *
 * @param fetch gives the page after `after`, 0 to begin.
 */
export async function* pages<Text extends string, Numeric extends string>(
  fetch: (after: number) => Promise<NativeColumns<Text, Numeric>>,
): AsyncGenerator<Columns<Text, Numeric>, void, void> {
  let page: Promise<NativeColumns<Text, Numeric>> | undefined = fetch(0);
  try {
    while (page !== undefined) {
      const native: NativeColumns<Text, Numeric> = await page;
      page = native.next === 0 ? undefined : fetch(native.next);
      yield new Columns(native);
    }
  } finally {
    // Whoever stops early does not want to hear of the page that was under way.
    page?.catch(() => {});
  }
}
