/** kubectl's tables: columns padded with spaces, three between, nothing after the last. */
export interface Column<T> {
  readonly header: string;
  /** Only with -o wide. */
  readonly wide?: boolean;
  cell(row: T): string;
}

export function renderTable(header: readonly string[] | undefined, rows: readonly (readonly string[])[]): string {
  const all = header ? [header, ...rows] : rows;
  const widths: number[] = [];
  for (const row of all) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  return all
    .map((row) => row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]! + 3))).join(''))
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}
