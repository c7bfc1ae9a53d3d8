// A hash by which an application message is known again: a will when it is published, a message when it is passed on.

const BASIS = 0x811c9dc5
const PRIME = 0x01000193

/** Bytes of topic and payload that count. */
const TOPIC_BYTES = 256
const PAYLOAD_BYTES = 1_024

/** Takes a message as its bytes come: `begin`, the topic's bytes, `payload`, the payload's bytes. FNV-1a (RFC 9923). */
export class MessageHash {
  #hash = BASIS
  #left = TOPIC_BYTES

  begin (): void {
    this.#hash = BASIS
    this.#left = TOPIC_BYTES
  }

  /** The topic is over, and a payload of `length` bytes follows. */
  payload (length: number): void {
    for (let shift = 0; shift < 32; shift += 8) this.#hash = Math.imul(this.#hash ^ ((length >>> shift) & 0xff), PRIME)
    this.#left = PAYLOAD_BYTES
  }

  /** Takes the bytes from `from` to `to`. */
  add (bytes: Uint8Array, from: number, to: number): void {
    const end = Math.min(to, from + this.#left)
    let hash = this.#hash
    for (let i = from; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, PRIME)
    this.#hash = hash
    this.#left -= end - from
  }

  /** 32 bits, never 0. */
  get value (): number { return (this.#hash >>> 0) || 1 }
}

const hash = new MessageHash()

/** The hash of a message of which topic and payload are known as far as they count; never 0. */
export function messageHash (topic: Uint8Array, payload: Uint8Array, payloadLength: number): number {
  hash.begin()
  hash.add(topic, 0, topic.length)
  hash.payload(payloadLength)
  hash.add(payload, 0, payload.length)
  return hash.value
}
