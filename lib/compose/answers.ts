/** Answers to debconf's questions, put into the tree's database by debconf itself. */

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ComposeError, invalidArgType, invalidArgValue } from '../errors.js';
import { runInSandbox, type SandboxRun } from './sandbox.js';

/** Package, then question, to the answer as debconf takes it (choices separated by `, `). */
export type Answers = Readonly<Record<string, Readonly<Record<string, string | boolean>>>>;

const kInside = '/run/apt-ostree/answers';
const kName = /^[^\s#\\]+$/;

/** @throws TypeError for names or values that a line cannot hold. */
export function checkAnswers(answers: Answers | undefined): void {
  if (answers !== undefined) answersText(answers);
}

/** In the format of debconf-set-selections(1). */
export function answersText(answers: Answers): string {
  if (typeof answers !== 'object' || answers === null) {
    throw invalidArgType('options.answers', 'an object', answers);
  }
  const lines: string[] = [];
  for (const [name, questions] of Object.entries(answers)) {
    for (const [question, value] of Object.entries(questions)) {
      const where = `options.answers.${name}.${question}`;
      if (typeof value !== 'string' && typeof value !== 'boolean') {
        throw invalidArgType(where, 'a string or a boolean', value);
      }
      if (!kName.test(name) || !kName.test(question) || /\n/.test(String(value))) {
        throw invalidArgValue(where, 'must be one line, under names without white space');
      }
      // The package's own templates tell the true type later.
      lines.push(`${name} ${question} ${typeof value} ${value}\n`);
    }
  }
  return lines.join('');
}

/** @throws `ERR_COMPOSE_QUESTIONS` where the tree's debconf does not take them or is missing. */
export async function presetAnswers(
  run: Omit<SandboxRun, 'command'>,
  answers: Answers,
  directory: string,
): Promise<void> {
  await writeFile(path.join(directory, 'selections'), answersText(answers));
  const result = await runInSandbox({
    ...run,
    binds: [{ source: directory, target: kInside }],
    command: ['debconf-set-selections', `${kInside}/selections`],
  });
  if (result.exitCode === 0) return;
  throw new ComposeError(
    'ERR_COMPOSE_QUESTIONS',
    `The tree's debconf did not take the answers: ${result.tail || `status ${result.exitCode}`}`,
    { output: result.tail },
  );
}
