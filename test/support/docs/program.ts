/** Examples and the library as one program of the compiler, and what the examples use of it. */

import path from 'node:path';
import ts from 'typescript';
import { projectRoot } from '../child.js';

export interface Program {
  program: ts.Program;
  checker: ts.TypeChecker;
}

/** A program of lib/index.ts and of files that exist only here. */
export function createProgram(files: ReadonlyMap<string, string>): Program {
  const config = ts.readConfigFile(path.join(projectRoot, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, projectRoot);
  const checked: ts.CompilerOptions = { ...options, noEmit: true, noUnusedLocals: false };
  const host = ts.createCompilerHost(checked);
  const { readFile, fileExists, getSourceFile } = host;
  host.readFile = (file) => files.get(file) ?? readFile(file);
  host.fileExists = (file) => files.has(file) || fileExists(file);
  host.getSourceFile = (file, version, ...rest) => {
    const text = files.get(file);
    return text === undefined
      ? getSourceFile(file, version, ...rest)
      : ts.createSourceFile(file, text, version, true);
  };
  const roots = [path.join(projectRoot, 'lib/index.ts'), ...files.keys()];
  const program = ts.createProgram(roots, checked, host);
  return { program, checker: program.getTypeChecker() };
}

/** What the compiler says about one file, with lines counted from the second one. */
export function complaints({ program }: Program, file: string, from: string): string[] {
  const source = program.getSourceFile(file);
  return [
    ...program.getSyntacticDiagnostics(source),
    ...program.getSemanticDiagnostics(source),
  ].map(({ start = 0, messageText }) => {
    const line = source?.getLineAndCharacterOfPosition(start).line;
    return `${from}, line ${line}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
  });
}

/** Every declaration that the files name, of members and of functions. */
export function usedBy({ program, checker }: Program, files: Iterable<string>): Set<ts.Node> {
  const used = new Set<ts.Node>();
  const visit = (node: ts.Node) => {
    if (ts.isIdentifier(node)) {
      const found = checker.getSymbolAtLocation(node);
      const symbol =
        found && found.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(found) : found;
      for (const declaration of symbol?.declarations ?? []) used.add(declaration);
    }
    ts.forEachChild(node, visit);
  };
  for (const file of files) {
    const source = program.getSourceFile(file);
    for (const statement of source?.statements ?? []) {
      // Imports name things, but do not show how they are used.
      if (!ts.isImportDeclaration(statement)) visit(statement);
    }
  }
  return used;
}
