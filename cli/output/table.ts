/** kubectl's tables: columns padded with spaces, three between, nothing after the last. */
export interface Column<T> {
  readonly header: string;
  /** Only with -o wide. */
  readonly wide?: boolean;
  cell(row: T): string;
}

export function renderTable(header: readonly string[] | undefined, rows: readonly (readonly string[])[]): string {
  const all = header ? [header, ...rows] : rows;
  const columns = Math.max(0, ...all.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, i) => Math.max(...all.map((row) => row[i]?.length ?? 0)));
  return all
    .map((row) => row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]! + 3))).join(''))
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}
