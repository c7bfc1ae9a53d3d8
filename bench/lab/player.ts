// What the lab and the programs that it starts in its namespaces say to each other.

import type { Plan, Link } from './plan.js'
import type { Target } from './target.js'

/** The first word to a program of devices or attackers. */
export interface Cue {
  kind: 'start'
  plan: Plan
  target: Target
  /** It plays the parties of this link. */
  link: Link
  /** Epoch milliseconds of the capture's beginning. */
  startsAt: number
  ledger: string
}

/** What the lab says. */
export type ToPlayer =
  | Cue
  | { kind: 'stop' }
  /** Asks devices for theirs. */
  | { kind: 'client-ids' }
  /** Tells attackers whom there is to rob, as somebody who listened would know. */
  | { kind: 'victims'; ids: string[] }

/** What a program says. */
export type FromPlayer =
  | { kind: 'ready' }
  | { kind: 'client-ids'; ids: string[] }
  /** An IPv4 packet to put on the link, as base64. */
  | { kind: 'inject'; packet: string }
  /** All that it does is done; written down is how many messages it published. */
  | { kind: 'done'; messages: number }

/** Says something to the lab. */
export function tellLab(message: FromPlayer): void {
  process.send?.(message)
}

/** Calls back for what the lab says; the program ends with the lab. */
export function onLab(listener: (message: ToPlayer) => void): void {
  process.on('message', listener)
  process.once('disconnect', () => {
    process.exit(1)
  })
  // A Ctrl-C goes to the whole group: the lab decides when this ends.
  process.on('SIGINT', () => {})
  tellLab({ kind: 'ready' })
}
