/**
 * Native work as a promise: AbortSignal, progress, and an error with the stack of the caller.
 */

import { AsyncResource } from 'node:async_hooks';
import type { NativeErrorShape, NativeJob } from '../types/binding.js';
import { checkFunction, checkMembers, type Members } from './checks.js';
import {
  AbortError,
  AptError,
  AptOstreeError,
  type AptOstreeErrorCode,
  type AptOstreeErrorOptions,
  ComposeError,
  invalidArgType,
  OstreeError,
} from './errors.js';

/** Options that every long operation takes. */
export interface JobOptions {
  /**
   * Stops the work. The promise settles only when the native work has really stopped; it then
   * rejects with an `AbortError` whose `cause` is the signal's reason.
   */
  signal?: AbortSignal;
}

/** @internal */
export const kJobOptions: Members<JobOptions> = { signal: true };

type ErrorFamily = 'ostree' | 'apt' | 'compose';

const kFamilies = { ostree: OstreeError, apt: AptError, compose: ComposeError };

/**
 * Runs a native job. `start` gets a progress callback (undefined when nobody listens) and must
 * call the addon once.
 */
export async function runJob<T, P = never>(
  family: ErrorFamily,
  start: (progress: ((event: P) => void) | undefined) => NativeJob<T>,
  options: JobOptions = {},
  onProgress?: (event: P) => void,
): Promise<T> {
  // What else a call takes it has checked by itself.
  checkMembers(options, kJobOptions);
  const { signal } = options;
  checkSignal(signal);
  if (onProgress !== undefined) checkFunction(onProgress, 'options.onProgress');
  if (signal?.aborted) throw new AbortError(signal.reason);
  // Made here, so that the stack shows who called; native rejections have none.
  const site = new Error();
  let listenerError: { error: unknown } | undefined;
  let job: NativeJob<T> | undefined;
  // Some Node releases lose the async context in calls from native threads.
  const listener =
    onProgress &&
    AsyncResource.bind((event: P) => {
      if (listenerError) return;
      try {
        onProgress(event);
      } catch (error) {
        listenerError = { error };
        job?.cancel();
      }
    });
  const abort = () => job?.cancel();
  try {
    job = start(listener);
    signal?.addEventListener('abort', abort, { once: true });
    const result = await job.promise;
    if (listenerError) throw listenerError.error;
    return result;
  } catch (error) {
    if (listenerError) throw listenerError.error;
    throw fromNative(family, error, site, signal);
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

/** @internal For those that listen to it without a job. */
export function checkSignal(signal: unknown): void {
  // Signals of other realms and of polyfills count: what is used of them is looked at.
  const { aborted, addEventListener } = Object(signal) as Partial<AbortSignal>;
  if (signal === undefined) return;
  if (typeof aborted !== 'boolean' || typeof addEventListener !== 'function') {
    throw invalidArgType('options.signal', 'an instance of AbortSignal', signal);
  }
}

/** Calls a synchronous method of the addon and gives its failures their class. */
export function callNative<T>(family: ErrorFamily, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw fromNative(family, error, new Error());
  }
}

function fromNative(
  family: ErrorFamily,
  error: unknown,
  site: Error,
  signal?: AbortSignal,
): unknown {
  if (!isNativeError(error)) return error;
  if (error.code === 'ABORT_ERR') return restack(new AbortError(signal?.reason), site);
  const { code, message, stack: _stack, ...details } = error;
  return restack(
    new kFamilies[family](code as AptOstreeErrorCode, message, details as AptOstreeErrorOptions),
    site,
  );
}

function isNativeError(error: unknown): error is NativeErrorShape {
  return (
    error instanceof Error &&
    !(error instanceof TypeError) &&
    !(error instanceof RangeError) &&
    !(error instanceof AptOstreeError) &&
    typeof (error as { code?: unknown }).code === 'string'
  );
}

function restack<E extends Error>(error: E, site: Error): E {
  const frames = site.stack?.split('\n').slice(1).join('\n') ?? '';
  error.stack = `${error.name}: ${error.message}\n${frames}`;
  return error;
}
