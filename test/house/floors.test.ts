/** The imports of lib/ keep to the floors of docs/architecture.md. */

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { projectRoot } from '../support/child.js';

/** Each part of lib/ and the parts that it may import besides itself. */
const kMayImport: Record<string, readonly string[]> = (() => {
  const ground = ['ground'];
  const nouns = ['ostree', 'apt', 'deb', ...ground];
  const work = ['transaction', 'compose', ...nouns];
  const system = ['system', ...work];
  return {
    ground: [],
    ostree: ground,
    apt: ground,
    deb: ground,
    transaction: nouns,
    compose: nouns,
    system: work,
    state: system,
    cli: ['state', 'system'],
    dbus: ['state', 'system'],
  };
})();

const exported: { exports: Record<string, unknown> } = JSON.parse(
  readFileSync(path.join(projectRoot, 'package.json'), 'utf8'),
);
/** The files that package.json exports: they gather names, and nothing imports them. */
const entries = Object.keys(exported.exports)
  .filter((name) => !name.endsWith('.json'))
  .map((name) => `lib/${name === '.' ? 'index' : name.slice(2)}.ts`);

function partOf(file: string): string {
  if (entries.includes(file)) return 'entry';
  const [top = '', second = ''] = file.split('/');
  if (top === 'types' || second.endsWith('.ts')) return 'ground';
  return second;
}

function violation(from: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) {
    return specifier.startsWith('node:') ? undefined : 'lib/ has no dependencies at run time';
  }
  const target = path.posix.join(path.posix.dirname(from), specifier.replace(/\.js$/, '.ts'));
  const to = partOf(target);
  const part = partOf(from);
  if (to === 'entry') return part === 'entry' ? undefined : 'nothing imports an entry';
  if (part === 'entry' || part === to) return undefined;
  const allowed = kMayImport[part];
  if (!allowed) return `no floor is known for lib/${part}`;
  return allowed.includes(to) ? undefined : `${part} may not import ${to}`;
}

function sources(): string[] {
  return readdirSync(path.join(projectRoot, 'lib'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `lib/${name}`);
}

test('every import goes down', () => {
  const found: string[] = [];
  for (const file of sources()) {
    const text = readFileSync(path.join(projectRoot, file), 'utf8');
    // Includes type imports, `export from` and import().
    for (const { fileName } of ts.preProcessFile(text, true, true).importedFiles) {
      const problem = violation(file, fileName);
      if (problem) found.push(`${file} imports ${fileName}: ${problem}`);
    }
  }
  expect(found).toEqual([]);
});

test('the check itself sees what it must', () => {
  expect(violation('lib/job.ts', './ostree/repo.js')).toBe('ground may not import ostree');
  expect(violation('lib/ostree/repo.ts', '../apt/cache.js')).toBe('ostree may not import apt');
  expect(violation('lib/compose/layer.ts', '../transaction/lock.js')).toMatch(/may not/);
  expect(violation('lib/compose/layer.ts', '../index.js')).toBe('nothing imports an entry');
  expect(violation('lib/compose/layer.ts', '../ostree/repo.js')).toBeUndefined();
  expect(violation('lib/ostree/repo.ts', '../../types/ostree.js')).toBeUndefined();
  expect(violation('lib/novelty/x.ts', '../job.js')).toMatch(/no floor/);
  expect(violation('lib/job.ts', 'left-pad')).toMatch(/no dependencies/);
});
