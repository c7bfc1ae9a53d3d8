// Whom the broker waits for, and for how long at most.

import t from 'tap'
import { Backpressure } from '../../../broker/core/backpressure.js'

/** A clock that is moved by hand. */
function handClock(): { now: () => number; pass: (ms: number) => void } {
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

t.test('goes on when everybody who fell behind keeps up again, is gone, or has everything', async t => {
  const pacing = new Backpressure(handClock().now)
  let wentOn = 0
  const goOn = (): void => {
    wentOn++
  }
  t.equal(pacing.hold(goOn), false, 'nobody is behind')
  pacing.fallBehind(reader)
  pacing.fallBehind(other)
  t.equal(pacing.hold(goOn), true)
  t.equal(pacing.hold(goOn), true, 'another one waits as well')
  pacing.keepUp(reader)
  t.equal(wentOn, 0, 'the other is still behind')
  pacing.catchUp(other)
  t.equal(wentOn, 2)
  t.equal(pacing.hold(goOn), false)
  pacing.keepUp(other)
  t.equal(wentOn, 2, 'once each')
})

t.test('waits 5 s at most, and then half of the time', async t => {
  const { now, pass } = handClock()
  const pacing = new Backpressure(now)
  const waitFor = (ms: number): boolean => {
    pacing.fallBehind(reader)
    const holds = pacing.hold(() => {})
    pass(ms)
    pacing.keepUp(reader)
    return holds
  }
  t.equal(waitFor(4_000), true)
  t.equal(waitFor(4_000), true)
  t.equal(waitFor(0), false, 'nothing is left')
  pass(390)
  t.equal(waitFor(0), false, 'hardly anything is')
  pass(20)
  t.equal(waitFor(1_000), true)
  pass(1_000_000)
  t.equal(waitFor(5_000), true, 'no more than that can be saved up')
  t.equal(waitFor(0), false)
})

t.test('gives up on who acknowledges too slowly until it has everything, not on who is quick enough', async t => {
  const { now, pass } = handClock()
  const pacing = new Backpressure(now)
  /** Somebody else falls behind and keeps up: that is when the clock moved by hand is looked at. */
  const waitFor = (ms: number, acknowledged = 0): boolean => {
    const third = {}
    pacing.fallBehind(third)
    const holds = pacing.hold(() => {})
    for (let i = 0; i < acknowledged; i++) pacing.acknowledge(reader)
    pass(ms)
    pacing.catchUp(third)
    return holds
  }
  const isWaitedFor = (): boolean => {
    pacing.fallBehind(reader)
    const holds = pacing.hold(() => {})
    pacing.keepUp(reader)
    return holds
  }
  pacing.fallBehind(reader)
  waitFor(200, 50)
  waitFor(150, 49)
  t.ok(isWaitedFor(), 'for as long as it keeps up')
  pacing.fallBehind(reader)
  waitFor(40)
  t.ok(isWaitedFor(), 'until there was time enough')
  pacing.fallBehind(reader)
  waitFor(10)
  t.notOk(isWaitedFor(), 'but not in many short waits either')
  pacing.catchUp(reader)
  t.ok(isWaitedFor(), 'until it has everything')
  pacing.fallBehind(reader)
  waitFor(251)
  t.ok(isWaitedFor(), 'and not where nobody had time to read it')
})

t.test('nobody is waited for for ever', async t => {
  const pacing = new Backpressure()
  pacing.fallBehind(reader)
  // By the timer, since nothing else happens.
  await new Promise<void>(resolve => {
    t.equal(pacing.hold(resolve), true)
  })
  pacing.fallBehind(reader)
  t.equal(
    pacing.hold(() => {}),
    false
  )
})
