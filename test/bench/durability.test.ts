// Acknowledged changes survive three kills under load, and the bench detects losses.

import t from 'tap'
import { runKills } from '../../bench/durability/kills.js'
import { describeErrors } from '../../bench/durability/report.js'
import { VARIANTS } from '../../bench/durability/variants.js'

const plan = { kills: 3, publishers: 4, window: 20, longestMs: 2_000 }

t.test('no acknowledged message is lost, duplicated or reordered', async t => {
  const folder = t.testdir({})
  const figures = await runKills(port => VARIANTS.artemis.start(folder, port, []), {
    ...plan,
    hasControl: true
  })
  const {
    publishers: { acknowledged },
    findings
  } = figures
  t.ok(acknowledged[1] > 30 && acknowledged[2] > 30, `${acknowledged[1]} and ${acknowledged[2]} acknowledged`)
  for (const { what, checked } of findings) t.ok(checked > 0, `${checked} checks: ${what}`)
  t.same(describeErrors(figures), [])
})

t.test('the bench detects the losses of bare Aedes', async t => {
  const folder = t.testdir({})
  const { subscribers } = await runKills(port => VARIANTS['aedes-level'].start(folder, port, []), {
    ...plan,
    // More than the three above: on a busy machine a kill may find nothing acknowledged and unsaved.
    kills: 8,
    publishers: 8,
    window: 100,
    longestMs: 500,
    hasControl: false
  })
  t.ok(subscribers.some(({ missing }) => missing[1] + missing[2] > 0))
})
