// Wills: those of clients that were connected at the kill are published, those of clients that took their leave are
// not.

import { ResumingClient } from './resuming-client.js'
import { Tally, untilOver, type Witness } from './witness.js'

const ROOT = 'wills'

/** Between each two kills one client stays and one leaves; somebody whose session lasts listens. */
export class WillWitness implements Witness {
  readonly #published = new Tally('wills')
  readonly #withheld = new Tally('wills of clients that had left')
  readonly #heard = new Set<string>()
  readonly #watcher = new ResumingClient({
    clientId: 'will-watcher',
    version: 4,
    onMessage: ({ payload }) => {
      this.#heard.add(payload.toString())
    }
  })
  #round = 0
  #staying: ResumingClient | undefined
  #isStaying = false
  #expected: string[] = []
  #unexpected: string[] = []

  async check(port: number): Promise<void> {
    await this.#watcher.connect(port)
    if (this.#round === 0) await this.#watcher.subscribe([{ topic: `${ROOT}/#`, qos: 1 }])
    const isHeard = (payload: string): boolean => this.#heard.has(payload)
    await untilOver(() => this.#expected.every(isHeard))
    if (!this.#watcher.isConnected) return
    for (const payload of this.#expected) this.#published.check(isHeard(payload), () => payload)
    for (const payload of this.#unexpected) this.#withheld.check(!isHeard(payload), () => payload)
    this.#expected = []
    this.#unexpected = []
  }

  async act(port: number): Promise<void> {
    const round = ++this.#round
    const version = round % 4 < 2 ? 4 : 5
    const leaving = willing(`leaving-${round}`, version, `left ${round}`)
    await leaving.connect(port)
    await leaving.disconnect()
    // Every other time the one that was there before.
    const payload = `stayed ${round}`
    this.#staying = willing(round % 2 === 0 ? 'staying' : `staying-${round}`, version, payload)
    await this.#staying.connect(port)
    this.#isStaying = true
    // The broker lives: it was not the kill that ended the other's connection.
    this.#unexpected.push(`left ${round}`)
    await this.#staying.closed
  }

  async killed(): Promise<void> {
    if (this.#isStaying) this.#expected.push(`stayed ${this.#round}`)
    this.#isStaying = false
    await Promise.all([this.#watcher.closed, this.#staying?.closed])
  }

  get lasting(): ResumingClient[] {
    return [this.#watcher]
  }

  findings(): Tally[] {
    return [this.#published, this.#withheld]
  }
}

function willing(clientId: string, version: 4 | 5, payload: string): ResumingClient {
  return new ResumingClient({ clientId, version, clean: true, will: { topic: `${ROOT}/${clientId}`, payload } })
}
