// The load as the bench sees it: a process of its own that is told to connect, to send, and to leave.

import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Cell } from './cells.js'

/** One publisher and one subscriber on one topic. */
export interface Load {
  connect(port: number): Promise<void>
  /** Resolves when every message was received and acknowledged; rejects when one does not come. */
  send(messages: number): Promise<Outcome>
  /** Takes leave, and a lasting session with it. */
  leave(): Promise<void>
}

/** What came of the messages of one measurement. */
export interface Outcome {
  messages: number
  /** From the first write until the last message was received and acknowledged. */
  seconds: number
  /** Messages that came again. */
  duplicates: number
  /** Messages that came after a later one. */
  disordered: number
  /** Processor time of the load itself: near to `seconds`, and it is the load that was measured. */
  loadSeconds: number
}

/** What the process is told. */
export type Order = { do: 'connect'; port: number; cell: Cell } | { do: 'send'; messages: number } | { do: 'leave' }

/** What it says when that is done. */
export interface Reply {
  failed?: string
  outcome?: Outcome
}

/** The load of one cell, for all brokers in turn. */
export class LoadProcess {
  readonly #child: ChildProcess = fork(new URL('./load-main.js', import.meta.url))
  readonly #cell: Cell

  constructor(cell: Cell) {
    this.#cell = cell
  }

  async connect(port: number): Promise<void> {
    await this.#tell({ do: 'connect', port, cell: this.#cell })
  }

  async send(messages: number): Promise<Outcome> {
    return (await this.#tell({ do: 'send', messages })).outcome as Outcome
  }

  async leave(): Promise<void> {
    await this.#tell({ do: 'leave' })
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.kill()
    await exited
  }

  async #tell(order: Order): Promise<Reply> {
    const reply = await new Promise<Reply>((resolve, reject) => {
      const onExit = (): void => {
        reject(new Error('the load ended by itself'))
      }
      this.#child
        .once('exit', onExit)
        .once('message', reply => {
          this.#child.off('exit', onExit)
          resolve(reply as Reply)
        })
        .send(order)
    })
    if (reply.failed !== undefined) throw new Error(reply.failed)
    return reply
  }
}
