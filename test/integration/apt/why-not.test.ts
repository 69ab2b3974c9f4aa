/** Explanations of what cannot be installed, and that apt-get names the same dependencies. */

import type { AptCache } from 'apt-ostree/apt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { UnmetDependency } from '../../../lib/errors.js';
import { simulate } from '../../support/apt-get.js';
import {
  type FlatContextOptions,
  flatContext,
  installed,
  randomUniverse,
  record,
  type Stanza,
} from '../../support/apt-universe.js';
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temp.js';

let work: TemporaryDirectory;
let resources: AsyncDisposable[];

beforeAll(async () => {
  work = await temporaryDirectory('why-not');
  resources = [];
});

afterAll(async () => {
  for (const resource of resources.reverse()) await resource[Symbol.asyncDispose]();
  await work.remove();
});

async function open(
  archive: readonly Stanza[],
  options: FlatContextOptions = {},
): Promise<AptCache & { directory: string }> {
  const own = work.join(`case-${resources.length}`);
  const context = await flatContext(own, archive, { status: [], ...options });
  resources.push(context);
  await context.update();
  const cache = await context.open();
  resources.push(cache);
  return Object.assign(cache, { directory: own });
}

test('from the package down to what nothing can give, every way once', async () => {
  const cache = await open([
    record('top', '1', { Depends: 'fine, middle' }),
    record('fine', '1'),
    record('middle', '1', { Depends: 'bottom | other | name' }),
    record('bottom', '1', { Depends: 'nowhere' }),
    record('other', '1', { Depends: 'bottom (>= 7)' }),
    record('giver', '1', { Provides: 'name', 'Pre-Depends': 'top-secret' }),
  ]);
  expect(await cache.whyNot('fine')).toBeUndefined();
  const because = (name: string, alternative: object) => [
    { name, alternatives: [expect.objectContaining(alternative)] },
  ];
  expect(await cache.whyNot('top')).toMatchObject({
    reason: 'unmet',
    message: expect.stringContaining('middle'),
    why: [
      {
        name: 'top',
        version: '1',
        type: 'Depends',
        alternatives: [
          {
            name: 'middle',
            reason: 'not-chosen',
            tried: [
              {
                name: 'middle',
                because: [
                  {
                    name: 'middle',
                    alternatives: [
                      {
                        name: 'bottom',
                        tried: [
                          { because: because('bottom', { name: 'nowhere', reason: 'unknown' }) },
                        ],
                      },
                      {
                        name: 'other',
                        tried: [
                          { because: because('other', { name: 'bottom', reason: 'version' }) },
                        ],
                      },
                      {
                        name: 'name',
                        tried: [
                          { name: 'giver', because: because('giver', { name: 'top-secret' }) },
                        ],
                      },
                    ],
                  },
                ],
              },
            ],
          },
        ],
      },
    ],
  });
  // The failed solve has it too, beside apt-get's list.
  const why = (await cache.whyNot('top'))?.why;
  await expect(cache.solve({ install: ['top'] })).rejects.toMatchObject({ why });
});

test('policy: pins that prefer another version, or none', async () => {
  const pin = (name: string, version: string, priority: number) =>
    `Package: ${name}\nPin: version ${version}\nPin-Priority: ${priority}\n\n`;
  const cache = await open(
    [
      record('app', '1', { Depends: 'lib (>= 2)' }),
      record('lib', '1'),
      record('lib', '2'),
      record('shy', '1', { Depends: 'banned' }),
      record('banned', '1'),
    ],
    { preferences: `${pin('lib', '1', 990)}${pin('banned', '*', -1)}` },
  );
  expect((await cache.whyNot('app'))?.why).toMatchObject([
    {
      alternatives: [
        {
          name: 'lib',
          tried: [{ version: '2', outcome: 'not-candidate', priority: 500, candidate: '1' }],
        },
      ],
    },
  ]);
  const [shy] = (await cache.whyNot('shy'))?.why ?? [];
  expect(shy?.alternatives[0]?.tried).toMatchObject([{ outcome: 'not-candidate', priority: -1 }]);
  expect(shy?.alternatives[0]?.tried[0]).not.toHaveProperty('candidate');
  expect(await cache.whyNot('banned')).toMatchObject({
    reason: 'no-candidate',
    why: [],
    policy: { name: 'banned', versions: [{ version: '1', priority: -1, pinned: true }] },
  });
  expect(await cache.whyNot('lib=3')).toMatchObject({
    reason: 'no-candidate',
    policy: { candidate: '1', versions: [{ version: '2' }, { version: '1' }] },
  });
});

test('names: unknown ones, and those that packages provide', async () => {
  const cache = await open([
    record('one', '1', { Provides: 'both' }),
    record('two', '1', { Provides: 'both' }),
  ]);
  expect(await cache.whyNot('nothing')).toMatchObject({ reason: 'unknown', why: [] });
  const { reason, providers } = (await cache.whyNot('both')) ?? {};
  expect(reason).toBe('virtual');
  expect(providers?.map(({ name }) => name).sort()).toEqual(['one', 'two']);
  await expect(cache.whyNot('?bad(')).rejects.toMatchObject({ code: 'ERR_APT_PATTERN' });
  await expect(cache.whyNot(7 as never)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
});

test('what is installed: conflicts with it, holds, and the price', async () => {
  const cache = await open(
    [
      record('lib', '2'),
      record('app', '1', { Depends: 'lib (>= 2)' }),
      record('rival', '1', { Conflicts: 'vital' }),
    ],
    {
      status: [
        { ...installed(record('lib', '1')), Status: 'hold ok installed' },
        installed(record('vital', '1', { Essential: 'yes' })),
      ],
    },
  );
  expect((await cache.whyNot('app'))?.why).toMatchObject([
    {
      name: 'app',
      alternatives: [{ name: 'lib', chosen: '1', tried: [{ version: '2', held: true }] }],
    },
  ]);
  expect(await cache.whyNot('rival')).toMatchObject({
    reason: 'unmet',
    why: [
      {
        name: 'rival',
        type: 'Conflicts',
        alternatives: [{ reason: 'conflict', tried: [{ name: 'vital', outcome: 'installed' }] }],
      },
    ],
  });
  await using marks = await cache.marks();
  expect(await marks.whyNot('lib')).toMatchObject({ reason: 'refused', package: 'lib' });
});

test('on top of marks, which stay as they are', async () => {
  const cache = await open([
    record('app', '1', { Depends: 'lib' }),
    record('lib', '1'),
    record('foe', '1', { Conflicts: 'lib' }),
  ]);
  await using marks = await cache.marks();
  await marks.edit({ kind: 'forbid', package: 'lib' }, { kind: 'install', package: 'foe' });
  const before = await marks.changes();
  expect(await marks.whyNot('app')).toMatchObject({
    reason: 'unmet',
    why: [{ name: 'app', alternatives: [{ name: 'lib', tried: [{ outcome: 'not-chosen' }] }] }],
  });
  expect(await marks.changes()).toEqual(before);
  expect(await cache.whyNot('app')).toBeUndefined();
});

/** `name type alternative (op version) | ...` of each dependency in apt-get's list. */
function listed(output: string): string[] {
  const [, list = ''] = output.split('have unmet dependencies:\n');
  const found: string[] = [];
  let name = '';
  // Of the dependency whose alternatives go on in the next line.
  let open: string | undefined;
  for (const line of list.split('\n')) {
    const named = /^ (\S+) : (.*)$/.exec(line);
    if (!named && !/^ {2,}\S/.test(line)) break;
    if (named) name = named[1] ?? '';
    const text = (named?.[2] ?? line).trim();
    const [, type = '', target = text] = /^(\w+): (.*)$/.exec(text) ?? [];
    const alternative = target.replace(/ but .*$/, '').replace(/ or$/, '');
    const whole: string =
      open === undefined ? `${name} ${type} ${alternative}` : `${open} | ${alternative}`;
    open = / or$/.test(text) ? whole : undefined;
    // Recommended packages are shown there too, but they are no reason.
    if (open === undefined && !whole.startsWith(`${name} Recommends`)) found.push(whole);
  }
  return found.sort();
}

function told(unmet: readonly UnmetDependency[]): string[] {
  return unmet
    .map(({ name, type, alternatives }) => {
      const texts = alternatives.map(({ name, comparison, version }) =>
        comparison ? `${name} (${comparison} ${version})` : name,
      );
      return `${name} ${type} ${texts.join(' | ')}`;
    })
    .sort();
}

test('a failed solve has what apt-get lists, and an explanation of each package', async () => {
  const { packages, names } = randomUniverse(11, 150);
  const cache = await open(packages);
  let compared = 0;
  for (const name of names) {
    if (compared === 25) break;
    const failure = await cache.solve({ install: [name] }).then(
      () => undefined,
      (error: { code: string; unmet: UnmetDependency[]; why: UnmetDependency[] }) => error,
    );
    if (failure?.code !== 'ERR_APT_UNMET_DEPENDENCIES') continue;
    compared += 1;
    const { output } = await simulate(cache.directory, ['install', name]);
    expect(told(failure.unmet), output).toEqual(listed(output));
    // It begins at the package.
    const { reason, why } = (await cache.whyNot(name)) ?? {};
    expect(reason).toBe('unmet');
    expect(why?.length, output).toBeGreaterThan(0);
    expect(why).toEqual(failure.why);
  }
  expect(compared).toBeGreaterThan(10);
});
