// Finds the earlier records of a connection that a record answers, by packet identifier and TCP acknowledgement.

import { evictOldest } from '../bounded-map.js'
import { readPacketId } from '../decode/mqtt-facts.js'
import { PacketType } from '../decode/packet-types.js'
import { TCP_ACK, TCP_FIN, TCP_SYN } from '../decode/tcp.js'
import type { Direction } from '../types.js'
import { hasOutline } from './origins.js'
import { evenSample } from './references.js'
import type { FrameSummary, RecordSummary } from './frame-counts.js'

/** Maximum unacknowledged frames and messages per direction. Older ones are dropped. */
const WAITING_FRAMES = 256
const WAITING_MESSAGES = 1_024
/** Limit of both over all connections, about 20 MB. */
export const WAITING_CAP = 262_144

/** A frame with data that is not yet acknowledged. */
interface UnacknowledgedFrame {
  /** Sequence number after its last byte. */
  end: number
  record: number
}

/** Shared limit for all connections. */
export class AnswerQuota {
  /** Frames and messages not stored because the limit was reached. */
  refused = 0
  #taken = 0
  readonly #cap: number

  constructor(cap = WAITING_CAP) {
    this.#cap = cap
  }

  acquire(): boolean {
    if (this.#taken >= this.#cap) {
      this.refused++
      return false
    }
    this.#taken++
    return true
  }

  release(count: number): void {
    this.#taken -= count
  }
}

class Side {
  frames: UnacknowledgedFrame[] = []
  /** Record of each unfinished PUBLISH by packet identifier. */
  readonly messages = new Map<number, number>()
  /** Records answered by the last record that completed packets. */
  answered: readonly number[] = []
}

/** The records that a record answers or repeats. Both lists are empty if it carries something new. */
export interface AnswerReferences {
  /** If all its packets are acknowledgements: the records whose messages they acknowledge. */
  answered: readonly number[]
  /**
   * If it carries no data: the records whose bytes it is the first to acknowledge. If it is a retransmission: the
   * original record.
   */
  earlier: readonly number[]
}

/** The records of one connection that can still be answered. */
export class AnsweredRecords {
  readonly #sides: Record<Direction, Side> = { in: new Side(), out: new Side() }
  readonly #quota: AnswerQuota

  constructor(quota: AnswerQuota) {
    this.#quota = quota
  }

  /** Releases all entries when the connection is evicted. */
  clear(): void {
    for (const side of Object.values(this.#sides)) {
      this.#quota.release(side.frames.length + side.messages.size)
      side.frames = []
      side.messages.clear()
    }
  }

  /**
   * Adds a record and returns the records that it answers; see `references.ts` for the limit.
   *
   * @param origins for each packet, the record that published it, if it is forwarded. Other packets in that record's
   *   frame are not answered.
   */
  add(
    { direction, packets, partial, frame }: RecordSummary,
    record: number,
    origins: readonly (number | undefined)[]
  ): AnswerReferences {
    const own = this.#sides[direction]
    const other = this.#sides[direction === 'in' ? 'out' : 'in']
    const acknowledged = frame === null ? [] : this.#acknowledge(other, frame.flags, frame.acknowledgement)
    const isPartial = packets.length === 0 && frame !== null && frame.length > 0
    const repeated = isPartial ? own.frames.find(({ end }) => end === endOf(frame)) : undefined
    if (frame !== null) this.#addFrame(own, frame, record)
    if (repeated !== undefined) return { answered: [], earlier: [repeated.record] }
    // A part of a packet other than PUBLISH, between acknowledgements, most likely belongs to one.
    if (isPartial) return { answered: partial !== null && hasOutline(partial) ? [] : own.answered, earlier: [] }
    if (packets.length === 0) return { answered: [], earlier: evenSample(acknowledged) }
    const references: number[] = []
    let isAnswer = true
    for (const [i, packet] of packets.entries()) {
      const type = packet.header >> 4
      const id = readPacketId(packet)
      if (type === PacketType.PUBLISH) {
        if (id !== 0) this.#addMessage(own, id, origins[i] ?? record)
        isAnswer = false
      } else if (type === PacketType.PUBREL) {
        references.push(...listOf(own.messages.get(id)))
      } else if (type === PacketType.PUBACK || type === PacketType.PUBREC || type === PacketType.PUBCOMP) {
        references.push(...listOf(other.messages.get(id)))
        if (type !== PacketType.PUBREC && other.messages.delete(id)) this.#quota.release(1)
      } else {
        isAnswer = false
      }
    }
    own.answered = isAnswer ? evenSample(references) : []
    return { answered: own.answered, earlier: [] }
  }

  #addMessage({ messages }: Side, id: number, record: number): void {
    if (!messages.has(id) && evictOldest(messages, WAITING_MESSAGES)) this.#quota.release(1)
    if (messages.has(id) || this.#quota.acquire()) messages.set(id, record)
  }

  /** Removes and returns the records whose last byte is covered by an acknowledgement. */
  #acknowledge(side: Side, flags: number, number: number): number[] {
    if ((flags & TCP_ACK) === 0) return []
    let covered = 0
    // Sequence numbers wrap around (RFC 9293, section 3.4).
    while (covered < side.frames.length && ((number - side.frames[covered].end) | 0) >= 0) covered++
    if (covered === 0) return []
    this.#quota.release(covered)
    return side.frames.splice(0, covered).map(({ record }) => record)
  }

  #addFrame(side: Side, frame: FrameSummary, record: number): void {
    const end = endOf(frame)
    if (end === frame.sequence) return
    if (side.frames.length >= WAITING_FRAMES) {
      side.frames.shift()
      this.#quota.release(1)
    }
    if (this.#quota.acquire()) side.frames.push({ end, record })
  }
}

/** Sequence number after a frame's last byte. SYN and FIN count as one byte (RFC 9293, section 3.4). */
function endOf({ sequence, length, flags }: FrameSummary): number {
  return (sequence + length + ((flags & (TCP_SYN | TCP_FIN)) === 0 ? 0 : 1)) >>> 0
}

function listOf(record: number | undefined): number[] {
  return record === undefined ? [] : [record]
}
