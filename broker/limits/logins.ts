// Failed logins: how many there may be from one address, and for one username.

import type { Aedes } from 'aedes'
import { arrivalOf } from '../listeners/arrival.js'
import type { Tally } from './tally.js'

/** The settings that this enforces. */
export interface LoginLimits {
  perAddress: number | null
  perUser: number | null
  /** Time for which a failure counts, ms. */
  window: number
}

/** Which limit refuses a login. */
export type LoginRefusal = 'loginsPerAddress' | 'loginsPerUser'

/** Addresses, usernames and pairs of them that are remembered; the longest quiet goes first. */
const MAX_REMEMBERED = 4_096
/** Return code for "not authorized" [MQTT-3.2.2-6]. */
const NOT_AUTHORIZED = 5

/**
 * Counts failed logins. A pair of address and username that was right before is counted apart: a stranger
 * at the same address cannot lock it out, nor one elsewhere who tries the same username.
 */
export class LoginAttempts {
  private readonly byAddress = new Map<string, number[]>()
  private readonly byUser = new Map<string, number[]>()
  private readonly byPair = new Map<string, number[]>()
  private readonly known = new Map<string, true>()

  /**
   * @param now milliseconds of a steady clock
   */
  constructor (private readonly limits: LoginLimits, private readonly now: () => number = () => performance.now()) {}

  /**
   * A login is to be decided. It counts as failed from here on, so that a hundred at once are a hundred.
   *
   * @returns which limit refuses it, or what is to be called when it was right after all
   */
  begin (address: string, username: string): LoginRefusal | (() => void) {
    const { perAddress, perUser } = this.limits
    const pair = `${address} ${username}`
    const counts: [Map<string, number[]>, string, number | null, LoginRefusal][] = this.known.has(pair)
      ? [[this.byPair, pair, perAddress, 'loginsPerAddress']]
      : [[this.byAddress, address, perAddress, 'loginsPerAddress'], [this.byUser, username, perUser, 'loginsPerUser']]
    for (const [map, key, limit, refusal] of counts) if (this.recent(map, key).length >= (limit ?? Infinity)) return refusal
    const at = this.now()
    for (const [map, key, limit] of counts) if (limit !== null) remember(map, key, [...this.recent(map, key), at])
    return () => {
      for (const [map, key] of counts) take(map, key, at)
      remember(this.known, pair, true)
    }
  }

  private recent (map: Map<string, number[]>, key: string): number[] {
    const since = this.now() - this.limits.window
    return (map.get(key) ?? []).filter(at => at > since)
  }
}

/** Stands before whatever decides on logins now. */
export function limitLogins (aedes: Aedes, limits: LoginLimits, tally: Tally): void {
  const attempts = new LoginAttempts(limits)
  const { authenticate } = aedes
  aedes.authenticate = (client, username, password, done) => {
    const address = arrivalOf(client.conn)?.client.address ?? ''
    const who = { client: client.id, username: username ?? null }
    const attempt = attempts.begin(address, username ?? '')
    if (typeof attempt === 'string') {
      tally.hit(attempt, address, who)
      done(Object.assign(new Error('too many failed logins'), { returnCode: NOT_AUTHORIZED }), false)
      return
    }
    authenticate.call(aedes, client, username, password, (error, isRight) => {
      if (!error && isRight === true) attempt()
      else tally.hit('login', address, who)
      done(error, isRight)
    })
  }
}

function remember<Value> (map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key)
  const [oldest] = map.keys()
  if (map.size >= MAX_REMEMBERED && oldest !== undefined) map.delete(oldest)
  map.set(key, value)
}

function take (map: Map<string, number[]>, key: string, at: number): void {
  const times = map.get(key)
  const index = times?.indexOf(at) ?? -1
  if (times === undefined || index < 0) return
  times.splice(index, 1)
  if (times.length === 0) map.delete(key)
}
