/** Names that `apt-ostree` exports. */

import path from 'node:path';
import ts from 'typescript';
import { projectRoot } from '../child.js';
import type { Program } from './program.js';

/** Each name, and whether it is a value and not only a type. */
export function exportedNames({ program, checker }: Program): Map<string, boolean> {
  const source = program.getSourceFile(path.join(projectRoot, 'lib/index.ts'));
  const module = source && checker.getSymbolAtLocation(source);
  return new Map(
    (module ? checker.getExportsOfModule(module) : []).map((exported) => {
      const symbol =
        exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
      return [exported.name, (symbol.flags & ts.SymbolFlags.Value) !== 0];
    }),
  );
}
