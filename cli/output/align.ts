/**
 * Columns as Go's text/tabwriter sets them, which kubectl's describe uses: cells end with a tab, and a column is as wide
 * as the widest of its cells on lines that follow one another.
 */
const padding = 2;

/** Every line ends with a line end. */
export function alignTabs(lines: readonly string[]): string {
  const rows = lines.map((line) => line.split('\t'));
  const widths = rows.map((row) => row.map(() => 0));
  const columns = Math.max(0, ...rows.map((row) => row.length - 1));
  for (let column = 0; column < columns; column += 1) {
    for (let start = 0; start < rows.length; start += 1) {
      // The last cell of a line ends with the line, not with a tab: it is in no column.
      let end = start;
      while (end < rows.length && column < rows[end]!.length - 1) end += 1;
      const width = Math.max(0, ...rows.slice(start, end).map((row) => row[column]!.length)) + padding;
      for (let row = start; row < end; row += 1) widths[row]![column] = width;
      start = Math.max(start, end - 1);
    }
  }
  return rows
    .map((row, i) => row.map((cell, column) => cell.padEnd(widths[i]![column]!)).join(''))
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}
