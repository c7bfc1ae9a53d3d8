// Wills: stored while their clients are connected, published after they disconnect, with an optional delay.

import type { Client } from 'aedes-2'
import type { MessageSource } from './message.js'
import type { StoredWill, WillStore } from './persistence.js'

/** Publishes a will, if it is authorised. */
export type PublishWill = (will: MessageSource, client: Client | null, done: () => void) => void

/** A will during its Will Delay Interval [MQTT-3.1.3-9]. */
interface Delayed {
  client: Client | null
  will: MessageSource
  timer: NodeJS.Timeout
}

const SECOND_MS = 1_000
const MAX_TIMER_MS = 2 ** 31 - 1

/** The wills of all clients. */
export class Wills {
  /** The connection whose will is stored for a client id: another connection may have taken over the id. */
  readonly #owners = new Map<string, Client | null>()
  readonly #delayed = new Map<string, Delayed>()
  readonly #store: WillStore
  readonly #publishWill: PublishWill
  readonly #maxDelayed: number

  /**
   * @param maxDelayed maximum number of delayed wills; further ones are published at once
   */
  constructor(store: WillStore, publishWill: PublishWill, maxDelayed: number) {
    this.#store = store
    this.#publishWill = publishWill
    this.#maxDelayed = maxDelayed
  }

  /**
   * Stores the will of a connected client, or removes the stored one if it has none.
   *
   * @param expiryS its Session Expiry Interval, which limits the delay of the will
   */
  set(client: Client, will: MessageSource | null | undefined, expiryS: number): void {
    if (will !== null && will !== undefined) {
      this.#owners.set(client.id, client)
      this.#store.put(client.id, { ...will, delayS: Math.min(delayOf(will), expiryS) })
    } else if (this.#owners.delete(client.id)) this.#store.remove(client.id)
  }

  /** Discards the will after a normal DISCONNECT. */
  discard(client: Client): void {
    this.#remove(client.id, client)
  }

  /** Publishes a will. */
  publish(clientId: string, client: Client | null, will: MessageSource): void {
    this.#publishWill(will, client, () => {
      this.#remove(clientId, client)
    })
  }

  /** Publishes a will after a delay, unless {@link cancel} is called first. */
  delay(clientId: string, client: Client | null, will: MessageSource, delayS: number): void {
    if (this.#delayed.size >= this.#maxDelayed) {
      this.publish(clientId, client, will)
      return
    }
    const at = Date.now() + delayS * SECOND_MS
    const arm = (): NodeJS.Timeout =>
      setTimeout(
        () => {
          if (at <= Date.now()) this.publishNow(clientId)
          else this.#delayed.set(clientId, { client, will, timer: arm() })
        },
        Math.min(MAX_TIMER_MS, Math.max(0, at - Date.now()))
      ).unref()
    this.#delayed.set(clientId, { client, will, timer: arm() })
  }

  /** The client has resumed its session: its delayed will is not published [MQTT-3.1.3-9]. */
  cancel(clientId: string): void {
    clearTimeout(this.#delayed.get(clientId)?.timer)
    this.#delayed.delete(clientId)
  }

  /** The session has ended: publishes its delayed will at once [MQTT-3.1.2-8]. */
  publishNow(clientId: string): void {
    const delayed = this.#delayed.get(clientId)
    if (delayed === undefined) return
    this.cancel(clientId)
    this.publish(clientId, delayed.client, delayed.will)
  }

  /**
   * Publishes the wills of clients that were connected when an earlier run was killed [MQTT-3.1.2-8]. Wills with a
   * delay are delayed again, so that their clients can reconnect.
   */
  async publishLeftover(): Promise<void> {
    const leftover: StoredWill[] = []
    for await (const will of this.#store.leftover()) leftover.push(will)
    for (const { clientId, delayS: stored, ...will } of leftover) {
      Reflect.deleteProperty(will, 'brokerId')
      this.#owners.set(clientId, null)
      const delayS = stored ?? delayOf(will)
      if (delayS > 0) this.delay(clientId, null, will, delayS)
      else this.publish(clientId, null, will)
    }
  }

  /** Cancels all delayed wills; they stay stored. */
  stop(): void {
    for (const { timer } of this.#delayed.values()) clearTimeout(timer)
    this.#delayed.clear()
  }

  #remove(clientId: string, client: Client | null): void {
    if (!this.#owners.has(clientId) || this.#owners.get(clientId) !== client) return
    this.#owners.delete(clientId)
    this.#store.remove(clientId)
  }
}

/** Returns the Will Delay Interval of a will, seconds. */
export function delayOf({ properties }: MessageSource): number {
  const delay = properties?.willDelayInterval
  return typeof delay === 'number' ? delay : 0
}
