// Retained messages in front of a store: found by filter, kept, removed, loaded again.

import type { AedesPublishPacket } from 'aedes'
import t from 'tap'
import { matches, RetainedMessages, type RetainedStore } from '../../broker/retained.js'

function message (topic: string, payload: string): AedesPublishPacket {
  return { cmd: 'publish', topic, payload: Buffer.from(payload), qos: 0, retain: true, dup: false, brokerId: 'b', brokerCounter: 1 }
}

/** A store in memory that notes what is written to it. */
function makeStore (messages: AedesPublishPacket[] = []): RetainedStore & { written: string[] } {
  const written: string[] = []
  return {
    written,
    async storeRetained ({ topic, payload }) { written.push(`${topic} ${payload.toString()}`) },
    async * createRetainedStream () { yield * messages }
  }
}

async function found (retained: RetainedMessages, ...filters: string[]): Promise<string[]> {
  const packets = await retained.createRetainedStreamCombi(filters).toArray() as AedesPublishPacket[]
  return packets.map(({ topic, payload }) => `${topic} ${payload.toString()}`).sort()
}

t.test('filters match as the standard says', t => {
  const cases: [string, string, boolean][] = [
    ['a/b', 'a/b', true], ['a/b', 'a/c', false], ['a/b', 'a', false], ['a', 'a/b', false],
    ['+', 'a', true], ['+', 'a/b', false], ['+/+', '/a', true], ['/+', '/a', true], ['+', '/a', false],
    ['a/+/c', 'a/b/c', true], ['a/+', 'a', false], ['a/+', 'a/', true],
    ['#', 'a', true], ['#', 'a/b/c', true], ['a/#', 'a', true], ['a/#', 'a/b/c', true], ['a/#', 'ab', false],
    ['#', '$SYS/x', false], ['+/x', '$SYS/x', false], ['$SYS/#', '$SYS/x', true], ['$SYS/+', '$SYS/x', true]
  ]
  for (const [filter, topic, expected] of cases) {
    t.equal(matches(filter.split('/'), topic.split('/')), expected, `${filter} on ${topic}`)
  }
  t.end()
})

t.test('the last message of a topic is found by every filter that matches, once', async t => {
  const store = makeStore()
  const retained = new RetainedMessages(store)
  await retained.storeRetained(message('a/b', 'old'))
  await retained.storeRetained(message('a/b', 'new'))
  await retained.storeRetained(message('__proto__', 'x'))
  t.same(await found(retained, 'a/b', 'a/+', '#', 'a/b'), ['__proto__ x', 'a/b new'])
  t.same(await found(retained, 'a/b'), ['a/b new'])
  t.same(await found(retained, 'nothing', 'n/#'), [])
  t.same(store.written, ['a/b old', 'a/b new', '__proto__ x'])
})

t.test('an empty payload removes a message, here and in the store', async t => {
  const store = makeStore()
  const retained = new RetainedMessages(store)
  await retained.storeRetained(message('a', 'x'))
  await retained.storeRetained(message('a', ''))
  t.same(await found(retained, '#', 'a'), [])
  t.same(store.written, ['a x', 'a '])
})

t.test('what the store holds is there after loading; topics of the broker are never written', async t => {
  const store = makeStore([message('a', 'x')])
  const retained = new RetainedMessages(store)
  await retained.load()
  await retained.storeRetained(message('$SYS/broker/status', 'up'))
  t.same(await found(retained, '#'), ['a x'])
  t.same(await found(retained, '$SYS/#'), ['$SYS/broker/status up'])
  t.same(store.written, [])
})

t.test('a later change to the packet does not change what is kept', async t => {
  const retained = new RetainedMessages(makeStore())
  const packet = message('a', 'x')
  await retained.storeRetained(packet)
  packet.payload = Buffer.from('y')
  t.same(await found(retained, 'a'), ['a x'])
})
