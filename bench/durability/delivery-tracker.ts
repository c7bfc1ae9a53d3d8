// Tracks every delivery of a run: which message was sent, acknowledged and received by which subscriber, how often and
// in which order.

/** A publisher; all its messages have one QoS and rotate over its topics. */
export interface TrackedPublisher {
  name: string
  qos: 1 | 2
  topics: readonly string[]
}

/** A subscriber to which every message is due. */
export interface TrackedSubscriber {
  name: string
  /** Highest QoS granted to any of its filters. */
  qos: 1 | 2
}

/** Delivery figures of a subscriber. */
export interface SubscriberFigures {
  name: string
  qos: 1 | 2
  /** Messages acknowledged to their publishers. */
  due: number
  /** Acknowledged messages that never arrived, by QoS of the publisher. */
  missing: Record<1 | 2, number>
  /** QoS 2 messages received more than once. */
  twice: number
  /** Messages first received after a later one of the same publisher and topic. */
  disordered: number
  /** Messages whose QoS is not the lower of publisher's and subscriber's. */
  wrongQos: number
  /** QoS 1 messages received more than once, which is allowed. */
  again: number
}

/** Figures of all publishers. */
export interface PublisherFigures {
  published: number
  /** By QoS. */
  acknowledged: Record<1 | 2, number>
  /** Resent and never acknowledged. */
  unacknowledged: number
}

const GROWTH = 4_096
const MAX_COUNT = 255

/** A counter for each message of a publisher. */
class MessageCounts {
  #counts = new Uint8Array(GROWTH)

  get(number: number): number {
    return this.#counts[number] ?? 0
  }

  add(number: number): number {
    if (number >= this.#counts.length) {
      const grown = new Uint8Array(Math.max(this.#counts.length * 2, number + GROWTH))
      grown.set(this.#counts)
      this.#counts = grown
    }
    return (this.#counts[number] = Math.min(this.#counts[number] + 1, MAX_COUNT))
  }
}

interface Receipts {
  figures: SubscriberFigures
  /** Distinct messages received. */
  received: number
  /** By publisher. */
  counts: MessageCounts[]
  /** Highest number so far, by publisher and topic. */
  latest: Map<string, number>[]
}

/** Tracks deliveries. */
export class DeliveryTracker {
  /** Acknowledgements and messages received so far. */
  events = 0
  readonly #sent: number[]
  readonly #acknowledged: MessageCounts[]
  readonly #acknowledgedOf: Record<1 | 2, number> = { 1: 0, 2: 0 }
  readonly #receipts: Receipts[]
  readonly #publishers: readonly TrackedPublisher[]

  constructor(publishers: readonly TrackedPublisher[], subscribers: readonly TrackedSubscriber[]) {
    this.#publishers = publishers
    this.#sent = publishers.map(() => 0)
    this.#acknowledged = publishers.map(() => new MessageCounts())
    this.#receipts = subscribers.map(({ name, qos }) => ({
      figures: { name, qos, due: 0, missing: { 1: 0, 2: 0 }, twice: 0, disordered: 0, wrongQos: 0, again: 0 },
      received: 0,
      counts: publishers.map(() => new MessageCounts()),
      latest: publishers.map(() => new Map())
    }))
  }

  /** Returns the next message of a publisher. */
  next(publisher: number): { topic: string; payload: string; qos: 1 | 2 } {
    const { qos, topics } = this.#publishers[publisher]
    const number = this.#sent[publisher]++
    return { topic: topics[number % topics.length], payload: `${publisher} ${number}`, qos }
  }

  acknowledge({ payload }: { payload: string }): void {
    this.events++
    const [publisher, number] = payload.split(' ').map(Number)
    if (this.#acknowledged[publisher].add(number) === 1) this.#acknowledgedOf[this.#publishers[publisher].qos]++
  }

  receive(subscriber: number, topic: string, payload: string, qos: number): void {
    const [publisher, number] = payload.split(' ').map(Number)
    const receipts = this.#receipts[subscriber]
    const { figures, counts, latest } = receipts
    this.events++
    const due = Math.min(this.#publishers[publisher].qos, figures.qos)
    if (qos !== due) figures.wrongQos++
    if (counts[publisher].add(number) > 1) {
      if (due === 2) figures.twice++
      else figures.again++
      return
    }
    receipts.received++
    if (number < (latest[publisher].get(topic) ?? -1)) figures.disordered++
    else latest[publisher].set(topic, number)
  }

  /** Whether every subscriber received every message. */
  isComplete(): boolean {
    const all = this.#sent.reduce((sum, count) => sum + count, 0)
    return this.#receipts.every(({ received }) => received === all)
  }

  publisherFigures(): PublisherFigures {
    const published = this.#sent.reduce((sum, count) => sum + count, 0)
    const { 1: one, 2: two } = this.#acknowledgedOf
    return { published, acknowledged: { 1: one, 2: two }, unacknowledged: published - one - two }
  }

  /** Scans all messages; call it once at the end of a run. */
  subscriberFigures(): SubscriberFigures[] {
    return this.#receipts.map(({ figures, counts }) => {
      const all: SubscriberFigures = { ...figures, missing: { 1: 0, 2: 0 } }
      this.#publishers.forEach(({ qos }, publisher) => {
        for (let number = 0; number < this.#sent[publisher]; number++) {
          if (this.#acknowledged[publisher].get(number) === 0) continue
          all.due++
          if (counts[publisher].get(number) === 0) all.missing[qos]++
        }
      })
      return all
    })
  }
}
