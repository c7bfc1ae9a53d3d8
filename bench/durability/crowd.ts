// All publishers and subscribers of a run: they connect together, keep their windows full, and their books are one
// ledger.

import { publishers, SUBSCRIBERS, type PublisherPart, type SubscriberPart } from './cast.js'
import { Ledger, type PublisherFigures, type SubscriberFigures } from './ledger.js'
import { ResumingClient } from './resuming-client.js'

interface Member {
  client: ResumingClient
  /** What it subscribes to, once. */
  filters: SubscriberPart['filters']
  isAway: boolean
  hasSubscribed: boolean
}

/** What became of all messages. */
export interface CrowdFigures {
  publishers: PublisherFigures
  subscribers: SubscriberFigures[]
  /** Connections that the broker closed, or refused, by itself. */
  closed: number
}

/** They. */
export class Crowd {
  readonly #parts: PublisherPart[]
  readonly #ledger: Ledger
  readonly #publishers: ResumingClient[]
  readonly #members: Member[]
  #isPublishing = true
  #closed = 0
  readonly #window: number

  /** @param window unacknowledged messages of each publisher */
  constructor(count: number, window: number) {
    this.#window = window
    this.#parts = publishers(count)
    this.#ledger = new Ledger(this.#parts, SUBSCRIBERS)
    this.#publishers = this.#parts.map(
      ({ name, version }, i) =>
        new ResumingClient({
          clientId: name,
          version,
          onAcknowledged: message => {
            this.#ledger.acknowledge(message)
          },
          // Deferred, so that one publisher does not starve the others.
          onCompleted: () => {
            setImmediate(() => {
              this.#fill(i)
            })
          }
        })
    )
    this.#members = [
      ...SUBSCRIBERS.map(({ name, version, filters, acknowledgeAfterMs, isAway = false }, i): Member => ({
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
      ...this.#parts.map(({ name, subscribes }, i): Member => ({
        client: this.#publishers[i],
        filters: subscribes ? [{ topic: `own/${name}`, qos: 1 }] : [],
        isAway: false,
        hasSubscribed: false
      }))
    ]
  }

  /** Everybody. */
  get clients(): ResumingClient[] {
    return this.#members.map(({ client }) => client)
  }

  /** How many messages and acknowledgements have come. */
  get events(): number {
    return this.#ledger.events
  }

  /** Connects everybody, at first once to subscribe; resolves when all are there, or the broker is gone. */
  async come(port: number, withAway: boolean, isKilled: () => boolean): Promise<void> {
    const isFirst = this.#members.some(({ hasSubscribed }) => !hasSubscribed)
    const coming = this.#members.filter(({ isAway }) => isFirst || withAway || !isAway)
    await Promise.all(
      coming.map(async member => {
        const { client, filters } = member
        try {
          await client.connect(port)
          if (!member.hasSubscribed && filters.length > 0) await client.subscribe([...filters])
          member.hasSubscribed = true
        } catch (error) {
          if (isKilled()) return
          if (isFirst) throw error
          this.#closed++
          return
        }
        void client.closed.then(() => {
          if (!isKilled()) this.#closed++
        })
        // Once subscribers are there, every message is due to all of them.
        if (!isFirst) this.#fill(this.#publishers.indexOf(client))
      })
    )
    if (!isFirst) return
    this.#publishers.forEach((_, i) => {
      this.#fill(i)
    })
  }

  /** No new messages; what is unacknowledged goes on. */
  stopPublishing(): void {
    this.#isPublishing = false
  }

  /** Whether everything that was sent was acknowledged and came. */
  isDrained(): boolean {
    return this.#publishers.every(({ inFlight }) => inFlight === 0) && this.#ledger.isComplete()
  }

  /** Resolves when all connections are gone and what came by them was read. */
  async gone(): Promise<void> {
    await Promise.all(
      this.#members.map(async ({ client }) => {
        await client.closed
      })
    )
  }

  publisherFigures(): PublisherFigures {
    return this.#ledger.publisherFigures()
  }

  figures(): CrowdFigures {
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
