// One shared subscription: its members, and whose turn it is [MQTT-4.8.2].

import { targetOf, type Subscription, type Target } from './subscription.js'

/** How ready a member is for another message: the lowest goes first. */
export type Readiness = 0 | 1 | 2 | 3
/** Connected, with room in its window. */
export const READY: Readiness = 0
/** Connected, and a message would wait. */
export const WAITING: Readiness = 1
/** Away, and the session keeps a message. */
export const AWAY: Readiness = 2
/** A message would be lost. */
export const UNABLE: Readiness = 3

/** The members of one `$share/group/filter`, in the order in which their turn comes. */
export class SharedGroup<Session> {
  readonly #members = new Map<Session, Target<Session>>()

  get size(): number {
    return this.#members.size
  }

  /** Adds a member, or changes its subscription; whether it is new. */
  add(session: Session, subscription: Subscription): boolean {
    const isNew = !this.#members.has(session)
    this.#members.set(session, { ...targetOf(session, [subscription]), share: subscription.filter })
    return isNew
  }

  /** Whether it was a member. */
  remove(session: Session): boolean {
    return this.#members.delete(session)
  }

  /** Its members. */
  sessions(): IterableIterator<Session> {
    return this.#members.keys()
  }

  /** What a member asked for. */
  of(session: Session): Target<Session> | undefined {
    return this.#members.get(session)
  }

  /**
   * The member that gets the next message: in turn, among those who keep up. Undefined where nobody can have it.
   *
   * @param readiness asked of each member until one is ready
   */
  next(readiness: (target: Target<Session>) => Readiness): Target<Session> | undefined {
    let best: Target<Session> | undefined
    let bestReadiness: Readiness = UNABLE
    for (const target of this.#members.values()) {
      const now = readiness(target)
      if (now >= bestReadiness) continue
      best = target
      bestReadiness = now
      if (now === READY) break
    }
    if (best !== undefined) {
      this.#members.delete(best.session)
      this.#members.set(best.session, best)
    }
    return best
  }
}
