// Formats text tables.

/** Formats rows as lines. Columns of numbers are right-aligned, all others left-aligned. */
export function textTable(rows: readonly (readonly string[])[]): string {
  const columns = (rows[0] ?? []).map((_, j) => {
    const cells = rows.map(row => row[j] ?? '')
    return {
      width: Math.max(...cells.map(cell => cell.length)),
      isNumeric: /^[\d., -]+$/.test(cells.slice(1).join('') || 'x')
    }
  })
  return rows
    .map(
      row =>
        columns
          .map(({ width, isNumeric }, j) => (isNumeric ? (row[j] ?? '').padStart(width) : (row[j] ?? '').padEnd(width)))
          .join('  ')
          .trimEnd() + '\n'
    )
    .join('')
}
