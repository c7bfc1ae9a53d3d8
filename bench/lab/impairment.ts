// Network impairment with a seeded random source: loss, duplication, delay and reordering.

import { Random } from '../../models/random.js'

/**
 * Impairment. Shares are probabilities per packet, from 0 to 1.
 *
 * @default 0 for each
 */
export interface ImpairmentOptions {
  loss?: number
  duplication?: number
  /** Share of packets that are held until some later ones have passed. */
  reordering?: number
  /** Delay of every packet, ms. */
  delayMs?: number
  /** Maximum additional delay, which keeps the order, ms. */
  jitterMs?: number
}

/** Packet counters. */
export interface ImpairmentCounters {
  taken: number
  lost: number
  duplicated: number
  reordered: number
  /** Dropped because the queue was full. */
  overflowed: number
  given: number
}

interface Waiting {
  readonly packet: Buffer
  readonly dueMs: number
}

interface HeldBack {
  readonly packet: Buffer
  /** Packets that must pass first. */
  passing: number
  readonly timer: NodeJS.Timeout
}

/** Maximum number of delayed and held packets. */
const WAITING_CAP = 10_000
/** A packet is held until one to three others have passed, or for this time. */
const HELD_BACK_PACKETS = 3
const HELD_BACK_MS = 20

/** One direction of an impaired link. The same seed gives the same decisions for the same sequence of packets. */
export class Impairment {
  readonly counters: ImpairmentCounters = { taken: 0, lost: 0, duplicated: 0, reordered: 0, overflowed: 0, given: 0 }
  readonly #random: Random
  readonly #delayed: Waiting[] = []
  readonly #heldBack = new Set<HeldBack>()
  #timer: NodeJS.Timeout | undefined
  readonly #options: ImpairmentOptions
  readonly #onPacket: (packet: Buffer) => void

  /** @param onPacket called for each delivered packet, also for duplicates */
  constructor(options: ImpairmentOptions, seed: number, onPacket: (packet: Buffer) => void) {
    this.#options = options
    this.#onPacket = onPacket
    this.#random = new Random(seed)
  }

  /** Accepts a packet without copying it. */
  take(packet: Buffer): void {
    const { loss = 0, duplication = 0, reordering = 0, delayMs = 0, jitterMs = 0 } = this.#options
    this.counters.taken++
    // Always draw four numbers, so that decisions on one packet do not affect the next.
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

  /** Discards delayed and held packets. */
  close(): void {
    clearTimeout(this.#timer)
    this.#delayed.length = 0
    for (const { timer } of this.#heldBack) clearTimeout(timer)
    this.#heldBack.clear()
  }

  #pass(packet: Buffer): void {
    this.#deliver(packet)
    for (const held of this.#heldBack) {
      if (--held.passing === 0) this.#release(held)
    }
  }

  #deliver(packet: Buffer): void {
    this.counters.given++
    this.#onPacket(packet)
  }

  #holdBack(packet: Buffer): void {
    this.counters.reordered++
    const held: HeldBack = {
      packet,
      passing: 1 + this.#random.integer(HELD_BACK_PACKETS),
      timer: setTimeout(
        () => {
          this.#release(held)
        },
        HELD_BACK_MS + (this.#options.delayMs ?? 0)
      )
    }
    this.#heldBack.add(held)
  }

  #release(held: HeldBack): void {
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
        // Timers may fire slightly early.
        while (this.#delayed.length > 0 && this.#delayed[0].dueMs <= now + 0.5)
          this.#pass((this.#delayed.shift() as Waiting).packet)
        this.#wait()
      },
      Math.max(0, this.#delayed[0].dueMs - performance.now())
    )
  }
}
