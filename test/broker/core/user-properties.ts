// Encodes and decodes user properties in order: mqtt-packet groups them by name.

import { packet, text } from '../../decode/craft-mqtt.js'

/** Name and value. */
export type Pair = readonly [name: string, value: string]

const USER_PROPERTY = 0x26
const SESSION_EXPIRY = 0x11
/** Size of fixed-length PUBLISH properties, bytes; undefined: variable length. */
const SIZES: Readonly<Record<number, number | undefined>> = { 0x01: 1, 0x02: 4, 0x23: 2 }
const VARINT = 0x0b

/** Encodes an MQTT 5 PUBLISH with user properties in this order. */
export function publishWithPairs(
  topic: string,
  payload: string,
  pairs: readonly Pair[],
  { qos = 1, retain = false, messageId = 1 } = {}
): Buffer {
  const id = qos === 0 ? [] : [messageId >> 8, messageId & 0xff]
  return packet(
    0x30 | (qos << 1) | (retain ? 1 : 0),
    Buffer.concat([text(topic), Buffer.from(id), properties(pairsOf(pairs)), Buffer.from(payload)])
  )
}

/** Encodes an MQTT 5 CONNECT with Clean Start, whose will has user properties in this order. */
export function connectWithPairs(
  clientId: string,
  will: { topic: string; payload: string; retain?: boolean },
  pairs: readonly Pair[]
): Buffer {
  const flags = 0x02 | 0x04 | (1 << 3) | (will.retain === true ? 0x20 : 0)
  return packet(
    0x10,
    Buffer.concat([
      text('MQTT'),
      Buffer.from([5, flags, 0, 0]),
      properties(Buffer.from([SESSION_EXPIRY, 0, 0, 0, 0])),
      text(clientId),
      properties(pairsOf(pairs)),
      text(will.topic),
      text(will.payload)
    ])
  )
}

/** Returns the user properties of an MQTT 5 PUBLISH, in order. */
export function pairsIn(publish: Buffer): Pair[] {
  let at = 1
  const varint = (): number => {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = publish[at++]
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
    }
  }
  const string = (): string => publish.toString('utf8', at + 2, (at += 2 + publish.readUInt16BE(at)))
  varint()
  string()
  if ((publish[0] & 0x06) !== 0) at += 2
  const length = varint()
  const end = at + length
  const pairs: Pair[] = []
  while (at < end) {
    const property = publish[at++]
    if (property === USER_PROPERTY) pairs.push([string(), string()])
    else if (property === VARINT) varint()
    else if (SIZES[property] === undefined) string()
    else at += SIZES[property]
  }
  return pairs
}

function pairsOf(pairs: readonly Pair[]): Buffer {
  return Buffer.concat(pairs.flatMap(([name, value]) => [Buffer.from([USER_PROPERTY]), text(name), text(value)]))
}

/** Prefixes properties with their length. */
function properties(bytes: Buffer): Buffer {
  const length = bytes.length < 128 ? [bytes.length] : [(bytes.length & 0x7f) | 0x80, bytes.length >> 7]
  return Buffer.concat([Buffer.from(length), bytes])
}
