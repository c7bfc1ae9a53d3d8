// The application payloads kept of a record: a limited number, up to the length that models use.

import { PacketType } from '../decode/packet-types.js'
import type { MqttPacket } from '../types.js'
import { hashBytes } from '../fnv.js'
import { PAYLOAD_CAP_BYTES } from './payload.js'

/** Payloads kept per record. If a frame has more PUBLISH packets, an even selection of them. */
export const SAMPLES_PER_RECORD = 8

/** Topic bytes that are hashed. */
const TOPIC_CAP_BYTES = 256

/** Stands for an unknown topic. */
export const NO_TOPIC = 0

const SLASH = 0x2f

/** A payload and its topic. */
export interface PayloadSample {
  /** Hash of the topic, 32 bits. */
  topic: number
  /** Hash of the topic without its last level; {@link NO_TOPIC} if it has only one. */
  parent: number
  /** Full length, bytes. */
  length: number
  /** At most {@link PAYLOAD_CAP_BYTES}. */
  payload: Uint8Array
}

/** Byte statistics of the kept part of a payload. */
export interface PayloadFigures {
  /** Bits per byte. */
  entropy: number
  /** Shares of its bytes, in [0, 1]: decimal digits, ASCII letters, other printable characters, all other bytes. */
  digits: number
  letters: number
  punctuation: number
  binary: number
}

const DIGIT = 0
const LETTER = 1
const PUNCTUATION = 2
const BINARY = 3
const CLASSES = Uint8Array.from({ length: 256 }, (_, byte) => {
  const text = String.fromCharCode(byte)
  if (/[0-9]/.test(text)) return DIGIT
  if (/[A-Za-z]/.test(text)) return LETTER
  return /[ -~\t\r\n]/.test(text) ? PUNCTUATION : BINARY
})

/** Returns the hash of a topic. */
export function topicHash(topic: Uint8Array | null): number {
  return topic === null ? NO_TOPIC : hashBytes(topic, Math.min(topic.length, TOPIC_CAP_BYTES))
}

export function publishesOf(packets: readonly MqttPacket[]): readonly MqttPacket[] {
  return packets.filter(({ header, payload }) => header >> 4 === PacketType.PUBLISH && payload !== null)
}

/** Returns the payloads to keep; null if there are none. */
export function payloadSamples(publishes: readonly MqttPacket[]): PayloadSample[] | null {
  if (publishes.length === 0) return null
  const step = Math.ceil(publishes.length / SAMPLES_PER_RECORD)
  const samples: PayloadSample[] = []
  for (let i = 0; i < publishes.length; i += step) {
    const { topic, payload, payloadLength: length } = publishes[i]
    samples.push({
      topic: topicHash(topic),
      parent: parentHash(topic),
      length,
      payload: (payload as Uint8Array).subarray(0, PAYLOAD_CAP_BYTES)
    })
  }
  return samples
}

function parentHash(topic: Uint8Array | null): number {
  const end = topic?.lastIndexOf(SLASH) ?? -1
  return topic === null || end < 1 ? NO_TOPIC : hashBytes(topic, Math.min(end, TOPIC_CAP_BYTES))
}

const counts = new Uint32Array(256)
const classes = new Float64Array(4)

/** Returns the byte statistics of a payload. */
export function payloadFigures(payload: Uint8Array): PayloadFigures {
  counts.fill(0)
  classes.fill(0)
  const length = Math.min(payload.length, PAYLOAD_CAP_BYTES)
  for (let i = 0; i < length; i++) {
    counts[payload[i]]++
    classes[CLASSES[payload[i]]]++
  }
  const total = Math.max(1, length)
  return {
    entropy: entropyOf(length),
    digits: classes[DIGIT] / total,
    letters: classes[LETTER] / total,
    punctuation: classes[PUNCTUATION] / total,
    binary: classes[BINARY] / total
  }
}

/** Entropy of the bytes in `counts`. */
function entropyOf(total: number): number {
  let sum = 0
  for (const count of counts) if (count > 0) sum -= count * Math.log2(count / total)
  return total === 0 ? 0 : sum / total
}
