// Which subscribers publishers wait for, and for how long.

import t from 'tap'
import { Backpressure } from '../../../broker/core/backpressure.js'

/** A clock that the test advances. */
function fakeClock(): { now: () => number; pass: (ms: number) => void } {
  let time = 0
  return {
    now: () => time,
    pass: ms => {
      time += ms
    }
  }
}

const reader = {}
const other = {}

t.test('resumes publishers when no subscriber is behind', async t => {
  const backpressure = new Backpressure(fakeClock().now)
  let resumed = 0
  const resume = (): void => {
    resumed++
  }
  t.equal(backpressure.hold(resume), false, 'no subscriber is behind')
  backpressure.fallBehind(reader)
  backpressure.fallBehind(other)
  t.equal(backpressure.hold(resume), true)
  t.equal(backpressure.hold(resume), true, 'a second publisher')
  backpressure.keepUp(reader)
  t.equal(resumed, 0, 'the other is still behind')
  backpressure.catchUp(other)
  t.equal(resumed, 2)
  t.equal(backpressure.hold(resume), false)
  backpressure.keepUp(other)
  t.equal(resumed, 2, 'once each')
})

t.test('waits at most 5 s, then half of the time', async t => {
  const { now, pass } = fakeClock()
  const backpressure = new Backpressure(now)
  const waitFor = (ms: number): boolean => {
    backpressure.fallBehind(reader)
    const holds = backpressure.hold(() => {})
    pass(ms)
    backpressure.keepUp(reader)
    return holds
  }
  t.equal(waitFor(4_000), true)
  t.equal(waitFor(4_000), true)
  t.equal(waitFor(0), false, 'budget used up')
  pass(390)
  t.equal(waitFor(0), false, 'budget too small')
  pass(20)
  t.equal(waitFor(1_000), true)
  pass(1_000_000)
  t.equal(waitFor(5_000), true, 'the budget is limited')
  t.equal(waitFor(0), false)
})

t.test('stops waiting for a slow subscriber until its queue is empty', async t => {
  const { now, pass } = fakeClock()
  const backpressure = new Backpressure(now)
  /** Another subscriber falls behind and catches up, which triggers a check. */
  const waitFor = (ms: number, acknowledged = 0): boolean => {
    const third = {}
    backpressure.fallBehind(third)
    const holds = backpressure.hold(() => {})
    for (let i = 0; i < acknowledged; i++) backpressure.acknowledge(reader)
    pass(ms)
    backpressure.catchUp(third)
    return holds
  }
  const waitsForReader = (): boolean => {
    backpressure.fallBehind(reader)
    const holds = backpressure.hold(() => {})
    backpressure.keepUp(reader)
    return holds
  }
  backpressure.fallBehind(reader)
  waitFor(200, 50)
  waitFor(150, 49)
  t.ok(waitsForReader(), 'enough acknowledgements')
  backpressure.fallBehind(reader)
  waitFor(40)
  t.ok(waitsForReader(), 'waited less than one interval')
  backpressure.fallBehind(reader)
  waitFor(10)
  t.notOk(waitsForReader(), 'too few acknowledgements over several short waits')
  backpressure.catchUp(reader)
  t.ok(waitsForReader(), 'after its queue was empty')
  backpressure.fallBehind(reader)
  waitFor(251)
  t.ok(waitsForReader(), 'a late check is ignored')
})

t.test('a wait ends by its timer', async t => {
  const backpressure = new Backpressure()
  backpressure.fallBehind(reader)
  await new Promise<void>(resolve => {
    t.equal(backpressure.hold(resolve), true)
  })
  backpressure.fallBehind(reader)
  t.equal(
    backpressure.hold(() => {}),
    false
  )
})
