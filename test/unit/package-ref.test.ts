import fc from 'fast-check';
import { expect, it } from 'vitest';
import { packageRef, parsePackageRef } from '../../lib/compose/import.js';

const characters = (text: string) => fc.constantFrom(...text);
const kAlnum = 'abcdefghijklmnopqrstuvwxyz0123456789';
const name = fc.string({ unit: characters(`${kAlnum}+-.`), minLength: 1 });
const version = fc.string({ unit: characters(`${kAlnum}ABCDEF.+-:~`), minLength: 1 });
const anything = fc.string({ unit: 'binary', minLength: 1 }).filter((text) => !text.includes('\0'));
const architecture = fc.string({ unit: characters(`${kAlnum}-`), minLength: 1 });

it('is reversible', () => {
  fc.assert(
    fc.property(
      fc.oneof(name, anything),
      fc.oneof(version, anything),
      architecture,
      (name, version, architecture) => {
        const ref = packageRef(name, version, architecture);
        expect(ref).toMatch(/^apt-ostree\/pkg(\/[-\w][-.\w]*){2}$/);
        expect(parsePackageRef(ref)).toEqual({ name, version, architecture });
      },
    ),
  );
});

it('reads well', () => {
  expect(packageRef('libstdc++6', '1:2.0~rc1+b1', 'amd64')).toBe(
    'apt-ostree/pkg/libstdc_2B_2B6/1_3A2.0_7Erc1_2Bb1_amd64',
  );
});

it.each(['apt-ostree/pkg/a/1', 'apt-ostree/pkg/a/1_b/c', 'apt-ostree/base/a/1_all'])(
  'takes no other ref: %s',
  (ref) => {
    expect(parsePackageRef(ref)).toBeUndefined();
  },
);

it.each([
  ['', '1', 'all'],
  ['a', '', 'all'],
  ['a', '1', ''],
] as const)('refuses an empty part: %j', (name, version, architecture) => {
  expect(() => packageRef(name, version, architecture)).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }),
  );
});
