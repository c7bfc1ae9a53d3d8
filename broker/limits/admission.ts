// Connection limits: total, per listener and per address.

import type { ListenerSettings } from '../listeners/accepted-connection.js'
import type { LimitCounters } from './limit-counters.js'

/** The enforced settings. */
export interface AdmissionLimits {
  connections: number | null
  connectionsPerAddress: number | null
}

/** The slot of one connection. Releasing it more than once has no effect. */
export interface ConnectionSlot {
  /** Counts the connection for its client address; false if the address has too many connections. */
  identify: (address: string) => boolean
  release: () => void
}

/** Counts open connections. */
export class Admission {
  #total = 0
  readonly #byListener = new Map<ListenerSettings, number>()
  readonly #byAddress = new Map<string, number>()
  readonly #limits: AdmissionLimits
  readonly #limitCounters: LimitCounters

  constructor(limits: AdmissionLimits, limitCounters: LimitCounters) {
    this.#limits = limits
    this.#limitCounters = limitCounters
  }

  /** Open connections. */
  get open(): number {
    return this.#total
  }

  /** Reserves a slot for a connection; undefined if a limit is reached. */
  reserve(listener: ListenerSettings, address: string): ConnectionSlot | undefined {
    const atListener = this.#byListener.get(listener) ?? 0
    if (this.#total >= (this.#limits.connections ?? Infinity)) {
      this.#limitCounters.hit('connections', address)
      return undefined
    }
    if (atListener >= (listener.maxConnections ?? Infinity)) {
      this.#limitCounters.hit('maxConnections', address)
      return undefined
    }
    this.#total++
    this.#byListener.set(listener, atListener + 1)
    let identified: string | undefined
    let open = true
    return {
      identify: client => {
        const count = this.#byAddress.get(client) ?? 0
        if (count >= (this.#limits.connectionsPerAddress ?? Infinity)) {
          this.#limitCounters.hit('connectionsPerAddress', client)
          return false
        }
        identified = client
        this.#byAddress.set(client, count + 1)
        return true
      },
      release: () => {
        if (!open) return
        open = false
        this.#total--
        this.#byListener.set(listener, (this.#byListener.get(listener) ?? 1) - 1)
        if (identified === undefined) return
        const left = (this.#byAddress.get(identified) ?? 1) - 1
        if (left > 0) this.#byAddress.set(identified, left)
        else this.#byAddress.delete(identified)
      }
    }
  }
}
