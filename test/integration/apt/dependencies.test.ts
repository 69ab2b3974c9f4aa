/** Dependencies as text, against what libapt-pkg makes of them for Python. */

import {
  compareVersions,
  formatDepends,
  parseDepends,
  satisfies,
  upstreamVersion,
} from 'apt-ostree/apt';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { run } from '../../support/run.js';

/** The distribution's own, which has python3-apt. */
const kPython = '/usr/bin/python3';

async function askPython<T>(script: string, input: unknown): Promise<T> {
  const prelude = 'import apt_pkg, json, sys\napt_pkg.init()\ninput = json.load(sys.stdin)\n';
  const { stdout } = await run(kPython, ['-c', prelude + script], {
    input: JSON.stringify(input),
    env: { APT_CONFIG: '/dev/null' },
  });
  return JSON.parse(stdout);
}

const name = fc.stringMatching(/^[a-z][a-z0-9+.-]{2,5}$/);
const version = fc.stringMatching(/^([0-9]:)?[0-9][0-9a-z.+~]{0,4}(-[0-9a-z]{1,2})?$/);
const comparison = fc.constantFrom('<<', '<=', '=', '>=', '>>', '<', '>');
const blank = fc.constantFrom('', ' ', '  ', '\n ');
// A blank after the comparison: the library takes a last `(=1)` for cut off.
const relation = fc
  .tuple(
    name,
    fc.constantFrom('', ':any', ':amd64'),
    fc.option(fc.tuple(comparison, version)),
    blank,
  )
  .map(([pkg, arch, wanted, space]) =>
    wanted ? `${pkg}${arch}${space}(${wanted[0]} ${wanted[1]}${space})` : `${pkg}${arch}`,
  );
const restricted = fc
  .tuple(
    relation,
    fc.constantFrom(
      '',
      ' [amd64]',
      ' [!amd64]',
      ' [i386 linux-any]',
      ' [hurd-any]',
      ' [any-amd64]',
    ),
    fc.constantFrom('', ' <!nocheck>', ' <nocheck>', ' <stage1> <!cross !nodoc>'),
  )
  .map((parts) => parts.join(''));
const list = (of: fc.Arbitrary<string>, most: number) =>
  fc
    .array(fc.array(of, { minLength: 1, maxLength: most }), { minLength: 1, maxLength: 4 })
    .map((groups) => groups.map((group) => group.join(' | ')).join(' , '));

const plain = (text: string, source: boolean) => {
  try {
    return parseDepends(text, { architecture: 'amd64', source }).map((group) =>
      group.map((one) => [
        one.architecture === undefined ? one.name : `${one.name}:${one.architecture}`,
        one.version ?? '',
        // Python has the short forms.
        (one.comparison ?? '').replace('<<', '<').replace('>>', '>'),
      ]),
    );
  } catch {
    return null;
  }
};

const kParse = `
def ask(text, source):
    try:
        parse = apt_pkg.parse_src_depends if source else apt_pkg.parse_depends
        return parse(text, False, 'amd64')
    except ValueError:
        return None
print(json.dumps([ask(text, source) for text, source in input]))`;

describe('dependencies', () => {
  test('are what libapt-pkg reads', async () => {
    const texts: [string, boolean][] = [
      ...fc.sample(list(relation, 3), 200).map((text): [string, boolean] => [text, false]),
      // The library mixes up alternatives that drop out, so each group has one here.
      ...fc.sample(list(restricted, 1), 200).map((text): [string, boolean] => [text, true]),
      ...['', 'a,', 'a,,b', 'a b', 'a (= 1', 'a (1)', '|a', 'a | | b', 'a [amd64]', 'a <x>'].map(
        (text): [string, boolean] => [text, false],
      ),
    ];
    const theirs = await askPython<unknown[]>(kParse, texts);
    expect(texts.map(([text, source]) => [text, plain(text, source)])).toEqual(
      texts.map(([text], i) => [text, theirs[i]]),
    );
  });

  test('of sources are for an architecture and build profiles', () => {
    const text = 'a [amd64] | b [i386], c <!nocheck>, d <stage1 cross> <nodoc>, e [!kfreebsd-any]';
    const names = (profiles: string[], architecture: string) =>
      parseDepends(text, { architecture, profiles, source: true }).map((group) =>
        group.map(({ name }) => name).join('|'),
      );
    expect(names([], 'amd64')).toEqual(['a', 'c', 'e']);
    expect(names(['nocheck', 'nodoc'], 'i386')).toEqual(['b', 'd', 'e']);
    expect(names(['stage1'], 'kfreebsd-amd64')).toEqual(['c']);
    expect(names(['stage1', 'cross'], 'arm64')).toEqual(['c', 'd', 'e']);
  });

  test('are written as they are read', () => {
    fc.assert(
      fc.property(list(relation, 3), (text) => {
        const parsed = parseDepends(text, { architecture: 'amd64' });
        expect(parseDepends(formatDepends(parsed), { architecture: 'amd64' })).toEqual(parsed);
      }),
    );
    expect(() => formatDepends([[{ name: 'a | b' }]])).toThrow(TypeError);
    expect(() => formatDepends([[{ name: 'a', version: '1)' }]])).toThrow(TypeError);
    expect(() => formatDepends([[{ name: 'a', comparison: '>=' }]])).toThrow(TypeError);
  });
});

describe('versions', () => {
  test('meet a dependency where libapt-pkg says so', async () => {
    const cases = fc.sample(fc.tuple(version, comparison, version), 300);
    const script = 'print(json.dumps([apt_pkg.check_dep(a, op, b) for a, op, b in input]))';
    const theirs = await askPython<boolean[]>(script, cases);
    const kept = cases.map(([a, op, b], i) => [a, op, b, theirs[i]] as const);
    const ours = ([a, op, b]: readonly [string, string, string, ...unknown[]]) => {
      const [group] = parseDepends(`x (${op} ${b})`);
      return satisfies(a, group?.[0]?.comparison, group?.[0]?.version);
    };
    // Python takes the short forms as they are spelled, control files as they once were meant.
    const same = kept.filter(([a, op, b]) => op.length > 1 || op === '=' || compareVersions(a, b));
    expect(same.map((one) => [...one.slice(0, 3), ours(one)])).toEqual(same);
    expect(satisfies('1', undefined, undefined)).toBe(true);
  });

  test('have the upstream part that libapt-pkg finds', async () => {
    const texts = [...fc.sample(version, 200), '', '-', 'a:b:c-d', '1-2-3', '1:'];
    const script = 'print(json.dumps([apt_pkg.upstream_version(one) for one in input]))';
    expect(texts.map(upstreamVersion)).toEqual(await askPython<string[]>(script, texts));
  });
});
