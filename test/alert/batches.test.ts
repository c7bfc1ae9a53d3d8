// The batches of equation 1: limited by number of records and by packet time, whichever comes first.

import t from 'tap'
import { Batches, type BatchLimits } from '../../src/alert/batches.js'
import { record, START } from '../support/records.js'

function createBatches(limits: Partial<BatchLimits> = {}) {
  const sizes: number[] = []
  const batches = new Batches({ records: 100, milliseconds: 200, ...limits }, records => {
    sizes.push(records.length)
  })
  return {
    batches,
    sizes,
    push: (...times: number[]) => {
      for (const time of times) batches.push(record(time))
    }
  }
}

t.test('by count', async t => {
  const { push, sizes, batches } = createBatches({ records: 3 })
  push(0, 0, 0, 0, 0)
  t.same(sizes, [3])
  push(0)
  t.same(sizes, [3, 3], 'as soon as the batch is full')
  batches.flush()
  batches.flush()
  t.same(sizes, [3, 3], 'an empty batch is not emitted')
  push(0)
  batches.flush()
  t.same(sizes, [3, 3, 1])
})

t.test('by packet time since the first record', async t => {
  const { push, sizes } = createBatches()
  push(0, 0.1, 0.199, 0.2, 0.3, 0.399, 0.4)
  t.same(sizes, [3, 3])
  push(10)
  t.same(sizes, [3, 3, 1], 'a pause does not extend the batch')
  push(10.199, 10.2)
  t.same(sizes, [3, 3, 1, 2])
})

t.test('when no further record arrives', async t => {
  const { push, sizes, batches } = createBatches()
  batches.tick(START + 99)
  push(0, 0.05)
  batches.tick(START + 0.199)
  t.same(sizes, [])
  batches.tick(START + 0.2)
  t.same(sizes, [2])
  batches.tick(START + 99)
  t.same(sizes, [2])
})

t.test('a clock that is set back ends a batch, a reordered record does not', async t => {
  const { push, sizes, batches } = createBatches()
  push(3_600, 3_599.9, 3_600.05)
  t.same(sizes, [])
  push(0)
  t.same(sizes, [3])
  batches.tick(START + 0.1)
  t.same(sizes, [3])
  push(0.1, 0.2)
  t.same(sizes, [3, 2])
})

t.test('every record is in one batch, in order', async t => {
  const seen: number[] = []
  const batches = new Batches({ records: 7, milliseconds: 50 }, records => {
    seen.push(...records.map(({ frame }) => frame ?? -1))
  })
  for (let i = 0; i < 1_000; i++) batches.push(record(((i * i) % 97) / 10, { frame: i }))
  batches.flush()
  t.same(seen, [...Array(1_000).keys()])
})
