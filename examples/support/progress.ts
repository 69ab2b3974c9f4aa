/** Progress of a composition on a terminal, in a log, or as JSON lines. */

import type { ComposeEvent } from 'apt-ostree';

export type Reporter = {
  event(event: ComposeEvent): void;
  note(message: string, data?: Record<string, unknown>): void;
};

const kBarWidth = 30;

export function jsonReporter(write: (line: string) => void): Reporter {
  return {
    event: (event) => write(JSON.stringify(event)),
    note: (message, data) => write(JSON.stringify({ type: 'note', message, ...data })),
  };
}

export function textReporter(stream: NodeJS.WriteStream): Reporter {
  let label = '';
  let drawn = false;
  const clear = () => {
    if (drawn) stream.write('\r\x1b[K');
    drawn = false;
  };
  const bar = (done: number, total: number, what: string) => {
    if (!stream.isTTY || total <= 0) return;
    const filled = Math.round((kBarWidth * Math.min(done, total)) / total);
    const width = Math.max(10, (stream.columns ?? 80) - kBarWidth - 20);
    stream.write(
      `\r\x1b[K${label.padEnd(10)} [${'#'.repeat(filled).padEnd(kBarWidth)}] ${what.slice(0, width)}`,
    );
    drawn = true;
  };
  return {
    event(event) {
      switch (event.type) {
        case 'phase-start':
          label = event.phase;
          break;
        case 'phase-end':
          clear();
          stream.write(
            `  ${event.phase.padEnd(10)} ${event.seconds.toFixed(2).padStart(7)} s   cpu ${event.cpuSeconds.toFixed(2)} s\n`,
          );
          break;
        case 'fetch-progress': {
          const megabytes = (event.bytesDone / 1e6).toFixed(1);
          bar(event.bytesDone, event.bytesTotal, `${megabytes} MB ${event.current ?? ''}`);
          break;
        }
        case 'import':
          bar(event.done, event.total, event.package);
          break;
        case 'dpkg':
          bar(event.done, event.total, `${event.action} ${event.package}`);
          break;
        case 'warning':
          clear();
          stream.write(`  warning: ${event.message}\n`);
          break;
        default:
          break;
      }
    },
    note(message) {
      clear();
      stream.write(`${message}\n`);
    },
  };
}
