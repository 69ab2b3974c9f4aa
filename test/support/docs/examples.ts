/** The examples of the documentation as programs: those of docstrings and of the guides. */

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { projectRoot } from '../child.js';
import { kAptNames } from './apt.js';
import { kComposeNames } from './compose.js';
import { kOstreeNames } from './ostree.js';

/** What an example finds in scope, see docs/guide-ostree.md and the other guides. */
export type ScopeName = 'ostree' | 'apt' | 'compose';

export interface Example {
  /** File and line. */
  from: string;
  scope: ScopeName;
  code: string;
}

/** The types in test/support/docs that say what is in scope, and its names. */
export const kScopes: Record<ScopeName, { type: string; names: readonly string[] }> = {
  ostree: { type: 'OstreeScope', names: kOstreeNames },
  apt: { type: 'AptScope', names: kAptNames },
  compose: { type: 'ComposeScope', names: kComposeNames },
};

/** What examples may use of Node without importing it. */
const kNode: Record<string, string> = {
  assert: "import assert from 'node:assert/strict';",
  createReadStream: "import { createReadStream } from 'node:fs';",
  createWriteStream: "import { createWriteStream } from 'node:fs';",
  mkdir: "import { mkdir } from 'node:fs/promises';",
  readFile: "import { readFile } from 'node:fs/promises';",
  readdir: "import { readdir } from 'node:fs/promises';",
  stat: "import { stat } from 'node:fs/promises';",
  writeFile: "import { writeFile } from 'node:fs/promises';",
};

function scopeOf(file: string): ScopeName {
  if (/^lib\/apt\/|guide-apt/.test(file)) return 'apt';
  return /^lib\/compose\/|guide-compose/.test(file) ? 'compose' : 'ostree';
}

const kFence = /^```(?:ts|typescript)\n(.*?)^```$/gms;

function filesBelow(directory: string, ending: string): string[] {
  return readdirSync(path.join(projectRoot, directory), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .sort()
    .map((name) => `${directory}/${name}`);
}

/** The blocks of TypeScript in a Markdown file. */
export function blocksOf(file: string): { from: string; code: string }[] {
  const text = readFileSync(path.join(projectRoot, file), 'utf8');
  return [...text.matchAll(kFence)].map((block) => ({
    from: `${file}:${text.slice(0, block.index).split('\n').length}`,
    code: block[1] ?? '',
  }));
}

/** Whether the blocks of a document are run, with names in scope. */
export function isGuide(file: string): boolean {
  return /^docs\/guide-.*\.md$/.test(file);
}

function docstringExamples(file: string): Example[] {
  const text = readFileSync(path.join(projectRoot, file), 'utf8');
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const found = new Map<ts.JSDocTag, string>();
  const visit = (node: ts.Node) => {
    for (const tag of ts.getJSDocTags(node)) {
      const comment = ts.getTextOfJSDocComment(tag.comment) ?? '';
      if (tag.tagName.text === 'example') found.set(tag, comment);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return [...found].map(([tag, comment]) => {
    const { line } = source.getLineAndCharacterOfPosition(tag.getStart());
    const [fenced] = `${comment}\n`.matchAll(kFence);
    return { from: `${file}:${line + 1}`, scope: scopeOf(file), code: fenced?.[1] ?? comment };
  });
}

/** All examples that are run. */
export function readExamples(): Example[] {
  return [
    ...filesBelow('docs', '.md')
      .filter(isGuide)
      .flatMap((file) => blocksOf(file).map((block) => ({ ...block, scope: scopeOf(file) }))),
    ...filesBelow('lib', '.ts').flatMap(docstringExamples),
  ];
}

function bind(name: ts.BindingName, names: Set<string>): void {
  if (ts.isIdentifier(name)) names.add(name.text);
  else for (const part of name.elements) if (ts.isBindingElement(part)) bind(part.name, names);
}

/** Names that a program imports, or has for its own functions. */
function importedBy(source: ts.SourceFile): Set<string> {
  const names = new Set<string>();
  for (const statement of source.statements) {
    if (ts.isFunctionDeclaration(statement) && statement.name) names.add(statement.name.text);
    if (!ts.isImportDeclaration(statement)) continue;
    const bindings = statement.importClause?.namedBindings;
    if (bindings && ts.isNamedImports(bindings)) {
      for (const { name } of bindings.elements) names.add(name.text);
    }
  }
  return names;
}

/** Which of the names in scope an example uses. */
export function namesOf(example: Example): string[] {
  const source = ts.createSourceFile('example.ts', example.code, ts.ScriptTarget.Latest, true);
  const declared = importedBy(source);
  const used = new Set<string>();
  const visit = (node: ts.Node) => {
    if (ts.isIdentifier(node)) used.add(node.text);
    // Parameters and variables of functions inside; one name means one thing in an example.
    if (ts.isParameter(node) || ts.isVariableDeclaration(node)) bind(node.name, declared);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return [...used].filter((name) => !declared.has(name));
}

/**
 * An example as a module: what it uses of the library and of Node is imported, what is in scope
 * declared, all in its first line.
 *
 * @param exported names of `apt-ostree`, and whether they are values.
 */
export function moduleOf(example: Example, exported: ReadonlyMap<string, boolean>): string {
  const used = namesOf(example);
  const { type, names } = kScopes[example.scope];
  const imports = used.flatMap((name) => {
    const isValue = exported.get(name);
    return isValue === undefined ? [] : [isValue ? name : `type ${name}`];
  });
  const head = [
    ...(imports.length > 0 ? [`import { ${imports.join(', ')} } from 'apt-ostree';`] : []),
    ...used.flatMap((name) => (Object.hasOwn(kNode, name) ? [kNode[name]] : [])),
    `import type { ${type} } from '../test/support/docs/${example.scope}.js';`,
    ...used
      .filter((name) => names.includes(name))
      .map((name) => `declare const ${name}: ${type}['${name}'];`),
  ];
  return `${head.join(' ')}\n${example.code}\nexport {};\n`;
}

/** Where the module of an example is, as far as the compiler is concerned. */
export function fileOf({ from }: { from: string }): string {
  return path.join(projectRoot, 'lib', `${from.replace(/\W+/g, '-')}.example.ts`);
}
