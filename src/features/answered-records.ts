// Which earlier records of its connection a record answers: by packet identifier, and by TCP's acknowledgement.

import { readPacketId } from '../decode/mqtt-facts.js'
import { TCP_ACK, TCP_FIN, TCP_SYN } from '../decode/tcp.js'
import type { Direction } from '../types.js'
import { hasOutline } from './origins.js'
import { spread } from './references.js'
import type { FrameSummary, RecordSummary } from './frame-counts.js'

/**
 * Frames of a direction that wait for their acknowledgement, and messages that wait for theirs; older ones are
 * forgotten.
 */
const WAITING_FRAMES = 256
const WAITING_MESSAGES = 1_024
/** Both over all connections, about 20 MB. */
export const WAITING_CAP = 262_144

const PUBLISH = 3
const PUBACK = 4
const PUBREC = 5
const PUBREL = 6
const PUBCOMP = 7

/** A frame that carried something, until it is acknowledged. */
interface Waiting {
  /** Sequence number after its last byte. */
  end: number
  record: number
}

/** What all connections may remember together. */
export class AnswerQuota {
  /** Frames and messages not remembered for want of room. */
  refused = 0
  #taken = 0
  readonly #cap: number

  constructor(cap = WAITING_CAP) {
    this.#cap = cap
  }

  take(): boolean {
    if (this.#taken >= this.#cap) {
      this.refused++
      return false
    }
    this.#taken++
    return true
  }

  give(count: number): void {
    this.#taken -= count
  }
}

class Side {
  frames: Waiting[] = []
  /** Record of each unfinished PUBLISH by packet identifier. */
  readonly messages = new Map<number, number>()
  /** What the latest record that completed packets answers. */
  answered: readonly number[] = []
}

/** What a record answers or repeats: both are empty where it says something new. */
export interface AnswerReferences {
  /** Where all its packets are acknowledgements: the records whose messages they acknowledge. */
  answered: readonly number[]
  /**
   * Where it carries nothing: the records whose bytes it is the first to acknowledge. Where it is sent again: the one
   * before.
   */
  earlier: readonly number[]
}

/** What a connection remembers of records that may be answered. */
export class AnsweredRecords {
  readonly #sides: Record<Direction, Side> = { in: new Side(), out: new Side() }
  readonly #room: AnswerQuota

  constructor(room: AnswerQuota) {
    this.#room = room
  }

  /** Forgets everything: the connection is forgotten. */
  clear(): void {
    for (const side of Object.values(this.#sides)) {
      this.#room.give(side.frames.length + side.messages.size)
      side.frames = []
      side.messages.clear()
    }
  }

  /**
   * Takes a record in, and says what it answers; see `references.ts` for how many.
   * @param origins for each packet the record that published it, where it is passed on: beside it others may lie in the
   *   same frame
   */
  see(
    { direction, packets, begun, frame }: RecordSummary,
    record: number,
    origins: readonly (number | undefined)[]
  ): AnswerReferences {
    const own = this.#sides[direction]
    const other = this.#sides[direction === 'in' ? 'out' : 'in']
    const acknowledged = frame === null ? [] : this.#acknowledge(other, frame.flags, frame.acknowledgement)
    const isPart = packets.length === 0 && frame !== null && frame.length > 0
    const repeated = isPart ? own.frames.find(({ end }) => end === endOf(frame)) : undefined
    if (frame !== null) this.#remember(own, frame, record)
    if (repeated !== undefined) return { answered: [], earlier: [repeated.record] }
    // A part of something that is no message is, amid answers, most likely of one.
    if (isPart) return { answered: begun !== null && hasOutline(begun) ? [] : own.answered, earlier: [] }
    if (packets.length === 0) return { answered: [], earlier: spread(acknowledged) }
    const references: number[] = []
    let isAnswer = true
    for (const [i, packet] of packets.entries()) {
      const type = packet.header >> 4
      const id = readPacketId(packet)
      if (type === PUBLISH) {
        if (id !== 0) this.#keep(own, id, origins[i] ?? record)
        isAnswer = false
      } else if (type === PUBREL) {
        references.push(...known(own.messages.get(id)))
      } else if (type === PUBACK || type === PUBREC || type === PUBCOMP) {
        references.push(...known(other.messages.get(id)))
        if (type !== PUBREC && other.messages.delete(id)) this.#room.give(1)
      } else {
        isAnswer = false
      }
    }
    own.answered = isAnswer ? spread(references) : []
    return { answered: own.answered, earlier: [] }
  }

  #keep({ messages }: Side, id: number, record: number): void {
    if (messages.size >= WAITING_MESSAGES && !messages.has(id)) {
      const [oldest] = messages.keys()
      messages.delete(oldest)
      this.#room.give(1)
    }
    if (messages.has(id) || this.#room.take()) messages.set(id, record)
  }

  /** The records of a direction whose last byte an acknowledgement covers: they wait no longer. */
  #acknowledge(side: Side, flags: number, number: number): number[] {
    if ((flags & TCP_ACK) === 0) return []
    let covered = 0
    // Sequence numbers go round (RFC 9293, section 3.4).
    while (covered < side.frames.length && ((number - side.frames[covered].end) | 0) >= 0) covered++
    if (covered === 0) return []
    this.#room.give(covered)
    return side.frames.splice(0, covered).map(({ record }) => record)
  }

  #remember(side: Side, frame: FrameSummary, record: number): void {
    const end = endOf(frame)
    if (end === frame.sequence) return
    if (side.frames.length >= WAITING_FRAMES) {
      side.frames.shift()
      this.#room.give(1)
    }
    if (this.#room.take()) side.frames.push({ end, record })
  }
}

/** Sequence number after a frame's last byte; SYN and FIN count as one (RFC 9293, section 3.4). */
function endOf({ sequence, length, flags }: FrameSummary): number {
  return (sequence + length + ((flags & (TCP_SYN | TCP_FIN)) === 0 ? 0 : 1)) >>> 0
}

function known(record: number | undefined): number[] {
  return record === undefined ? [] : [record]
}
