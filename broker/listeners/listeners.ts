// All listeners. The ports are opened first; connections are accepted when the broker is ready.

import type { AddressInfo, Socket } from 'node:net'
import type { SecureContextOptions } from 'node:tls'
import type { ListenerSettings } from './accepted-connection.js'
import { readCertificates } from './certificates.js'
import { Listener, type Handler, type ListenerContext } from './listener.js'

/** Connections that wait while the broker starts; further ones are closed. */
const MAX_WAITING = 1000

/** Address of a listener. */
export interface ListenerAddress extends AddressInfo {
  /** URL scheme: mqtt, mqtts, ws or wss. */
  scheme: string
}

/** The listeners of the broker. */
export class Listeners {
  readonly #listeners: Listener[] = []
  readonly #sockets = new Set<Socket>()
  readonly #waiting: { socket: Socket; listener: Listener }[] = []
  #handler: Handler | undefined
  readonly #context: ListenerContext

  private constructor(context: ListenerContext) {
    this.#context = context
  }

  /**
   * Listens on all ports. Connections wait unread until {@link accept}.
   * @throws OperatorError `listen` if a port cannot be opened, `certificate` if a certificate is invalid; all ports are
   *   closed then
   */
  static async open(settings: readonly ListenerSettings[], context: ListenerContext): Promise<Listeners> {
    const listeners = new Listeners(context)
    try {
      for (const listener of settings) await listeners.#listen(listener)
      return listeners
    } catch (error) {
      listeners.close()
      throw error
    }
  }

  /** The actual addresses, also if port 0 is configured. */
  get addresses(): ListenerAddress[] {
    return this.#listeners.map(({ address, scheme }) => ({ ...address, scheme }))
  }

  /** Passes all connections to `handler`, waiting ones first. */
  accept(handler: Handler): void {
    this.#handler = handler
    for (const { socket, listener } of this.#waiting.splice(0)) if (!socket.destroyed) listener.accept(socket)
  }

  /**
   * Reloads the certificates of all listeners, for new connections.
   * @throws OperatorError `certificate` if one is invalid; nothing changes then
   */
  reloadCertificates(): void {
    const read: [Listener, SecureContextOptions][] = []
    for (const listener of this.#listeners) {
      if (listener.settings.tls !== null) read.push([listener, readCertificates(listener.settings.tls)])
    }
    for (const [listener, certificates] of read) listener.useCertificates(certificates)
  }

  /** Stops listening; open connections stay. */
  close(): void {
    for (const listener of this.#listeners) listener.close()
    for (const { socket } of this.#waiting.splice(0)) socket.destroy()
  }

  /** Stops listening and closes all connections. */
  destroy(): void {
    this.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  async #listen(settings: ListenerSettings): Promise<void> {
    const handle: Handler = (stream, request) => this.#handler?.(stream, request)
    this.#listeners.push(
      await Listener.open(settings, this.#context, handle, (socket, listener) => {
        this.#onConnection(socket, listener)
      })
    )
  }

  #onConnection(socket: Socket, listener: Listener): void {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    if (this.#handler !== undefined) {
      listener.accept(socket)
      return
    }
    // A reset while waiting is not an error of the broker.
    socket.on('error', () => socket.destroy())
    if (this.#waiting.length < MAX_WAITING) this.#waiting.push({ socket, listener })
    else socket.destroy()
  }
}
