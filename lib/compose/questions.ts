/**
 * Questions of maintainer scripts. debconf in its noninteractive frontend asks nobody: it takes
 * the preset answer or the default. Its protocol log tells what would have been asked.
 */

import { ComposeError } from '../errors.js';

const kPriorities = ['low', 'medium', 'high', 'critical'] as const;

/** How much a question matters (debconf-devel(7)). */
export type QuestionPriority = (typeof kPriorities)[number];

/** A question that a package's scripts wanted answered. */
export interface Question {
  package: string;
  /** Its name in debconf's database, such as `tzdata/Areas`. */
  question: string;
  priority: QuestionPriority;
  /** Whether `answers` had an answer; else the default was taken. */
  answered: boolean;
}

export interface QuestionEvent extends Question {
  type: 'question';
}

/** Makes debconf log what is said between it and a script (debconf-devel(7)). */
export const kDebconfLog = { DEBCONF_DEBUG: 'developer' };

const kLogged = 'debconf (developer): ';
const kInput = /^<-- input (low|medium|high|critical) (\S+)/i;

/** Whether a line is debconf's log, which has answers in it and is nobody's output. */
export function isDebconfLog(line: string): boolean {
  return line.startsWith(kLogged);
}

/** The question that a line of the log asks. */
export function questionIn(line: string): Pick<Question, 'question' | 'priority'> | undefined {
  const match = kInput.exec(line.slice(kLogged.length));
  if (!match) return undefined;
  const [, priority = '', question = ''] = match;
  return { question, priority: priority.toLowerCase() as QuestionPriority };
}

/**
 * Refuses a tree for which a critical question was answered by its default.
 *
 * @throws `ERR_COMPOSE_QUESTIONS` with `questions`.
 */
export function refuseUnanswered(questions: readonly Question[]): void {
  const open = questions.filter(({ answered, priority }) => !answered && priority === 'critical');
  if (open.length === 0) return;
  const list = open.map((entry) => `${entry.package}: ${entry.question}`);
  throw new ComposeError(
    'ERR_COMPOSE_QUESTIONS',
    `Critical questions have no answer: ${list.join(', ')}`,
    { questions: open.map(({ question }) => question) },
  );
}
