// Formats the figures of an evaluation as a text table.

import type { Evaluation } from '../../models/index.js'
import { printable } from '../terminal/printable.js'
import { textTable } from '../terminal/text-table.js'

const MAX_NAME_LENGTH = 40

/** Formats the overall figures, and a row for each label. */
export function evaluationTable(figures: Evaluation): string {
  const {
    rows,
    attackRows,
    confusion: { tp, fp, tn, fn }
  } = figures
  const overall = textTable([
    ['rows', String(rows)],
    ['attack rows', String(attackRows)],
    ['ROC AUC', share(figures.rocAuc)],
    ['average precision', share(figures.averagePrecision)],
    ['recall at 1 % false positives', share(figures.recallAtFpr1)],
    ['threshold', String(Number(figures.threshold.toPrecision(6)))],
    ['  accuracy', share(figures.accuracy)],
    ['  attacks detected, missed', `${tp}, ${fn}`],
    ['  benign correct, false positives', `${tn}, ${fp}`]
  ])
  const labels = Object.entries(figures.perLabel)
  if (labels.length === 0) return overall
  return `${overall}\n${textTable([
    ['label', 'rows', 'ROC AUC', 'recall', 'recall at 1 % false positives'],
    ...labels.map(([name, label]) => [
      printable(name, MAX_NAME_LENGTH),
      String(label.rows),
      share(label.rocAuc),
      share(label.recall),
      share(label.recallAtFpr1)
    ])
  ])}`
}

function share(value: number): string {
  return Number.isNaN(value) ? '-' : value.toFixed(4)
}
