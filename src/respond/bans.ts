// The bans and when they expire.

import { EventEmitter } from 'node:events'
import type { Clock } from '../clock.js'

/** A ban of an address, of one client id at an address, or of a client id at every address. */
export interface Ban {
  /** null: every address; only an operator can set such a ban. */
  address: string | null
  /** null: every client at the address. */
  clientId: string | null
  /** Epoch milliseconds. */
  since: number
  until: number
  /** What caused the ban. */
  by: BannedBy
}

/** An alert's response, or an operator's command. */
export type BannedBy = 'alert' | 'operator'

/** Why a ban ended; `displaced`: the list was full. */
export type BanEnding = 'expired' | 'lifted' | 'displaced'

/** Events of a {@link BanList}. */
export interface BanEvents {
  /** A new ban. */
  begin: [Ban]
  end: [Ban, BanEnding]
  /** The list changed: a ban started, was extended, or ended. */
  change: []
}

const BAN_CAP = 10_000

interface Entry {
  ban: Ban
  /** On the monotonic clock, so that changes of the system clock do not move the end. */
  endsAt: number
}

/** The active bans. Every ban expires. */
export class BanList extends EventEmitter<BanEvents> {
  readonly #entries = new Map<string, Entry>()
  readonly #clock: Clock
  readonly #cap: number
  readonly #steady: Clock

  /**
   * @param clock epoch milliseconds, for display and storage
   * @param steady monotonic, for the time left
   */
  constructor(clock: Clock, cap = BAN_CAP, steady: Clock = clock) {
    super()
    this.#clock = clock
    this.#cap = cap
    this.#steady = steady
  }

  /**
   * Adds a ban, or extends one.
   *
   * @param address null bans the client id at every address
   * @param clientId null bans every client at the address
   */
  add(address: string | null, clientId: string | null, seconds: number, by: BannedBy = 'alert'): Ban {
    const now = this.#clock.now()
    const key = keyOf(address, clientId)
    const known = this.#entries.get(key)
    const endsAt = this.#steady.now() + seconds * 1_000
    // An alert does not shorten an operator's ban.
    if (known !== undefined && by === 'alert' && known.endsAt >= endsAt) return known.ban
    const ban = { address, clientId, since: known?.ban.since ?? now, until: now + seconds * 1_000, by }
    this.#entries.delete(key)
    if (this.#entries.size >= this.#cap) this.#evict()
    this.#entries.set(key, { ban, endsAt })
    if (known === undefined) this.emit('begin', ban)
    this.emit('change')
    return ban
  }

  /** Restores the bans of an earlier run for the time left. Emits `end` for those that have expired. */
  restore(bans: readonly Ban[]): void {
    const now = this.#clock.now()
    for (const ban of bans) {
      // The clock of a machine without a real-time clock may be far in the past.
      const left = Math.min(ban.until - now, ban.until - ban.since)
      if (left <= 0) this.emit('end', ban, 'expired')
      else if (this.#entries.size < this.#cap) {
        this.#entries.set(keyOf(ban.address, ban.clientId), {
          ban: { ...ban, until: now + left },
          endsAt: this.#steady.now() + left
        })
      }
    }
  }

  /** Lifts a ban. Returns whether it existed. */
  lift(address: string | null, clientId: string | null): boolean {
    return this.#remove(keyOf(address, clientId), 'lifted')
  }

  /** Whether the address is banned. */
  coversAddress(address: string): boolean {
    return this.#isInForce(keyOf(address, null))
  }

  /** Whether the client id is banned at this address. */
  coversClient(address: string, clientId: string): boolean {
    return (
      this.coversAddress(address) || this.#isInForce(keyOf(address, clientId)) || this.#isInForce(keyOf(null, clientId))
    )
  }

  /** Returns the active bans. */
  list(): Ban[] {
    this.expire()
    return Array.from(this.#entries.values(), ({ ban }) => ban)
  }

  /** Ends expired bans. Call it regularly, so that `end` is emitted on time. */
  expire(): void {
    const now = this.#steady.now()
    for (const [key, { endsAt }] of this.#entries) if (endsAt <= now) this.#remove(key, 'expired')
  }

  #isInForce(key: string): boolean {
    const entry = this.#entries.get(key)
    if (entry === undefined) return false
    if (entry.endsAt > this.#steady.now()) return true
    this.#remove(key, 'expired')
    return false
  }

  #remove(key: string, ending: BanEnding): boolean {
    const entry = this.#entries.get(key)
    if (entry === undefined) return false
    this.#entries.delete(key)
    this.emit('end', entry.ban, ending)
    this.emit('change')
    return true
  }

  #evict(): void {
    this.expire()
    const [oldest] = this.#entries.keys()
    if (this.#entries.size >= this.#cap) this.#remove(oldest, 'displaced')
  }
}

/** Unambiguous, because addresses contain no space. */
function keyOf(address: string | null, clientId: string | null): string {
  return clientId === null ? String(address) : `${address ?? ''} ${clientId}`
}
