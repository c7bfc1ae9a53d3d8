// Storage format: records are decoded as encoded, keys sort correctly, and damaged records are rejected.

import t from 'tap'
import { messageOf } from '../../../broker/core/message.js'
import {
  clientIdOf,
  decodeQueued,
  decodeSent,
  decodeSession,
  encodeQueued,
  encodeSent,
  encodeSession,
  IMPORTED,
  keyOf,
  packetIdOf,
  prefixOf,
  QUEUE,
  queueKey,
  queueStart,
  readQueueKey,
  RECEIVED,
  receivedKey,
  RELEASED_RECORD,
  SENT,
  SESSIONS,
  under,
  type QueuedRecord
} from '../../../broker/core/records.js'
import { encodeIdentifiers } from '../../../broker/core/wire.js'
import { Random } from '../../../models/random.js'

const CLIENT_IDS = [
  'a',
  'A',
  'a:',
  ':a',
  'a/b',
  'a%3Ab',
  '%',
  '100%',
  'ö',
  '中文',
  '😀',
  ' ',
  'a b',
  '__proto__',
  'constructor',
  'a;',
  'a-',
  'a.',
  "it's",
  'a\\b',
  ''
]

function record(
  rest: Partial<QueuedRecord> & { source?: Partial<Parameters<typeof messageOf>[0]> } = {}
): QueuedRecord {
  const { source, ...fields } = rest
  return {
    message: messageOf({ topic: 'a/ö', payload: 'payload', qos: 1, ...source }),
    qos: 1,
    retain: false,
    identifiers: Buffer.alloc(0),
    share: '',
    ...fields
  }
}

/** Compares like LevelDB, by bytes. */
function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

t.test('a queued message is decoded as encoded, with all fields', t => {
  const properties = {
    payloadFormatIndicator: true,
    contentType: 'text',
    responseTopic: 'r',
    correlationData: Buffer.from([0, 1]),
    userProperties: { b: ['1', '2'], a: '3', ['__proto__']: '4' }
  }
  const long = 'x'.repeat(65_535)
  const cases: [string, QueuedRecord][] = [
    ['minimal', record()],
    ['QoS 2', record({ qos: 2 })],
    ['retain', record({ retain: true })],
    ['a share', record({ share: '$share/g/a/#' })],
    ['identifiers', record({ identifiers: encodeIdentifiers([1, 268_435_455]) })],
    ['an expiry', record({ source: { messageExpiry: 1_800_000_000_123 } })],
    ['properties', record({ source: { properties } })],
    ['empty payload', record({ source: { payload: '' } })],
    [
      'everything',
      record({
        qos: 2,
        retain: true,
        share: `$share/ö/${long.slice(20)}`,
        identifiers: encodeIdentifiers(Array.from({ length: 200 }, (_, i) => i + 1)),
        source: {
          topic: long,
          payload: Buffer.alloc(200_000, 'z'),
          properties: { ...properties, contentType: long },
          messageExpiry: 1
        }
      })
    ]
  ]
  for (const [what, one] of cases) {
    const found = decodeQueued(Buffer.concat([encodeQueued(one)]))
    t.match(found, { qos: one.qos, retain: one.retain, share: one.share }, what)
    t.ok(found?.identifiers.equals(one.identifiers), what)
    const { message } = found as QueuedRecord
    t.equal(message.topic, one.message.topic, what)
    t.ok(message.payload.equals(one.message.payload), what)
    t.equal(message.messageExpiry, one.message.messageExpiry, what)
    t.ok(message.encodedProperties.equals(one.message.encodedProperties), what)
    t.same(JSON.stringify(message.properties), JSON.stringify(one.message.properties), what)
    t.equal(message.queuedBytes, one.message.queuedBytes, 'same queued size')
  }
  t.equal(decodeQueued(encodeQueued(record()))?.message.messageExpiry, Infinity)
  t.end()
})

t.test('a record is a copy: later changes of the message do not affect it', t => {
  const payload = Buffer.from('payload')
  const bytes = encodeQueued(record({ source: { payload } }))
  payload.fill('x')
  t.equal(decodeQueued(bytes)?.message.payload.toString(), 'payload')
  t.end()
})

t.test('released messages are recognised', t => {
  t.equal(decodeQueued(RELEASED_RECORD as Buffer), undefined)
  t.ok(decodeQueued(encodeQueued(record({ qos: 2, retain: true }))) !== undefined)
  t.end()
})

t.test('sessions and sent marks are decoded as encoded', t => {
  for (const session of [
    { expiry: 0, disconnectedAt: 0, start: 0 },
    { expiry: 0xffffffff, disconnectedAt: 1_800_000_000_123, start: Number.MAX_SAFE_INTEGER }
  ])
    t.same(decodeSession(encodeSession(session)), session)
  for (const sequence of [0, 1, 65_535, Number.MAX_SAFE_INTEGER]) t.equal(decodeSent(encodeSent(sequence)), sequence)
  t.end()
})

t.test('damaged records throw only RangeError', t => {
  const random = new Random(10)
  const records = [
    encodeQueued(record()),
    encodeQueued(
      record({
        qos: 2,
        retain: true,
        share: '$share/g/a',
        identifiers: encodeIdentifiers([5]),
        source: {
          properties: { contentType: 'x', userProperties: { a: 'b', c: ['d', 'e'] } },
          messageExpiry: 1_800_000_000_000
        }
      })
    )
  ]
  const counts = { refused: 0, read: 0 }
  const tryDecode = (decode: (bytes: Buffer) => unknown, bytes: Buffer, what: string): void => {
    try {
      decode(bytes)
      counts.read++
    } catch (error) {
      if (error instanceof RangeError) counts.refused++
      else t.fail(`${what}: ${String(error)} of ${bytes.toString('hex')}`)
    }
  }
  for (const bytes of records) {
    const payload = Buffer.from('payload')
    for (let length = 0; length < bytes.length - payload.length; length++)
      t.throws(() => decodeQueued(bytes.subarray(0, length)), RangeError, `${length} of ${bytes.length} bytes`)
    for (let i = 0; i < 3_000; i++) {
      const damaged = Buffer.from(bytes)
      for (let changes = 1 + random.integer(4); changes > 0; changes--)
        damaged[random.integer(damaged.length)] = random.integer(256)
      tryDecode(decodeQueued, damaged, 'a queued message')
    }
  }
  for (let i = 0; i < 2_000; i++)
    tryDecode(decodeQueued, Buffer.from(Array.from({ length: random.integer(60) }, () => random.integer(256))), 'noise')
  t.ok(counts.refused > 1_000 && counts.read > 1_000, JSON.stringify(counts))
  for (let length = 0; length < 20; length++) t.throws(() => decodeSession(Buffer.alloc(length)), RangeError)
  for (let length = 0; length < 8; length++) t.throws(() => decodeSent(Buffer.alloc(length)), RangeError)
  t.throws(() => decodeQueued(Buffer.from([0])), RangeError, 'QoS 0')
  t.throws(() => decodeQueued(Buffer.from([3])), RangeError, 'QoS 3')
  t.end()
})

t.test('keys contain the client id, for any client id', t => {
  for (const clientId of CLIENT_IDS) {
    for (const prefix of [SESSIONS, SENT]) t.equal(clientIdOf(prefix, keyOf(prefix, clientId)), clientId)
    t.same(readQueueKey(queueKey(prefixOf(QUEUE, clientId), 70_000, 1_234)), {
      clientId,
      sequence: 70_000,
      size: 1_234
    })
    const received = receivedKey(clientId, 65_535)
    t.equal(clientIdOf(RECEIVED, received), clientId)
    t.equal(received.slice(prefixOf(RECEIVED, clientId).length), '65535')
  }
  const keys = CLIENT_IDS.flatMap(id => [
    keyOf(SESSIONS, id),
    keyOf(SENT, id),
    queueKey(prefixOf(QUEUE, id), 1, 1),
    receivedKey(id, 1)
  ])
  t.equal(new Set([...keys, IMPORTED]).size, CLIENT_IDS.length * 4 + 1, 'all keys differ')
  t.end()
})

t.test('the keys of one client are contiguous', t => {
  for (const prefix of [QUEUE, RECEIVED]) {
    const all = CLIENT_IDS.map(clientId => ({
      clientId,
      key: prefix === QUEUE ? queueKey(prefixOf(QUEUE, clientId), 5, 9) : receivedKey(clientId, 5)
    }))
    for (const { clientId, key } of all) {
      const { gte, lt } = under(prefixOf(prefix, clientId))
      const within = all.filter(one => byBytes(one.key, gte) >= 0 && byBytes(one.key, lt) < 0)
      t.same(within, [{ clientId, key }], JSON.stringify(clientId))
    }
  }
  const ranges = [SESSIONS, QUEUE, SENT, RECEIVED].map(prefix => ({ prefix, ...under(prefix) }))
  for (const { prefix, gte, lt } of ranges) {
    for (const other of [SESSIONS, QUEUE, SENT, RECEIVED]) {
      const key = keyOf(other, '😀')
      t.equal(byBytes(key, gte) >= 0 && byBytes(key, lt) < 0, other === prefix, `${key} under ${prefix}`)
    }
  }
  t.end()
})

t.test('queue keys sort by sequence number, not by size', t => {
  const prefix = prefixOf(QUEUE, 'a:ö')
  const sequences = [1, 2, 9, 10, 11, 99, 100, 65_535, 65_536, 1_000_000, 2 ** 31, 2 ** 32, 10 ** 15]
  const keys = sequences.map((sequence, i) => queueKey(prefix, sequence, 10 ** (12 - i)))
  t.same(keys.toSorted(byBytes), keys)
  for (const [index, sequence] of sequences.entries()) {
    const from = keys.filter(key => byBytes(key, queueStart(prefix, sequence)) >= 0)
    t.same(from, keys.slice(index), `from ${sequence} on`)
  }
  t.ok(byBytes(keys.at(-1) ?? '', under(prefix).lt) < 0)
  t.end()
})

t.test(
  'packet identifiers derive from the sequence number, are never 0, and repeat as late as possible [MQTT-2.2.1-3]',
  t => {
    const seen = new Set<number>()
    for (let sequence = 1; sequence <= 65_535; sequence++) seen.add(packetIdOf(sequence))
    t.equal(seen.size, 65_535)
    t.notOk(seen.has(0))
    t.equal(Math.max(...seen), 65_535)
    for (const sequence of [1, 65_534, 65_535, 65_536, 2 ** 40])
      t.equal(packetIdOf(sequence + 65_535), packetIdOf(sequence))
    t.end()
  }
)
