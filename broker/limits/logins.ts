// Failed logins: how many there may be from one address, and for one username.

import type { Aedes } from 'aedes'
import { acceptedOf } from '../listeners/accepted-connection.js'
import type { LimitCounters } from './limit-counters.js'

/** The settings that this enforces. */
export interface LoginLimits {
  perAddress: number | null
  perUser: number | null
  /** Time for which a failure counts, ms. */
  window: number
}

/** Which limit refuses a login. */
export type LoginRefusal = 'loginsPerAddress' | 'loginsPerUser'

/** Ends a login that was begun: whether it was right. */
export type EndLogin = (isRight: boolean) => void

/** Addresses, usernames and pairs of them that are remembered; the longest quiet goes first. */
const MAX_REMEMBERED = 4_096
/** Logins that wait until others are decided; further ones are refused. */
const MAX_WAITING = 512
/** Return code for "not authorized" [MQTT-3.2.2-6]. */
const NOT_AUTHORIZED = 5

/** The logins of one address, username or pair. */
interface Attempts {
  /** When each failed. */
  failures: number[]
  /** Begun, and not decided. */
  underWay: number
}

interface Counted {
  attempts: Attempts
  limit: number
  refusal: LoginRefusal
}

/** A login that would go beyond a limit if all that are under way failed. */
interface Waiting {
  address: string
  username: string
  begin: (end: EndLogin) => void
  refuse: (refusal: LoginRefusal) => void
}

/**
 * Counts failed logins. A pair of address and username that was right before is counted apart: a stranger
 * at the same address cannot lock it out, nor one elsewhere who tries the same username.
 */
export class LoginAttempts {
  readonly #byAddress = new Map<string, Attempts>()
  readonly #byUser = new Map<string, Attempts>()
  readonly #byPair = new Map<string, Attempts>()
  readonly #known = new Map<string, true>()
  #waiting: Waiting[] = []
  readonly #limits: LoginLimits
  readonly #now: () => number

  /**
   * @param now milliseconds of a steady clock
   */
  constructor(limits: LoginLimits, now: () => number = () => performance.now()) {
    this.#limits = limits
    this.#now = now
  }

  /**
   * A login is to be decided: now, or once enough of those under way were right, so that a hundred at once have no more
   * than the guesses that one after the other would have.
   *
   * @param begin gets what is to be called with the decision
   * @param refuse gets the limit that is exceeded
   */
  take(
    address: string,
    username: string,
    begin: (end: EndLogin) => void,
    refuse: (refusal: LoginRefusal) => void
  ): void {
    const login = { address, username, begin, refuse }
    if (this.#isDecided(login)) return
    if (this.#waiting.length >= MAX_WAITING) refuse('loginsPerAddress')
    else this.#waiting.push(login)
  }

  #isDecided({ address, username, begin, refuse }: Waiting): boolean {
    const counted = this.#countedFor(address, username)
    const exceeded = counted.find(({ attempts, limit }) => attempts.failures.length >= limit)
    if (exceeded !== undefined) {
      refuse(exceeded.refusal)
      return true
    }
    if (counted.some(({ attempts: { failures, underWay }, limit }) => failures.length + underWay >= limit)) return false
    for (const { attempts } of counted) attempts.underWay++
    begin(isRight => {
      this.#end(counted, `${address} ${username}`, isRight)
    })
    return true
  }

  #end(counted: readonly Counted[], pair: string, isRight: boolean): void {
    const at = this.#now()
    for (const { attempts } of counted) {
      attempts.underWay--
      if (!isRight) attempts.failures.push(at)
    }
    if (isRight) remember(this.#known, pair, true)
    const waiting = this.#waiting
    this.#waiting = []
    for (const login of waiting) if (!this.#isDecided(login)) this.#waiting.push(login)
  }

  #countedFor(address: string, username: string): Counted[] {
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
    const attempts = map.get(key) ?? { failures: [], underWay: 0 }
    const since = this.#now() - this.#limits.window
    attempts.failures = attempts.failures.filter(at => at > since)
    remember(map, key, attempts)
    return attempts
  }
}

/** Stands before whatever decides on logins now. */
export function limitLogins(aedes: Aedes, limits: LoginLimits, tally: LimitCounters): void {
  const attempts = new LoginAttempts(limits)
  const { authenticate } = aedes
  aedes.authenticate = (client, username, password, done) => {
    const address = acceptedOf(client.conn)?.client.address ?? ''
    const who = { client: client.id, username: username ?? null }
    attempts.take(
      address,
      username ?? '',
      end => {
        authenticate.call(aedes, client, username, password, (error, isAuthentic) => {
          const isRight = !error && isAuthentic === true
          if (!isRight) tally.hit('login', address, who)
          done(error, isAuthentic)
          end(isRight)
        })
      },
      refusal => {
        tally.hit(refusal, address, who)
        done(Object.assign(new Error('too many failed logins'), { returnCode: NOT_AUTHORIZED }), false)
      }
    )
  }
}

function remember<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key)
  const oldest = map.keys().next().value
  if (map.size >= MAX_REMEMBERED && oldest !== undefined) map.delete(oldest)
  map.set(key, value)
}
