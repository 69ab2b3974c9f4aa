import { setMaxListeners } from 'node:events';
import type { ComposeListener } from './events.js';

/**
 * A listener that may throw. Events come from the middle of streams, where an exception would end
 * the program; here it ends the work.
 */
export class GuardedListener {
  readonly #stop = new AbortController();
  #thrown: { error: unknown } | undefined;
  /** What to listen with. */
  readonly onEvent: ComposeListener | undefined;
  /** Aborts with the caller's signal, and when the listener has thrown. */
  readonly signal: AbortSignal;

  constructor(listener: ComposeListener | undefined, signal: AbortSignal | undefined) {
    this.signal = signal ? AbortSignal.any([signal, this.#stop.signal]) : this.#stop.signal;
    // As many jobs listen at a time as there are packages.
    setMaxListeners(0, this.signal);
    this.onEvent =
      listener &&
      ((event) => {
        if (this.#thrown) return;
        try {
          listener(event);
        } catch (error) {
          this.#thrown = { error };
          this.#stop.abort(error);
        }
      });
  }

  /** The result of `work`, unless the listener has thrown: then its error. */
  async guard<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw this.#thrown ? this.#thrown.error : error;
    }
  }
}
