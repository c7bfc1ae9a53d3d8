// Retained messages with a store: find by filter, retain, remove, load.

import t from 'tap'
import { messageOf, type Message, type MessageSource } from '../../../broker/core/message.js'
import { RetainedMessages, type RetainedStore } from '../../../broker/core/retained.js'
import { matches } from '../../../src/topics.js'

const NO_LIMITS = { retainedMessages: Infinity, retainedBytes: Infinity }

function message(topic: string, payload: string, rest: Partial<MessageSource> = {}): Message {
  return messageOf({ topic, payload: Buffer.from(payload), qos: 0, retain: true, ...rest })
}

/** A store in memory that records writes. */
function makeStore(messages: MessageSource[] = []): RetainedStore & { written: string[] } {
  const written: string[] = []
  return {
    written,
    async storeRetained({ topic, payload = '' }) {
      written.push(`${topic} ${payload.toString()}`)
    },
    async *createRetainedStream() {
      yield* messages
    }
  }
}

function found(retained: RetainedMessages, filter: string): string[] {
  return retained
    .topics(filter)
    .map(topic => `${topic} ${retained.get(topic)?.payload.toString()}`)
    .sort()
}

t.test('filters match as specified, one by one and in the tree', t => {
  const cases: [string, string, boolean][] = [
    ['a/b', 'a/b', true],
    ['a/b', 'a/c', false],
    ['a/b', 'a', false],
    ['a', 'a/b', false],
    ['+', 'a', true],
    ['+', 'a/b', false],
    ['+/+', '/a', true],
    ['/+', '/a', true],
    ['+', '/a', false],
    ['a/+/c', 'a/b/c', true],
    ['a/+', 'a', false],
    ['a/+', 'a/', true],
    ['#', 'a', true],
    ['#', 'a/b/c', true],
    ['a/#', 'a', true],
    ['a/#', 'a/b/c', true],
    ['a/#', 'ab', false],
    ['#', 'a/$b', true],
    ['#', 'a/$b/c', true],
    ['+/#', 'a/$b', true],
    ['+/+', 'a/$b', true],
    ['a/#', 'a/$b', true],
    ['#', '$SYS/x', false],
    ['+/x', '$SYS/x', false],
    ['$SYS/#', '$SYS/x', true],
    ['$SYS/+', '$SYS/x', true]
  ]
  for (const [filter, topic, expected] of cases) {
    t.equal(matches(filter.split('/'), topic.split('/')), expected, `${filter} on ${topic}`)
    const retained = new RetainedMessages(makeStore(), NO_LIMITS)
    retained.put(message(topic, 'x'))
    t.same(retained.topics(filter), expected ? [topic] : [], `${filter} finds ${topic}`)
  }
  t.end()
})

t.test('the last message of a topic is found once by every matching filter', t => {
  const store = makeStore()
  const retained = new RetainedMessages(store, NO_LIMITS)
  retained.put(message('a/b', 'old'))
  retained.put(message('a/b', 'new'))
  retained.put(message('__proto__', 'x'))
  t.same(found(retained, '#'), ['__proto__ x', 'a/b new'])
  t.same(found(retained, 'a/b'), ['a/b new'])
  t.same([...found(retained, 'nothing'), ...found(retained, 'n/#')], [])
  t.same(store.written, ['a/b old', 'a/b new', '__proto__ x'])
  t.same([retained.size, retained.bytes], [2, 4])
  t.end()
})

t.test('an empty payload removes a message, in memory and in the store', t => {
  const store = makeStore()
  const retained = new RetainedMessages(store, NO_LIMITS)
  retained.put(message('a', 'x'))
  retained.put(message('a', ''))
  retained.put(message('never', ''))
  t.same(found(retained, '#'), [])
  t.same(store.written, ['a x', 'a '])
  t.same([retained.size, retained.bytes], [0, 0])
  t.end()
})

t.test('stored messages are loaded; topics of the broker are not stored', async t => {
  const store = makeStore([{ topic: 'a', payload: Buffer.from('x') }])
  const retained = new RetainedMessages(store, NO_LIMITS)
  await retained.load()
  retained.put(message('$SYS/broker/status', 'up'))
  t.same(found(retained, '#'), ['a x'])
  t.same(found(retained, '$SYS/#'), ['$SYS/broker/status up'])
  t.same(store.written, [])
})

t.test('a later change of the packet does not affect the retained message', t => {
  const retained = new RetainedMessages(makeStore(), NO_LIMITS)
  const packet = message('a', 'x')
  retained.put(packet)
  packet.payload.write('y')
  t.same(found(retained, 'a'), ['a x'])
  t.end()
})

t.test('limits of messages and bytes; an existing topic can still change', t => {
  const retained = new RetainedMessages(makeStore(), { retainedMessages: 2, retainedBytes: 1_000 })
  t.equal(retained.put(message('a', 'x')), undefined)
  t.equal(retained.put(message('b', 'x')), undefined)
  t.equal(retained.put(message('c', 'x')), 'retainedMessages')
  t.equal(retained.put(message('b', 'y')), undefined)
  t.equal(retained.put(message('b', 'z'.repeat(1_000))), 'retainedBytes')
  retained.put(message('a', ''))
  t.equal(retained.put(message('c', 'x')), undefined)
  t.same(found(retained, '#'), ['b y', 'c x'])
  t.end()
})

t.test('messages of the broker itself are not limited, but messages of clients to $ topics are', t => {
  const retained = new RetainedMessages(makeStore(), { retainedMessages: 2, retainedBytes: 1_000 })
  for (let i = 0; i < 20; i++) t.equal(retained.put(message(`$SYS/${i}`, 'x'.repeat(100))), undefined)
  t.equal(retained.put(message('a', 'x', { clientId: 'c' })), undefined)
  t.equal(retained.put(message('$SYS/0', 'x', { clientId: 'c' })), undefined, 'a client with write access')
  t.equal(retained.put(message('$other', 'x', { clientId: 'c' })), 'retainedMessages')
  t.equal(retained.put(message('$SYS/20', 'x')), undefined)
  t.equal(retained.put(message('b', 'x')), 'retainedMessages', 'messages of plug-ins are limited')
  retained.put(message('$SYS/0', 'y'))
  t.equal(retained.put(message('b', 'x')), undefined, 'the broker has replaced the message')
  for (let i = 0; i <= 20; i++) retained.put(message(`$SYS/${i}`, ''))
  t.same(found(retained, '#'), ['a x', 'b x'])
  t.equal(retained.put(message('c', 'x')), 'retainedMessages')
  retained.put(message('a', ''))
  t.equal(retained.put(message('c', 'x'.repeat(700))), undefined)
  t.equal(retained.put(message('b', 'x'.repeat(300))), 'retainedBytes')
  t.end()
})

t.test('an expired message is removed, in memory and in the store [MQTT-3.3.2-5]', t => {
  const store = makeStore()
  const retained = new RetainedMessages(store, NO_LIMITS)
  retained.put(message('a', 'x', { messageExpiry: Date.now() - 1 }))
  t.equal(retained.get('a'), undefined)
  t.equal(retained.size, 0)
  t.same(store.written, ['a x', 'a '])
  t.end()
})
