/** Public functions and members of classes, with what their docstrings say. */

import path from 'node:path';
import ts from 'typescript';
import { projectRoot } from '../child.js';
import { isInternal } from '../contract/api.js';
import type { Program } from './program.js';

export interface Tag {
  name: string;
  text: string;
}

export interface Docstring {
  description: string;
  tags: Tag[];
}

export interface Member {
  /** `Repo.open`, `checksumFile`. */
  name: string;
  /** `fields` are properties and accessors. */
  kind: 'function' | 'method' | 'field';
  /** Below the top of the project. */
  file: string;
  /** More than one of overloads. */
  declarations: readonly ts.Declaration[];
  doc: Docstring;
  /** Of the class; absent for functions. */
  owner?: Docstring;
  /** Whether the work is done when it returns. */
  synchronous: boolean;
}

export function docstringOf(symbol: ts.Symbol, checker: ts.TypeChecker): Docstring {
  return {
    description: ts.displayPartsToString(symbol.getDocumentationComment(checker)).trim(),
    tags: symbol.getJsDocTags(checker).map(({ name, text }) => ({
      name,
      text: ts.displayPartsToString(text).trim(),
    })),
  };
}

function fileOf(declaration: ts.Node): string {
  return path.relative(projectRoot, declaration.getSourceFile().fileName);
}

/** Whatever is not a promise, a generator or a stream. */
function isSynchronous(symbol: ts.Symbol, { checker }: Program): boolean {
  const [signature] = checker.getTypeOfSymbol(symbol).getCallSignatures();
  if (!signature) return true;
  const text = checker.typeToString(checker.getReturnTypeOfSignature(signature));
  return !/^(Promise|AsyncGenerator|Readable|FileWriter)\b/.test(text);
}

/** What a module of lib/ exports, but for types. */
export function readMembers(whole: Program, entry: string): Member[] {
  const { program, checker } = whole;
  const source = program.getSourceFile(path.join(projectRoot, entry));
  const module = source && checker.getSymbolAtLocation(source);
  return (module ? checker.getExportsOfModule(module) : []).flatMap((exported): Member[] => {
    const symbol =
      exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
    const { declarations = [] } = symbol;
    if (symbol.flags & ts.SymbolFlags.Class) return membersOf(symbol, exported.name, whole);
    if (!(symbol.flags & ts.SymbolFlags.Function) || !declarations[0]) return [];
    if (isInternal(symbol, declarations[0])) return [];
    return [
      {
        name: exported.name,
        kind: 'function',
        file: fileOf(declarations[0]),
        declarations,
        doc: docstringOf(symbol, checker),
        synchronous: isSynchronous(symbol, whole),
      },
    ];
  });
}

function membersOf(type: ts.Symbol, owner: string, whole: Program): Member[] {
  const { checker } = whole;
  const doc = docstringOf(type, checker);
  const all = [
    ...checker.getPropertiesOfType(checker.getDeclaredTypeOfSymbol(type)),
    ...checker.getPropertiesOfType(checker.getTypeOfSymbol(type)),
  ];
  return all.flatMap((symbol): Member[] => {
    const { declarations = [] } = symbol;
    const [declaration] = declarations;
    if (!declaration || !fileOf(declaration).startsWith('lib/')) return [];
    const name = ts.getNameOfDeclaration(declaration);
    // Symbols of the language mean what they mean everywhere.
    if (!name || ts.isPrivateIdentifier(name) || ts.isComputedPropertyName(name)) return [];
    if (symbol.name === 'prototype' || isInternal(symbol, declaration)) return [];
    return [
      {
        name: `${owner}.${symbol.name}`,
        kind: symbol.flags & ts.SymbolFlags.Method ? 'method' : 'field',
        file: fileOf(declaration),
        declarations,
        doc: docstringOf(symbol, checker),
        owner: doc,
        synchronous: isSynchronous(symbol, whole),
      },
    ];
  });
}
