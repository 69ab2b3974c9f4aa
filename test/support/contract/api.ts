/** The public interface of the library as data, read from its TypeScript types. */

import path from 'node:path';
import ts from 'typescript';
import { projectRoot } from '../child.js';

/** A type, as far as values can be told by it. */
export type TypeSpec =
  | { kind: 'unknown' | 'string' | 'number' | 'bigint' | 'boolean' | 'symbol' | 'function' }
  | { kind: 'undefined' | 'null' }
  | { kind: 'literal'; value: string | number | boolean }
  | { kind: 'union' | 'tuple'; of: TypeSpec[] }
  | { kind: 'array' | 'record'; of: TypeSpec }
  | { kind: 'object'; properties: Record<string, PropertySpec> }
  | { kind: 'instance'; name: string };

export interface PropertySpec {
  type: TypeSpec;
  optional: boolean;
}

export interface ParameterSpec extends PropertySpec {
  name: string;
  rest: boolean;
}

/** Something public: a function, or a part of a class. */
export interface ApiMember {
  /** `Repo`; absent of functions. */
  owner?: string;
  kind: 'function' | 'constructor' | 'static' | 'method' | 'getter';
  /** `open`, `[Symbol.asyncDispose]`. */
  name: string;
  /** Private or for this library alone: it exists at run time and nobody may call it. */
  internal: boolean;
  parameters: ParameterSpec[];
  /** Where it is declared: a path below the top, and a line. */
  file: string;
  line: number;
}

/** Classes of the platform whose instances count as one value. */
const kPlatform = new Set(
  `AbortSignal Buffer Date Error Iterable AsyncIterable Map Promise Readable RegExp Set
   Uint8Array URL Writable`.split(/\s+/),
);

/** The program of lib/, with the options of this project. */
export function libraryProgram(): ts.Program {
  const config = ts.readConfigFile(path.join(projectRoot, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, projectRoot);
  return ts.createProgram([path.join(projectRoot, 'lib/index.ts')], { ...options, noEmit: true });
}

/** Everything that `apt-ostree` exports as a value. */
export function readApi(program = libraryProgram()): ApiMember[] {
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(path.join(projectRoot, 'lib/index.ts'));
  const module = source && checker.getSymbolAtLocation(source);
  if (!module) throw new Error('lib/index.ts exports nothing');
  return checker.getExportsOfModule(module).flatMap((exported) => {
    const symbol =
      exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
    if (symbol.flags & ts.SymbolFlags.Class) return classMembers(checker, symbol);
    if (symbol.flags & ts.SymbolFlags.Function) {
      return [describe(checker, symbol, { kind: 'function', name: exported.name })];
    }
    return [];
  });
}

function classMembers(checker: ts.TypeChecker, symbol: ts.Symbol): ApiMember[] {
  const owner = symbol.name;
  const instance = checker.getDeclaredTypeOfSymbol(symbol);
  const type = checker.getTypeOfSymbol(symbol);
  const own = (member: ts.Symbol) =>
    member.declarations?.some(({ parent }) => ts.isClassDeclaration(parent) && isOurs(parent)) &&
    !member.declarations.some(hasPrivateName);
  const members: ApiMember[] = [];
  const [signature] = type.getConstructSignatures();
  if (signature) members.push(describeSignature(checker, symbol, signature, owner));
  for (const member of checker.getPropertiesOfType(type)) {
    if (member.flags & ts.SymbolFlags.Method && own(member)) {
      members.push(describe(checker, member, { owner, kind: 'static', name: nameOf(member) }));
    }
  }
  for (const member of checker.getPropertiesOfType(instance)) {
    if (!own(member)) continue;
    const kind = member.flags & ts.SymbolFlags.Method ? 'method' : 'getter';
    if (kind === 'getter' && !(member.flags & ts.SymbolFlags.GetAccessor)) continue;
    members.push(describe(checker, member, { owner, kind, name: nameOf(member) }));
  }
  return members;
}

function hasPrivateName(declaration: ts.Declaration): boolean {
  const name = ts.getNameOfDeclaration(declaration);
  return name !== undefined && ts.isPrivateIdentifier(name);
}

function isOurs(node: ts.Node): boolean {
  return node.getSourceFile().fileName.startsWith(path.join(projectRoot, 'lib/'));
}

/** `[Symbol.x]` for what the checker calls `__@x@123`. */
function nameOf(symbol: ts.Symbol): string {
  const known = /^__@(.+)@\d+$/.exec(symbol.name);
  return known ? `[Symbol.${known[1]}]` : symbol.name;
}

function describe(
  checker: ts.TypeChecker,
  symbol: ts.Symbol,
  about: Pick<ApiMember, 'owner' | 'kind' | 'name'>,
): ApiMember {
  const declaration = declarationOf(symbol);
  const type = checker.getTypeOfSymbolAtLocation(symbol, declaration);
  const signatures = type.getCallSignatures();
  // Of overloads the longest; the others are its beginning.
  const signature = signatures.reduce<ts.Signature | undefined>(
    (best, next) => (!best || next.parameters.length > best.parameters.length ? next : best),
    undefined,
  );
  return {
    ...about,
    internal: isInternal(symbol, declaration),
    parameters: signature ? parametersOf(checker, signature) : [],
    ...placeOf(declaration),
  };
}

function describeSignature(
  checker: ts.TypeChecker,
  symbol: ts.Symbol,
  signature: ts.Signature,
  owner: string,
): ApiMember {
  const declaration = signature.getDeclaration() as ts.Declaration | undefined;
  return {
    owner,
    kind: 'constructor',
    name: 'constructor',
    internal: declaration
      ? (ts.getCombinedModifierFlags(declaration) &
          ts.ModifierFlags.NonPublicAccessibilityModifier) !==
          0 || ts.getJSDocTags(declaration).some((tag) => tag.tagName.text === 'internal')
      : false,
    parameters: parametersOf(checker, signature),
    ...placeOf(declaration ?? declarationOf(symbol)),
  };
}

function declarationOf(symbol: ts.Symbol): ts.Declaration {
  const [declaration] = symbol.declarations ?? [];
  if (!declaration) throw new Error(`${symbol.name} is declared nowhere`);
  return declaration;
}

export function isInternal(symbol: ts.Symbol, declaration: ts.Declaration): boolean {
  return (
    (ts.getCombinedModifierFlags(declaration) & ts.ModifierFlags.NonPublicAccessibilityModifier) !==
      0 || symbol.getJsDocTags().some((tag) => tag.name === 'internal')
  );
}

function placeOf(declaration: ts.Node): { file: string; line: number } {
  const source = declaration.getSourceFile();
  const { line } = source.getLineAndCharacterOfPosition(declaration.getStart());
  return { file: path.relative(projectRoot, source.fileName), line: line + 1 };
}

function parametersOf(checker: ts.TypeChecker, signature: ts.Signature): ParameterSpec[] {
  return signature.parameters.map((parameter) => {
    const declaration = declarationOf(parameter) as ts.ParameterDeclaration;
    const type = checker.getTypeOfSymbolAtLocation(parameter, declaration);
    return {
      name: parameter.name,
      rest: declaration.dotDotDotToken !== undefined,
      optional: declaration.questionToken !== undefined || declaration.initializer !== undefined,
      type: specOf(checker, type, 0),
    };
  });
}

/** Deeper than this, any value does. */
const kDepth = 4;

function specOf(checker: ts.TypeChecker, type: ts.Type, depth: number): TypeSpec {
  const { flags } = type;
  if (depth > kDepth || flags & (ts.TypeFlags.Any | ts.TypeFlags.Unknown)) {
    return { kind: 'unknown' };
  }
  if (type.isStringLiteral() || type.isNumberLiteral()) {
    return { kind: 'literal', value: type.value };
  }
  if (flags & ts.TypeFlags.BooleanLiteral) {
    return { kind: 'literal', value: checker.typeToString(type) === 'true' };
  }
  if (flags & (ts.TypeFlags.Boolean | ts.TypeFlags.BooleanLike)) return { kind: 'boolean' };
  if (flags & ts.TypeFlags.StringLike) return { kind: 'string' };
  if (flags & ts.TypeFlags.NumberLike) return { kind: 'number' };
  if (flags & ts.TypeFlags.BigIntLike) return { kind: 'bigint' };
  if (flags & ts.TypeFlags.ESSymbolLike) return { kind: 'symbol' };
  if (flags & ts.TypeFlags.VoidLike) return { kind: 'undefined' };
  if (flags & ts.TypeFlags.Null) return { kind: 'null' };
  if (type.isUnion()) {
    return { kind: 'union', of: type.types.map((part) => specOf(checker, part, depth)) };
  }
  if (flags & ts.TypeFlags.TypeParameter) {
    const constraint = checker.getBaseConstraintOfType(type);
    return constraint ? specOf(checker, constraint, depth + 1) : { kind: 'unknown' };
  }
  return objectSpec(checker, type, depth);
}

function objectSpec(checker: ts.TypeChecker, type: ts.Type, depth: number): TypeSpec {
  const [element] = checker.getTypeArguments(type as ts.TypeReference) ?? [];
  if (checker.isTupleType(type)) {
    const parts = checker.getTypeArguments(type as ts.TypeReference);
    return { kind: 'tuple', of: parts.map((part) => specOf(checker, part, depth + 1)) };
  }
  if (checker.isArrayType(type) && element) {
    return { kind: 'array', of: specOf(checker, element, depth + 1) };
  }
  if (type.getCallSignatures().length > 0) return { kind: 'function' };
  const name = type.symbol?.name ?? '';
  if (kPlatform.has(name)) return { kind: 'instance', name };
  if (type.symbol && type.symbol.flags & ts.SymbolFlags.Class) return { kind: 'instance', name };
  const index = type.getStringIndexType();
  if (index) return { kind: 'record', of: specOf(checker, index, depth + 1) };
  const properties: Record<string, PropertySpec> = {};
  for (const property of checker.getPropertiesOfType(type)) {
    if (property.name.startsWith('__')) continue;
    const declaration = property.valueDeclaration ?? property.declarations?.[0];
    const its = declaration
      ? checker.getTypeOfSymbolAtLocation(property, declaration)
      : checker.getTypeOfSymbol(property);
    properties[property.name] = {
      type: specOf(checker, its, depth + 1),
      optional: (property.flags & ts.SymbolFlags.Optional) !== 0,
    };
  }
  return { kind: 'object', properties };
}
