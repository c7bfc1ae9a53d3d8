// Checks that bans which the broker confirmed are in force after the kill.

import { CONTROL_TOPICS } from '../../src/index.js'
import { ResumingClient } from './resuming-client.js'
import { CheckCounter, type DurabilityCheck } from './durability-check.js'

const SECONDS = 86_400
/** Addresses that no other client uses. */
const NETWORK = '127.0.66.'
const ADDRESSES = 250

interface Ban {
  clientId?: string
  address?: string
  /** Time of the broker's confirmation, and its age at the kill, ms. */
  since: number
  age?: number
}

interface Response {
  data?: { bans?: { clientId: string | null; address: string | null }[] }
  error?: string
}

/** Requests a ban between two kills, alternating between a client and an address. */
export class BanCheck implements DurabilityCheck {
  readonly #listed = new CheckCounter('bans')
  readonly #kept = new CheckCounter('banned clients refused')
  readonly #bans = new Set<Ban>()
  #round = 0
  #client: ResumingClient | undefined

  async check(port: number): Promise<void> {
    const { data } = await this.#request(port, { command: 'bans' })
    const there = data?.bans ?? []
    const latest = [...this.#bans].at(-1)
    for (const ban of [...this.#bans]) {
      const isListed = there.some(
        ({ clientId, address }) => clientId === (ban.clientId ?? null) && address === (ban.address ?? null)
      )
      this.#listed.check(isListed, () => `${nameOf(ban)}, confirmed ${Math.round(ban.age ?? 0)} ms before the kill`)
      if (!isListed) this.#bans.delete(ban)
    }
    if (latest === undefined || !this.#bans.has(latest)) return
    const banned = new ResumingClient({
      clientId: latest.clientId ?? 'stranger',
      version: 4,
      clean: true,
      ...(latest.address !== undefined && { from: latest.address })
    })
    const wasRefused = await banned.connect(port).then(
      () => false,
      () => true
    )
    await banned.destroy()
    // Skip if the broker has exited: every connection fails then.
    if (this.#client?.isConnected === true) this.#kept.check(wasRefused, () => nameOf(latest))
  }

  async act(port: number): Promise<void> {
    const round = this.#round++
    const target =
      round % 2 === 0 ? { clientId: `banned-${round}` } : { address: `${NETWORK}${(round % ADDRESSES) + 1}` }
    const { error } = await this.#request(port, { command: 'ban', ...target, seconds: SECONDS })
    if (error !== undefined) throw new Error(`Ban failed: ${error}`)
    this.#bans.add({ ...target, since: performance.now() })
  }

  async killed(): Promise<void> {
    for (const ban of this.#bans) ban.age ??= performance.now() - ban.since
    await this.#client?.closed
  }

  get persistentClients(): ResumingClient[] {
    return []
  }

  findings(): CheckCounter[] {
    return [this.#listed, this.#kept]
  }

  /** Sends a command as `artemis ban` does. */
  async #request(port: number, command: object): Promise<Response> {
    if (this.#client?.isConnected !== true) {
      this.#client = new ResumingClient({
        clientId: 'operator',
        version: 4,
        clean: true,
        onMessage: ({ payload }) => {
          this.#onResponse(payload.toString())
        }
      })
      await this.#client.connect(port)
    }
    const client = this.#client
    return await new Promise((resolve, reject) => {
      this.#onResponse = text => {
        resolve((JSON.parse(text) as { responses: Response[] }).responses[0])
      }
      void client.closed.then(() => {
        reject(new Error('connection closed before the response'))
      })
      client.publish({ topic: CONTROL_TOPICS.request, payload: JSON.stringify({ commands: [command] }), qos: 1 })
    })
  }

  #onResponse: (text: string) => void = () => {}
}

function nameOf({ clientId, address }: Ban): string {
  return clientId ?? address ?? ''
}
