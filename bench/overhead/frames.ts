// Encodes and decodes the MQTT 3.1.1 packets of the load without a library, which would cost more than a broker.

import { varintEnd, varintValue } from '../../src/decode/varint.js'
import { packet, text } from '../../test/decode/craft-mqtt.js'

/** First bytes of the packets that a load sends or reads. */
export const FIRST = Object.freeze({
  connack: 0x20,
  publish: 0x30,
  puback: 0x40,
  pubrec: 0x50,
  pubrel: 0x62,
  pubcomp: 0x70,
  suback: 0x90
})

export const DISCONNECT = packet(0xe0)

/** Returns a CONNECT without keepalive: a QoS 0 subscriber sends nothing for long. */
export function connectFrame(clientId: string, clean: boolean): Buffer {
  return packet(0x10, Buffer.concat([text('MQTT'), Buffer.from([4, clean ? 2 : 0, 0, 0]), text(clientId)]))
}

/** Returns a SUBSCRIBE to one topic. */
export function subscribeFrame(topic: string, qos: number): Buffer {
  return packet(0x82, Buffer.concat([Buffer.from([0, 1]), text(topic), Buffer.from([qos])]))
}

/** A PUBLISH template: offsets of packet identifier (QoS 1 and 2) and payload. */
export interface PublishPattern {
  frame: Buffer
  id: number
  payload: number
}

/** Returns a PUBLISH template without identifier and payload. */
export function publishPattern(topic: string, qos: number, payloadBytes: number): PublishPattern {
  const id = Buffer.alloc(qos > 0 ? 2 : 0)
  const frame = packet(FIRST.publish | (qos << 1), Buffer.concat([text(topic), id, Buffer.alloc(payloadBytes, 'x')]))
  const payload = frame.length - payloadBytes
  return { frame, id: payload - id.length, payload }
}

/** Called for each packet with its first byte and the range of its body. */
export type OnFrame = (first: number, bytes: Buffer, start: number, end: number) => void

/** Splits a stream into packets. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0)
  readonly #onFrame: OnFrame

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame
  }

  /** Reads the next bytes; the caller may reuse the buffer afterwards. */
  read(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    while (at + 2 <= bytes.length) {
      const start = varintEnd(bytes, at + 1)
      if (start < 0) break
      const end = start + varintValue(bytes, at + 1, start)
      if (end > bytes.length) break
      this.#onFrame(bytes[at], bytes, start, end)
      at = end
    }
    this.#rest = Buffer.from(bytes.subarray(at))
  }
}
