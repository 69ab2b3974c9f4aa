/** Contexts of their own, and their answers in a form that can be compared. */

import { mkdir, writeFile } from 'node:fs/promises';
import type { AptContext } from 'apt-ostree/apt';
import { formatStanzas, randomUniverse, type Stanza, writeFlatArchive } from './apt-universe.js';
import type { TemporaryDirectory } from './temp.js';

export interface AptJob {
  directory: string;
  sources: string;
  status: string;
  architectures: string[];
  /** Names to ask to install. */
  requests: string[];
}

/** Other roots, architectures and sources. */
export async function aptJobs(work: TemporaryDirectory): Promise<AptJob[]> {
  const list: AptJob[] = [];
  const kinds = [['amd64'], ['arm64'], ['amd64', 'i386'], ['riscv64', 'amd64']];
  for (const [index, architectures] of kinds.entries()) {
    const { packages, status, names } = randomUniverse(index + 1, 120);
    const adapt = (stanza: Stanza, i: number): Stanza => ({
      ...stanza,
      Architecture: architectures[i % architectures.length] ?? 'amd64',
    });
    const own = work.join(String(index));
    await mkdir(own);
    const sources = await writeFlatArchive(`${own}/archive`, packages.map(adapt));
    await writeFile(`${own}/status`, formatStanzas(status.map((stanza) => adapt(stanza, 0))));
    list.push({
      directory: `${own}/state`,
      sources,
      status: `${own}/status`,
      architectures,
      requests: names.slice(0, 25),
    });
  }
  return list;
}

/**
 * Every row of a context, and each plan or its refusal, as texts. Imports nothing: workers get
 * it as text.
 */
export async function answers(
  context: Pick<typeof AptContext, 'create'>,
  job: AptJob,
  update: boolean,
): Promise<string[]> {
  const apt = await context.create({
    directory: job.directory,
    sources: job.sources,
    dpkgStatus: job.status,
    architecture: job.architectures[0] ?? 'amd64',
    architectures: job.architectures,
  });
  if (update) await apt.update();
  const cache = await apt.open();
  const rows: string[] = [];
  for await (const batch of cache.versions()) {
    for (const version of batch) rows.push(JSON.stringify(version.toJSON()));
  }
  const result = [rows.join('\n')];
  for (const name of job.requests) {
    const plan = await cache.solve({ install: [name] }).then(
      ({ packages, operations }) => ({ packages, operations }),
      ({ code, messages }: { code: string; messages: unknown }) => ({ code, messages }),
    );
    result.push(JSON.stringify(plan));
  }
  cache.close();
  apt.close();
  return result;
}
