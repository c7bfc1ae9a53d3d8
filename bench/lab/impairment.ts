// What a bad network does to packets, decided by a seed: loss, duplication, delay and reordering.

import { Random } from '../../models/random.js'

/** How bad. Shares are probabilities per packet, from 0 to 1; all are 0 where left out. */
export interface ImpairmentOptions {
  loss?: number
  duplication?: number
  /** Share of packets that are held back until some later ones have passed. */
  reordering?: number
  /** Every packet takes this much longer, ms. */
  delayMs?: number
  /** And up to this much more, without changing the order, ms. */
  jitterMs?: number
}

/** What became of the packets. */
export interface ImpairmentCounters {
  taken: number
  lost: number
  duplicated: number
  reordered: number
  /** Lost because too many were waiting. */
  overflowed: number
  given: number
}

interface Waiting {
  readonly packet: Buffer
  readonly dueMs: number
}

interface HeldBack {
  readonly packet: Buffer
  /** How many packets have yet to pass. */
  passing: number
  readonly timer: NodeJS.Timeout
}

/** Packets that may wait, delayed or held back. */
const WAITING_CAP = 10_000
/** A packet is held back until one to three others have passed, or nothing came for so long. */
const HELD_BACK_PACKETS = 3
const HELD_BACK_MS = 20

/** One direction of a bad link. The same seed decides alike on the same sequence of packets. */
export class Impairment {
  readonly counters: ImpairmentCounters = { taken: 0, lost: 0, duplicated: 0, reordered: 0, overflowed: 0, given: 0 }
  readonly #random: Random
  readonly #delayed: Waiting[] = []
  readonly #heldBack = new Set<HeldBack>()
  #timer: NodeJS.Timeout | undefined
  readonly #options: ImpairmentOptions
  readonly #give: (packet: Buffer) => void

  /**
   * @param give gets each packet that comes through, as often as it does
   */
  constructor(options: ImpairmentOptions, seed: number, give: (packet: Buffer) => void) {
    this.#options = options
    this.#give = give
    this.#random = new Random(seed)
  }

  /** Takes a packet; it is kept, not copied. */
  take(packet: Buffer): void {
    const { loss = 0, duplication = 0, reordering = 0, delayMs = 0, jitterMs = 0 } = this.#options
    this.counters.taken++
    // Always four draws: what is decided on one packet does not shift what is decided on the next.
    const [lost, twice, held, jitter] = [
      this.#random.uniform(),
      this.#random.uniform(),
      this.#random.uniform(),
      this.#random.uniform()
    ]
    if (lost < loss) {
      this.counters.lost++
      return
    }
    if (this.#delayed.length + this.#heldBack.size >= WAITING_CAP) {
      this.counters.overflowed++
      return
    }
    if (twice < duplication) this.counters.duplicated++
    const copies = twice < duplication ? [packet, packet] : [packet]
    for (const [i, copy] of copies.entries()) {
      if (i === 0 && held < reordering) this.#holdBack(copy)
      else if (delayMs + jitterMs === 0) this.#pass(copy)
      else this.#delay(copy, delayMs + jitter * jitterMs)
    }
  }

  /** Forgets what waits. */
  close(): void {
    clearTimeout(this.#timer)
    this.#delayed.length = 0
    for (const { timer } of this.#heldBack) clearTimeout(timer)
    this.#heldBack.clear()
  }

  #pass(packet: Buffer): void {
    this.#deliver(packet)
    for (const held of this.#heldBack) {
      if (--held.passing === 0) this.#letGo(held)
    }
  }

  #deliver(packet: Buffer): void {
    this.counters.given++
    this.#give(packet)
  }

  #holdBack(packet: Buffer): void {
    this.counters.reordered++
    const held: HeldBack = {
      packet,
      passing: 1 + this.#random.integer(HELD_BACK_PACKETS),
      timer: setTimeout(
        () => {
          this.#letGo(held)
        },
        HELD_BACK_MS + (this.#options.delayMs ?? 0)
      )
    }
    this.#heldBack.add(held)
  }

  #letGo(held: HeldBack): void {
    clearTimeout(held.timer)
    this.#heldBack.delete(held)
    this.#deliver(held.packet)
  }

  #delay(packet: Buffer, delayMs: number): void {
    const last = this.#delayed.at(-1)
    this.#delayed.push({ packet, dueMs: Math.max(last?.dueMs ?? 0, performance.now() + delayMs) })
    if (last === undefined) this.#wait()
  }

  #wait(): void {
    if (this.#delayed.length === 0) return
    this.#timer = setTimeout(
      () => {
        const now = performance.now()
        // A timer may fire a fraction early; what is due within it is due.
        while (this.#delayed.length > 0 && this.#delayed[0].dueMs <= now + 0.5)
          this.#pass((this.#delayed.shift() as Waiting).packet)
        this.#wait()
      },
      Math.max(0, this.#delayed[0].dueMs - performance.now())
    )
  }
}
