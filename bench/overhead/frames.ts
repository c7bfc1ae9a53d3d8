// The few MQTT 3.1.1 frames that a load needs, written and read without a library, which would cost more than a broker.

import { packet, text } from '../../test/decode/craft-mqtt.js'

/** First bytes of the frames that a load sends or reads. */
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

/** CONNECT without keep-alive: a subscriber of QoS 0 says nothing for long. */
export function connectFrame(clientId: string, clean: boolean): Buffer {
  return packet(0x10, Buffer.concat([text('MQTT'), Buffer.from([4, clean ? 2 : 0, 0, 0]), text(clientId)]))
}

/** SUBSCRIBE to one topic. */
export function subscribeFrame(topic: string, qos: number): Buffer {
  return packet(0x82, Buffer.concat([Buffer.from([0, 1]), text(topic), Buffer.from([qos])]))
}

/** A PUBLISH as a pattern: where its identifier (QoS 1 and 2) and its payload begin. */
export interface PublishPattern {
  frame: Buffer
  id: number
  payload: number
}

/** A PUBLISH whose identifier and payload are still to be written. */
export function publishPattern(topic: string, qos: number, payloadBytes: number): PublishPattern {
  const id = Buffer.alloc(qos > 0 ? 2 : 0)
  const frame = packet(FIRST.publish | (qos << 1), Buffer.concat([text(topic), id, Buffer.alloc(payloadBytes, 'x')]))
  const payload = frame.length - payloadBytes
  return { frame, id: payload - id.length, payload }
}

/** What a frame is handed to: its first byte, and where its body lies. */
export type OnFrame = (first: number, bytes: Buffer, start: number, end: number) => void

/** Cuts a stream into frames. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0)
  readonly #onFrame: OnFrame

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame
  }

  /** Takes the next bytes, whose buffer may be used anew afterwards. */
  read(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    while (at + 2 <= bytes.length) {
      let start = at + 1
      let length = 0
      for (let shift = 0; start < bytes.length; shift += 7) {
        const byte = bytes[start++]
        length |= (byte & 0x7f) << shift
        if (byte < 0x80) break
      }
      if (bytes[start - 1] >= 0x80 || start + length > bytes.length) break
      this.#onFrame(bytes[at], bytes, start, start + length)
      at = start + length
    }
    this.#rest = Buffer.from(bytes.subarray(at))
  }
}
