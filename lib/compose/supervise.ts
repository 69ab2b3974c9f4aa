/** Runs in which maintainer scripts are called: each call is an event and has a time limit. */

import type { ComposeListener } from './events.js';
import { effectiveLimits, type LimitName } from './limits.js';
import { kDebconfLog } from './questions.js';
import { limitError, runInSandbox, type SandboxResult, type SandboxRun } from './sandbox.js';
import { type ScriptCall, ScriptTracker } from './scripts.js';

export interface SupervisedRun extends Omit<SandboxRun, 'onOutput'> {
  /** Which package is in `<index>.deb`, when unpacking. */
  archives?: readonly string[];
  /** Questions of debconf that have been given an answer. */
  answered?: ReadonlySet<string>;
  onEvent?: ComposeListener;
}

export interface SupervisedResult extends SandboxResult {
  /** The script that was called last. */
  lastScript?: ScriptCall;
}

/**
 * Runs a command whose output tells of scripts, as `ScriptTracker` reads it.
 *
 * @throws `ERR_SANDBOX_LIMIT` with `package`, `script` and `limit`; as `runInSandbox`.
 */
export async function runScripts(run: SupervisedRun): Promise<SupervisedResult> {
  const { archives, answered, onEvent, signal, ...sandbox } = run;
  const limits = run.limits ?? effectiveLimits();
  const abort = new AbortController();
  const forward = () => abort.abort(signal?.reason);
  if (signal?.aborted) forward();
  signal?.addEventListener('abort', forward, { once: true });
  let timer: NodeJS.Timeout | undefined;
  let timedOut: { package: string; script: string; output: string } | undefined;
  const tail: string[] = [];
  const tracker = new ScriptTracker({
    archives,
    onScript: (event) => {
      clearTimeout(timer);
      if (event.type === 'script-start') {
        const { package: name, script } = event;
        timer = setTimeout(() => {
          timedOut = { package: name, script, output: tracker.output };
          abort.abort();
        }, limits.seconds * 1000);
      }
      onEvent?.(event);
    },
    onQuestion: (question) => {
      const known = answered?.has(question.question) ?? false;
      onEvent?.({ type: 'question', ...question, answered: known });
    },
    onOutput: (line) => {
      tail.push(line);
      if (tail.length > kTailLines) tail.shift();
      onEvent?.({ type: 'output', line });
    },
  });
  try {
    const result = await runInSandbox({
      ...sandbox,
      environment: { ...kDebconfLog, ...sandbox.environment },
      limits,
      signal: abort.signal,
      onOutput: (line) => tracker.line(line),
    });
    tracker.end(result.exitCode);
    return { ...result, tail: tail.join('\n'), lastScript: tracker.last };
  } catch (error) {
    // The kernel may have ended it before anybody looked.
    const running = tracker.running ?? tracker.last;
    tracker.end(128 + kSigkill);
    if (timedOut) {
      const { output, ...about } = timedOut;
      throw limitError('seconds', limits, output, about);
    }
    if (running && isLimit(error)) {
      const { package: name, script } = running;
      throw limitError(error.limit, limits, tail.join('\n'), { package: name, script });
    }
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', forward);
  }
}

const kSigkill = 9;
const kTailLines = 40;

function isLimit(error: unknown): error is { limit: LimitName } {
  return (error as { code?: string }).code === 'ERR_SANDBOX_LIMIT';
}
