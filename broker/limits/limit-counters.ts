// Counts how often each limit is exceeded, with rate-limited log lines.

import type { Logger } from 'pino'
import { evictOldest } from '../../src/bounded-map.js'
import { printable } from '../terminal/printable.js'
import { DENIALS, LIMITS, type LimitName } from './catalog.js'

/** Time between two entries for the same limit and address, ms. */
const SAME_ENTRY_MS = 10_000
/** The same for failed logins, ms: short, because fail2ban counts the entries. */
const LOGIN_ENTRY_MS = 1_000
/** The same for denials, ms: long, because clients keep repeating a denied request. */
const DENIAL_ENTRY_MS = 600_000
/** Entries per second in total, so that many addresses cannot fill the disk. */
const MAX_ENTRIES_PER_SECOND = 20
/** Remembered pairs of limit and address; the least recently logged is dropped first. */
const MAX_REMEMBERED = 10_000

/** The client that exceeded a limit, as far as known. */
export interface LimitSubject {
  client?: string | null
  username?: string | null
  topic?: string
}

interface LastEntry {
  loggedAtMs: number
  /** Hits since then that were not logged. */
  suppressed: number
}

/** The counters of all limits. */
export class LimitCounters {
  readonly counts: Record<LimitName, number>
  readonly #lastEntries = new Map<string, LastEntry>()
  #second = -1
  #entries = 0
  readonly #log: Logger
  readonly #now: () => number

  /**
   * @param now monotonic clock, ms
   */
  constructor(log: Logger, now: () => number = () => performance.now()) {
    this.#log = log
    this.#now = now
    this.counts = Object.fromEntries(Object.keys(LIMITS).map(name => [name, 0])) as Record<LimitName, number>
  }

  /**
   * Counts and logs an exceeded limit.
   *
   * @param address of the client; behind a trusted proxy, the announced one
   */
  hit(name: LimitName, address: string, subject: LimitSubject = {}): void {
    this.counts[name]++
    const now = this.#now()
    const isDenial = DENIALS.has(name)
    const key = isDenial ? `${name} ${address} ${subject.client}` : `${name} ${address}`
    const last = this.#lastEntries.get(key)
    if (
      last !== undefined &&
      now - last.loggedAtMs < (isDenial ? DENIAL_ENTRY_MS : name === 'login' ? LOGIN_ENTRY_MS : SAME_ENTRY_MS)
    ) {
      last.suppressed++
      return
    }
    if (!this.#mayLog(now)) return
    this.#lastEntries.delete(key)
    evictOldest(this.#lastEntries, MAX_REMEMBERED)
    this.#lastEntries.set(key, { loggedAtMs: now, suppressed: 0 })
    const { client, username, topic } = subject
    // Names that clients choose follow the message, so that no log filter takes them for an address.
    this.#log[isDenial ? 'info' : 'warn'](
      {
        limit: name,
        address,
        ...(last !== undefined && last.suppressed > 0 && { more: last.suppressed }),
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
