// Runs all publishers and subscribers of a run: connects them, keeps their in-flight windows full, and tracks every
// delivery.

import { publishers, SUBSCRIBERS, type PublisherSpec, type SubscriberSpec } from './client-specs.js'
import { DeliveryTracker, type PublisherFigures, type SubscriberFigures } from './delivery-tracker.js'
import { ResumingClient } from './resuming-client.js'

interface ClientEntry {
  client: ResumingClient
  /** Filters it subscribes to, once. */
  filters: SubscriberSpec['filters']
  isAway: boolean
  hasSubscribed: boolean
}

/** Delivery figures of all messages. */
export interface LoadFigures {
  publishers: PublisherFigures
  subscribers: SubscriberFigures[]
  /** Connections that the broker closed or refused without a kill. */
  closed: number
}

/** All clients of a run. */
export class LoadClients {
  readonly #specs: PublisherSpec[]
  readonly #ledger: DeliveryTracker
  readonly #publishers: ResumingClient[]
  readonly #entries: ClientEntry[]
  #isPublishing = true
  #closed = 0
  readonly #window: number

  /** @param window unacknowledged messages per publisher */
  constructor(count: number, window: number) {
    this.#window = window
    this.#specs = publishers(count)
    this.#ledger = new DeliveryTracker(this.#specs, SUBSCRIBERS)
    this.#publishers = this.#specs.map(
      ({ name, version }, i) =>
        new ResumingClient({
          clientId: name,
          version,
          onAcknowledged: message => {
            this.#ledger.acknowledge(message)
          },
          // Deferred so that one publisher does not starve the others.
          onCompleted: () => {
            setImmediate(() => {
              this.#fill(i)
            })
          }
        })
    )
    this.#entries = [
      ...SUBSCRIBERS.map(({ name, version, filters, acknowledgeAfterMs, isAway = false }, i): ClientEntry => ({
        client: new ResumingClient({
          clientId: name,
          version,
          acknowledgeAfterMs,
          onMessage: ({ topic, payload, qos }) => {
            this.#ledger.receive(i, topic, payload.toString(), qos)
          }
        }),
        filters,
        isAway,
        hasSubscribed: false
      })),
      ...this.#specs.map(({ name, subscribes }, i): ClientEntry => ({
        client: this.#publishers[i],
        filters: subscribes ? [{ topic: `own/${name}`, qos: 1 }] : [],
        isAway: false,
        hasSubscribed: false
      }))
    ]
  }

  get all(): ResumingClient[] {
    return this.#entries.map(({ client }) => client)
  }

  /** Number of received messages and acknowledgements. */
  get events(): number {
    return this.#ledger.events
  }

  /**
   * Connects all clients; the first time, they also subscribe. Resolves when all are connected or the broker was
   * killed.
   */
  async connect(port: number, includeAway: boolean, isKilled: () => boolean): Promise<void> {
    const isFirst = this.#entries.some(({ hasSubscribed }) => !hasSubscribed)
    const connecting = this.#entries.filter(({ isAway }) => isFirst || includeAway || !isAway)
    await Promise.all(
      connecting.map(async entry => {
        const { client, filters } = entry
        try {
          await client.connect(port)
          if (!entry.hasSubscribed && filters.length > 0) await client.subscribe([...filters])
          entry.hasSubscribed = true
        } catch (error) {
          if (isKilled()) return
          if (isFirst) throw error
          this.#closed++
          return
        }
        void client.closed.then(() => {
          if (!isKilled()) this.#closed++
        })
        // The first time, publish only after all subscriptions: every message is due to every subscriber.
        if (!isFirst) this.#fill(this.#publishers.indexOf(client))
      })
    )
    if (!isFirst) return
    this.#publishers.forEach((_, i) => {
      this.#fill(i)
    })
  }

  /** Stops new messages; unacknowledged ones are still resent. */
  stopPublishing(): void {
    this.#isPublishing = false
  }

  /** Whether all messages were acknowledged and received. */
  isDrained(): boolean {
    return this.#publishers.every(({ inFlight }) => inFlight === 0) && this.#ledger.isComplete()
  }

  /** Resolves when all connections are closed and all received data was read. */
  async closed(): Promise<void> {
    await Promise.all(
      this.#entries.map(async ({ client }) => {
        await client.closed
      })
    )
  }

  publisherFigures(): PublisherFigures {
    return this.#ledger.publisherFigures()
  }

  figures(): LoadFigures {
    return {
      publishers: this.#ledger.publisherFigures(),
      subscribers: this.#ledger.subscriberFigures(),
      closed: this.#closed
    }
  }

  #fill(publisher: number): void {
    const client = this.#publishers[publisher] as ResumingClient | undefined
    if (client === undefined || !client.isConnected) return
    while (this.#isPublishing && client.inFlight < Math.min(this.#window, client.receiveMaximum))
      client.publish(this.#ledger.next(publisher))
  }
}
