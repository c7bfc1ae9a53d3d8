// Controls the load generator, a separate process that connects, sends and disconnects.

import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Cell } from './cells.js'

/** One publisher and one subscriber on one topic. */
export interface Load {
  connect(port: number): Promise<void>
  /** Resolves when every message was received and acknowledged; rejects if one is missing. */
  send(messages: number): Promise<Outcome>
  /** Disconnects, and ends a persistent session. */
  disconnect(): Promise<void>
}

/** Result of one measurement. */
export interface Outcome {
  messages: number
  /** Time from the first write until the last message was received and acknowledged. */
  seconds: number
  /** Duplicate messages. */
  duplicates: number
  /** Messages received after a later one. */
  disordered: number
  /** Processor time of the load generator. If it is close to `seconds`, the load was the bottleneck. */
  loadSeconds: number
}

/** Orders to the process. */
export type Order = { do: 'connect'; port: number; cell: Cell } | { do: 'send'; messages: number } | { do: 'leave' }

/** Reply to an order. */
export interface Reply {
  failed?: string
  outcome?: Outcome
}

/** The load generator of one cell, used for all brokers in turn. */
export class LoadProcess {
  readonly #child: ChildProcess = fork(new URL('./load-main.js', import.meta.url))
  readonly #cell: Cell

  constructor(cell: Cell) {
    this.#cell = cell
  }

  async connect(port: number): Promise<void> {
    await this.#request({ do: 'connect', port, cell: this.#cell })
  }

  async send(messages: number): Promise<Outcome> {
    return (await this.#request({ do: 'send', messages })).outcome as Outcome
  }

  async disconnect(): Promise<void> {
    await this.#request({ do: 'leave' })
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.kill()
    await exited
  }

  async #request(order: Order): Promise<Reply> {
    const reply = await new Promise<Reply>((resolve, reject) => {
      const onExit = (): void => {
        reject(new Error('Load generator exited unexpectedly'))
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
