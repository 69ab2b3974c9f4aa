import type { NativeTable } from '../../types/apt.js';

/** The rows of a native table, each made into an object by `make`. */
export function rowsOf<Column extends string, T>(
  table: NativeTable<Column>,
  make: (row: Record<Column, string>) => T,
): T[] {
  if (table.rows === 0) return [];
  const names = Object.keys(table.columns) as Column[];
  const columns = names.map((name) => table.columns[name].split('\n'));
  const result: T[] = [];
  for (let i = 0; i < table.rows; i++) {
    const row = {} as Record<Column, string>;
    names.forEach((name, column) => {
      row[name] = columns[column]?.[i] ?? '';
    });
    result.push(make(row));
  }
  return result;
}
