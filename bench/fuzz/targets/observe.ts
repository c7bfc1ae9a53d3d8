// Fuzz targets for the broker side: connection bytes, the ring buffer, and placement of packets in records and frames.
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

/** Generates chunks, each preceded by a byte for direction and form, and a byte for its length. */
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

interface Reported {
  packets: MqttPacket[]
  marks: number[]
}

/**
 * Tests the path from the override of `push` to the entries that the detection thread reads from a ring that is too
 * small.
 */
export const observerTarget: FuzzTarget = {
  name: 'observer',
  properties: 'packets are reported in order; entries are read as written; dropped entries are counted',
  weight: 1,
  covers: ['src/observe/connection.js', 'src/observe/entries.js', 'src/observe/ring.js'],
  generate: random => anyChunks(random, 6),
  run(input) {
    const script = new Script(input)
    const memory = allocateRing(RING_BYTES)
    const entries = new EntryWriter(new RingWriter(memory, () => undefined))
    const reader = new RingReader(memory)
    const reported: Record<Direction, Reported> = { in: { packets: [], marks: [] }, out: { packets: [], marks: [] } }
    const bytes: Record<Direction, Buffer[]> = { in: [], out: [] }
    let written = 0
    const sink = new Sink()
    sink.resume()
    watchConnection(sink, KEPT, {
      onPacket(direction, packet, ordinal) {
        check(ordinal === reported[direction].packets.length, 'a packet has the wrong ordinal')
        reported[direction].packets.push({
          ...packet,
          topic: packet.topic && Uint8Array.from(packet.topic),
          payload: packet.payload && Uint8Array.from(packet.payload)
        })
        entries.packet(1, direction, 0, packet, ordinal, true)
        written++
      },
      onMark(direction, begin, offset, ordinal) {
        check(begin <= offset && ordinal === reported[direction].packets.length, 'a mark precedes its packets')
        check(offset > (reported[direction].marks.at(-1) ?? -1), 'a watermark decreases')
        reported[direction].marks.push(offset)
        entries.mark(1, direction, 0, begin, offset, ordinal)
        written++
      }
    })
    let read = 0
    const readPackets: Record<Direction, MqttPacket[]> = { in: [], out: [] }
    const onEntry = (entry: BrokerEntry): void => {
      if (entry.kind === 'packet') readPackets[entry.direction].push(entry.packet)
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
      if ((kind & 4) === 0) read += readEntries(reader, onEntry)
    }
    read += readEntries(reader, onEntry)
    check(read + entries.dropped === written, 'lost entries are not counted')
    for (const direction of ['in', 'out'] as const) {
      const session = { version: 4 }
      const expected: number[] = []
      const walker = new MqttWalker({ ...KEPT, session })
      walker.push(Buffer.concat(bytes[direction]), ({ end }) => expected.push(end))
      const { packets } = reported[direction]
      // A CONNECT in one direction changes how the other is decoded, but not where its packets end.
      check(
        packets.length === expected.length && packets.every(({ end }, i) => end === expected[i]),
        'the observer reports different packets than the decoder'
      )
      checkTaken(readPackets[direction], packets)
    }
  }
}

/** Checks that the entries read are an unchanged subset of those written. */
function checkTaken(readPackets: readonly MqttPacket[], reported: readonly MqttPacket[]): void {
  let at = 0
  for (const packet of readPackets) {
    while (at < reported.length && reported[at].end !== packet.end) at++
    check(at < reported.length, 'an unknown packet is read')
    const { topic, payload, ...fields } = packet
    const { topic: reportedTopic, payload: reportedPayload, ...reportedFields } = reported[at]
    check(
      sameBytes(topic, reportedTopic) && sameBytes(payload, reportedPayload),
      'the bytes of a packet change between write and read'
    )
    check(
      Object.entries(fields).every(([name, value]) => reportedFields[name as keyof typeof reportedFields] === value),
      'a field of a packet changes between write and read'
    )
  }
}

/** Input: units and packets in the order of real transports or any other order. */
export const placementTarget: FuzzTarget = {
  name: 'placement',
  properties: 'offsets only increase; each packet is reported once and in order; pending packets are capped',
  weight: 5,
  covers: ['src/observe/placement.js'],
  generate: random =>
    Uint8Array.from({ length: random.integer(200) }, () => random.integer(random.integer(2) === 0 ? 256 : 24)),
  run(input) {
    const script = new Script(input)
    const reported: number[] = []
    let reached = 0
    let ends = 0
    let stopped = false
    const placement = new Placement(
      'in',
      {
        onPacket(_direction, packet, ordinal) {
          check(reported.length === 0 || ordinal > reported[reported.length - 1], 'packets are reported out of order')
          if (!stopped) {
            check(packet.end >= reached && packet.end >= ends, 'a packet ends before the reported offset')
            ends = packet.end
          }
          reported.push(ordinal)
        },
        onMark(_direction, begin, offset) {
          check(begin <= offset && offset > reached, 'a watermark decreases')
          check(stopped || offset >= ends, 'a watermark precedes a reported packet')
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
        // Like the real transports: only offsets that are certainly before the units.
        if (!started) placement.reach(Math.min(length, reached))
      }
    }
    check(reported.length <= ordinal, 'a packet is reported twice')
    stopped = true
    placement.stop()
    check(reported.length === ordinal, 'a packet is never reported')
  }
}
