/** How long the event loop of a large program waits while this library works for it. */

import type { AptCache, AptContext } from 'apt-ostree';
import { watched } from './watched.js';

/** Bytes that the program holds: what a fork would have to copy the page tables of. */
const kHeld = 2 ** 30;

async function drain(rows: AsyncIterable<readonly unknown[]>): Promise<void> {
  for await (const batch of rows) void batch.length;
}

export async function benchLoop(context: AptContext, cache: AptCache): Promise<void> {
  const held = Buffer.alloc(kHeld, 1);
  // Without any job: what the machine itself makes the loop wait.
  const jobs: Record<string, () => Promise<unknown>> = {
    'nothing for a second': () => new Promise((resolve) => setTimeout(resolve, 1000)),
    'opening and closing': async () => (await context.open()).close(),
    'solving gnome-core, with its order': () => cache.solve({ install: ['gnome-core'] }),
    'why not': () => cache.whyNot('gnome-core'),
    'searching descriptions': () => cache.search('terminal emulator', { in: 'descriptions' }),
    'a pattern': () => cache.match('?name(^lib)'),
    'all versions': () => drain(cache.versions()),
    'all packages': () => drain(cache.packages()),
    'a list': () => cache.list(),
    'reverse dependencies of libc6': () => cache.reverseDependencies('libc6'),
    update: () => context.update(),
  };
  const width = Math.max(...Object.keys(jobs).map((name) => name.length));
  process.stdout.write(
    `\nThe longest wait of the event loop in a process of ${Math.round(process.memoryUsage.rss() / 2 ** 20)} MiB\n`,
  );
  for (const [name, job] of Object.entries(jobs)) {
    await job();
    const { wall, delay } = await watched(job);
    process.stdout.write(
      `  ${name.padEnd(width)} ${delay.toFixed(1).padStart(6)} ms of ${(wall * 1000).toFixed(0).padStart(5)} ms\n`,
    );
  }
  if (held.length !== kHeld) throw new RangeError('it must be held until here');
}
