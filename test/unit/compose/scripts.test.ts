import { describe, expect, it } from 'vitest';
import type { ComposeEvent } from '../../../lib/compose/events.js';
import { Recorder } from '../../../lib/compose/record.js';
import {
  BoundedText,
  type ScriptEvent,
  type ScriptStartEvent,
  ScriptTracker,
} from '../../../lib/compose/scripts.js';

function track(lines: readonly (string | number)[], archives?: readonly string[]) {
  const events: (ScriptEvent | ScriptStartEvent)[] = [];
  const output: string[] = [];
  let now = 0;
  const tracker = new ScriptTracker({
    archives,
    onScript: (event) => events.push(event),
    onOutput: (line) => output.push(line),
    now: () => now,
  });
  for (const line of lines) {
    if (typeof line === 'number') now += line;
    else tracker.line(line);
  }
  return { events, output, tracker };
}

const kEnd = 'D020000: post_script_tasks - ensure_diversions';

describe('script calls in the output of dpkg', () => {
  it('have package, arguments, time and what they printed', () => {
    const { events, output } = track([
      'Setting up tool (1.0) ...',
      'D000002: fork/exec /var/lib/dpkg/info/tool.postinst ( configure 0.9 )',
      'hello',
      1500,
      kEnd,
      'D020000: post_script_tasks - trig_incorporate',
      'after',
    ]);
    const call = { package: 'tool', script: 'postinst', arguments: ['configure', '0.9'] };
    expect(events).toEqual([
      { type: 'script-start', ...call },
      { type: 'script', ...call, seconds: 1.5, exitCode: 0, output: 'hello\n' },
    ]);
    expect(output).toEqual(['Setting up tool (1.0) ...', 'hello', 'after']);
  });

  it('end where output has no newline at its end', () => {
    const { events, output } = track([
      'D000002: fork/exec /var/lib/dpkg/info/tool.postinst ( configure )',
      `last${kEnd}`,
    ]);
    expect(events.at(-1)).toMatchObject({ type: 'script', output: 'last\n' });
    expect(output).toEqual(['last']);
  });

  it('of a package being unpacked are told by the number of its archive', () => {
    const { events } = track(
      [
        'Preparing to unpack .../debs/1.deb ...',
        'D000002: fork/exec /var/lib/dpkg/tmp.ci/preinst ( install )',
        kEnd,
      ],
      ['first', 'second'],
    );
    expect(events.at(-1)).toMatchObject({ package: 'second', script: 'preinst' });
  });

  it('keep the names of triggers as one argument, and the architecture', () => {
    const { events } = track([
      'D000002: fork/exec /var/lib/dpkg/info/libc6:i386.postinst ( triggered ldconfig /usr/lib )',
      kEnd,
    ]);
    expect(events[0]).toMatchObject({
      package: 'libc6:i386',
      arguments: ['triggered', 'ldconfig /usr/lib'],
    });
  });

  it.each([
    [' installed x package post-installation script subprocess returned error exit status 7', 7],
    ['dpkg: warning: old x package pre-removal script subprocess returned error exit status 2', 2],
    [' installed x package post-installation script subprocess was killed by signal (Killed)', 137],
  ])('have the status of %j', (line, exitCode) => {
    const begin = 'D000002: fork/exec /var/lib/dpkg/info/x.postinst ( configure )';
    expect(track([begin, 'said', line, kEnd]).events.at(-1)).toMatchObject({
      exitCode,
      output: 'said\n',
    });
  });

  it('end when the run ends', () => {
    const { events, tracker } = track([
      'D000002: fork/exec /var/lib/dpkg/info/x.prerm ( remove )',
      250,
    ]);
    expect(tracker.running?.script).toBe('prerm');
    tracker.end(137);
    expect(events.at(-1)).toMatchObject({ type: 'script', exitCode: 137, seconds: 0.25 });
    tracker.end(1);
    expect(events).toHaveLength(2);
  });
});

it('bounded text keeps the beginning and the end', () => {
  const text = new BoundedText(100);
  for (let i = 0; i < 1000; i += 1) text.add(`line ${i}`);
  const lines = text.toString().trimEnd().split('\n');
  expect(lines[0]).toBe('line 0');
  expect(lines.at(-1)).toBe('line 999');
  expect(lines.find((line) => /^\[\d+ lines left out\]$/.test(line))).toBeDefined();
  expect(text.toString().length).toBeLessThan(250);
  const short = new BoundedText();
  short.add('a');
  short.add('');
  expect(short.toString()).toBe('a\n\n');
});

it('the record sums the time of each package, the slowest first', () => {
  let now = 0;
  const seen: ComposeEvent[] = [];
  const recorder = new Recorder(
    'amd64',
    (event) => seen.push(event),
    () => now,
  );
  const dpkg = (action: 'unpack' | 'configure' | 'trigger', name: string, milliseconds: number) => {
    recorder.listener({ type: 'dpkg', action, package: name, done: 1, total: 1 });
    now += milliseconds;
  };
  dpkg('unpack', 'a', 100);
  dpkg('unpack', 'b:amd64', 300);
  recorder.listener({ type: 'phase-end', phase: 'unpack', seconds: 0, cpuSeconds: 0 });
  now += 5000;
  dpkg('configure', 'a', 50);
  const call = { package: 'b', script: 'postinst', arguments: [] } as const;
  recorder.listener({
    type: 'script',
    ...call,
    arguments: [],
    seconds: 2,
    exitCode: 0,
    output: '',
  });
  dpkg('trigger', 'b', 1000);
  dpkg('configure', 'b:i386', 10);
  recorder.listener({ type: 'output', line: 'text' });
  const { packages, scripts, log } = recorder.record;
  expect(packages.map((entry) => [entry.package, Number(entry.total.toFixed(3))])).toEqual([
    ['b', 1.3],
    ['a', 0.15],
    ['b:i386', 0.01],
  ]);
  expect(packages[0]).toMatchObject({ trigger: 1, scripts: 2 });
  expect(scripts).toHaveLength(1);
  expect(log).toBe('text\n');
  expect(seen).toHaveLength(8);
});
