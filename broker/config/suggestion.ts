// Suggestions for misspelt names.

const MAX_EDITS = 2

/** Returns the closest known name within two edits, ignoring hyphens, underscores and case; undefined if none. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const wanted = normalised(name)
  let best: string | undefined
  let bestEdits = Math.min(MAX_EDITS, Math.floor(wanted.length / 2)) + 1
  for (const candidate of known) {
    const edits = distance(wanted, normalised(candidate))
    if (edits < bestEdits) [best, bestEdits] = [candidate, edits]
  }
  return best
}

function normalised(name: string): string {
  return name.slice(0, 40).toLowerCase().replace(/[-_ ]/g, '')
}

/** Edit distance: insert, delete, substitute or transpose a letter (Damerau, optimal string alignment). */
function distance(from: string, to: string): number {
  const rows: number[][] = [Array.from({ length: to.length + 1 }, (_, column) => column)]
  for (let i = 1; i <= from.length; i++) {
    const row = [i]
    for (let j = 1; j <= to.length; j++) {
      const same = from[i - 1] === to[j - 1]
      row[j] = Math.min(cell(rows, i - 1, j) + 1, (row[j - 1] ?? 0) + 1, cell(rows, i - 1, j - 1) + (same ? 0 : 1))
      const swapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]
      if (swapped) row[j] = Math.min(row[j], cell(rows, i - 2, j - 2) + 1)
    }
    rows.push(row)
  }
  return cell(rows, from.length, to.length)
}

function cell(rows: readonly number[][], i: number, j: number): number {
  return rows[i]?.[j] ?? 0
}
