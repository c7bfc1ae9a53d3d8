// Formats the results as Markdown tables.

import { median, ratio, type Result } from './comparison.js'

/** Returns the scoring table: medians, ratios, and aims. */
export function speedTable(results: readonly Result[]): string {
  const head = [
    'detector',
    ...['1', '32', '1,024'].flatMap(batch => [`ours, batch ${batch}`, 'theirs', 'ratio']),
    'aim at batch 1 and 1,024'
  ]
  return table(
    head,
    results.map(({ task, speeds }) => {
      const missed = [task.aim, 0, 1].map((aim, i) => ratio(speeds[i]) < aim)
      return [
        task.name,
        ...speeds.flatMap(one => [count(median(one.ours)), count(median(one.theirs)), times(ratio(one))]),
        `${task.aim} ${missed[0] ? 'missed' : 'reached'}, 1 ${missed[2] ? 'missed' : 'reached'}`
      ]
    })
  )
}

/** Returns the training table, with the AUC of both sides. */
export function trainingTable(results: readonly Result[]): string {
  return table(
    ['detector', 'rows', 'ours, s', 'theirs, s', 'our AUC', 'their AUC', 'our cost per row'],
    results.map(({ task, size, ours, theirs }) => [
      task.name,
      count(task.rows),
      seconds(ours.seconds),
      seconds(theirs?.seconds ?? NaN),
      auc(ours.auc),
      auc(theirs?.auc ?? NaN),
      size
    ])
  )
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map((_, i) => (i === 0 ? '---' : '---:')), ...rows]
    .map(cells => `| ${cells.join(' | ')} |`)
    .join('\n')
}

/** Formats with three significant digits and thousands separators. */
function count(value: number): string {
  return Number.isNaN(value) ? '-' : Number(value.toPrecision(3)).toLocaleString('en')
}

function times(value: number): string {
  return Number.isNaN(value) ? '-' : `${Number(value.toPrecision(value < 1 ? 2 : 3))}`
}

function seconds(value: number): string {
  return Number.isNaN(value) ? '-' : value.toFixed(2)
}

function auc(value: number): string {
  return Number.isNaN(value) ? '-' : value.toFixed(4)
}
