/**
 * What is compared, as words. In a set, `-a` removes a, `=a` puts a lower version in
 * place of the base's, and what follows `/` is done on the tree made so far. `@a` repeats the step
 * before it on a base with a.
 */

import type { Comparison, Differential, Request } from './compare.js';

/** What the archive needs for each step of a set; packages of different steps may conflict. */
export function packagesOf(set: readonly string[]): string[][] {
  return stepsOf(set)
    .map((step) => step.filter((token) => !token.startsWith('-')).map(withoutAt))
    .filter((step) => step.length > 0);
}

function stepsOf(set: readonly string[]): string[][] {
  return set
    .join(' ')
    .split(' / ')
    .map((step) => step.split(' '));
}

function withoutAt(token: string): string {
  return token.replace(/^@/, '');
}

/** Compares step by step. Each result can be looked at on disk until the next one is asked for. */
export async function* compareSteps(
  differential: Differential,
  start: string,
  set: readonly string[],
  older: ReadonlyMap<string, string>,
): AsyncGenerator<{ name: string; result: Comparison }> {
  let base = start;
  let before: Request = {};
  const done: string[] = [];
  for (const step of stepsOf(set)) {
    done.push(step.join(' '));
    try {
      let request = requestOf(step, older);
      if (step[0]?.startsWith('@')) {
        const layered = base;
        base = await differential.layer(start, step.map(withoutAt));
        request = { ...before, layered };
      }
      const result = await differential.compare(base, request);
      yield { name: done.join(' / '), result };
      base = result.commit;
      before = request;
    } finally {
      await differential.clean();
    }
  }
}

function requestOf(tokens: readonly string[], older: ReadonlyMap<string, string>): Request {
  const starting = (letter: string) =>
    tokens.filter((token) => token.startsWith(letter)).map((token) => token.slice(1));
  return {
    install: tokens.filter((token) => !/^[-=@]/.test(token)),
    remove: starting('-'),
    replace: starting('=').map((name) => `${name}=${older.get(name)}`),
  };
}
