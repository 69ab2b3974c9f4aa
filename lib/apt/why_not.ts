/** Why a package cannot be installed, as data. */

import { checkString, type Members } from '../checks.js';
import { AptError, type UnmetDependency } from '../errors.js';
import { type JobOptions, kJobOptions } from '../job.js';
import type { PackageName } from './plan.js';
import type { AptPolicy, AptReader } from './reader.js';

export interface WhyNotOptions extends JobOptions {
  /** Whether recommended packages would come in. Default: as the context has it. */
  recommends?: boolean;
}

/** @internal */
export const kWhyNotOptions: Members<WhyNotOptions> = { ...kJobOptions, recommends: true };

/** What stands in the way of an installation. */
export interface WhyNot {
  /**
   * `unknown`: no source has the name; `virtual`: only a name, and what provides it leaves a
   * choice or none; `no-candidate`: there are versions, and policy lets none of them in, or none
   * is as it was asked for; `unmet`: see `why`; `refused`: it could be, but at the price of
   * `package`.
   */
  reason: 'unknown' | 'virtual' | 'no-candidate' | 'unmet' | 'refused';
  /** As apt-get says it. */
  message: string;
  /** Its dependencies that cannot be met, each with all that was tried; empty but for `unmet`. */
  why: readonly UnmetDependency[];
  /** What would go or change that must not. */
  package?: string;
  /** Of `no-candidate`: every version, with its priority and where it comes from. */
  policy?: AptPolicy;
  /** Of `virtual`: what provides it. */
  providers?: (PackageName & { version: string })[];
}

/** @internal What `solve`, which is to install `what`, fails with. */
export async function explain(
  reader: Pick<AptReader, 'policy' | 'whatProvides'>,
  what: string,
  options: JobOptions,
  solve: () => Promise<unknown>,
): Promise<WhyNot | undefined> {
  checkString(what, 'what');
  try {
    await solve();
    return undefined;
  } catch (error) {
    if (!(error instanceof AptError)) throw error;
    const { code, message, why = [] } = error;
    switch (code) {
      case 'ERR_APT_UNMET_DEPENDENCIES':
        return { reason: 'unmet', message, why };
      case 'ERR_APT_REFUSED':
        return { reason: 'refused', message, why, package: error.package };
      case 'ERR_APT_UNKNOWN_PACKAGE':
        return { ...(await unknown(reader, what, options)), message, why };
      default:
        throw error;
    }
  }
}

async function unknown(
  reader: Pick<AptReader, 'policy' | 'whatProvides'>,
  what: string,
  { signal }: JobOptions,
): Promise<Pick<WhyNot, 'reason' | 'policy' | 'providers'>> {
  const [, name = what, architecture] = /^([^:=/]+)(?::([^=/]+))?/.exec(what) ?? [];
  const policy = await reader.policy(name, architecture, { signal });
  if (policy && policy.versions.length > 0) return { reason: 'no-candidate', policy };
  const providers = await reader.whatProvides(name, { signal });
  if (providers.length === 0) return { reason: 'unknown' };
  return {
    reason: 'virtual',
    providers: providers.map(({ name, architecture, version }) => ({
      name,
      architecture,
      version,
    })),
  };
}
