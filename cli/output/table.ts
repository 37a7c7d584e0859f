/** kubectl's tables: columns padded with spaces, three between, nothing after the last. */
export interface Column<T> {
  readonly header: string;
  /** Only with -o wide. */
  readonly wide?: boolean;
  cell(row: T): string;
}

const gap = 3;

export function renderTable(header: readonly string[] | undefined, rows: readonly (readonly string[])[]): string {
  return createTableWriter()(header, rows);
}

/** For tables that grow: a column that was once as wide stays so. */
export function createTableWriter(): typeof renderTable {
  const widths: number[] = [];
  return (header, rows) => {
    const all = header ? [header, ...rows] : rows;
    for (const row of all) {
      for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
    }
    return all
      .map((row) => row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]! + gap))).join(''))
      .map((line) => `${line.trimEnd()}\n`)
      .join('');
  };
}
