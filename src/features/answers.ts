// Which earlier records of its connection a record answers: by packet identifier, and by TCP's acknowledgement.

import { readPacketId } from '../decode/mqtt-facts.js'
import { TCP_ACK, TCP_FIN, TCP_SYN } from '../decode/tcp.js'
import type { Direction } from '../types.js'
import { spread } from './references.js'
import type { Sight } from './tally.js'

/** Frames of a direction that wait for their acknowledgement, and messages that wait for theirs; older ones are forgotten. */
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
export class AnswerRoom {
  /** Frames and messages not remembered for want of room. */
  refused = 0
  #taken = 0

  constructor (private readonly cap = WAITING_CAP) {}

  take (): boolean {
    if (this.#taken >= this.cap) {
      this.refused++
      return false
    }
    this.#taken++
    return true
  }

  give (count: number): void {
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

/** What a record answers: both are empty where it says something new. */
export interface AnswerReferences {
  /** Where all its packets are acknowledgements: the records whose messages they acknowledge. */
  answered: readonly number[]
  /** Where it carries nothing: the records whose bytes it is the first to acknowledge. */
  acknowledged: readonly number[]
}

/** What a connection remembers of records that may be answered. */
export class Answers {
  readonly #sides: Record<Direction, Side> = { in: new Side(), out: new Side() }

  constructor (private readonly room: AnswerRoom) {}

  /** Forgets everything: the connection is forgotten. */
  clear (): void {
    for (const side of Object.values(this.#sides)) {
      this.room.give(side.frames.length + side.messages.size)
      side.frames = []
      side.messages.clear()
    }
  }

  /**
   * Takes a record in, and says what it answers; see `references.ts` for how many.
   */
  see ({ direction, packets, underway, frame }: Sight, record: number): AnswerReferences {
    const own = this.#sides[direction]
    const other = this.#sides[direction === 'in' ? 'out' : 'in']
    const acknowledged = frame === null ? [] : this.#acknowledge(other, frame.flags, frame.acknowledgement)
    if (frame !== null) this.#remember(own, frame, record)
    // A part of something that is no message is, amid answers, most likely of one.
    if (packets.length === 0 && frame !== null && frame.length > 0) return { answered: underway === null ? own.answered : [], acknowledged: [] }
    if (packets.length === 0) return { answered: [], acknowledged: spread(acknowledged) }
    const references: number[] = []
    let isAnswer = true
    for (const packet of packets) {
      const type = packet.header >> 4
      const id = readPacketId(packet)
      if (type === PUBLISH) {
        if (id !== 0) this.#keep(own, id, record)
        isAnswer = false
      } else if (type === PUBREL) {
        references.push(...known(own.messages.get(id)))
      } else if (type === PUBACK || type === PUBREC || type === PUBCOMP) {
        references.push(...known(other.messages.get(id)))
        if (type !== PUBREC && other.messages.delete(id)) this.room.give(1)
      } else {
        isAnswer = false
      }
    }
    own.answered = isAnswer ? spread(references) : []
    return { answered: own.answered, acknowledged: [] }
  }

  #keep ({ messages }: Side, id: number, record: number): void {
    if (messages.size >= WAITING_MESSAGES && !messages.has(id)) {
      const [oldest] = messages.keys()
      messages.delete(oldest)
      this.room.give(1)
    }
    if (messages.has(id) || this.room.take()) messages.set(id, record)
  }

  /** The records of a direction whose last byte an acknowledgement covers: they wait no longer. */
  #acknowledge (side: Side, flags: number, number: number): number[] {
    if ((flags & TCP_ACK) === 0) return []
    let covered = 0
    // Sequence numbers go round (RFC 9293, section 3.4).
    while (covered < side.frames.length && ((number - side.frames[covered].end) | 0) >= 0) covered++
    if (covered === 0) return []
    this.room.give(covered)
    return side.frames.splice(0, covered).map(({ record }) => record)
  }

  #remember (side: Side, { sequence, length, flags }: NonNullable<Sight['frame']>, record: number): void {
    const extra = (flags & (TCP_SYN | TCP_FIN)) === 0 ? 0 : 1
    if (length + extra === 0) return
    if (side.frames.length >= WAITING_FRAMES) {
      side.frames.shift()
      this.room.give(1)
    }
    if (this.room.take()) side.frames.push({ end: (sequence + length + extra) >>> 0, record })
  }
}

function known (record: number | undefined): number[] {
  return record === undefined ? [] : [record]
}
