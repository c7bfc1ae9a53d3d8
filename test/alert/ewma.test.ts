// Equation 1 of the paper and the three rules, checked against manual calculations.

import t, { type Test } from 'tap'
import { Ewma } from '../../src/alert/ewma.js'
import { exceededRules, SubjectState, type Baseline } from '../../src/alert/rules.js'

function near(t: Test, value: number, expected: number, what = ''): void {
  t.ok(Math.abs(value - expected) < 1e-15, `${what} ${value} is ${expected}`)
}

t.test("mov_avg = W0 * prev_mov_avg + (1 - W0) * avg, with the paper's W0 = 0.4", async t => {
  const ewma = new Ewma(0.4, 0.1)
  // avg, 0.4 * previous, 0.6 * avg, their sum, and the change
  const steps = [
    [0.6, 0.04, 0.36, 0.4, 0.3],
    [0.2, 0.16, 0.12, 0.28, -0.12],
    [0, 0.112, 0, 0.112, -0.168],
    [1, 0.0448, 0.6, 0.6448, 0.5328],
    [0.6448, 0.25792, 0.38688, 0.6448, 0]
  ]
  let previous = 0.1
  for (const [average, past, present, sum, moved] of steps) {
    near(t, past + present, sum, 'manually:')
    near(t, ewma.update(average), moved, 'change')
    near(t, ewma.current, sum, 'current')
    near(t, ewma.previous, previous, 'previous')
    previous = ewma.current
  }
})

t.test('with weight 0 it is the average itself', async t => {
  const ewma = new Ewma(0, 0.5)
  near(t, ewma.update(0.75), 0.25)
  t.equal(ewma.current, 0.75)
})

const BASELINE: Baseline = { mean: 0.1, reference: 0.2, limits: { jump: 0.25, level: 0.5, cusum: 3 } }

/** A batch of records with `packets` packets each. */
function batch(total: number, count: number, packets = 1): Parameters<SubjectState['update']>[0] {
  return { total, count, packetTotal: total * packets, packets: count * packets }
}

t.test("a subject's figures after a batch", async t => {
  const state = new SubjectState(BASELINE, 0.4)
  t.equal(state.movingAverage, 0.1)
  const first = state.update(batch(6, 10))
  near(t, first.average, 0.6)
  near(t, first.previous, 0.1)
  near(t, first.current, 0.4)
  near(t, first.values.jump, 0.3)
  near(t, first.values.level, 0.4)
  t.equal(first.values.cusum, 4, '6 - 10 * 0.2')
  t.same(
    exceededRules(first, BASELINE).map(({ rule, limit }) => [rule, limit]),
    [
      ['jump', 0.25],
      ['cusum', 3]
    ],
    "the paper's rule comes first"
  )
  const second = state.update(batch(9, 10))
  near(t, second.values.level, 0.7)
  t.equal(second.values.cusum, 6, "capped at twice its limit, so that an attack's end is visible")
  t.same(
    exceededRules(second, BASELINE).map(({ rule }) => rule),
    ['jump', 'level', 'cusum']
  )
  const third = state.update(batch(0, 10))
  t.equal(third.values.cusum, 4)
  t.same(
    exceededRules(third, BASELINE).map(({ rule, value }) => [rule, value]),
    [['cusum', 4]]
  )
  t.equal(state.update(batch(0, 100)).values.cusum, 0, 'and never below 0')
})

t.test('a flood packed into few frames is counted by packets', async t => {
  const state = new SubjectState(BASELINE, 0.4)
  const { average, values } = state.update(batch(0.6, 2, 40))
  near(t, average, 0.3, 'equation 1 averages records')
  t.equal(values.cusum, 6, '24 - 80 * 0.2, capped at twice the limit')
  t.ok(values.cusum > BASELINE.limits.cusum, 'two single records would not reach it')
})

t.test('a value equal to the limit does not exceed it', async t => {
  const at = { records: 10, average: 0.5, previous: 0.25, current: 0.5, values: { jump: 0.25, level: 0.5, cusum: 3 } }
  t.same(exceededRules(at, BASELINE), [])
  t.same(exceededRules({ ...at, values: { ...at.values, level: 0.5000001 } }, BASELINE), [
    { rule: 'level', value: 0.5000001, limit: 0.5 }
  ])
})

t.test('with few records only the CUSUM is evaluated', async t => {
  const few = { records: 4, average: 0.9, previous: 0.1, current: 0.6, values: { jump: 0.5, level: 0.6, cusum: 4 } }
  t.same(
    exceededRules(few, BASELINE).map(({ rule }) => rule),
    ['cusum']
  )
  t.same(
    exceededRules({ ...few, records: 5 }, BASELINE).map(({ rule }) => rule),
    ['jump', 'level', 'cusum']
  )
})

t.test('level and CUSUM detect an attack that rises slowly', async t => {
  const slow = new SubjectState(BASELINE, 0.4)
  const seen = new Set<string>()
  for (let average = 0.1; average < 0.9; average += 0.01) {
    for (const { rule } of exceededRules(slow.update(batch(10 * average, 10)), BASELINE)) seen.add(rule)
  }
  t.same([...seen].sort(), ['cusum', 'level'])
})
