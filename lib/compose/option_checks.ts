/** What options of compositions must look like; the work itself checks what they mean. */

import { checkSources } from '../apt/sources.js';
import { checkFunction, checkPath } from '../checks.js';
import { checkSignal } from '../job.js';
import {
  aBoolean,
  aNumber,
  arrayOf,
  aString,
  type Check,
  objectOf,
  oneOf,
  optional,
  recordOf,
} from '../shapes.js';

const aPath: Check = (value, name) => void checkPath(value, name);

const aSource: Check = (value, name) => {
  if (typeof value !== 'string') checkSources(value, name);
};

/** {@link PackageSources} */
export const checkPackageSources: Check = objectOf({
  sources: aSource,
  keyrings: optional(arrayOf(aString)),
  architecture: optional(aString),
  foreignArchitectures: optional(arrayOf(aString)),
  preferences: optional(aString),
  auth: optional(arrayOf(objectOf({ machine: aString, login: aString, password: aString }))),
  aptConfig: optional(recordOf(aString)),
});

export const checkRefreshOptions: Check = objectOf({
  signal: (value) => checkSignal(value),
  onEvent: optional(checkFunction),
});

/** Members of `CommitOptions`, and of all that extend it. */
export const checkCommitOptions: Check = objectOf({
  signal: (value) => checkSignal(value),
  ref: optional(aString),
  subject: optional(aString),
  body: optional(aString),
  version: optional(aString),
  metadata: optional(recordOf(objectOf({ type: aString }))),
  refresh: optional(aBoolean),
  recommends: optional(aBoolean),
  debs: optional(arrayOf(aPath)),
  force: optional(aBoolean),
  idsFrom: optional(aString),
  secretsFrom: optional(aString),
  answers: optional(recordOf(recordOf(() => {}))),
  limits: optional(
    objectOf({
      processes: optional(aNumber),
      memory: optional(aNumber),
      seconds: optional(aNumber),
    }),
  ),
  onEvent: optional(checkFunction),
  variant: optional(oneOf('essential', 'minbase')),
  writeSources: optional(aBoolean),
  keepConfiguration: optional(aBoolean),
  allowRemoveEssential: optional(aBoolean),
});
