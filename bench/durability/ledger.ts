// The books of a run: which message was sent, acknowledged, and received by whom, how often and in which order.

/** A publisher's messages: all of one QoS, over several topics by turns. */
export interface PublisherAccount {
  name: string
  qos: 1 | 2
  topics: readonly string[]
}

/** A subscriber that is due every message. */
export interface SubscriberAccount {
  name: string
  /** The highest that any of its filters was granted. */
  qos: 1 | 2
}

/** How a subscriber fared. */
export interface SubscriberFigures {
  name: string
  qos: 1 | 2
  /** Messages that publishers had an acknowledgement for. */
  due: number
  /** Of them, those that never came, by their publishers' QoS. */
  missing: Record<1 | 2, number>
  /** Messages of QoS 2 that came more than once. */
  twice: number
  /** Messages that came for the first time after a later one of their publisher and topic. */
  disordered: number
  /** Messages with another QoS than the lower of the two sides'. */
  wrongQos: number
  /** Messages of QoS 1 that came more than once, which is allowed. */
  again: number
}

/** What publishers fared. */
export interface PublisherFigures {
  published: number
  /** By QoS. */
  acknowledged: Record<1 | 2, number>
  /** Sent again and again, and never acknowledged. */
  unacknowledged: number
}

const GROWTH = 4_096
const MOST = 255

/** A count for each message of a publisher. */
class Counts {
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
    return (this.#counts[number] = Math.min(this.#counts[number] + 1, MOST))
  }
}

interface Receipts {
  figures: SubscriberFigures
  /** Messages that came, each once. */
  received: number
  /** By publisher. */
  counts: Counts[]
  /** The highest number so far, by publisher and topic. */
  latest: Map<string, number>[]
}

/** Keeps them. */
export class Ledger {
  /** Acknowledgements and receipts so far. */
  events = 0
  readonly #sent: number[]
  readonly #acknowledged: Counts[]
  readonly #acknowledgedOf: Record<1 | 2, number> = { 1: 0, 2: 0 }
  readonly #receipts: Receipts[]
  readonly #publishers: readonly PublisherAccount[]

  constructor(publishers: readonly PublisherAccount[], subscribers: readonly SubscriberAccount[]) {
    this.#publishers = publishers
    this.#sent = publishers.map(() => 0)
    this.#acknowledged = publishers.map(() => new Counts())
    this.#receipts = subscribers.map(({ name, qos }) => ({
      figures: { name, qos, due: 0, missing: { 1: 0, 2: 0 }, twice: 0, disordered: 0, wrongQos: 0, again: 0 },
      received: 0,
      counts: publishers.map(() => new Counts()),
      latest: publishers.map(() => new Map())
    }))
  }

  /** The next message of a publisher. */
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

  /** Whether every message that was sent came to every subscriber. */
  isComplete(): boolean {
    const all = this.#sent.reduce((sum, count) => sum + count, 0)
    return this.#receipts.every(({ received }) => received === all)
  }

  publisherFigures(): PublisherFigures {
    const published = this.#sent.reduce((sum, count) => sum + count, 0)
    const { 1: one, 2: two } = this.#acknowledgedOf
    return { published, acknowledged: { 1: one, 2: two }, unacknowledged: published - one - two }
  }

  /** Goes through all messages: for the end of a run. */
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
