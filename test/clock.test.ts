// The system clock: as precise as the monotonic clock, and close to wall-clock time.

import t from 'tap'
import { STEADY_CLOCK, SystemClock } from '../src/clock.js'

t.test('epoch time in fractions of a millisecond', async t => {
  const clock = new SystemClock()
  const times = Array.from({ length: 1_000 }, () => clock.now())
  t.ok(Math.abs(times[0] - Date.now()) < 25)
  t.ok(
    times.every((time, i) => i === 0 || time >= times[i - 1]),
    'it does not go backwards'
  )
  t.ok(new Set(times).size > 100, 'it resolves microseconds')
})

t.test('it follows changes of the system time', async t => {
  const clock = new SystemClock()
  const { now } = Date
  let shift = 0
  t.intercept(Date, 'now', { value: () => now.call(Date) + shift })
  for (const hours of [5, -3, 0]) {
    shift = hours * 3_600_000
    t.ok(Math.abs(clock.now() - (now.call(Date) + shift)) < 25, `${hours} hours`)
  }
})

t.test('the monotonic clock does not', async t => {
  const before = STEADY_CLOCK.now()
  const { now } = Date
  t.intercept(Date, 'now', { value: () => now.call(Date) + 3_600_000 })
  const after = STEADY_CLOCK.now()
  t.ok(after >= before && after - before < 10_000)
})
