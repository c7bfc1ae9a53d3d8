// The clock algorithm: who makes room, and that nobody is lost or kept twice.
import t from 'tap'
import { SecondChance } from '../../src/decode/second-chance.js'
import type { Evictable } from '../../src/decode/second-chance.js'

interface Item extends Evictable {
  name: number
}

function item(name: number, recent = true): Item {
  return { name, recent, slot: -1 }
}

t.test('the first that was not used since it was passed over makes room', async t => {
  const kept = new SecondChance<Item>(3)
  const items = [0, 1, 2].map(name => item(name))
  for (const each of items) t.equal(kept.add(each), undefined)
  t.equal(kept.add(item(3))?.name, 0, 'all were used: the oldest, and all others are passed over')
  items[1].recent = true
  t.equal(kept.add(item(4))?.name, 2)
  t.equal(kept.add(item(5))?.name, 1)
  t.equal(kept.size, 3)
})

t.test('what is removed leaves its place to the next', async t => {
  const kept = new SecondChance<Item>(3)
  const items = [0, 1, 2].map(name => item(name, false))
  for (const each of items) kept.add(each)
  kept.remove(items[1])
  t.equal(kept.size, 2)
  t.equal(kept.add(item(3)), undefined)
  t.equal(kept.size, 3)
  t.equal(kept.add(item(4))?.name, 0)
})

t.test('many come and go', async t => {
  const kept = new SecondChance<Item>(20)
  const there = new Set<Item>()
  let seed = 5
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((seed / 0x1_0000_0000) * below)
  }
  for (let name = 0; name < 5_000; name++) {
    const added = item(name, random(2) === 0)
    const evicted = kept.add(added)
    there.add(added)
    if (evicted !== undefined && !there.delete(evicted)) t.fail('somebody made room who was not there')
    for (const each of there) {
      if (random(15) === 0) {
        kept.remove(each)
        there.delete(each)
      } else if (random(5) === 0) each.recent = true
    }
    if (kept.size !== there.size || kept.size > 20) t.fail(`${kept.size} kept, ${there.size} there`)
  }
})
