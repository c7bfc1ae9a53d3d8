// bench:scoring on our side; the reference implementations need Python and are skipped.

import t from 'tap'
import { BATCHES, compare, ratio } from '../../bench/scoring/comparison.js'
import { makeRows } from '../../bench/scoring/rows.js'
import { speedTable, trainingTable } from '../../bench/scoring/tables.js'
import { tasks } from '../../bench/scoring/task.js'
import { DETECTOR_KINDS } from '../../models/index.js'

t.test('rows are reproducible, standardised and labelled', async t => {
  const [one, two] = [makeRows(500, 100, 3), makeRows(500, 100, 3)]
  t.same(one.test, two.test)
  t.equal(one.train.rows.length, 500)
  t.ok(one.train.labels.includes(1) && one.test.labels.includes(1))
  for (const j of [0, 20, 30]) {
    const mean = one.train.rows.reduce((sum, row) => sum + row[j], 0) / 500
    t.ok(Math.abs(mean) < 1e-9, `column ${j}`)
  }
})

t.test('every detector has a task, and the tables have the results', async t => {
  const { train, test } = makeRows(300, 2048, 1)
  const all = tasks(300)
  t.same([...new Set(all.map(({ kind }) => kind))], DETECTOR_KINDS)
  const chosen = all.filter(({ kind }) => kind === 'kmeans' || kind === 'iforest')
  const results = []
  for (const task of chosen) results.push(await compare(task, train, test, { seconds: 0.01, rounds: 1 }))
  for (const { task, ours, speeds, worker } of results) {
    t.ok(ours.auc > 0.8 && ours.seconds > 0, task.name)
    t.same(
      speeds.map(({ batch }) => batch),
      BATCHES
    )
    t.ok(speeds.every(one => one.ours[0] > 100))
    t.equal(worker.length, Number(task.kind === 'iforest'))
    t.ok(worker.every(speed => speed > 100))
  }
  t.ok(Number.isNaN(ratio(results[0].speeds[0])), 'nothing to compare with')
  t.equal(ratio({ batch: 1, ours: [10, 30, 50], theirs: [1, 1, 1] }), 30)
  t.match(speedTable(results), /\| kmeans \| [\d,]+ \| - \| - \|/)
  t.match(trainingTable(results), /\| iforest \| 300 \| \d/)
})
