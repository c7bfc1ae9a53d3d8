// Counts who went beyond which limit, and says so in the log, but not for each of a thousand times.

import type { Logger } from 'pino'
import { printable } from '../terminal/printable.js'
import { DENIALS, LIMITS, type LimitName } from './catalog.js'

/** Time between two entries about the same limit and address, ms. */
const SAME_ENTRY_MS = 10_000
/** Failed logins are counted by those who ban on the log: each within this time gets its own entry. */
const LOGIN_ENTRY_MS = 1_000
/** A client without the right to something keeps asking for it. */
const DENIAL_ENTRY_MS = 600_000
/** Entries a second in all: a thousand addresses must not fill the disk either. */
const MAX_ENTRIES_PER_SECOND = 20
/** Pairs of limit and address that are remembered; the longest quiet goes first. */
const MAX_REMEMBERED = 10_000

/** Whom a limit concerned, as far as known. */
export interface LimitSubject {
  client?: string | null
  username?: string | null
  topic?: string
}

interface Remembered {
  loggedAtMs: number
  /** Times since then. */
  unsaid: number
}

/** The counters of all limits. */
export class LimitCounters {
  readonly counters: Record<LimitName, number>
  readonly #remembered = new Map<string, Remembered>()
  #second = -1
  #entries = 0
  readonly #log: Logger
  readonly #now: () => number

  /**
   * @param now milliseconds of a steady clock
   */
  constructor(log: Logger, now: () => number = () => performance.now()) {
    this.#log = log
    this.#now = now
    this.counters = Object.fromEntries(Object.keys(LIMITS).map(name => [name, 0])) as Record<LimitName, number>
  }

  /**
   * Somebody went beyond a limit.
   *
   * @param address of the client, the announced one where it came through a trusted proxy
   * @param who client id, username or topic, as far as known
   */
  hit(name: LimitName, address: string, who: LimitSubject = {}): void {
    this.counters[name]++
    const now = this.#now()
    const isDenial = DENIALS.has(name)
    const key = isDenial ? `${name} ${address} ${who.client}` : `${name} ${address}`
    const before = this.#remembered.get(key)
    if (
      before !== undefined &&
      now - before.loggedAtMs < (isDenial ? DENIAL_ENTRY_MS : name === 'login' ? LOGIN_ENTRY_MS : SAME_ENTRY_MS)
    ) {
      before.unsaid++
      return
    }
    if (!this.#mayLog(now)) return
    this.#remembered.delete(key)
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.delete(this.#remembered.keys().next().value ?? '')
    this.#remembered.set(key, { loggedAtMs: now, unsaid: 0 })
    const { client, username, topic } = who
    // What clients call themselves stands after the sentence, where nobody's filter takes it for an address.
    this.#log[isDenial ? 'info' : 'warn'](
      {
        limit: name,
        address,
        ...(before !== undefined && before.unsaid > 0 && { more: before.unsaid }),
        ...(client && { client: printable(client) }),
        ...(username && { username: printable(username) }),
        ...(topic && { topic: printable(topic) })
      },
      `Limit ${name}: ${address || 'no address'} ${LIMITS[name]}.`
    )
  }

  #mayLog(now: number): boolean {
    const second = Math.floor(now / 1_000)
    if (second !== this.#second) {
      this.#second = second
      this.#entries = 0
    }
    return ++this.#entries <= MAX_ENTRIES_PER_SECOND
  }
}
