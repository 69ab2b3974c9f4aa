/** The misuse tier (test/integration/misuse) leaves out nothing that is public. */

import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readApi } from '../support/contract/api.js';
import { groups, groupsOf, isTried, titleOf, undeclared } from '../support/contract/groups.js';

const api = readApi();

test('the types tell everything that exists at run time', () => {
  expect(undeclared(api)).toEqual([]);
});

test('every public call is in one group', () => {
  const misplaced = api
    .filter((member) => isTried(member) && groupsOf(member).length !== 1)
    .map((member) => `${titleOf(member)}: ${groupsOf(member).join(', ') || 'in no group'}`);
  expect(misplaced).toEqual([]);
});

test('every group has its test', () => {
  const directory = new URL('../integration/misuse/', import.meta.url);
  const tested = readdirSync(directory).flatMap((file) => {
    const text = readFileSync(new URL(file, directory), 'utf8');
    return [...text.matchAll(/testMisuse\('([\w-]+)'\)/g)].map(([, group]) => group);
  });
  expect(tested.sort()).toEqual(Object.keys(groups).sort());
});
