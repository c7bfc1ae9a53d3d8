// Fuzz targets for MQTT control packets of every version and for WebSocket frames, in any chunks.
import type { Random } from '../../../models/random.js'
import { isBoundaryChain } from '../../../src/decode/mqtt-boundary.js'
import { MqttWalker } from '../../../src/decode/mqtt.js'
import { WebSocketWalker } from '../../../src/decode/websocket.js'
import type { MqttPacket } from '../../../src/types.js'
import { CONNACK, PINGREQ, PUBACK, connect, packet, publish, subscribe, text } from '../../../test/decode/craft-mqtt.js'
import { check, portions, sameBytes } from '../target.js'
import type { FuzzTarget } from '../target.js'

const VERSIONS = [0, 3, 4, 5]
const CAPS = [0, 3, 50, 70_000]
const SINGLE_BYTES_UP_TO = 300

/** Generates packets of one direction; `version` as in CONNECT. */
export function anyPackets(random: Random, version: number, count: number): Buffer {
  const properties = version !== 5 ? null : random.integer(2) === 0 ? Buffer.alloc(0) : Buffer.from([35, 0, 1])
  const kinds: (() => Buffer)[] = [
    () => connect(Math.max(3, version), 'c'.repeat(random.integer(30))),
    () =>
      publish('t/'.repeat(random.integer(20)), Buffer.alloc(random.integer(60), 120), {
        qos: random.integer(3),
        properties
      }),
    () => publish('big', Buffer.alloc(120 + random.integer(200), 120), { qos: random.integer(3), properties }),
    () => subscribe(['a/#', 'b'], { properties }),
    () => packet(0xa2, Buffer.concat([Buffer.from([0, 8]), ...(version === 5 ? [Buffer.from([0])] : []), text('off')])),
    () => PUBACK,
    () => PINGREQ,
    () => CONNACK,
    () => packet(random.integer(256), Buffer.alloc(random.integer(40), random.integer(256)))
  ]
  return Buffer.concat(Array.from({ length: count }, () => kinds[random.integer(kinds.length)]()))
}

interface Walk {
  packets: MqttPacket[]
  walker: MqttWalker
}

function walk(variant: number, parts: Iterable<Uint8Array>): Walk {
  const cap = CAPS[(variant >> 2) & 3]
  const walker = new MqttWalker({
    topicCapBytes: cap,
    payloadCapBytes: cap,
    session: { version: VERSIONS[variant & 3] }
  })
  const packets: MqttPacket[] = []
  for (const part of parts) {
    walker.push(part, ({ topic, payload, ...rest }) => {
      packets.push({ ...rest, topic: topic && Uint8Array.from(topic), payload: payload && Uint8Array.from(payload) })
    })
    // Overwrite the chunk: results must not be views of it.
    part.fill(0xee)
  }
  return { packets, walker }
}

function isSame(a: MqttPacket, b: MqttPacket): boolean {
  return (
    a.header === b.header &&
    a.remainingLength === b.remainingLength &&
    a.size === b.size &&
    a.end === b.end &&
    a.facts === b.facts &&
    a.clientHash === b.clientHash &&
    a.willHash === b.willHash &&
    a.topicLength === b.topicLength &&
    a.payloadLength === b.payloadLength &&
    sameBytes(a.topic, b.topic) &&
    sameBytes(a.payload, b.payload)
  )
}

function checkPackets({ packets, walker }: Walk, bytes: Uint8Array, cap: number): void {
  let end = 0
  for (const { header, remainingLength, size, end: packetEnd, topicLength, topic, payload, payloadLength } of packets) {
    check(size > remainingLength && size <= remainingLength + 5, 'the fixed header of a packet has the wrong size')
    check(packetEnd === end + size, 'packets are not consecutive')
    check(header === bytes[end], 'a packet has the wrong first byte')
    check(topicLength === null || (topicLength >= 0 && topicLength <= 65_535), 'a topic exceeds the maximum length')
    check(topic === null || topic.length <= Math.min(cap, topicLength ?? 0), 'a topic exceeds the cap')
    check(payloadLength <= remainingLength, 'a payload is longer than its packet')
    if (payload !== null) {
      check(payload.length === Math.min(cap, payloadLength), 'a payload is shorter than the cap allows')
      check(
        sameBytes(payload, bytes.subarray(packetEnd - payloadLength, packetEnd - payloadLength + payload.length)),
        'a payload has the wrong bytes'
      )
    }
    end = packetEnd
  }
  check(walker.offset === bytes.length, 'the walker offset is not the end of the input')
  check(!walker.boundary || end === bytes.length, 'the walker reports a boundary inside a packet')
}

/** Input: a byte for version and caps, then packets. */
export const mqttTarget: FuzzTarget = {
  name: 'mqtt',
  properties:
    'consecutive packets with the right bytes within the caps; the same for single bytes and two halves; gaps are safe',
  weight: 8,
  covers: [
    'src/decode/mqtt.js',
    'src/decode/mqtt-body.js',
    'src/decode/mqtt-filters.js',
    'src/decode/field-prefix.js',
    'src/decode/mqtt-boundary.js'
  ],
  generate(random) {
    const variant = random.integer(16)
    return Buffer.concat([Buffer.from([variant]), anyPackets(random, VERSIONS[variant & 3], random.integer(6))])
  },
  run(input) {
    if (input.length === 0) return
    const [variant] = input
    const bytes = input.subarray(1)
    const whole = walk(variant, [Uint8Array.from(bytes)])
    checkPackets(whole, bytes, CAPS[(variant >> 2) & 3])
    const middle = bytes.length >> 1
    for (const parts of [
      portions(bytes, bytes.length <= SINGLE_BYTES_UP_TO ? 1 : 53),
      [bytes.slice(0, middle), bytes.slice(middle)]
    ]) {
      const other = walk(variant, parts)
      check(
        other.packets.length === whole.packets.length &&
          other.packets.every((packet, i) => isSame(packet, whole.packets[i])),
        'chunked input gives different packets'
      )
      check(
        other.walker.declared === whole.walker.declared && other.walker.malformed === whole.walker.malformed,
        'chunked input ends in a different state'
      )
    }
    checkGap(variant, bytes, whole)
    isBoundaryChain(bytes, (variant & 16) === 0 ? 'in' : 'out', VERSIONS[variant & 3])
  }
}

/** Checks a gap of two bytes in the middle. */
function checkGap(variant: number, bytes: Uint8Array, whole: Walk): void {
  const from = bytes.length >> 1
  const walker = new MqttWalker({ topicCapBytes: 50, payloadCapBytes: 50, session: { version: VERSIONS[variant & 3] } })
  const packets: MqttPacket[] = []
  const onPacket = (packet: MqttPacket): void => {
    packets.push(packet)
  }
  walker.push(bytes.slice(0, from), onPacket)
  const before = packets.length
  walker.skip(Math.min(2, bytes.length - from), onPacket)
  walker.push(bytes.slice(from + 2), onPacket)
  check(walker.offset === bytes.length, 'a gap changes the walker offset')
  for (let i = 0; i < before; i++) check(packets[i].end === whole.packets[i].end, 'a gap changes earlier packets')
  check(
    walker.lost || walker.malformed || packets.every(({ end }) => whole.packets.some(packet => packet.end === end)),
    'the walker loses synchronisation after a gap without reporting it'
  )
}

function anyWebSocketFrame(random: Random): Buffer {
  const length = [0, 1, 125, 126, 127, 300][random.integer(6)]
  const isMasked = random.integer(2) === 0
  const form = length < 126 && random.integer(8) > 0 ? 0 : random.integer(2) + 1
  const head = Buffer.alloc([2, 4, 10][form])
  head[0] = random.integer(4) === 0 ? random.integer(256) : [0x80, 0, 2, 0x82, 0x88, 0x89, 0x8a][random.integer(7)]
  head[1] = (isMasked ? 0x80 : 0) | [length, 126, 127][form]
  if (form > 0) head.writeUIntBE(length, form === 1 ? 2 : 4, form === 1 ? 2 : 6)
  return Buffer.concat([
    head,
    Buffer.alloc(isMasked ? 4 : 0, 0x5a),
    Buffer.alloc(random.integer(6) === 0 ? length >> 1 : length, 0x41)
  ])
}

function frames(parts: Iterable<Uint8Array>): { found: number[]; malformed: boolean } {
  const walker = new WebSocketWalker()
  const found: number[] = []
  for (const part of parts)
    walker.push(part, (frameLength, dataLength) => {
      found.push(frameLength, dataLength)
    })
  return { found, malformed: walker.malformed }
}

export const webSocketTarget: FuzzTarget = {
  name: 'websocket',
  properties: 'frames within the input, data within frames; the same for single bytes and odd chunks',
  weight: 12,
  covers: ['src/decode/websocket.js'],
  generate: random => Buffer.concat(Array.from({ length: random.integer(6) }, () => anyWebSocketFrame(random))),
  run(input) {
    const whole = frames([input])
    let sum = 0
    for (let i = 0; i < whole.found.length; i += 2) {
      sum += whole.found[i]
      check(
        whole.found[i + 1] >= 0 && whole.found[i + 1] <= whole.found[i] - 2,
        'the data of a frame exceeds the frame'
      )
    }
    check(sum <= input.length, 'frames exceed the input')
    const parts = frames(portions(input, input.length <= SINGLE_BYTES_UP_TO ? 1 : 41))
    check(
      parts.malformed === whole.malformed &&
        parts.found.length === whole.found.length &&
        parts.found.every((value, i) => value === whole.found[i]),
      'chunked input gives different frames'
    )
  }
}
