// The broker's side: the bytes of connections, the ring, and packets placed in records and frames.
import { Duplex } from 'node:stream'
import type { Random } from '../../../models/random.js'
import { MqttWalker } from '../../../src/decode/mqtt.js'
import { watchConnection } from '../../../src/observe/connection.js'
import { EntryWriter, readEntries } from '../../../src/observe/entry-ring.js'
import type { BrokerEntry } from '../../../src/observe/entries.js'
import { Placement } from '../../../src/observe/placement.js'
import { RingReader, RingWriter, allocateRing } from '../../../src/observe/ring.js'
import type { Direction, MqttPacket } from '../../../src/types.js'
import { Script } from '../script.js'
import { check, sameBytes } from '../target.js'
import type { FuzzTarget } from '../target.js'
import { anyPackets } from './packets.js'

const RING_BYTES = 4_096
const KEPT = { topicCapBytes: 40, payloadCapBytes: 100 }
const ENCODINGS = ['utf8', 'latin1', 'hex', 'base64'] as const

class Sink extends Duplex {
  override _read(): void {}
  override _write(_chunk: unknown, _encoding: unknown, callback: () => void): void {
    callback()
  }
}

/** Chunks with the direction and form in a byte before each, and its length in another. */
function anyChunks(random: Random, most: number): Buffer {
  const parts: Buffer[] = []
  for (let i = random.integer(most); i > 0; i--) {
    const bytes = anyPackets(random, 4, 1 + random.integer(3))
    for (let at = 0; at < bytes.length;) {
      const piece = bytes.subarray(at, at + 1 + random.integer(200))
      parts.push(Buffer.from([random.integer(8), piece.length]), piece)
      at += piece.length
    }
  }
  return Buffer.concat(parts)
}

interface Told {
  packets: MqttPacket[]
  marks: number[]
}

/** Everything from the override of `push` to what the detection thread reads out of a ring that is too small. */
export const observerTarget: FuzzTarget = {
  name: 'observer',
  properties: 'what is told is what the bytes say, in order; entries are read as written; what does not fit is counted',
  weight: 1,
  covers: ['src/observe/connection.js', 'src/observe/entries.js', 'src/observe/ring.js'],
  generate: random => anyChunks(random, 6),
  run(input) {
    const script = new Script(input)
    const memory = allocateRing(RING_BYTES)
    const entries = new EntryWriter(new RingWriter(memory, () => undefined))
    const reader = new RingReader(memory)
    const told: Record<Direction, Told> = { in: { packets: [], marks: [] }, out: { packets: [], marks: [] } }
    const bytes: Record<Direction, Buffer[]> = { in: [], out: [] }
    let written = 0
    const sink = new Sink()
    sink.resume()
    watchConnection(sink, KEPT, {
      onPacket(direction, packet, ordinal) {
        check(ordinal === told[direction].packets.length, 'a packet has another number')
        told[direction].packets.push({
          ...packet,
          topic: packet.topic && Uint8Array.from(packet.topic),
          payload: packet.payload && Uint8Array.from(packet.payload)
        })
        entries.packet(1, direction, 0, packet, ordinal, true)
        written++
      },
      onMark(direction, begin, offset, ordinal) {
        check(begin <= offset && ordinal === told[direction].packets.length, 'a mark stands before what it marks')
        check(offset > (told[direction].marks.at(-1) ?? -1), 'a watermark goes back')
        told[direction].marks.push(offset)
        entries.mark(1, direction, 0, begin, offset, ordinal)
        written++
      }
    })
    let read = 0
    const taken: Record<Direction, MqttPacket[]> = { in: [], out: [] }
    const take = (entry: BrokerEntry): void => {
      if (entry.kind === 'packet') taken[entry.direction].push(entry.packet)
    }
    while (!script.over) {
      const kind = script.byte()
      const chunk = Buffer.from(script.take(script.byte()))
      const direction = (kind & 1) === 0 ? 'in' : 'out'
      if (direction === 'in') {
        sink.push(chunk)
        bytes.in.push(chunk)
      } else {
        const encoding = ENCODINGS[(kind >> 3) & 3]
        const isText = (kind & 2) !== 0
        if (isText) sink.write(chunk.toString(encoding), encoding)
        else sink.write(chunk)
        bytes.out.push(isText ? Buffer.from(chunk.toString(encoding), encoding) : chunk)
      }
      if ((kind & 4) === 0) read += readEntries(reader, take)
    }
    read += readEntries(reader, take)
    check(read + entries.dropped === written, 'entries are lost without being counted')
    for (const direction of ['in', 'out'] as const) {
      const session = { version: 4 }
      const expected: number[] = []
      const walker = new MqttWalker({ ...KEPT, session })
      walker.push(Buffer.concat(bytes[direction]), ({ end }) => expected.push(end))
      const { packets } = told[direction]
      // A CONNECT of one direction changes how the other is read, but not where its packets end.
      check(
        packets.length === expected.length && packets.every(({ end }, i) => end === expected[i]),
        'the observer tells of other packets than the bytes hold'
      )
      checkTaken(taken[direction], packets)
    }
  }
}

/** What was read is a part of what was told, unchanged. */
function checkTaken(taken: readonly MqttPacket[], told: readonly MqttPacket[]): void {
  let at = 0
  for (const packet of taken) {
    while (at < told.length && told[at].end !== packet.end) at++
    check(at < told.length, 'a packet is read that nobody wrote')
    const { topic, payload, ...fields } = packet
    const { topic: toldTopic, payload: toldPayload, ...toldFields } = told[at]
    check(
      sameBytes(topic, toldTopic) && sameBytes(payload, toldPayload),
      'a packet is read with other bytes than it was written'
    )
    check(
      Object.entries(fields).every(([name, value]) => toldFields[name as keyof typeof toldFields] === value),
      'a packet is read otherwise than it was written'
    )
  }
}

/** Units and packets in an order that no honest carrier keeps, and in the one that it does. */
export const placementTarget: FuzzTarget = {
  name: 'placement',
  properties: 'offsets only go forward, each packet is told once and after no later one; what waits is capped',
  weight: 5,
  covers: ['src/observe/placement.js'],
  generate: random =>
    Uint8Array.from({ length: random.integer(200) }, () => random.integer(random.integer(2) === 0 ? 256 : 24)),
  run(input) {
    const script = new Script(input)
    const told: number[] = []
    let reached = 0
    let ends = 0
    let stopped = false
    const placement = new Placement(
      'in',
      {
        onPacket(_direction, packet, ordinal) {
          check(told.length === 0 || ordinal > told[told.length - 1], 'packets are told out of order')
          if (!stopped) {
            check(packet.end >= reached && packet.end >= ends, 'a packet ends before what was told already')
            ends = packet.end
          }
          told.push(ordinal)
        },
        onMark(_direction, begin, offset) {
          check(begin <= offset && offset > reached, 'a watermark goes back')
          check(stopped || offset >= ends, 'a watermark stands before a packet that was told')
          reached = offset
        },
        onUnplaced: () => undefined
      },
      () => {
        stopped = true
        placement.stop()
      }
    )
    let plain = 0
    let walked = 0
    let ordinal = 0
    let started = false
    while (!script.over) {
      const kind = script.below(8)
      const length = script.byte()
      if (kind === 0 && !started) {
        started = true
        placement.start(length)
      } else if (kind <= 3) {
        plain += length
        placement.unit(length, length + 22)
      } else if (kind <= 5) {
        walked += length + 2
        placement.packet(
          {
            header: 0x30,
            remainingLength: length,
            size: length + 2,
            end: walked,
            topicLength: 0,
            topic: null,
            payload: null,
            payloadLength: 0,
            facts: 0,
            clientHash: 0,
            willHash: 0
          },
          ordinal++
        )
      } else if (kind === 6) {
        placement.mark(walked + 1)
      } else if (walked <= plain) {
        // As the carriers do: only what surely lies before the units.
        if (!started) placement.reach(Math.min(length, reached))
      }
    }
    check(told.length <= ordinal, 'a packet is told twice')
    stopped = true
    placement.stop()
    check(told.length === ordinal, 'a packet is never told')
  }
}
