// The queue: order, draining, and many items with removals in between.

import t from 'tap'
import { Queue } from '../src/queue.js'

t.test('items leave in the order of arrival, also after compaction', async t => {
  const queue = new Queue<number>()
  let added = 0
  let removed = 0
  for (let round = 0; round < 2_000; round++) {
    for (let i = 0; i < 3; i++) queue.push(added++)
    for (let i = 0; i < (round < 1_000 ? 2 : 4) && queue.length > 0; i++) {
      if (queue.first !== removed || queue.shift() !== removed) t.fail(`item ${removed}`)
      removed++
    }
    if (queue.length !== added - removed) t.fail(`length after ${removed} items`)
  }
  t.equal(added, 6_000)
  t.equal(queue.first, undefined)
  t.equal(queue.length, 0)
})

t.test('draining returns the remaining items and empties the queue', async t => {
  const queue = new Queue<string>()
  for (const item of ['a', 'b', 'c']) queue.push(item)
  queue.shift()
  t.same(queue.drain(), ['b', 'c'])
  t.equal(queue.length, 0)
  t.same(queue.drain(), [])
  queue.push('d')
  t.equal(queue.first, 'd')
})
