import { AsyncLocalStorage } from 'node:async_hooks';
import { getEventListeners } from 'node:events';
import { AbortError, OstreeError } from 'apt-ostree';
import { describe, expect, test, vi } from 'vitest';
import { callNative, runJob } from '../../lib/job.js';

/** A job under the test's control, with the shape of the addon's. */
function fakeJob<T>() {
  const { promise, resolve, reject } = deferred<T>();
  return { job: { promise, cancel: vi.fn() }, resolve, reject };
}

function deferred<T>() {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

const nativeError = (code: string, details = {}) =>
  Object.assign(new Error('native text'), { code, ...details });

test('gives the value of the job', async () => {
  const { job, resolve } = fakeJob<number>();
  resolve(7);
  await expect(runJob('ostree', () => job)).resolves.toBe(7);
});

describe('errors', () => {
  test.each([
    ['ostree', 'OstreeError'],
    ['apt', 'AptError'],
    ['compose', 'ComposeError'],
  ] as const)('of %s become %s with the details', async (family, name) => {
    const { job, reject } = fakeJob();
    reject(nativeError('ENOENT', { path: '/x', domain: 'g-io-error-quark', nativeCode: 1 }));
    await expect(runJob(family, () => job)).rejects.toMatchObject({
      name,
      code: 'ENOENT',
      message: 'native text',
      path: '/x',
      domain: 'g-io-error-quark',
      nativeCode: 1,
    });
  });

  test('have the stack of the caller', async () => {
    const { job, reject } = fakeJob();
    async function theCaller() {
      await runJob('ostree', () => job);
    }
    reject(nativeError('ENOENT'));
    const error: Error = await theCaller().catch((reason) => reason);
    expect(error.stack).toMatch(/^OstreeError: native text\n {4}at .*\n.*theCaller/s);
  });

  test('that are wrong arguments stay what they are', async () => {
    const wrong = Object.assign(new TypeError('x'), { code: 'ERR_INVALID_ARG_TYPE' });
    const start = () => {
      throw wrong;
    };
    await expect(runJob('ostree', start)).rejects.toBe(wrong);
    expect(() => callNative('ostree', start)).toThrow(wrong);
  });

  test('of synchronous calls get their class', () => {
    const call = () =>
      callNative('ostree', () => {
        throw nativeError('ERR_CLOSED');
      });
    expect(call).toThrow(OstreeError);
    expect(call).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
  });
});

describe('abort', () => {
  test('before the start: the job never begins', async () => {
    const start = vi.fn();
    const reason = new Error('no');
    await expect(
      runJob('ostree', start, { signal: AbortSignal.abort(reason) }),
    ).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: reason });
    expect(start).not.toHaveBeenCalled();
  });

  test('during: cancel is asked for, and the promise waits for the native end', async () => {
    const { job, reject } = fakeJob();
    const controller = new AbortController();
    const ended = vi.fn();
    const promise = runJob('ostree', () => job, { signal: controller.signal });
    promise.catch(ended);
    controller.abort('why');
    expect(job.cancel).toHaveBeenCalledTimes(1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(ended).not.toHaveBeenCalled();
    reject(nativeError('ABORT_ERR'));
    await expect(promise).rejects.toThrow(AbortError);
    expect(ended.mock.calls[0]?.[0]).toMatchObject({ cause: 'why' });
  });

  test('too late: the result counts', async () => {
    const { job, resolve } = fakeJob<string>();
    const controller = new AbortController();
    const promise = runJob('ostree', () => job, { signal: controller.signal });
    controller.abort();
    resolve('done');
    await expect(promise).resolves.toBe('done');
  });

  test('leaves no listener behind', async () => {
    const { signal } = new AbortController();
    const good = fakeJob();
    good.resolve(undefined);
    await runJob('ostree', () => good.job, { signal });
    const bad = fakeJob();
    bad.reject(nativeError('ENOENT'));
    await runJob('ostree', () => bad.job, { signal }).catch(() => {});
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});

describe('progress', () => {
  test('reaches the listener, in the async context of the call', async () => {
    const storage = new AsyncLocalStorage<string>();
    const { job, resolve } = fakeJob<void>();
    const seen: unknown[] = [];
    let progress: ((event: number) => void) | undefined;
    const promise = storage.run('mine', () =>
      runJob(
        'ostree',
        (report: typeof progress) => {
          progress = report;
          return job;
        },
        {},
        (event: number) => seen.push(event, storage.getStore()),
      ),
    );
    storage.run('other', () => progress?.(1));
    resolve();
    await promise;
    expect(seen).toEqual([1, 'mine']);
  });

  test('is not asked for when nobody listens', async () => {
    const { job, resolve } = fakeJob<void>();
    resolve();
    await runJob('ostree', (report) => {
      expect(report).toBeUndefined();
      return job;
    });
  });

  test('a listener that throws stops the job, and its error is the result', async () => {
    const { job, reject } = fakeJob<void>();
    const listener = vi.fn(() => {
      throw new Error('listener');
    });
    let progress: ((event: number) => void) | undefined;
    const promise = runJob(
      'ostree',
      (report: typeof progress) => {
        progress = report;
        return job;
      },
      {},
      listener,
    );
    progress?.(1);
    progress?.(2);
    expect(job.cancel).toHaveBeenCalledTimes(1);
    expect(listener).toHaveBeenCalledTimes(1);
    reject(nativeError('ABORT_ERR'));
    await expect(promise).rejects.toThrow('listener');
  });
});
