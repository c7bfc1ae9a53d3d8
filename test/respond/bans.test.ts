// The list of bans: whom it covers, for how long, and how long it gets.

import t from 'tap'
import { BanList } from '../../src/respond/bans.js'
import { TestClock } from '../support/test-clock.js'

t.test('whom a ban covers', async t => {
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
})

t.test('it ends to the millisecond, and can be prolonged and lifted', async t => {
  const clock = new TestClock()
  const bans = new BanList(clock)
  t.same(bans.add('192.0.2.1', null, 10), { address: '192.0.2.1', clientId: null, until: clock.time + 10_000 })
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
  t.notOk(bans.lift('192.0.2.1', null), 'another ban')
  t.notOk(bans.lift('192.0.2.1', 'b'))
  t.ok(bans.lift('192.0.2.1', 'a'))
  t.notOk(bans.lift('192.0.2.1', 'a'))
  t.notOk(bans.coversClient('192.0.2.1', 'a'))
})

t.test('it holds no more than its cap: those that ended go first, then the oldest', async t => {
  const clock = new TestClock()
  const bans = new BanList(clock, 3)
  bans.add('old', null, 100)
  bans.add('short', null, 1)
  bans.add('new', null, 100)
  clock.advance(1_000)
  bans.add('newer', null, 100)
  t.same(bans.list().map(({ address }) => address), ['old', 'new', 'newer'])
  bans.add('old', null, 100)
  bans.add('newest', null, 100)
  t.same(bans.list().map(({ address }) => address), ['newer', 'old', 'newest'], 'prolonged is as good as new')
})
