// Second-chance eviction: the evicted item, and no lost or duplicate items.
import t from 'tap'
import { SecondChance } from '../../src/decode/second-chance.js'
import type { Evictable } from '../../src/decode/second-chance.js'

interface Item extends Evictable {
  name: number
}

function item(name: number, recent = true): Item {
  return { name, recent, slot: -1 }
}

t.test('evicts the first item that was not used since the hand passed it', async t => {
  const kept = new SecondChance<Item>(3)
  const items = [0, 1, 2].map(name => item(name))
  for (const each of items) t.equal(kept.add(each), undefined)
  t.equal(kept.add(item(3))?.name, 0, 'all were used: evicts the oldest and clears the others')
  items[1].recent = true
  t.equal(kept.add(item(4))?.name, 2)
  t.equal(kept.add(item(5))?.name, 1)
  t.equal(kept.size, 3)
})

t.test('reuses the slot of a removed item', async t => {
  const kept = new SecondChance<Item>(3)
  const items = [0, 1, 2].map(name => item(name, false))
  for (const each of items) kept.add(each)
  kept.remove(items[1])
  t.equal(kept.size, 2)
  t.equal(kept.add(item(3)), undefined)
  t.equal(kept.size, 3)
  t.equal(kept.add(item(4))?.name, 0)
})

t.test('stays consistent over many additions and removals', async t => {
  const kept = new SecondChance<Item>(20)
  const expected = new Set<Item>()
  let seed = 5
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((seed / 0x1_0000_0000) * below)
  }
  for (let name = 0; name < 5_000; name++) {
    const added = item(name, random(2) === 0)
    const evicted = kept.add(added)
    expected.add(added)
    if (evicted !== undefined && !expected.delete(evicted)) t.fail('evicted an item that was not kept')
    for (const each of expected) {
      if (random(15) === 0) {
        kept.remove(each)
        expected.delete(each)
      } else if (random(5) === 0) each.recent = true
    }
    if (kept.size !== expected.size || kept.size > 20) t.fail(`${kept.size} kept, ${expected.size} expected`)
  }
})
