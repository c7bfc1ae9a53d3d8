// A hash by which an application message is known again: a will when it is published, a message when it is passed on.

import { fnv, FNV_BASIS } from '../fnv.js'

/** Bytes of topic and payload that count. */
const TOPIC_BYTES = 256
const PAYLOAD_BYTES = 1_024

const length = new Uint8Array(4)

/** Takes a message as its bytes come: `begin`, the topic's bytes, `payload`, the payload's bytes. */
export class MessageHash {
  #hash = FNV_BASIS
  #left = TOPIC_BYTES

  begin(): void {
    this.#hash = FNV_BASIS
    this.#left = TOPIC_BYTES
  }

  /** The topic is over, and a payload of `bytes` bytes follows. */
  payload(bytes: number): void {
    for (let i = 0; i < length.length; i++) length[i] = bytes >>> (8 * i)
    this.#hash = fnv(this.#hash, length, 0, length.length)
    this.#left = PAYLOAD_BYTES
  }

  /** Takes the bytes from `from` to `to`. */
  add(bytes: Uint8Array, from: number, to: number): void {
    const end = Math.min(to, from + this.#left)
    this.#hash = fnv(this.#hash, bytes, from, end)
    this.#left -= end - from
  }

  /** 32 bits, never 0. */
  get value(): number {
    return this.#hash >>> 0 || 1
  }
}

const hash = new MessageHash()

/** The hash of a message of which topic and payload are known as far as they count; never 0. */
export function messageHash(topic: Uint8Array, payload: Uint8Array, payloadLength: number): number {
  hash.begin()
  hash.add(topic, 0, topic.length)
  hash.payload(payloadLength)
  hash.add(payload, 0, payload.length)
  return hash.value
}
