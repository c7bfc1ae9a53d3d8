// Messages between the lab and the programs that it starts in its namespaces.

import type { Plan, Link } from './plan.js'
import type { Target } from './target.js'

/** Start message to a program of devices or attackers. */
export interface StartMessage {
  kind: 'start'
  plan: Plan
  target: Target
  /** The program runs the parties of this link. */
  link: Link
  /** Start of the capture, epoch milliseconds. */
  startsAt: number
  messageLog: string
}

/** Messages from the lab. */
export type ToProgram =
  | StartMessage
  | { kind: 'stop' }
  /** Requests the client ids of devices. */
  | { kind: 'client-ids' }
  /** Sends attackers the client ids that an eavesdropper would know. */
  | { kind: 'victims'; ids: string[] }

/** Messages from a program. */
export type FromProgram =
  | { kind: 'ready' }
  | { kind: 'client-ids'; ids: string[] }
  /** An IPv4 packet to send on the link, as base64. */
  | { kind: 'inject'; packet: string }
  /** The program has finished; `messages` is the number of published messages. */
  | { kind: 'done'; messages: number }

/** Sends a message to the lab. */
export function sendToLab(message: FromProgram): void {
  process.send?.(message)
}

/** Subscribes to messages from the lab; the program exits with the lab. */
export function onLabMessage(listener: (message: ToProgram) => void): void {
  process.on('message', listener)
  process.once('disconnect', () => {
    process.exit(1)
  })
  // Ignore Ctrl-C, which is sent to the whole process group: the lab stops this program.
  process.on('SIGINT', () => {})
  sendToLab({ kind: 'ready' })
}
