// Ring entries: all of them are read as they were written.

import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { Random } from '../../models/random.js'
import { UNPLACED_REASONS, type BrokerEntry } from '../../src/observe/entries.js'
import { EntryWriter, readEntries } from '../../src/observe/entry-ring.js'
import { allocateRing, RingReader, RingWriter } from '../../src/observe/ring.js'
import type { Direction, MqttPacket } from '../../src/types.js'

function wired(bytes = 1 << 20) {
  const memory = allocateRing(bytes)
  const reader = new RingReader(memory)
  return {
    entries: new EntryWriter(new RingWriter(memory, () => {})),
    read: (): BrokerEntry[] => {
      const all: BrokerEntry[] = []
      readEntries(reader, entry => {
        all.push(entry)
      })
      return all
    }
  }
}

const TRANSPORTS = ['tcp', 'tls', 'websocket', 'stream'] as const
const ADDRESSES = ['', '192.0.2.1', '2001:db8:1234:5678:9abc:def0:1234:5678', 'fe80::1%a-rather-long-interface']
const TEXTS = ['', 'sensor-1', 'Küche/Ω/🦊', 'x'.repeat(255), ' with spaces ', '\u0000\n']

class Maker {
  readonly #random: Random

  constructor(seed: number) {
    this.#random = new Random(seed)
  }

  entry(): BrokerEntry {
    const random = this.#random
    const connection = random.integer(2 ** 32)
    const time = 1.7e12 + random.integer(1e9) / 1_000
    switch (random.integer(7)) {
      case 0:
        return {
          kind: 'open',
          connection,
          time,
          transport: this.#of(TRANSPORTS),
          client: this.#endpoint(),
          broker: this.#endpoint()
        }
      case 1:
        return { kind: 'identity', connection, clientId: this.#of(TEXTS), username: this.#of(TEXTS) }
      case 2: {
        const begin = random.integer(2 ** 32) * 1_000
        return {
          kind: 'mark',
          connection,
          direction: this.#direction(),
          time,
          begin,
          offset: begin + random.integer(2 ** 28),
          ordinal: random.integer(2 ** 32)
        }
      }
      case 3:
        return { kind: 'close', connection, time }
      case 4:
        return { kind: 'unplaced', connection, reason: this.#of(UNPLACED_REASONS) }
      case 5:
        return { kind: 'announced', connection, client: this.#endpoint() }
      default:
        return {
          kind: 'packet',
          connection,
          direction: this.#direction(),
          time,
          packet: this.#packet(),
          ordinal: random.integer(2 ** 32),
          last: random.integer(2) === 0
        }
    }
  }

  #packet(): MqttPacket {
    const random = this.#random
    const remainingLength = random.integer(268_435_456)
    const hasTopic = random.integer(2) === 0
    const hasPayload = random.integer(2) === 0
    return {
      header: random.integer(256),
      remainingLength,
      size: remainingLength + 2 + random.integer(4),
      end: random.integer(2 ** 32) * 65_536,
      topicLength: hasTopic ? random.integer(65_536) : null,
      topic: hasTopic && random.integer(4) > 0 ? this.#bytes(40) : null,
      payload: hasPayload ? this.#bytes(1_024) : null,
      payloadLength: hasPayload ? random.integer(268_435_456) : 0,
      facts: random.integer(2 ** 32),
      clientHash: random.integer(2 ** 32),
      willHash: random.integer(2 ** 32)
    }
  }

  #bytes(most: number): Uint8Array {
    return Uint8Array.from({ length: this.#random.integer(most) }, () => this.#random.integer(256))
  }

  #endpoint() {
    return { address: this.#of(ADDRESSES), port: this.#random.integer(65_536) }
  }

  #direction(): Direction {
    return this.#of(['in', 'out'] as const)
  }

  #of<T>(items: readonly T[]): T {
    return items[this.#random.integer(items.length)]
  }
}

function write(entries: EntryWriter, entry: BrokerEntry): void {
  switch (entry.kind) {
    case 'open': {
      entries.open(entry.connection, entry.time, entry.transport, entry.client, entry.broker)
      return
    }
    case 'announced': {
      entries.announced(entry.connection, entry.client)
      return
    }
    case 'identity': {
      entries.identity(entry.connection, entry.clientId, entry.username)
      return
    }
    case 'packet': {
      entries.packet(entry.connection, entry.direction, entry.time, entry.packet, entry.ordinal, entry.last)
      return
    }
    case 'mark': {
      entries.mark(entry.connection, entry.direction, entry.time, entry.begin, entry.offset, entry.ordinal)
      return
    }
    case 'unplaced': {
      entries.unplaced(entry.connection, entry.reason)
      return
    }
    case 'close': {
      entries.close(entry.connection, entry.time)
      return
    }
  }
}

t.test('reads entries of every kind as written', async t => {
  const maker = new Maker(11)
  const { entries, read } = wired(1 << 14)
  const kinds = new Set<string>()
  for (let i = 0; i < 3_000; i++) {
    const entry = maker.entry()
    kinds.add(entry.kind)
    write(entries, entry)
    const got = read()
    if (!isDeepStrictEqual(got, [entry])) t.strictSame(got, [entry], `entry ${i}`)
  }
  t.equal(kinds.size, 7)
})

t.test('keeps the order of many entries', async t => {
  const maker = new Maker(12)
  const { entries, read } = wired()
  const written = Array.from({ length: 400 }, () => maker.entry())
  for (const entry of written) write(entries, entry)
  t.strictSame(read(), written)
})

t.test('returns copies, which the ring cannot overwrite', async t => {
  const { entries, read } = wired(1 << 10)
  const packet: MqttPacket = {
    header: 0x30,
    remainingLength: 9,
    size: 11,
    end: 11,
    topicLength: 2,
    topic: Buffer.from('ab'),
    payload: Buffer.from('hello'),
    payloadLength: 5,
    facts: 0,
    clientHash: 0,
    willHash: 0
  }
  entries.packet(1, 'in', 1, packet, 0, true)
  const [first] = read()
  for (let i = 0; i < 100; i++) {
    entries.packet(2, 'in', 1, { ...packet, topic: Buffer.from('xy'), payload: Buffer.from('XXXXX') }, i, true)
    read()
  }
  t.match(first, {
    packet: { topic: Uint8Array.from(Buffer.from('ab')), payload: Uint8Array.from(Buffer.from('hello')) }
  })
})

t.test('truncates texts longer than 255 bytes consistently', async t => {
  const { entries, read } = wired()
  const long = 'é'.repeat(200)
  entries.identity(1, long, `${long}!`)
  entries.identity(2, `${long}?`, 'u')
  const [one, other] = read()
  if (one.kind !== 'identity' || other.kind !== 'identity') throw new Error('expected identity entries')
  t.equal(one.clientId, other.clientId)
  t.ok(one.clientId.startsWith('é'.repeat(127)))
  t.equal(one.username, one.clientId)
})

t.test('keeps space for connection events under a flood of packets', async t => {
  const { entries, read } = wired(1 << 12)
  const packet: MqttPacket = {
    header: 0x30,
    remainingLength: 9,
    size: 11,
    end: 11,
    topicLength: null,
    topic: null,
    payload: Buffer.alloc(5),
    payloadLength: 5,
    facts: 0,
    clientHash: 0,
    willHash: 0
  }
  for (let i = 0; i < 1_000; i++) entries.packet(1, 'in', i, packet, i, true)
  const dropped = entries.dropped
  t.ok(dropped > 900)
  for (let i = 0; i < 3; i++) entries.mark(1, 'in', 0, 0, 5, 0)
  const without = entries.dropped
  t.ok(without > dropped, 'marks are dropped like packets, but are smaller')
  entries.open(2, 1, 'tcp', { address: '192.0.2.1', port: 1 }, { address: '192.0.2.2', port: 1883 })
  entries.identity(2, 'quiet', '')
  entries.close(1, 2)
  t.equal(entries.dropped, without)
  t.same(
    read()
      .slice(-3)
      .map(({ kind, connection }) => [kind, connection]),
    [
      ['open', 2],
      ['identity', 2],
      ['close', 1]
    ]
  )
})
