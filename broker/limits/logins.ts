// Limits of failed logins per address and per username.

import type { Aedes } from 'aedes-2'
import { evictOldest } from '../../src/bounded-map.js'
import { acceptedOf } from '../listeners/accepted-connection.js'
import type { LimitCounters } from './limit-counters.js'

/** The enforced settings. */
export interface LoginLimits {
  perAddress: number | null
  perUser: number | null
  /** Time for which a failure counts, ms. */
  window: number
}

/** The limit that refuses a login. */
export type LoginRefusal = 'loginsPerAddress' | 'loginsPerUser'

/** Reports the result of a started login. */
export type EndLogin = (isAccepted: boolean) => void

/** Remembered addresses, usernames and pairs, each; the least recently used is dropped first. */
const MAX_REMEMBERED = 4_096
/** Logins that wait for the result of others; further ones are refused. */
const MAX_WAITING = 512
/** Return code for "not authorized" [MQTT-3.2.2-6]. */
const NOT_AUTHORIZED = 5

/** The logins of one address, username or pair. */
interface Attempts {
  /** Times of failure, ms. */
  failures: number[]
  /** Started and without a result yet. */
  pending: number
}

/** A limit that applies to a login. */
interface AppliedLimit {
  attempts: Attempts
  limit: number
  refusal: LoginRefusal
}

/** A login. It waits if it would exceed a limit should all pending ones fail. */
interface Login {
  address: string
  username: string
  start: (end: EndLogin) => void
  refuse: (refusal: LoginRefusal) => void
}

/**
 * Counts failed logins. A pair of address and username that logged in before is counted separately, so that failures of
 * other users at the address, or for the username elsewhere, cannot lock it out.
 */
export class LoginAttempts {
  readonly #byAddress = new Map<string, Attempts>()
  readonly #byUser = new Map<string, Attempts>()
  readonly #byPair = new Map<string, Attempts>()
  /** Pairs that logged in before. */
  readonly #known = new Map<string, true>()
  #waiting: Login[] = []
  readonly #limits: LoginLimits
  readonly #now: () => number

  /**
   * @param now monotonic clock, ms
   */
  constructor(limits: LoginLimits, now: () => number = () => performance.now()) {
    this.#limits = limits
    this.#now = now
  }

  /**
   * Starts a login, or makes it wait until enough pending ones succeed. Concurrent logins get no more guesses than
   * sequential ones.
   *
   * @param start receives the function to call with the result
   * @param refuse receives the exceeded limit
   */
  attempt(
    address: string,
    username: string,
    start: (end: EndLogin) => void,
    refuse: (refusal: LoginRefusal) => void
  ): void {
    const login = { address, username, start, refuse }
    if (this.#tryStart(login)) return
    if (this.#waiting.length >= MAX_WAITING) refuse('loginsPerAddress')
    else this.#waiting.push(login)
  }

  /** Starts or refuses a login; false if it must wait. */
  #tryStart({ address, username, start, refuse }: Login): boolean {
    const limits = this.#limitsFor(address, username)
    const exceeded = limits.find(({ attempts, limit }) => attempts.failures.length >= limit)
    if (exceeded !== undefined) {
      refuse(exceeded.refusal)
      return true
    }
    if (limits.some(({ attempts: { failures, pending }, limit }) => failures.length + pending >= limit)) return false
    for (const { attempts } of limits) attempts.pending++
    start(isAccepted => {
      this.#end(limits, `${address} ${username}`, isAccepted)
    })
    return true
  }

  #end(limits: readonly AppliedLimit[], pair: string, isAccepted: boolean): void {
    const at = this.#now()
    for (const { attempts } of limits) {
      attempts.pending--
      if (!isAccepted) attempts.failures.push(at)
    }
    if (isAccepted) remember(this.#known, pair, true)
    const waiting = this.#waiting
    this.#waiting = []
    for (const login of waiting) if (!this.#tryStart(login)) this.#waiting.push(login)
  }

  #limitsFor(address: string, username: string): AppliedLimit[] {
    const { perAddress, perUser } = this.#limits
    const pair = `${address} ${username}`
    const counts: [Map<string, Attempts>, string, number | null, LoginRefusal][] = this.#known.has(pair)
      ? [[this.#byPair, pair, perAddress, 'loginsPerAddress']]
      : [
          [this.#byAddress, address, perAddress, 'loginsPerAddress'],
          [this.#byUser, username, perUser, 'loginsPerUser']
        ]
    return counts.flatMap(([map, key, limit, refusal]) =>
      limit === null ? [] : { attempts: this.#recent(map, key), limit, refusal }
    )
  }

  #recent(map: Map<string, Attempts>, key: string): Attempts {
    const attempts = map.get(key) ?? { failures: [], pending: 0 }
    const since = this.#now() - this.#limits.window
    attempts.failures = attempts.failures.filter(at => at > since)
    remember(map, key, attempts)
    return attempts
  }
}

/** Limits failed logins, in front of the current authentication hook. */
export function limitLogins(aedes: Aedes, limits: LoginLimits, limitCounters: LimitCounters): void {
  const attempts = new LoginAttempts(limits)
  const { authenticate } = aedes
  aedes.authenticate = (client, username, password, done) => {
    const address = acceptedOf(client.conn)?.client.address ?? ''
    const subject = { client: client.id, username: username ?? null }
    attempts.attempt(
      address,
      username ?? '',
      end => {
        authenticate.call(aedes, client, username, password, (error, isAuthentic) => {
          const isAccepted = !error && isAuthentic === true
          if (!isAccepted) limitCounters.hit('login', address, subject)
          done(error, isAuthentic)
          end(isAccepted)
        })
      },
      refusal => {
        limitCounters.hit(refusal, address, subject)
        done(Object.assign(new Error('too many failed logins'), { returnCode: NOT_AUTHORIZED }), false)
      }
    )
  }
}

function remember<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key)
  evictOldest(map, MAX_REMEMBERED)
  map.set(key, value)
}
