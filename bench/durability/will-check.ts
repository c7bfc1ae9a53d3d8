// Checks that wills of clients connected at the kill are published, and wills of clients that sent DISCONNECT are not.

import { ResumingClient } from './resuming-client.js'
import { CheckCounter, waitUntilTrue, type DurabilityCheck } from './durability-check.js'

const ROOT = 'wills'

/**
 * Between two kills, one client stays connected and one disconnects; a client with a persistent session receives the
 * wills.
 */
export class WillCheck implements DurabilityCheck {
  readonly #published = new CheckCounter('wills')
  readonly #discarded = new CheckCounter('wills of disconnected clients')
  readonly #received = new Set<string>()
  readonly #subscriber = new ResumingClient({
    clientId: 'will-watcher',
    version: 4,
    onMessage: ({ payload }) => {
      this.#received.add(payload.toString())
    }
  })
  #round = 0
  #connected: ResumingClient | undefined
  #isConnected = false
  #expected: string[] = []
  #unexpected: string[] = []

  async check(port: number): Promise<void> {
    await this.#subscriber.connect(port)
    if (this.#round === 0) await this.#subscriber.subscribe([{ topic: `${ROOT}/#`, qos: 1 }])
    const isReceived = (payload: string): boolean => this.#received.has(payload)
    await waitUntilTrue(() => this.#expected.every(isReceived))
    if (!this.#subscriber.isConnected) return
    for (const payload of this.#expected) this.#published.check(isReceived(payload), () => payload)
    for (const payload of this.#unexpected) this.#discarded.check(!isReceived(payload), () => payload)
    this.#expected = []
    this.#unexpected = []
  }

  async act(port: number): Promise<void> {
    const round = ++this.#round
    const version = round % 4 < 2 ? 4 : 5
    const disconnecting = clientWithWill(`leaving-${round}`, version, `left ${round}`)
    await disconnecting.connect(port)
    await disconnecting.disconnect()
    // Reuse the same client id every second round.
    const payload = `stayed ${round}`
    this.#connected = clientWithWill(round % 2 === 0 ? 'staying' : `staying-${round}`, version, payload)
    await this.#connected.connect(port)
    this.#isConnected = true
    // The broker is alive, so the DISCONNECT arrived before the kill.
    this.#unexpected.push(`left ${round}`)
    await this.#connected.closed
  }

  async killed(): Promise<void> {
    if (this.#isConnected) this.#expected.push(`stayed ${this.#round}`)
    this.#isConnected = false
    await Promise.all([this.#subscriber.closed, this.#connected?.closed])
  }

  get persistentClients(): ResumingClient[] {
    return [this.#subscriber]
  }

  findings(): CheckCounter[] {
    return [this.#published, this.#discarded]
  }
}

function clientWithWill(clientId: string, version: 4 | 5, payload: string): ResumingClient {
  return new ResumingClient({ clientId, version, clean: true, will: { topic: `${ROOT}/${clientId}`, payload } })
}
