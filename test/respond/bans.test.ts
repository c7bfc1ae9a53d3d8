// The list of bans: the clients they match, their duration, and the cap.

import t from 'tap'
import { BanList } from '../../src/respond/bans.js'
import { TestClock } from '../support/test-clock.js'

t.test('clients that a ban matches', async t => {
  const bans = new BanList(new TestClock())
  bans.add('192.0.2.1', null, 60)
  bans.add('192.0.2.2', 'attacker', 60)
  bans.add('2001:db8::1', 'x', 60)
  t.ok(bans.coversAddress('192.0.2.1'))
  t.ok(bans.coversClient('192.0.2.1', 'anybody'))
  t.notOk(bans.coversAddress('192.0.2.2'))
  t.ok(bans.coversClient('192.0.2.2', 'attacker'))
  t.notOk(bans.coversClient('192.0.2.2', 'neighbour'))
  t.notOk(bans.coversClient('192.0.2.3', 'attacker'))
  t.notOk(bans.coversClient('192.0.2.2', 'attacker '))
  t.ok(bans.coversClient('2001:db8::1', 'x'))
  bans.add(null, 'pest', 60, 'operator')
  t.ok(bans.coversClient('203.0.113.9', 'pest'))
  t.notOk(bans.coversClient('203.0.113.9', 'guest'))
  t.notOk(bans.coversAddress('203.0.113.9'))
})

t.test('a ban ends to the millisecond, and can be extended and lifted', async t => {
  const clock = new TestClock()
  const bans = new BanList(clock)
  t.same(bans.add('192.0.2.1', null, 10), {
    address: '192.0.2.1',
    clientId: null,
    since: clock.time,
    until: clock.time + 10_000,
    by: 'alert'
  })
  clock.advance(9_999)
  t.ok(bans.coversAddress('192.0.2.1'))
  bans.add('192.0.2.1', null, 10)
  clock.advance(9_999)
  t.ok(bans.coversAddress('192.0.2.1'))
  t.equal(bans.list().length, 1)
  clock.advance(1)
  t.notOk(bans.coversAddress('192.0.2.1'))
  t.same(bans.list(), [])
  bans.add('192.0.2.1', 'a', 10)
  t.notOk(bans.lift('192.0.2.1', null), 'this is another ban')
  t.notOk(bans.lift('192.0.2.1', 'b'))
  t.ok(bans.lift('192.0.2.1', 'a'))
  t.notOk(bans.lift('192.0.2.1', 'a'))
  t.notOk(bans.coversClient('192.0.2.1', 'a'))
})

t.test('above the cap, expired bans are removed first, then the oldest', async t => {
  const clock = new TestClock()
  const bans = new BanList(clock, 3)
  bans.add('old', null, 100)
  bans.add('short', null, 1)
  bans.add('new', null, 100)
  clock.advance(1_000)
  bans.add('newer', null, 100)
  t.same(
    bans.list().map(({ address }) => address),
    ['old', 'new', 'newer']
  )
  bans.add('old', null, 100)
  bans.add('newest', null, 100)
  t.same(
    bans.list().map(({ address }) => address),
    ['newer', 'old', 'newest'],
    'an extended ban counts as new'
  )
})

t.test('every start and end is emitted once, with the reason', async t => {
  const clock = new TestClock()
  const bans = new BanList(clock, 2)
  const events: string[] = []
  bans.on('begin', ({ address }) => {
    events.push(`${address} begin`)
  })
  bans.on('end', ({ address }, ending) => {
    events.push(`${address} ${ending}`)
  })
  bans.add('a', null, 1)
  bans.add('a', null, 2)
  bans.add('b', null, 9)
  clock.advance(2_000)
  bans.expire()
  bans.expire()
  bans.add('c', null, 9)
  bans.add('d', null, 9)
  bans.lift('d', null)
  t.same(events, ['a begin', 'b begin', 'a expired', 'c begin', 'b displaced', 'd begin', 'd lifted'])
})

t.test("an alert does not shorten an operator's ban", async t => {
  const clock = new TestClock()
  const bans = new BanList(clock)
  bans.add('192.0.2.1', null, 3_600, 'operator')
  t.match(bans.add('192.0.2.1', null, 60), { by: 'operator', until: clock.time + 3_600_000 })
  t.match(bans.add('192.0.2.1', null, 5, 'operator'), { until: clock.time + 5_000 }, 'an operator can shorten it')
})

t.test('a ban ends on time after the system clock was set back', async t => {
  const clock = new TestClock()
  const steady = new TestClock(0)
  const bans = new BanList(clock, undefined, steady)
  bans.add('192.0.2.1', null, 60)
  clock.time -= 365 * 86_400_000
  steady.advance(60_000)
  t.notOk(bans.coversAddress('192.0.2.1'))
})

t.test('restored bans last for the time left, at most for their duration', async t => {
  const clock = new TestClock()
  const bans = new BanList(clock)
  const ended: unknown[] = []
  bans.on('end', ({ address }, ending) => ended.push([address, ending]))
  const now = clock.time
  bans.restore([
    { address: 'expired', clientId: null, since: now - 9_000, until: now - 1, by: 'alert' },
    { address: 'half', clientId: null, since: now - 5_000, until: now + 5_000, by: 'alert' },
    { address: 'future', clientId: null, since: now + 1e12, until: now + 1e12 + 7_000, by: 'operator' }
  ])
  t.same(ended, [['expired', 'expired']])
  clock.advance(5_000)
  t.same(
    bans.list().map(({ address }) => address),
    ['future']
  )
  clock.advance(2_000)
  t.same(bans.list(), [])
})
