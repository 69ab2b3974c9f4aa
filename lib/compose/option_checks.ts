/** What options of compositions must look like; the work itself checks what they mean. */

import type { AptCredentials } from '../apt/portable.js';
import { checkSources } from '../apt/sources.js';
import { checkFunction, checkPath } from '../checks.js';
import { invalidArgType, invalidArgValue } from '../errors.js';
import { checkSignal, type JobOptions } from '../job.js';
import {
  aBoolean,
  aNumber,
  arrayOf,
  aString,
  type Check,
  type MemberChecks,
  objectOf,
  oneOf,
  optional,
  optionsOf,
  recordOf,
} from '../shapes.js';
import type {
  CommitOptions,
  ComposeOptions,
  ComposerOptions,
  LayerOptions,
  RefreshOptions,
  RelayerOptions,
} from './composer.js';
import type { SandboxLimits } from './limits.js';

const aPath: Check = (value, name) => void checkPath(value, name);

const aSource: Check = (value, name) => {
  if (typeof value !== 'string') checkSources(value, name);
};

const aTime: Check = (value, name) => {
  if (!(value instanceof Date)) throw invalidArgType(name, 'an instance of Date', value);
  if (!(value.getTime() >= 0)) throw invalidArgValue(name, 'must be a time since 1970');
};

const kJobOptions: MemberChecks<JobOptions> = { signal: (value) => checkSignal(value) };

export const checkComposerOptions: Check = optionsOf({
  // Looked at by the composer, which knows the class.
  repo: () => {},
  sources: aSource,
  keyrings: optional(arrayOf(aString)),
  architecture: optional(aString),
  foreignArchitectures: optional(arrayOf(aString)),
  preferences: optional(aString),
  auth: optional(
    arrayOf(
      optionsOf({
        machine: aString,
        login: aString,
        password: aString,
      } satisfies MemberChecks<AptCredentials>),
    ),
  ),
  aptConfig: optional(recordOf(aString)),
} satisfies MemberChecks<ComposerOptions>);

export const checkRefreshOptions: Check = optionsOf({
  ...kJobOptions,
  onEvent: optional(checkFunction),
} satisfies MemberChecks<RefreshOptions>);

const kCommitOptions: MemberChecks<CommitOptions> = {
  ...kJobOptions,
  ref: optional(aString),
  subject: optional(aString),
  body: optional(aString),
  version: optional(aString),
  metadata: optional(recordOf(objectOf({ type: aString }))),
  timestamp: optional(aTime),
  refresh: optional(aBoolean),
  recommends: optional(aBoolean),
  debs: optional(arrayOf(aPath)),
  engine: optional(oneOf('fast', 'reference')),
  force: optional(aBoolean),
  answers: optional(recordOf(recordOf(() => {}))),
  unanswered: optional(oneOf('accept', 'refuse')),
  secrets: optional(oneOf('remove', 'keep')),
  limits: optional(
    optionsOf({
      processes: optional(aNumber),
      memory: optional(aNumber),
      seconds: optional(aNumber),
      storage: optional(aNumber),
    } satisfies MemberChecks<SandboxLimits>),
  ),
  keepWork: optional(aBoolean),
  idsFrom: optional(aString),
  secretsFrom: optional(aString),
  onEvent: optional(checkFunction),
};

export const checkComposeOptions: Check = optionsOf({
  ...kCommitOptions,
  packages: optional(arrayOf(aString)),
  variant: optional(oneOf('essential', 'minbase')),
  writeSources: optional(aBoolean),
} satisfies MemberChecks<ComposeOptions>);

export const checkLayerOptions: Check = optionsOf({
  ...kCommitOptions,
  base: aString,
  install: optional(arrayOf(aString)),
  remove: optional(arrayOf(aString)),
  replace: optional(arrayOf(aString)),
  keepConfiguration: optional(aBoolean),
  allowRemoveEssential: optional(aBoolean),
  unasked: optional(oneOf('refuse', 'allow')),
} satisfies MemberChecks<LayerOptions>);

export const checkRelayerOptions: Check = optionsOf({
  ...kCommitOptions,
  base: aString,
  layered: aString,
  unasked: optional(oneOf('refuse', 'allow')),
} satisfies MemberChecks<RelayerOptions>);
