// What the broker acknowledged is there after it was killed, three times under load; and the bench would notice if it
// were not.

import t from 'tap'
import { killAgainAndAgain } from '../../bench/durability/kills.js'
import { faultsIn } from '../../bench/durability/report.js'
import { VARIANTS } from '../../bench/durability/variants.js'

const plan = { kills: 3, publishers: 4, window: 20, longestMs: 2_000 }

t.test('nothing that was acknowledged is lost, twice or out of order', async t => {
  const folder = t.testdir({})
  const figures = await killAgainAndAgain(port => VARIANTS.artemis.start(folder, port, []), {
    ...plan,
    hasControl: true
  })
  const {
    publishers: { acknowledged },
    findings
  } = figures
  t.ok(acknowledged[1] > 30 && acknowledged[2] > 30, `${acknowledged[1]} and ${acknowledged[2]} acknowledged`)
  for (const { what, checked } of findings) t.ok(checked > 0, `${checked} ${what} were looked at`)
  t.same(faultsIn(figures), [])
})

t.test('as Aedes alone loses them: this would notice', async t => {
  const folder = t.testdir({})
  const { subscribers } = await killAgainAndAgain(port => VARIANTS['aedes-level'].start(folder, port, []), {
    ...plan,
    publishers: 8,
    window: 100,
    longestMs: 500,
    hasControl: false
  })
  t.ok(subscribers.some(({ missing }) => missing[1] + missing[2] > 0))
})
