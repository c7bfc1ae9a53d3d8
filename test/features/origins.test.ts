// References of a record: what it forwards, retransmits or acknowledges, but not other packets in the same frame.

import t from 'tap'
import { MqttWalker } from '../../src/decode/mqtt.js'
import { TCP_ACK, TCP_FIN } from '../../src/decode/tcp.js'
import { ContextTracker } from '../../src/features/context.js'
import type { RecordContext } from '../../src/features/record-context.js'
import { SurpriseMemory } from '../../src/scoring/surprise-memory.js'
import type { Direction, MqttPacket } from '../../src/types.js'
import { connect, packet, PUBACK, publish } from '../decode/craft-mqtt.js'

const NOTHING = new Uint8Array(0)

/** A connection whose frames arrive in order and without loss. */
class Talk {
  readonly #session = { version: 4 }
  readonly #walkers = {
    in: new MqttWalker({ session: this.#session, topicCapBytes: 256, payloadCapBytes: 1_024 }),
    out: new MqttWalker({ session: this.#session, topicCapBytes: 256, payloadCapBytes: 1_024 })
  }

  readonly #sent = { in: 0, out: 0 }
  readonly #tracker: ContextTracker
  readonly #address: string
  readonly #tapped: boolean

  constructor(tracker: ContextTracker, address = '192.0.2.1', tapped = true) {
    this.#tracker = tracker
    this.#address = address
    this.#tapped = tapped
  }

  frame(direction: Direction, bytes: Uint8Array = NOTHING, seconds = 1, flags = TCP_ACK): RecordContext {
    const packets: MqttPacket[] = []
    const walker = this.#walkers[direction]
    walker.push(bytes, each => packets.push(each))
    const sequence = this.#sent[direction]
    this.#sent[direction] += bytes.length
    return this.#push(direction, { sequence, length: bytes.length, flags }, packets, walker, seconds)
  }

  /** Retransmits the last bytes of a direction. */
  again(direction: Direction, length: number): RecordContext {
    return this.#push(direction, { sequence: this.#sent[direction] - length, length, flags: TCP_ACK }, [])
  }

  #push(
    direction: Direction,
    segment: { sequence: number; length: number; flags: number },
    packets: MqttPacket[],
    walker?: MqttWalker,
    time = 1
  ): RecordContext {
    const seconds = Math.floor(time)
    return this.#tracker.push({
      connection: this,
      client: { address: this.#address, port: 1 },
      direction,
      packets,
      partial: walker?.inProgress ?? null,
      seconds,
      nanoseconds: Math.round((time - seconds) * 1e9),
      frame: this.#tapped ? { ...segment, acknowledgement: this.#sent[direction === 'in' ? 'out' : 'in'], to: 0 } : null
    })
  }
}

function talks(): [Talk, Talk] {
  const tracker = new ContextTracker()
  return [new Talk(tracker), new Talk(tracker)]
}

t.test('a forwarded message is matched by topic and payload', async t => {
  const [publisher, reader] = talks()
  const one = publisher.frame('in', publish('a', 'one'))
  const two = publisher.frame('in', publish('a', 'two'))
  t.same(one.origins, [])
  t.same(reader.frame('out', publish('a', 'two')).origins, [two.record])
  t.same(reader.frame('out', Buffer.concat([publish('a', 'one'), publish('a', 'two')])).origins, [
    one.record,
    two.record
  ])
  t.same(reader.frame('out', publish('b', 'two')).origins, [], 'the same payload on another topic is another message')
  const later = publisher.frame('in', publish('a', 'one', { qos: 1 }))
  t.same(reader.frame('out', publish('a', 'one')).origins, [later.record], 'the latest publisher counts, with any QoS')
})

t.test('a will originates from its CONNECT', async t => {
  for (const level of [3, 4, 5]) {
    const [dying, reader] = talks()
    const { record } = dying.frame('in', connect(level, 'dying', { topic: 'home/door', payload: 'open' }))
    const properties = level === 5 ? NOTHING : null
    if (level === 5) reader.frame('in', connect(5))
    t.same(reader.frame('out', publish('home/door', 'open', { properties })).origins, [record], `MQTT level ${level}`)
    t.same(reader.frame('out', publish('home/door', 'shut', { properties })).origins, [])
  }
})

t.test('a part of a message refers to the message, a retransmission to the original frame', async t => {
  const [publisher, reader] = talks()
  const image = publish('camera', Buffer.alloc(3_000, 7))
  publisher.frame('in', image.subarray(0, 1_500))
  const { record } = publisher.frame('in', image.subarray(1_500))
  const part = reader.frame('out', image.subarray(0, 1_000))
  t.same(part.origins, [record])
  t.same(reader.frame('out', image.subarray(1_000, 2_000)).origins, [record])
  t.same(reader.again('out', 1_000).origins, [part.record + 1])
})

t.test(
  'a bare acknowledgement scores as the highest of its references, an MQTT acknowledgement as the lowest',
  async t => {
    const [publisher, reader] = talks()
    const usual = publisher.frame('in', publish('a', 'usual', { qos: 1 }))
    const strange = publisher.frame('in', publish('a', 'strange', { qos: 1 }))
    // One frame with both: the frame refers to the stranger message, the answer to the usual one does not.
    const both = reader.frame('out', Buffer.concat([publish('a', 'strange'), publish('a', 'usual', { qos: 1 })]))
    const bare = reader.frame('in')
    const answer = reader.frame('in', PUBACK)
    t.same(bare.origins, [both.record])
    t.same(answer.references, [usual.record])

    const memory = new SurpriseMemory()
    memory.set(usual.record, 1)
    memory.set(strange.record, 7)
    memory.set(both.record, memory.withReferences(0, both))
    t.equal(memory.get(both.record), 7)
    t.equal(memory.withReferences(0, bare), 7)
    t.equal(memory.withReferences(0, answer), 1)
    t.equal(memory.withReferences(3, { references: [usual.record, strange.record], origins: [] }), 3)
  }
)

t.test('a flood of new messages evicts old ones, and evictions are counted', async t => {
  const tracker = new ContextTracker()
  const flooder = new Talk(tracker)
  for (let i = 0; i < 70; i++) {
    flooder.frame('in', Buffer.concat(Array.from({ length: 500 }, (_, k) => publish(`t/${i}/${k}`, 'x'))))
  }
  t.ok(tracker.counters.originsForgotten > 0)
  t.same(new Talk(tracker).frame('out', publish('t/0/0', 'x')).origins, [])
  t.equal(new Talk(tracker).frame('out', packet(0xd0)).origins.length, 0)
})

for (const tapped of [true, false]) {
  t.test(
    `a client whose session is taken over is scored with the CONNECT of the takeover, until one second after its reconnect, ${tapped ? 'with' : 'without'} a tap`,
    async t => {
      const tracker = new ContextTracker()
      const talk = (address: string): Talk => new Talk(tracker, address, tapped)
      const [device, thief] = [talk('192.0.2.1'), talk('192.0.2.66')]
      device.frame('in', connect(4, 'lamp'), 1)
      t.equal(device.frame('in', publish('a', 'x'), 2).takeover, null)
      const { record, takeover } = thief.frame('in', connect(4, 'lamp'), 3)
      t.equal(takeover, null, 'the takeover itself is scored normally')
      t.equal(device.frame('out', packet(0xe0), 3).takeover, record, 'the rest of the connection')
      const back = talk('192.0.2.1')
      const returned = back.frame('in', connect(4, 'lamp'), 8)
      t.equal(returned.takeover, record)
      t.equal(back.frame('in', publish('a', 'x'), 8.9).takeover, record)
      t.equal(back.frame('in', publish('a', 'x'), 9.1).takeover, null)
      t.equal(
        thief.frame('out', packet(0xe0), 8).takeover,
        returned.record,
        'the reconnect takes the session over in turn'
      )
      t.equal(talk('192.0.2.1').frame('in', connect(4, 'lamp'), 20).takeover, null, 'only the first reconnect counts')
    }
  )
}

t.test('no takeover after a disconnect, from the same address, or with another client id', async t => {
  const tracker = new ContextTracker()
  const talk = (address: string): Talk => new Talk(tracker, address)
  for (const [name, leave] of [
    ['disconnected', (left: Talk) => left.frame('in', packet(0xe0), 2)],
    ['closed', (left: Talk) => left.frame('in', NOTHING, 2, TCP_ACK | TCP_FIN)]
  ] as const) {
    const left = talk('192.0.2.1')
    left.frame('in', connect(4, name), 1)
    leave(left)
    talk('192.0.2.2').frame('in', connect(4, name), 3)
    t.equal(left.frame('out', packet(0xd0), 4).takeover, null, name)
    t.equal(talk('192.0.2.1').frame('in', connect(4, name), 4).takeover, null)
  }
  const half = talk('192.0.2.3')
  half.frame('in', connect(4, 'half-open'), 1)
  talk('192.0.2.3').frame('in', connect(4, 'half-open'), 2)
  t.equal(
    half.frame('out', packet(0xd0), 3).takeover,
    null,
    'a device may resume its own session after a connection loss'
  )

  const lamp = talk('192.0.2.4')
  lamp.frame('in', connect(4, 'lamp'), 1)
  const { record } = talk('192.0.2.66').frame('in', connect(4, 'lamp'), 2)
  const neighbour = talk('192.0.2.4')
  t.equal(neighbour.frame('in', NOTHING, 3).takeover, record, 'may be the lamp')
  t.equal(neighbour.frame('in', connect(4, 'neighbour'), 3).takeover, null, 'is not the lamp')
  t.equal(talk('192.0.2.4').frame('in', connect(4, 'lamp'), 4).takeover, record)
})

t.test('a refused CONNECT is no takeover', async t => {
  const tracker = new ContextTracker()
  const talk = (address: string): Talk => new Talk(tracker, address)
  const lamp = talk('192.0.2.1')
  lamp.frame('in', connect(4, 'lamp'), 1)
  const guesser = talk('192.0.2.66')
  guesser.frame('in', connect(4, 'lamp'), 2)
  guesser.frame('out', packet(0x20, Buffer.from([0, 5])), 2)
  t.equal(lamp.frame('in', publish('a', 'x'), 3).takeover, null)
  t.equal(talk('192.0.2.1').frame('in', connect(4, 'another'), 3).takeover, null)
  const thief = talk('192.0.2.67')
  const { record } = thief.frame('in', connect(4, 'lamp'), 4)
  thief.frame('out', packet(0x20, Buffer.from([0, 0])), 4)
  t.equal(lamp.frame('in', publish('a', 'x'), 5).takeover, record)
})
