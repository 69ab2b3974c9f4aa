/** Every public member says what it means, and every example is a program that compiles. */

import { readdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { projectRoot } from '../support/child.js';
import {
  blocksOf,
  fileOf,
  isGuide,
  kScopes,
  moduleOf,
  readExamples,
  type ScopeName,
} from '../support/docs/examples.js';
import { exportedNames } from '../support/docs/library.js';
import { type Member, readMembers } from '../support/docs/members.js';
import { complaints, createProgram, usedBy } from '../support/docs/program.js';

const bare = createProgram(new Map());
const exported = exportedNames(bare);
const members = readMembers(bare, 'lib/index.ts');
const calls = members.filter(({ kind }) => kind !== 'field');

const tagsOf = (member: Member, name: string) =>
  member.doc.tags.filter((tag) => tag.name === name).map(({ text }) => text);

const ownerOf = (name: string) => name.split('.')[0] ?? '';

test('every public member has a docstring', () => {
  const silent = members.filter(({ doc, name, kind }) => {
    // Fields of errors are documented where the details of all errors are.
    if (kind === 'field' && ownerOf(name).endsWith('Error')) return false;
    return doc.description === '';
  });
  expect(silent.map(({ name }) => name)).toEqual([]);
});

/** The source of the addon. */
const native = (() => {
  const directory = path.join(projectRoot, 'native');
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(cc|h)$/.test(name))
    .map((name) => readFileSync(path.join(directory, name), 'utf8'))
    .join('\n');
})();

/** Codes of this package, from the list of them: for the compiler any `E...` would do. */
const codes = (() => {
  const found = new Set(Object.keys(constants.errno));
  bare.program.getSourceFile(path.join(projectRoot, 'lib/errors.ts'))?.forEachChild((node) => {
    if (!ts.isTypeAliasDeclaration(node) || node.name.text !== 'AptOstreeErrorCode') return;
    for (const part of ts.isUnionTypeNode(node.type) ? node.type.types : []) {
      if (ts.isLiteralTypeNode(part) && ts.isStringLiteral(part.literal)) {
        found.add(part.literal.text);
      }
    }
  });
  return found;
})();

test('codes are listed, and explained', () => {
  const text = readFileSync(path.join(projectRoot, 'docs/errors.md'), 'utf8');
  const explained = [...text.matchAll(/^\| `([A-Z0-9_]+)` \| (?=\S)/gm)].map((row) => row[1] ?? '');
  const listed = [...codes].filter((code) => !(code in constants.errno));
  expect(explained.sort()).toEqual(listed.sort());
  // For the compiler, any text that begins with E is a code.
  const made = [...native.matchAll(/"(ERR_[A-Z0-9_]*[A-Z0-9])"/g), ...typescript()];
  const unlisted = made.map((match) => match[1] ?? '').filter((code) => !codes.has(code));
  expect(unlisted).toEqual([]);
});

/** Codes in the source of the library. */
function typescript(): RegExpMatchArray[] {
  return bare.program
    .getSourceFiles()
    .filter(({ fileName }) => fileName.startsWith(path.join(projectRoot, 'lib/')))
    .flatMap(({ text }) => [...text.matchAll(/'(ERR_[A-Z0-9_]+)'/g)])
    .filter(([, code]) => code !== kOfNode);
}

const kOfNode = 'ERR_DLOPEN_DISABLED';

/** Codes that a text names; `ERR_OSTREE_GPG_*` stands for all that begin so. */
function unknownCodes(text: string): string[] {
  return [...text.matchAll(/`((?:E[A-Z0-9]{2,}|ABORT_ERR)[A-Z0-9_]*\*?)`/g)]
    .map((match) => match[1] ?? '')
    .filter((code) =>
      code.endsWith('*')
        ? ![...codes].some((known) => known.startsWith(code.slice(0, -1)))
        : !codes.has(code),
    );
}

test('the codes that docstrings name exist', () => {
  expect(codes).toContain('ERR_CLOSED');
  const unknown = members.flatMap(({ name, doc }) =>
    [doc.description, ...doc.tags.map(({ text }) => text)]
      .flatMap(unknownCodes)
      .map((code) => `${name}: ${code}`),
  );
  expect(unknown).toEqual([]);
});

/**
 * The errors that every call may give (wrong arguments, an abort, a closed object) are in the guide;
 * a docstring names the others, or its class does so for all, or it says that there are none.
 */
test('every call says which errors it has', () => {
  const speaks = (text: string) => /`E[A-Z]|\{@link|\bwhat\b|\bas\b|\bnothing\b/i.test(text);
  const silent = calls.filter(
    (member) =>
      !tagsOf(member, 'throws').some(speaks) &&
      !member.owner?.tags.some(({ name, text }) => name === 'throws' && speaks(text)),
  );
  expect(silent.map(({ name }) => name)).toEqual([]);
});

test('every call that works on the calling thread says so', () => {
  const says = (text = '') => /\bsynchronous\b|calling thread/i.test(text);
  const silent = calls.filter(
    ({ synchronous, doc, owner }) =>
      synchronous &&
      !says(doc.description) &&
      !says(owner?.description) &&
      !doc.tags.some(({ text }) => says(text)),
  );
  expect(silent.map(({ name }) => name)).toEqual([]);
});

/** Calls that only this package has, with nothing behind them to refer to. */
const kOwn = /\.(close|release|snapshot|rollback|branch|toJSON|toString)$/;

test('every call names what is behind it', () => {
  const wraps = ({ file, name }: Member) => /^lib\/(ostree|apt)\//.test(file) && !kOwn.test(name);
  const silent = calls.filter(
    (member) =>
      wraps(member) &&
      !tagsOf(member, 'see').some((text) => /`\w[\w:]+`|\w\(\d\)|\{@link|^\S+\w/.test(text)),
  );
  expect(silent.map(({ name }) => name)).toEqual([]);
});

/** Functions whose work is done here in TypeScript: the originals end the process, or copy. */
const kNotCalled = new Set([
  'ostree_checksum_b64_to_bytes',
  'ostree_checksum_to_bytes',
  'ostree_object_from_string',
  'ostree_object_to_string',
]);

test('the functions that docstrings name are those that the addon calls', () => {
  const unknown = members.flatMap(({ name, doc }) =>
    doc.tags
      .filter((tag) => tag.name === 'see')
      .flatMap(({ text }) => [
        ...text.matchAll(/`((?:ostree|g_variant)_\w+|(?:pkg|deb|Acquire)\w+)`/g),
        ...text.matchAll(/`\w+(?:::\w+)*::(\w+)`/g),
      ])
      .map((match) => match[1] ?? '')
      .filter((called) => !new RegExp(`\\b${called}\\b`).test(native) && !kNotCalled.has(called))
      .map((called) => `${name}: ${called}`),
  );
  expect(unknown).toEqual([]);
});

const examples = readExamples();
const whole = createProgram(
  new Map(examples.map((example) => [fileOf(example), moduleOf(example, exported)])),
);

test('the guides tell what is in scope', () => {
  const tables = { ostree: ['ostree', 'sysroot'], apt: ['apt'], compose: ['compose'] };
  // For docstrings only.
  const silent = ['transaction', 'tree'];
  for (const [scope, guides] of Object.entries(tables)) {
    const text = guides
      .map((name) => readFileSync(path.join(projectRoot, `docs/guide-${name}.md`), 'utf8'))
      .join('');
    const rows = text.split('\n').filter((line) => line.startsWith('| `'));
    const told = rows.flatMap((row) => [...row.matchAll(/`(\w+)`(?=[^|]*\| )/g)].map((m) => m[1]));
    const missing = kScopes[scope as ScopeName].names.filter(
      (name) => !told.includes(name) && !silent.includes(name),
    );
    expect(missing, scope).toEqual([]);
  }
});

test('examples compile', () => {
  expect(examples.length).toBeGreaterThan(50);
  expect(examples.flatMap((example) => complaints(whole, fileOf(example), example.from))).toEqual(
    [],
  );
});

/** test/integration/docs runs them. */
test('every call is part of an example that runs', () => {
  const used = usedBy(whole, examples.map(fileOf));
  const unused = readMembers(whole, 'lib/index.ts')
    .filter(({ kind }) => kind !== 'field')
    .filter(({ declarations }) => !declarations.some((declaration) => used.has(declaration)));
  expect(unused.map(({ name }) => name)).toEqual([]);
});

test('programs in the other documents compile', () => {
  const documents = [
    'README.md',
    ...readdirSync(path.join(projectRoot, 'docs')).map((f) => `docs/${f}`),
  ]
    .filter((file) => file.endsWith('.md') && !isGuide(file))
    .flatMap(blocksOf);
  expect(documents.length).toBeGreaterThan(0);
  const program = createProgram(
    new Map(documents.map((block) => [fileOf(block), `\n${block.code}\nexport {};\n`])),
  );
  expect(documents.flatMap((block) => complaints(program, fileOf(block), block.from))).toEqual([]);
});
