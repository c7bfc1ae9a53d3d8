// Who may not connect, and until when.

import type { Clock } from '../clock.js'

/** A ban of an address, or of one client id at an address. */
export interface Ban {
  address: string
  /** null: whoever comes from the address. */
  clientId: string | null
  /** Epoch milliseconds. */
  until: number
}

const BAN_CAP = 10_000

/** The bans in force. In memory only: a restart of the broker lifts them. Every ban expires. */
export class BanList {
  private readonly bans = new Map<string, Ban>()

  constructor (private readonly clock: Clock, private readonly cap = BAN_CAP) {}

  /**
   * Bans, or prolongs a ban.
   *
   * @param clientId null bans everybody at the address
   */
  add (address: string, clientId: string | null, seconds: number): Ban {
    const ban = { address, clientId, until: this.clock.now() + seconds * 1_000 }
    const key = keyOf(address, clientId)
    this.bans.delete(key)
    if (this.bans.size >= this.cap) this.makeRoom()
    this.bans.set(key, ban)
    return ban
  }

  /** Lifts a ban; tells whether there was one. */
  lift (address: string, clientId: string | null): boolean {
    return this.bans.delete(keyOf(address, clientId))
  }

  /** Whether nobody at this address may connect. */
  coversAddress (address: string): boolean {
    return this.isInForce(keyOf(address, null))
  }

  /** Whether this client id at this address may not connect. */
  coversClient (address: string, clientId: string): boolean {
    return this.coversAddress(address) || this.isInForce(keyOf(address, clientId))
  }

  /** The bans in force. */
  list (): Ban[] {
    this.forgetExpired()
    return [...this.bans.values()]
  }

  private isInForce (key: string): boolean {
    const ban = this.bans.get(key)
    if (ban === undefined) return false
    if (ban.until > this.clock.now()) return true
    this.bans.delete(key)
    return false
  }

  private makeRoom (): void {
    this.forgetExpired()
    const [oldest] = this.bans.keys()
    if (this.bans.size >= this.cap) this.bans.delete(oldest)
  }

  private forgetExpired (): void {
    const now = this.clock.now()
    for (const [key, { until }] of this.bans) if (until <= now) this.bans.delete(key)
  }
}

function keyOf (address: string, clientId: string | null): string {
  return clientId === null ? address : `${address} ${clientId}`
}
