// Link impairment: configured rates, deterministic per seed, bounded memory.

import t from 'tap'
import { Impairment, type ImpairmentOptions } from '../../bench/lab/impairment.js'
import { waitUntil } from '../support/wait-until.js'

const PACKETS = 5_000

/** Returns the order in which numbered packets are delivered. */
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
  await waitUntil('all packets are delivered', () => order.length === expected())
  return { order, impairment }
}

t.test('without impairment packets are unchanged', async t => {
  const { order } = await through({}, 1)
  t.same(
    order,
    Array.from({ length: PACKETS }, (_, i) => i)
  )
})

t.test('loss, duplication and reordering match the configured rates', async t => {
  const { order, impairment } = await through({ loss: 0.02, duplication: 0.02, reordering: 0.05 }, 1)
  const { lost, duplicated, reordered } = impairment.counters
  for (const [count, share] of [
    [lost, 0.02],
    [duplicated, 0.02],
    [reordered, 0.05]
  ]) {
    t.ok(Math.abs(count / PACKETS - share) < 0.01, `${count} of ${PACKETS} for ${share}`)
  }
  t.equal(PACKETS - new Set(order).size, lost, 'lost packets are never delivered')
  t.equal(order.length - new Set(order).size, duplicated, 'duplicated packets are delivered twice')
  let highest = -1
  let late = 0
  for (const number of order) {
    if (number < highest) late++
    highest = Math.max(highest, number)
  }
  t.ok(late > reordered * 0.9, 'reordered packets are delivered after later ones')
})

t.test('decisions depend only on the seed', async t => {
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

t.test('the queue is bounded, and overflows are counted', t => {
  const impairment = new Impairment({ delayMs: 60_000 }, 1, () => {
    t.fail('too early')
  })
  for (let i = 0; i < 10_100; i++) impairment.take(Buffer.alloc(4))
  t.match(impairment.counters, { taken: 10_100, overflowed: 100, given: 0 })
  impairment.close()
  t.end()
})
