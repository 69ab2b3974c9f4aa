import { describe, expect, it } from 'vitest';
import type { AptPlan, AptPlanPackage } from '../../../lib/apt/cache.js';
import { planSteps } from '../../../lib/compose/steps.js';

type Shorthand = `${'u' | 'c' | 'r' | 'p'} ${string}`;

/** A plan from operations like `u name` (unpack) and `c name` (configure). */
function plan(
  operations: Shorthand[],
  preDepends: Record<string, string[]> = {},
  architecture = 'amd64',
): AptPlan {
  const kActions = { u: 'unpack', c: 'configure', r: 'remove', p: 'purge' } as const;
  const parsed = operations.map((text) => {
    const [letter, name] = text.split(' ') as [keyof typeof kActions, string];
    return { action: kActions[letter], name, architecture, version: '1' };
  });
  const names = [...new Set(parsed.map(({ name }) => name))];
  return {
    operations: parsed,
    packages: names.map(
      (name) =>
        ({
          name,
          architecture,
          version: '1',
          action: 'install',
          preDepends: preDepends[name] ?? [],
        }) as unknown as AptPlanPackage,
    ),
  } as unknown as AptPlan;
}

/** Steps in the same shorthand, one string each. */
function steps(of: AptPlan): string[] {
  return planSteps(of, 'amd64').map((step) => {
    if (step.kind === 'unpack') return `u ${step.packages.map(({ name }) => name).join(' ')}`;
    if (step.kind === 'configure') return `c ${step.packages?.join(' ') ?? '*'}`;
    return `${step.purge ? 'p' : 'r'} ${step.packages.join(' ')}`;
  });
}

describe('planSteps', () => {
  it('unpacks all, then configures all, when nothing forbids it', () => {
    expect(steps(plan(['u a', 'c a', 'u b', 'c b']))).toEqual(['u a b', 'c *']);
  });

  it('configures what a Pre-Depends needs first', () => {
    const order: Shorthand[] = ['u a', 'u b', 'c b', 'c a', 'u c', 'c c'];
    expect(steps(plan(order, { c: ['a'] }))).toEqual(['u a b', 'c b a', 'u c', 'c *']);
  });

  it('cuts once for several packages that pre-depend on the same', () => {
    const order: Shorthand[] = ['u a', 'c a', 'u b', 'u c', 'c b', 'c c'];
    expect(steps(plan(order, { b: ['a'], c: ['a'] }))).toEqual(['u a', 'c a', 'u b c', 'c *']);
  });

  it('ignores a Pre-Depends that the base satisfies', () => {
    expect(steps(plan(['u a', 'c a'], { a: ['libc6'] }))).toEqual(['u a', 'c *']);
  });

  it('keeps removals where apt has them, one run for neighbours', () => {
    const order: Shorthand[] = ['u a', 'r x', 'r y', 'p z', 'u b', 'c a', 'c b'];
    expect(steps(plan(order))).toEqual(['u a', 'r x y', 'p z', 'u b', 'c *']);
  });

  it('repeats what apt does when told so', () => {
    const of = plan(['u a', 'u b', 'c a', 'c b', 'u c', 'c c']);
    expect(planSteps(of, 'amd64', true)).toMatchObject([
      { kind: 'unpack', packages: [{ name: 'a' }, { name: 'b' }] },
      { kind: 'configure', packages: ['a', 'b'] },
      { kind: 'unpack', packages: [{ name: 'c' }] },
      { kind: 'configure' },
    ]);
  });

  it('names the architecture of foreign packages only', () => {
    const foreign = plan(['u a', 'c a', 'u b', 'c b'], { b: ['a'] }, 'i386');
    expect(steps(foreign)).toEqual(['u a', 'c a:i386', 'u b', 'c *']);
  });
});
