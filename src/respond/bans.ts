// Who may not connect, and until when.

import { EventEmitter } from 'node:events'
import type { Clock } from '../clock.js'

/** A ban of an address, of one client id at an address, or of a client id wherever it comes from. */
export interface Ban {
  /** null: wherever it comes from; only an operator bans so. */
  address: string | null
  /** null: whoever comes from the address. */
  clientId: string | null
  /** Epoch milliseconds. */
  since: number
  until: number
  /** Whose doing it is. */
  by: BannedBy
}

/** An alert's response, or an operator's command. */
export type BannedBy = 'alert' | 'operator'

/** Why a ban ended; `displaced`: there were too many. */
export type BanEnding = 'expired' | 'lifted' | 'displaced'

/** What a {@link BanList} tells. */
export interface BanEvents {
  /** A ban that was not there before. */
  begin: [Ban]
  end: [Ban, BanEnding]
  /** The list is no longer what it was: one began, was prolonged, or ended. */
  change: []
}

const BAN_CAP = 10_000

interface Entry {
  ban: Ban
  /** By the steady clock: a ban ends on time, whatever happens to the system's clock. */
  endsAt: number
}

/** The bans in force. Every ban expires. */
export class BanList extends EventEmitter<BanEvents> {
  readonly #entries = new Map<string, Entry>()
  readonly #clock: Clock
  readonly #cap: number
  readonly #steady: Clock

  /**
   * @param clock epoch milliseconds, for what is shown and kept
   * @param steady for how long a ban has yet to last
   */
  constructor(clock: Clock, cap = BAN_CAP, steady: Clock = clock) {
    super()
    this.#clock = clock
    this.#cap = cap
    this.#steady = steady
  }

  /**
   * Bans, or prolongs a ban.
   *
   * @param address null bans the client id wherever it comes from
   * @param clientId null bans everybody at the address
   */
  add(address: string | null, clientId: string | null, seconds: number, by: BannedBy = 'alert'): Ban {
    const now = this.#clock.now()
    const key = keyOf(address, clientId)
    const known = this.#entries.get(key)
    const endsAt = this.#steady.now() + seconds * 1_000
    // An alert does not shorten what an operator said.
    if (known !== undefined && by === 'alert' && known.endsAt >= endsAt) return known.ban
    const ban = { address, clientId, since: known?.ban.since ?? now, until: now + seconds * 1_000, by }
    this.#entries.delete(key)
    if (this.#entries.size >= this.#cap) this.#makeRoom()
    this.#entries.set(key, { ban, endsAt })
    if (known === undefined) this.emit('begin', ban)
    this.emit('change')
    return ban
  }

  /** Takes over bans of an earlier run, each for what is left of it; told as ended where nothing is. */
  restore(bans: readonly Ban[]): void {
    const now = this.#clock.now()
    for (const ban of bans) {
      // A machine without a clock of its own may believe that it is long ago.
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

  /** Lifts a ban; tells whether there was one. */
  lift(address: string | null, clientId: string | null): boolean {
    return this.#remove(keyOf(address, clientId), 'lifted')
  }

  /** Whether nobody at this address may connect. */
  coversAddress(address: string): boolean {
    return this.#isInForce(keyOf(address, null))
  }

  /** Whether this client id at this address may not connect. */
  coversClient(address: string, clientId: string): boolean {
    return (
      this.coversAddress(address) || this.#isInForce(keyOf(address, clientId)) || this.#isInForce(keyOf(null, clientId))
    )
  }

  /** The bans in force. */
  list(): Ban[] {
    this.expire()
    return Array.from(this.#entries.values(), ({ ban }) => ban)
  }

  /** Ends what is over; to be called now and then, so that an end is told when it comes. */
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

  #makeRoom(): void {
    this.expire()
    const [oldest] = this.#entries.keys()
    if (this.#entries.size >= this.#cap) this.#remove(oldest, 'displaced')
  }
}

/** No address holds a space. */
function keyOf(address: string | null, clientId: string | null): string {
  return clientId === null ? String(address) : `${address ?? ''} ${clientId}`
}
