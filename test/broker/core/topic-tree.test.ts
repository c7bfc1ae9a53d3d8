// The topic tree finds the same matches as a simple comparison, after any changes.

import t from 'tap'
import { TopicTree } from '../../../broker/core/topic-tree.js'
import { Random } from '../../../models/random.js'
import { matchesNaively, randomFilter, randomTopic } from './random-topics.js'

/** Returns how many map entries remain after `run`: a tree keeps its branches in maps. */
function entriesLeft(run: () => void): number {
  const methods = { set: Map.prototype.set, delete: Map.prototype.delete }
  let entries = 0
  Map.prototype.set = function (key: unknown, value: unknown) {
    if (!this.has(key)) entries++
    return methods.set.call(this, key, value)
  }
  Map.prototype.delete = function (key: unknown) {
    const was = methods.delete.call(this, key)
    if (was) entries--
    return was
  }
  try {
    run()
  } finally {
    Object.assign(Map.prototype, methods)
  }
  return entries
}

t.test('filters that match a topic, while filters are added and removed [MQTT-4.7.1]', t => {
  const random = new Random(2)
  const tree = new TopicTree<string>()
  const filters = new Set<string>()
  let found = 0
  let different = 0
  for (let step = 0; step < 2_000; step++) {
    const filter = randomFilter(random)
    if (random.integer(5) < 3) {
      tree.set(filter, filter)
      filters.add(filter)
    } else {
      tree.delete(filter)
      filters.delete(filter)
    }
    if (tree.get(filter) !== (filters.has(filter) ? filter : undefined)) different++
    const topic = randomTopic(random)
    const expected = [...filters].filter(one => matchesNaively(one, topic)).sort()
    found += expected.length
    if (tree.matching(topic).sort().join('\n') !== expected.join('\n')) different++
  }
  t.equal(different, 0)
  t.ok(found > 5_000, `${found} found`)
  t.end()
})

t.test('topics that match a filter, while topics are added and removed [MQTT-4.7.1]', t => {
  const random = new Random(3)
  const tree = new TopicTree<string>()
  const topics = new Set<string>()
  let found = 0
  let different = 0
  for (let step = 0; step < 2_000; step++) {
    const topic = randomTopic(random)
    if (random.integer(5) < 3) {
      tree.set(topic, topic)
      topics.add(topic)
    } else {
      tree.delete(topic)
      topics.delete(topic)
    }
    const filter = randomFilter(random)
    const expected = [...topics].filter(one => matchesNaively(filter, one)).sort()
    found += expected.length
    if ([...tree.matchedBy(filter)].sort().join('\n') !== expected.join('\n')) different++
  }
  t.equal(different, 0)
  t.ok(found > 5_000, `${found} found`)
  t.end()
})

t.test('set replaces, and delete ignores missing paths', t => {
  const tree = new TopicTree<number>()
  tree.set('a/b', 1)
  tree.set('a/b', 2)
  tree.set('a', 3)
  for (const never of ['', 'b', 'a/b/c', 'a/', '/a', 'a/b/']) tree.delete(never)
  t.same(tree.matching('a/b'), [2])
  t.same(tree.matching('a'), [3])
  tree.delete('a')
  t.same([tree.get('a'), tree.get('a/b')], [undefined, 2], 'children are kept')
  tree.set('a', 4)
  tree.delete('a/b')
  t.same([tree.get('a'), tree.get('a/b')], [4, undefined], 'the parent is kept')
  t.end()
})

t.test('names of object properties do not exist until they are set', t => {
  const tree = new TopicTree<number>()
  tree.set('a', 1)
  for (const name of [
    '__proto__',
    'constructor',
    'hasOwnProperty',
    'toString',
    'a/__proto__',
    'a/constructor',
    '__proto__/a'
  ]) {
    t.equal(tree.get(name), undefined, name)
    t.same(tree.matching(name), [], name)
    t.same([...tree.matchedBy(name)], [], name)
    tree.set(name, 2)
    t.same(tree.matching(name), [2], name)
    tree.delete(name)
    t.equal(tree.get(name), undefined, name)
  }
  t.end()
})

t.test('delete removes empty branches', t => {
  const random = new Random(4)
  const paths = Array.from({ length: 3_000 }, () => randomFilter(random))
  t.equal(
    entriesLeft(() => {
      const tree = new TopicTree<true>()
      for (const path of paths) tree.set(path, true)
      for (const path of paths.toSorted()) {
        tree.delete(path)
        tree.delete(`${path}/never`)
      }
    }),
    0
  )
  t.ok(
    entriesLeft(() => {
      new TopicTree<true>().set('a/b', true)
    }) >= 2,
    'entries are counted'
  )
  t.end()
})
