// One shared subscription: selects the member for each message [MQTT-4.8.2].

import { targetOf, type Subscription, type Target } from './subscription.js'

/** How ready a member is for a message: lower values are preferred. */
export type Readiness = 0 | 1 | 2 | 3
/** Connected, with room in its in-flight window. */
export const READY: Readiness = 0
/** Connected; the message would be queued. */
export const WAITING: Readiness = 1
/** Offline; its session would queue the message. */
export const OFFLINE: Readiness = 2
/** The message would be lost. */
export const UNABLE: Readiness = 3

/** Members of one `$share/group/filter`, in round-robin order. */
export class SharedGroup<Session> {
  readonly #members = new Map<Session, Target<Session>>()

  get size(): number {
    return this.#members.size
  }

  /** Adds a member or changes its subscription; returns whether it is new. */
  add(session: Session, subscription: Subscription): boolean {
    const isNew = !this.#members.has(session)
    this.#members.set(session, { ...targetOf(session, [subscription]), share: subscription.filter })
    return isNew
  }

  /** Removes a member; returns whether it was one. */
  remove(session: Session): boolean {
    return this.#members.delete(session)
  }

  sessions(): IterableIterator<Session> {
    return this.#members.keys()
  }

  /** Returns the delivery options of a member. */
  get(session: Session): Target<Session> | undefined {
    return this.#members.get(session)
  }

  /**
   * Selects the member for the next message, round robin among the most ready; undefined if none can receive it.
   *
   * @param readiness called for each member until one is ready
   */
  next(readiness: (target: Target<Session>) => Readiness): Target<Session> | undefined {
    let best: Target<Session> | undefined
    let bestReadiness: Readiness = UNABLE
    for (const target of this.#members.values()) {
      const current = readiness(target)
      if (current >= bestReadiness) continue
      best = target
      bestReadiness = current
      if (current === READY) break
    }
    if (best !== undefined) {
      this.#members.delete(best.session)
      this.#members.set(best.session, best)
    }
    return best
  }
}
