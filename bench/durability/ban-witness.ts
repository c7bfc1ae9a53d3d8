// Bans: those that the broker has confirmed are in force after the kill.

import { CONTROL_TOPICS } from '../../src/index.js'
import { ResumingClient } from './resuming-client.js'
import { Tally, type Witness } from './witness.js'

const SECONDS = 86_400
/** Addresses of nobody else. */
const NETWORK = '127.0.66.'
const ADDRESSES = 250

interface Ban {
  clientId?: string
  address?: string
  /** When the broker confirmed it, and how long before the kill that was, ms. */
  since: number
  age?: number
}

interface Answer {
  data?: { bans?: { clientId: string | null; address: string | null }[] }
  error?: string
}

/** Asks for a ban between each two kills, of a client and of an address by turns. */
export class BanWitness implements Witness {
  readonly #listed = new Tally('bans')
  readonly #kept = new Tally('banned clients refused')
  readonly #bans = new Set<Ban>()
  #round = 0
  #client: ResumingClient | undefined

  async check(port: number): Promise<void> {
    const { data } = await this.#ask(port, { command: 'bans' })
    const there = data?.bans ?? []
    const latest = [...this.#bans].at(-1)
    for (const ban of [...this.#bans]) {
      const isThere = there.some(
        ({ clientId, address }) => clientId === (ban.clientId ?? null) && address === (ban.address ?? null)
      )
      this.#listed.check(isThere, () => `${nameOf(ban)}, confirmed ${Math.round(ban.age ?? 0)} ms before the kill`)
      if (!isThere) this.#bans.delete(ban)
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
    await banned.cut()
    // Where the broker is gone, nobody gets in.
    if (this.#client?.isConnected === true) this.#kept.check(wasRefused, () => nameOf(latest))
  }

  async act(port: number): Promise<void> {
    const round = this.#round++
    const whom = round % 2 === 0 ? { clientId: `banned-${round}` } : { address: `${NETWORK}${(round % ADDRESSES) + 1}` }
    const { error } = await this.#ask(port, { command: 'ban', ...whom, seconds: SECONDS })
    if (error !== undefined) throw new Error(`no ban: ${error}`)
    this.#bans.add({ ...whom, since: performance.now() })
  }

  async killed(): Promise<void> {
    for (const ban of this.#bans) ban.age ??= performance.now() - ban.since
    await this.#client?.closed
  }

  get lasting(): ResumingClient[] {
    return []
  }

  findings(): Tally[] {
    return [this.#listed, this.#kept]
  }

  /** Asks as `artemis ban` does. */
  async #ask(port: number, command: object): Promise<Answer> {
    if (this.#client?.isConnected !== true) {
      this.#client = new ResumingClient({
        clientId: 'operator',
        version: 4,
        clean: true,
        onMessage: ({ payload }) => {
          this.#onAnswer(payload.toString())
        }
      })
      await this.#client.connect(port)
    }
    const client = this.#client
    return await new Promise((resolve, reject) => {
      this.#onAnswer = text => {
        resolve((JSON.parse(text) as { responses: Answer[] }).responses[0])
      }
      void client.closed.then(() => {
        reject(new Error('the connection ended before the answer'))
      })
      client.publish({ topic: CONTROL_TOPICS.request, payload: JSON.stringify({ commands: [command] }), qos: 1 })
    })
  }

  #onAnswer: (text: string) => void = () => {}
}

function nameOf({ clientId, address }: Ban): string {
  return clientId ?? address ?? ''
}
