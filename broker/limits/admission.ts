// How many connections there may be: in all, at a listener, and from an address.

import type { ListenerSettings } from '../listeners/accepted-connection.js'
import type { LimitCounters } from './limit-counters.js'

/** The settings that this enforces. */
export interface AdmissionLimits {
  connections: number | null
  connectionsPerAddress: number | null
}

/** One connection's place, which is given back once. */
export interface ConnectionSlot {
  /** Its client is known: false where it has too many connections already. */
  identify: (address: string) => boolean
  release: () => void
}

/** Counts open connections. */
export class Admission {
  #total = 0
  readonly #atListener = new Map<ListenerSettings, number>()
  readonly #fromAddress = new Map<string, number>()
  readonly #limits: AdmissionLimits
  readonly #tally: LimitCounters

  constructor(limits: AdmissionLimits, tally: LimitCounters) {
    this.#limits = limits
    this.#tally = tally
  }

  /** Open connections. */
  get open(): number {
    return this.#total
  }

  /** Takes a place for a connection; undefined where there is none left. */
  enter(listener: ListenerSettings, address: string): ConnectionSlot | undefined {
    const here = this.#atListener.get(listener) ?? 0
    if (this.#total >= (this.#limits.connections ?? Infinity)) {
      this.#tally.hit('connections', address)
      return undefined
    }
    if (here >= (listener.maxConnections ?? Infinity)) {
      this.#tally.hit('maxConnections', address)
      return undefined
    }
    this.#total++
    this.#atListener.set(listener, here + 1)
    let known: string | undefined
    let open = true
    return {
      identify: client => {
        const count = this.#fromAddress.get(client) ?? 0
        if (count >= (this.#limits.connectionsPerAddress ?? Infinity)) {
          this.#tally.hit('connectionsPerAddress', client)
          return false
        }
        known = client
        this.#fromAddress.set(client, count + 1)
        return true
      },
      release: () => {
        if (!open) return
        open = false
        this.#total--
        this.#atListener.set(listener, (this.#atListener.get(listener) ?? 1) - 1)
        if (known === undefined) return
        const left = (this.#fromAddress.get(known) ?? 1) - 1
        if (left > 0) this.#fromAddress.set(known, left)
        else this.#fromAddress.delete(known)
      }
    }
  }
}
