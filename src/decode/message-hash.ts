// A hash that identifies an application message: a will when it is published, a message when it is forwarded.

import { fnv, FNV_BASIS } from '../fnv.js'

/** Bytes of topic and payload that are hashed. */
const TOPIC_BYTES = 256
const PAYLOAD_BYTES = 1_024

const length = new Uint8Array(4)

/** Hashes a message incrementally: call `begin`, `add` the topic, call `payload`, `add` the payload. */
export class MessageHash {
  #hash = FNV_BASIS
  #left = TOPIC_BYTES

  begin(): void {
    this.#hash = FNV_BASIS
    this.#left = TOPIC_BYTES
  }

  /** Ends the topic and starts a payload of `bytes` bytes. */
  payload(bytes: number): void {
    for (let i = 0; i < length.length; i++) length[i] = bytes >>> (8 * i)
    this.#hash = fnv(this.#hash, length, 0, length.length)
    this.#left = PAYLOAD_BYTES
  }

  /** Adds the bytes from `from` to `to`. */
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

/** Returns the hash of a message, never 0; topic and payload must include at least the hashed bytes. */
export function messageHash(topic: Uint8Array, payload: Uint8Array, payloadLength: number): number {
  hash.begin()
  hash.add(topic, 0, topic.length)
  hash.payload(payloadLength)
  hash.add(payload, 0, payload.length)
  return hash.value
}
