/** Every example of docstrings and guides is a program that does what it says. */

import assert from 'node:assert';
import { createRequire } from 'node:module';
import * as library from 'apt-ostree';
import ts from 'typescript';
import { afterAll, test } from 'vitest';
import { AptStage } from '../../support/docs/apt.js';
import { ComposeStage } from '../../support/docs/compose.js';
import { type Example, moduleOf, namesOf, readExamples } from '../../support/docs/examples.js';
import { type Drop, OstreeStage } from '../../support/docs/ostree.js';
import { temporaryDirectory } from '../../support/temp.js';

const scratch = await temporaryDirectory('docs');
const endings: (() => unknown)[] = [];
const later: Drop = (end) => endings.push(end);
afterAll(async () => {
  for (const end of endings.reverse()) await end();
  await scratch.remove();
});

type Stage = { set(names: readonly string[], drop: Drop): Promise<object> };
const stages: Record<Example['scope'], () => Promise<Stage>> = {
  ostree: once(() => OstreeStage.prepare(scratch.join('ostree'), later)),
  compose: once(() => ComposeStage.prepare(scratch.join('compose'), later)),
  apt: once(() => AptStage.prepare(scratch.join('apt'), later)),
};

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

const values = new Map(Object.keys(library).map((name) => [name, true]));
const fromHere = createRequire(import.meta.url);
const load = (name: string) => (/^apt-ostree(\/|$)/.test(name) ? library : fromHere(name));
/** Examples print; tests do not. */
const quiet = { ...console, log() {} };

type Run = (...scope: unknown[]) => Promise<void>;
const AsyncFunction = (async () => {}).constructor as new (...parts: string[]) => Run;

/** The program of an example, to be called with `require` and so on and with what is in scope. */
function programOf(example: Example, names: readonly string[]): Run {
  const { outputText } = ts.transpileModule(moduleOf(example, values), {
    compilerOptions: {
      module: ts.ModuleKind.CommonJS,
      target: ts.ScriptTarget.ES2022,
      esModuleInterop: true,
    },
  });
  return new AsyncFunction('require', 'exports', 'console', ...names, outputText);
}

/** Milliseconds; the first example of a guide also makes what all of its examples begin with. */
const kLimit = 180_000;
const examples = readExamples();

test('there are examples', () => {
  assert(examples.length > 50);
});

test.each(examples.map((example) => [example.from, example] as const))(
  '%s',
  async (_, example) => {
    const ends: (() => unknown)[] = [];
    const names = namesOf(example);
    const stage = await stages[example.scope]();
    const scope = await stage.set(names, (end) => ends.push(end));
    const used = Object.entries(scope).filter(([name]) => names.includes(name));
    try {
      const run = programOf(
        example,
        used.map(([name]) => name),
      );
      await run(load, {}, quiet, ...used.map(([, value]) => value));
    } finally {
      for (const end of ends.reverse()) await end();
    }
  },
  kLimit,
);
