/** What is deployed, as data and as text. */

import { checkDeployment, type Deployment } from '../ostree/deployment.js';
import { Sysroot } from '../ostree/sysroot.js';
import { aDate, arrayOf, aString, checkInstance, objectOf, optional } from '../shapes.js';

/** A deployment with what its commit says about itself. */
export interface DeploymentStatus {
  deployment: Deployment;
  /** Of the commit. */
  timestamp: Date;
  version?: string;
  /** The base that packages are layered on. */
  baseCommit?: string;
  /** What was asked for on top of the base. */
  requests: string[];
  /** Packages of the base that were asked to be taken out. */
  removals: string[];
}

/**
 * The deployments of a sysroot in boot order.
 *
 * @throws `ENOENT` where a deployed commit is missing; `ERR_CLOSED`.
 */
export async function status(sysroot: Sysroot): Promise<DeploymentStatus[]> {
  checkInstance(sysroot, Sysroot, 'sysroot');
  await using repo = await sysroot.repo();
  return await Promise.all(
    sysroot.deployments.map(async (deployment) => {
      const { metadata, timestamp } = await repo.loadCommit(deployment.checksum);
      const base = text(metadata['apt-ostree.base']);
      return {
        deployment,
        timestamp,
        ...(text(metadata.version) && { version: text(metadata.version) }),
        ...(base && { baseCommit: base }),
        requests: base ? texts(metadata['apt-ostree.requests']) : [],
        removals: texts(metadata['apt-ostree.removals']),
      };
    }),
  );
}

/** As `rpm-ostree status` prints it. Synchronous. @throws `ERR_INVALID_ARG_TYPE` */
export function formatStatus(statuses: readonly DeploymentStatus[]): string {
  checkStatuses(statuses, 'statuses');
  const lines = ['Deployments:'];
  for (const entry of statuses) {
    const { deployment } = entry;
    const mark = deployment.booted ? '●' : ' ';
    const name = deployment.refspec ?? deployment.checksum;
    lines.push(`${mark} ${deployment.stateroot}:${name}`);
    const time = entry.timestamp.toISOString().replace(/\.\d+Z$/, 'Z');
    const rows: [string, string][] = [
      ['Version', entry.version ? `${entry.version} (${time})` : `(${time})`],
      ...(entry.baseCommit
        ? ([
            ['BaseCommit', entry.baseCommit],
            ['Commit', deployment.checksum],
          ] as [string, string][])
        : ([['Commit', deployment.checksum]] as [string, string][])),
      ...(entry.requests.length > 0
        ? ([['LayeredPackages', entry.requests.join(' ')]] as [string, string][])
        : []),
      ...(entry.removals.length > 0
        ? ([['RemovedBasePackages', entry.removals.join(' ')]] as [string, string][])
        : []),
      ...(deployment.staged ? ([['Staged', 'yes']] as [string, string][]) : []),
      ...(deployment.pinned ? ([['Pinned', 'yes']] as [string, string][]) : []),
    ];
    const width = Math.max(...rows.map(([label]) => label.length));
    for (const [label, value] of rows) lines.push(`    ${label.padStart(width)}: ${value}`);
    lines.push('');
  }
  return lines.join('\n');
}

const checkStatuses = arrayOf(
  objectOf({
    deployment: checkDeployment,
    timestamp: aDate,
    version: optional(aString),
    baseCommit: optional(aString),
    requests: arrayOf(aString),
    removals: arrayOf(aString),
  }),
);

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : [];
}
