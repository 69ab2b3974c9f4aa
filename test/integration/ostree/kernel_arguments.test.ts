import { writeFile } from 'node:fs/promises';
import { KernelArguments } from 'apt-ostree/ostree';
import { afterAll, expect, test, vi } from 'vitest';
import { binding } from '../../../lib/binding.js';
import { temporaryDirectory } from '../../support/temp.js';

const scratch = await temporaryDirectory('kernel-arguments');
afterAll(() => scratch.remove());

const some = KernelArguments.parse('root=LABEL=root quiet console=tty0 console=ttyS0 ro');

test('are read and written in order, with keys that occur twice', () => {
  expect(some.toArray()).toEqual([
    'root=LABEL=root',
    'quiet',
    'console=tty0',
    'console=ttyS0',
    'ro',
  ]);
  expect(`${some}`).toBe('root=LABEL=root quiet console=tty0 console=ttyS0 ro');
  expect([...KernelArguments.from(some)]).toEqual(some.toArray());
  expect(KernelArguments.from()).toHaveLength(0);
  expect(`${KernelArguments.parse('')}`).toBe('');
  expect(some.getLast('console')).toBe('ttyS0');
  expect(some.getLast('quiet')).toBe('');
  expect(some.getLast('none')).toBeUndefined();
  expect(some.contains('console=tty0')).toBe(true);
  expect(some.contains('nothing')).toBe(false);
  expect(some.contains('quiet')).toBe(true);
});

test('edits give new lists', () => {
  const line = (list: KernelArguments) => list.toString().replace('root=LABEL=root ', '');
  expect(line(some.append('a', 'b=c'))).toBe('quiet console=tty0 console=ttyS0 ro a b=c');
  expect(line(some.appendIfMissing('quiet', 'a'))).toBe('quiet console=tty0 console=ttyS0 ro a');
  expect(
    some
      .set('console=x')
      .toArray()
      .filter((text) => text.startsWith('console')),
  ).toEqual(['console=x']);
  expect(some.replace('console=tty0=tty9').contains('console=tty9')).toBe(true);
  expect(some.replace('root=/dev/sda').getLast('root')).toBe('/dev/sda');
  expect(line(some.delete('console=tty0', 'quiet'))).toBe('console=ttyS0 ro');
  expect(line(some.deleteIfPresent('nothing', 'ro'))).toBe('quiet console=tty0 console=ttyS0');
  expect(line(some.deleteKey('console'))).toBe('quiet ro');
  expect(line(some)).toBe('quiet console=tty0 console=ttyS0 ro');
});

test('refuses what libostree refuses', () => {
  for (const call of [
    () => some.replace('console=x'),
    () => some.replace('nothing=x'),
    () => some.delete('nothing'),
    () => some.delete('console'),
    () => some.deleteKey('nothing'),
  ]) {
    expect(call).toThrow(expect.objectContaining({ code: expect.stringMatching(/^E/) }));
  }
  for (const bad of ['', 'a\0b', 'a\nb']) {
    expect(() => some.append(bad)).toThrow(TypeError);
    expect(() => some.contains(bad)).toThrow(TypeError);
    expect(() => some.getLast(bad)).toThrow(TypeError);
  }
  expect(() => KernelArguments.parse(7 as never)).toThrow(TypeError);
});

test('come from a command line, with quotes, without what boot loaders add', async () => {
  const file = scratch.join('cmdline');
  await writeFile(file, 'BOOT_IMAGE=/vmlinuz root=x initrd=/i module.opt="a b" quiet\n');
  expect(KernelArguments.from(['ro']).appendProcCmdline(file).toArray()).toEqual([
    'ro',
    'root=x',
    'module.opt="a b"',
    'quiet',
  ]);
  expect(() => some.appendProcCmdline(scratch.join('nothing'))).toThrow(
    expect.objectContaining({ code: 'ENOENT' }),
  );
  expect(KernelArguments.fromProcCmdline().length).toBeGreaterThan(0);
});

test('any edits of odd texts end in a list or an error', () => {
  const words = [
    'a',
    'a=',
    'a=b',
    'a=b=c',
    'a==',
    'b',
    'b=1',
    'b=1=2',
    '"q',
    'x="y z"',
    'ü=é',
    '=',
    '=x',
    ' ',
  ];
  const edits = [
    'append',
    'appendIfMissing',
    'set',
    'replace',
    'delete',
    'deleteIfPresent',
    'deleteKey',
  ] as const;
  let seed = 7;
  const pick = <T>(list: readonly T[]): T => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return list[Math.floor(seed / 65536) % list.length] as T;
  };
  for (let round = 0; round < 300; ++round) {
    let list = KernelArguments.parse(`${pick(words)} ${pick(words)} ${pick(words)}`);
    for (let step = 0; step < 12; ++step) {
      try {
        list = list[pick(edits)](pick(words));
      } catch (error) {
        expect((error as { code?: string }).code).toMatch(/^E/);
      }
    }
    expect(KernelArguments.from(list).toString()).toBe(list.toString());
  }
});

test('many arguments are one call', () => {
  const edit = vi.spyOn(binding(), 'kernelArgumentsEdit');
  const many = Array.from({ length: 3000 }, (_, i) => `key${i}=value`);
  const list = KernelArguments.from(many);
  expect(list.delete(...many.slice(1)).toArray()).toEqual(['key0=value']);
  expect(edit).toHaveBeenCalledTimes(2);
  edit.mockRestore();
  expect(list).toHaveLength(3000);
  expect(() => list.append('good', '')).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }),
  );
});
