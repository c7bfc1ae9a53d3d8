// An in-process connection with two ends: each reads what the other writes.

import { Duplex } from 'node:stream'

/** Addresses of a socket; without them the end is a plain stream. */
export interface SocketAddresses {
  remoteAddress?: string
  remotePort?: number
  localAddress?: string
  localPort?: number
}

/** One end. Destroying it ends the other, like a reset. */
export class PairEnd extends Duplex implements SocketAddresses {
  remoteAddress?: string
  remotePort?: number
  localAddress?: string
  localPort?: number
  #other: PairEnd | undefined
  #resume: (() => void) | undefined

  /** Creates both ends. */
  static pair(addresses: SocketAddresses = {}): { client: PairEnd; broker: PairEnd } {
    const client = new PairEnd()
    const broker = Object.assign(new PairEnd(), addresses)
    client.#other = broker
    broker.#other = client
    return { client, broker }
  }

  override _read(): void {
    const other = this.#other
    if (other === undefined) return
    const resume = other.#resume
    if (resume === undefined) return
    other.#resume = undefined
    // Asynchronous: a socket never delivers more data during a read, and Aedes relies on that.
    setImmediate(resume)
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    const other = this.#other
    if (other === undefined || other.destroyed || other.push(chunk)) callback()
    else this.#resume = callback
  }

  override _final(callback: () => void): void {
    this.#endOther()
    callback()
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#endOther()
    callback(error)
  }

  #endOther(): void {
    const other = this.#other
    this.#other = undefined
    if (other !== undefined && !other.destroyed) other.push(null)
  }
}
