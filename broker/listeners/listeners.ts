// The ports that clients connect to: taken first, answered when the broker is ready.

import type { AddressInfo, Socket } from 'node:net'
import type { SecureContextOptions } from 'node:tls'
import type { ListenerSettings } from './accepted-connection.js'
import { readCertificates } from './certificates.js'
import { Listener, type Handler, type Reception } from './listener.js'

/** Connections that may wait while the broker starts; further ones are closed. */
const MAX_WAITING = 1000

/** Where a listener is reached. */
export interface ListenerAddress extends AddressInfo {
  /** mqtt, mqtts, ws or wss. */
  scheme: string
}

/** The broker's open ports. */
export class Listeners {
  readonly #listeners: Listener[] = []
  readonly #sockets = new Set<Socket>()
  readonly #waiting: { socket: Socket; listener: Listener }[] = []
  #handler: Handler | undefined
  readonly #reception: Reception

  private constructor(reception: Reception) {
    this.#reception = reception
  }

  /**
   * Takes all ports. Connections wait unread until {@link accept}.
   * @throws OperatorError `listen` where a port cannot be had, `certificate` where one does not serve; then no port
   *   stays taken.
   */
  static async open(settings: readonly ListenerSettings[], reception: Reception): Promise<Listeners> {
    const listeners = new Listeners(reception)
    try {
      for (const one of settings) await listeners.#listen(one)
      return listeners
    } catch (error) {
      listeners.close()
      throw error
    }
  }

  /** Where the broker listens: the ports in fact, also where 0 was asked for. */
  get addresses(): ListenerAddress[] {
    return this.#listeners.map(({ address, scheme }) => ({ ...address, scheme }))
  }

  /** Hands every connection to `handler`, from the first that waited. */
  accept(handler: Handler): void {
    this.#handler = handler
    for (const { socket, listener } of this.#waiting.splice(0)) if (!socket.destroyed) listener.enter(socket)
  }

  /**
   * Reads the certificates of all listeners anew, for connections from now on.
   * @throws OperatorError `certificate` where one does not serve; then all stay as they were
   */
  reloadCertificates(): void {
    const read: [Listener, SecureContextOptions][] = []
    for (const listener of this.#listeners) {
      if (listener.settings.tls !== null) read.push([listener, readCertificates(listener.settings.tls)])
    }
    for (const [listener, certificates] of read) listener.useCertificates(certificates)
  }

  /** Takes no more connections; those that are open stay. */
  close(): void {
    for (const listener of this.#listeners) listener.close()
    for (const { socket } of this.#waiting.splice(0)) socket.destroy()
  }

  /** Takes no more connections and ends those that are open. */
  destroy(): void {
    this.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  async #listen(settings: ListenerSettings): Promise<void> {
    const handle: Handler = (stream, request) => this.#handler?.(stream, request)
    this.#listeners.push(
      await Listener.open(settings, this.#reception, handle, (socket, listener) => {
        this.#connected(socket, listener)
      })
    )
  }

  #connected(socket: Socket, listener: Listener): void {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    if (this.#handler !== undefined) {
      listener.enter(socket)
      return
    }
    // Whoever leaves while waiting is no fault of the broker.
    socket.on('error', () => socket.destroy())
    if (this.#waiting.length < MAX_WAITING) this.#waiting.push({ socket, listener })
    else socket.destroy()
  }
}
