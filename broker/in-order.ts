// A persistence whose operations end in the order in which they began.

import { setImmediate as nextTurn } from 'node:timers/promises'

// Aedes takes at most a few turns of the event loop between two steps of a publish.
const QUIET_TURNS = 20

/** An object whose asynchronous methods are kept in order, and the way to wait for them. */
export interface InOrder<T> {
  ordered: T
  /** Resolves when no operation has been under way for a while, at the latest after `limitMs`. */
  settle: (limitMs: number) => Promise<void>
}

/**
 * Wraps the methods of `target`; those of `own` take the place of the ones it has. LevelDB works in several
 * threads: without this, a message may overtake one that the same publisher sent before it [MQTT-4.6.0-6].
 */
export function inOrder<T extends object> (target: T, own: Partial<Record<string, (...args: never[]) => unknown>>): InOrder<T> {
  let pending = 0
  let last: Promise<unknown> = Promise.resolve()

  function wait (result: Promise<unknown>): Promise<unknown> {
    pending++
    const ended = (): void => { pending-- }
    last = Promise.all([last, result.then(ended, ended)])
    return last.then(() => result)
  }

  async function settle (limitMs: number): Promise<void> {
    const limit = performance.now() + limitMs
    for (let quiet = 0; quiet < QUIET_TURNS && performance.now() < limit; quiet++) {
      if (pending > 0) quiet = 0
      await nextTurn()
    }
  }

  const ordered = new Proxy(target, {
    get (_target, name) {
      const member: unknown = Object.hasOwn(own, name) ? own[String(name)] : Reflect.get(target, name, target)
      if (typeof member !== 'function') return member
      // Aedes looks at the constructor of the setup.
      if (name === 'setup') return member.bind(target)
      return (...args: unknown[]): unknown => {
        const result: unknown = Reflect.apply(member, target, args)
        return result instanceof Promise ? wait(result) : result
      }
    }
  })
  return { ordered, settle }
}
