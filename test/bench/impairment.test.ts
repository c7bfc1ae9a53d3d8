// What a bad link does to packets: as much as it was told, alike for the same seed, and never without bound.

import t from 'tap'
import { Impairment, type ImpairmentOptions } from '../../bench/lab/impairment.js'
import { waitUntil } from '../support/wait-until.js'

const PACKETS = 5_000

/** The order in which packets come through that were numbered as they went in. */
async function through(options: ImpairmentOptions, seed: number): Promise<{ order: number[]; impairment: Impairment }> {
  const order: number[] = []
  const impairment = new Impairment(options, seed, packet => {
    order.push(packet.readUInt32BE())
  })
  for (let i = 0; i < PACKETS; i++) {
    const packet = Buffer.alloc(4)
    packet.writeUInt32BE(i)
    impairment.take(packet)
  }
  const expected = (): number =>
    PACKETS - impairment.counters.lost - impairment.counters.overflowed + impairment.counters.duplicated
  await waitUntil('all packets are through', () => order.length === expected())
  return { order, impairment }
}

t.test('a good link changes nothing', async t => {
  const { order } = await through({}, 1)
  t.same(
    order,
    Array.from({ length: PACKETS }, (_, i) => i)
  )
})

t.test('loss, duplication and reordering happen as often as told', async t => {
  const { order, impairment } = await through({ loss: 0.02, duplication: 0.02, reordering: 0.05 }, 1)
  const { lost, duplicated, reordered } = impairment.counters
  for (const [count, share] of [
    [lost, 0.02],
    [duplicated, 0.02],
    [reordered, 0.05]
  ]) {
    t.ok(Math.abs(count / PACKETS - share) < 0.01, `${count} of ${PACKETS} for ${share}`)
  }
  t.equal(PACKETS - new Set(order).size, lost, 'the lost ones never come')
  t.equal(order.length - new Set(order).size, duplicated, 'the doubled ones come twice')
  let highest = -1
  let late = 0
  for (const number of order) {
    if (number < highest) late++
    highest = Math.max(highest, number)
  }
  t.ok(late > reordered * 0.9, 'the held-back ones come after later ones')
})

t.test('a seed decides alike every time, another one otherwise', async t => {
  const options = { loss: 0.1, duplication: 0.1, reordering: 0.1 }
  const [first, again, other] = await Promise.all([through(options, 7), through(options, 7), through(options, 8)])
  t.same(first.order, again.order)
  t.notSame(first.order, other.order)
})

t.test('delay keeps the order', async t => {
  const began = performance.now()
  const { order } = await through({ delayMs: 20, jitterMs: 10 }, 1)
  t.ok(performance.now() - began >= 19)
  t.same(
    order,
    Array.from({ length: PACKETS }, (_, i) => i)
  )
})

t.test('what waits is bounded, and what finds no room is counted', t => {
  const impairment = new Impairment({ delayMs: 60_000 }, 1, () => {
    t.fail('too early')
  })
  for (let i = 0; i < 10_100; i++) impairment.take(Buffer.alloc(4))
  t.match(impairment.counters, { taken: 10_100, overflowed: 100, given: 0 })
  impairment.close()
  t.end()
})
