/** types/*.d.ts names exactly what the addon has. */

import path from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { binding } from '../../lib/binding.js';
import { projectRoot } from '../support/child.js';

const directory = path.join(projectRoot, 'types');
const files = ts.sys.readDirectory(directory, ['.d.ts']);
const program = ts.createProgram(files, { noLib: true, types: [], noEmit: true });
const checker = program.getTypeChecker();

/** Every exported interface of types/, by name. */
const interfaces = new Map<string, ts.Type>();
for (const file of files) {
  const source = program.getSourceFile(file);
  const symbol = source && checker.getSymbolAtLocation(source);
  for (const exported of symbol ? checker.getExportsOfModule(symbol) : []) {
    interfaces.set(exported.name, checker.getDeclaredTypeOfSymbol(exported));
  }
}

function membersOf(name: string): Map<string, ts.Symbol> {
  const type = interfaces.get(name);
  if (!type) throw new Error(`types/ has no ${name}`);
  return new Map(checker.getPropertiesOfType(type).map((member) => [member.name, member]));
}

const ownNames = (value: object, besides: readonly string[]) =>
  Object.getOwnPropertyNames(value)
    .filter((name) => !besides.includes(name))
    .sort();

const addon = binding() as unknown as Record<string, unknown>;
const declared = membersOf('NativeBinding');

test('the addon exports what NativeBinding names', () => {
  expect(ownNames(addon, [])).toEqual([...declared.keys()].sort());
});

describe.each([...declared.keys()])('%s', (name) => {
  const value = addon[name];
  const symbol = declared.get(name);
  const members = symbol
    ? checker.getPropertiesOfType(checker.getTypeOfSymbol(symbol)).map((member) => member.name)
    : [];

  test('has the own members that its type names', () => {
    const besides =
      typeof value === 'function' ? ['arguments', 'caller', 'length', 'name', 'prototype'] : [];
    expect(ownNames(Object(value), besides)).toEqual(members.sort());
  });

  const hasInstances =
    typeof value === 'function' &&
    (interfaces.has(`Native${name}`) || ownNames(Object(value.prototype), []).length > 1);
  if (hasInstances) {
    test('has instances with the members that their interface names', () => {
      expect(ownNames(value.prototype, ['constructor'])).toEqual(
        [...membersOf(`Native${name}`).keys()].sort(),
      );
    });
  }
});
