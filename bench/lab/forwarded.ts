// The messages that the broker sends to one benign client: which of its frames carry an attacker's.

import { MqttWalker } from '../../src/decode/mqtt.js'
import type { MqttPacket, StreamFrame } from '../../src/types.js'
import { messageDigest } from './ledger.js'

/** For each message that an attacker published, by its digest: when it was published by whom. In order of time. */
export type Provenance = Map<string, { time: number, isAttack: boolean }[]>

const PUBLISH = 3
const WHOLE_TOPIC = 65_535
const WHOLE_PAYLOAD = 16_777_216
/** A clock's grain between writing down and sending, seconds. */
const GRAIN_SECONDS = 0.005

interface Stretch { from: number, to: number }

/** One benign connection. Frames are pushed in the order of the capture. */
export class ForwardedMessages {
  private readonly walkers: Record<'in' | 'out', MqttWalker>
  /** Where in the stream to the client attackers' messages are. */
  private readonly attacks: Stretch[] = []
  /** Where in that stream each frame's bytes are, retransmitted ones included. */
  private readonly frames: (Stretch & { number: number })[] = []
  /** Sequence number of the stream's first byte. */
  private base: number | null = null
  private time = 0

  constructor (private readonly provenance: Provenance) {
    const session = { version: 0 }
    const kept = { topicCapBytes: WHOLE_TOPIC, payloadCapBytes: WHOLE_PAYLOAD, session }
    this.walkers = { in: new MqttWalker({ topicCapBytes: 0, payloadCapBytes: 0, session }), out: new MqttWalker(kept) }
  }

  /** Whether the stream to the client could not be followed to its end. */
  get lost (): boolean { return this.walkers.out.lost || this.walkers.out.malformed }

  push ({ frame, direction, from, chunks }: StreamFrame): void {
    this.time = frame.seconds + frame.nanoseconds / 1e9
    if (direction === 'out' && frame.payloadLength > 0) {
      if (chunks.length > 0) this.base ??= (frame.tcp.sequence - from) >>> 0
      const start = (frame.tcp.sequence - (this.base ?? frame.tcp.sequence)) >>> 0
      this.frames.push({ from: start, to: start + frame.payloadLength, number: frame.number })
    }
    const walker = this.walkers[direction]
    for (const { bytes, length } of chunks) {
      if (bytes === null) walker.skip(length)
      else walker.push(bytes, direction === 'out' ? this.onPacket : () => {})
    }
  }

  /** Numbers of the frames that carry at least one byte of an attacker's message. */
  * attackFrames (): Generator<number> {
    let next = 0
    for (const { from, to, number } of [...this.frames].sort((a, b) => a.from - b.from)) {
      while (next < this.attacks.length && this.attacks[next].to <= from) next++
      if (next < this.attacks.length && this.attacks[next].from < to) yield number
    }
  }

  private readonly onPacket = ({ header, topic, payload, end, size }: MqttPacket): void => {
    if (header >> 4 !== PUBLISH || topic === null || payload === null) return
    const publications = this.provenance.get(messageDigest(topic, payload))
    const last = publications?.findLast(({ time }) => time <= this.time + GRAIN_SECONDS)
    if (last?.isAttack === true) this.attacks.push({ from: end - size, to: end })
  }
}
