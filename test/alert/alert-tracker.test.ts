// The states of an alert: raised once, continuing with reminders, cleared, even if the clock is set back.

import t from 'tap'
import { AlertTracker, type Alert } from '../../src/alert/alert.js'

const LIFE = { reminderSeconds: 10, clearAfterSeconds: 30 }

function description(time: number): Omit<Alert, 'id' | 'state'> {
  return {
    time,
    subject: { scope: 'client', clientId: 'a', username: null, address: '192.0.2.7', port: 1, broker: null },
    rule: 'jump',
    value: time,
    limit: 0,
    score: 1,
    average: 1,
    movingAverage: 1,
    previousMovingAverage: 0,
    records: 10,
    contributions: [],
    detector: 'iforest',
    model: 'x',
    response: 'observe'
  }
}

function createTracker(life = LIFE) {
  const tracker = new AlertTracker(life)
  return { tracker, exceed: (key: string, time: number) => tracker.exceed(key, time, () => description(time)) }
}

t.test('raised once, continuing at each reminder, cleared once', async t => {
  const { tracker, exceed } = createTracker()
  t.match(exceed('a', 100), { id: 1, state: 'raised', time: 100 })
  for (const time of [100.2, 105, 109.9]) t.equal(exceed('a', time), undefined)
  t.match(exceed('a', 110), { id: 1, state: 'continuing', value: 110 })
  t.equal(exceed('a', 119), undefined)
  t.same(tracker.clear(148), [])
  t.equal(tracker.openCount, 1)
  t.match(
    tracker.clear(149),
    [{ id: 1, state: 'cleared', time: 149, value: 110 }],
    '30 seconds after the rule was last exceeded'
  )
  t.same(tracker.clear(500), [])
  t.equal(tracker.openCount, 0)
  t.match(exceed('a', 500), { id: 2, state: 'raised' })
  t.equal(tracker.raised, 2)
})

t.test('each subject has its own alert', async t => {
  const { tracker, exceed } = createTracker()
  t.match(exceed('a', 0), { id: 1 })
  t.match(exceed('b', 5), { id: 2, state: 'raised' })
  t.match(exceed('a', 29), { id: 1, state: 'continuing' })
  t.match(tracker.clear(35), [{ id: 2 }])
  t.match(tracker.clear(59), [{ id: 1 }])
})

t.test('an alert is described only if a message is due', async t => {
  const tracker = new AlertTracker(LIFE)
  let described = 0
  const describe = () => {
    described++
    return description(0)
  }
  for (let time = 0; time < 10; time++) tracker.exceed('a', time, describe)
  t.equal(described, 1)
})

t.test('an alert is cleared on time after the clock was set back', async t => {
  const { tracker, exceed } = createTracker()
  exceed('a', 10_000)
  t.equal(exceed('a', 9_999.5), undefined, 'a reordered record is not a clock change')
  t.match(exceed('a', 100), { id: 1, state: 'continuing' })
  t.equal(exceed('a', 105), undefined)
  t.same(tracker.clear(134), [])
  t.match(tracker.clear(135), [{ id: 1, state: 'cleared' }])
  exceed('b', 10_000)
  t.match(tracker.clear(100), [{ id: 2, state: 'cleared' }])
})

t.test('the number of open alerts is capped', async t => {
  const { tracker, exceed } = createTracker()
  for (let i = 0; i < 5_000; i++) exceed(`name ${i}`, i / 1_000)
  t.equal(tracker.openCount, 1_000)
  t.equal(tracker.raised, 1_000)
  t.equal(tracker.suppressed, 4_000)
  t.match(exceed('name 7', 20), { state: 'continuing' }, 'open alerts continue')
  t.equal(tracker.clear(100).length, 1_000)
  t.match(exceed('name 4999', 100), { state: 'raised' })
})
