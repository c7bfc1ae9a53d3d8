// One listening port: connection limits, PROXY header, TLS and WebSocket, in front of MQTT.

import type { IncomingMessage, Server as HttpServer } from 'node:http'
import net, { type AddressInfo, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import tls, { type SecureContextOptions, type TLSSocket } from 'node:tls'
import type { Logger } from 'pino'
import { normaliseAddress } from '../../src/observe/address.js'
import { announce } from '../../src/observe/announced.js'
import type { Endpoint } from '../../src/types.js'
import type { Admission } from '../limits/admission.js'
import type { LimitCounters } from '../limits/limit-counters.js'
import { acceptedOf, registerAccepted, type ListenerSettings } from './accepted-connection.js'
import { commonNameOf, readCertificates } from './certificates.js'
import { listenError } from './listen-error.js'
import { isTrusted, readProxyHeader, trustedProxies } from './proxy-header.js'
import { upgradeServer } from './web-socket.js'

/** Time between the CONNECT deadline and the handshake timeout of the TLS server, ms. */
const HANDSHAKE_GRACE_MS = 1_000

/** Receives a connection that is ready for its CONNECT. */
export type Handler = (stream: Duplex, request?: IncomingMessage) => void

/** Shared by all listeners. */
export interface ListenerContext {
  admission: Admission
  limitCounters: LimitCounters
  /** Time from the TCP connection to the complete CONNECT, ms. */
  connectTimeout: number
  /** Largest MQTT packet, bytes. */
  packetSize: number
  log: Logger
}

/** A connection that is not ready for its CONNECT yet. */
interface PendingConnection {
  socket: Socket
  client: Endpoint
  /** Length of the PROXY header. */
  headerBytes: number
  /** Client bytes read together with the PROXY header. */
  rest: Buffer
  /** Whether a PROXY header was read. */
  announced: boolean
  /** Whether the TLS handshake is complete. */
  secured: boolean
  clearDeadline: () => void
}

/** One listening port. Passes connections to `handle` once {@link accept} is called for them. */
export class Listener {
  readonly #server: Server
  readonly #tlsServer: tls.Server | undefined
  readonly #httpServer: HttpServer | undefined
  readonly #proxies: net.BlockList | undefined
  /** By the underlying socket. */
  readonly #pending = new WeakMap<object, PendingConnection>()
  readonly #context: ListenerContext
  readonly #handle: Handler

  private constructor(
    readonly settings: ListenerSettings,
    context: ListenerContext,
    handle: Handler
  ) {
    this.#context = context
    this.#handle = handle
    // Nagle's algorithm would delay acknowledgements; TCP keep-alive detects dead peers.
    this.#server = net.createServer({ pauseOnConnect: true, noDelay: true, keepAlive: true })
    if (settings.proxy.length > 0) this.#proxies = trustedProxies(settings.proxy)
    if (settings.tls !== null) this.#tlsServer = this.#makeTlsServer(readCertificates(settings.tls))
    if (settings.protocol === 'websockets') this.#httpServer = this.#makeHttpServer()
  }

  /**
   * Listens on the port. `onConnection` receives each connection, paused; pass it to {@link accept} when the broker is
   * ready.
   * @throws OperatorError `listen` or `certificate`
   */
  static async open(
    settings: ListenerSettings,
    context: ListenerContext,
    handle: Handler,
    onConnection: (socket: Socket, listener: Listener) => void
  ): Promise<Listener> {
    const listener = new Listener(settings, context, handle)
    const { host, port } = settings
    const server = listener.#server
    server.on('connection', socket => {
      onConnection(socket, listener)
    })
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(host, port, error)))
      server.listen({ host, port, exclusive: true }, resolve)
    })
    server.removeAllListeners('error')
    server.on('error', error => context.log.error({ err: error, host, port }, 'Cannot accept a connection.'))
    return listener
  }

  /** The actual address and port. */
  get address(): AddressInfo {
    return this.#server.address() as AddressInfo
  }

  /** URL scheme: mqtt, mqtts, ws or wss. */
  get scheme(): string {
    return (this.settings.protocol === 'websockets' ? 'ws' : 'mqtt') + (this.settings.tls === null ? '' : 's')
  }

  /** Uses these certificates for new connections. */
  useCertificates(options: SecureContextOptions): void {
    this.#tlsServer?.setSecureContext(options)
  }

  /** Stops listening; open connections stay. */
  close(): void {
    this.#server.close()
  }

  /** Accepts a connection that `onConnection` received. */
  accept(socket: Socket): void {
    const { admission, limitCounters, connectTimeout } = this.#context
    const peer: Endpoint = { address: normaliseAddress(socket.remoteAddress ?? ''), port: socket.remotePort ?? 0 }
    const slot = admission.reserve(this.settings, peer.address)
    // A connection reset is not an error of the broker.
    socket.on('error', () => socket.destroy())
    if (slot === undefined || socket.destroyed) {
      slot?.release()
      socket.destroy()
      return
    }
    const pending: PendingConnection = {
      socket,
      client: peer,
      headerBytes: 0,
      rest: Buffer.alloc(0),
      announced: false,
      secured: false,
      clearDeadline: () => {
        clearTimeout(deadline)
      }
    }
    const deadline = setTimeout(() => {
      limitCounters.hit('connectTimeout', pending.client.address)
      socket.destroy()
    }, connectTimeout)
    this.#pending.set(socket, pending)
    socket.once('close', () => {
      clearTimeout(deadline)
      slot.release()
    })
    const onIdentified = (): void => {
      if (slot.identify(pending.client.address)) this.#secure(pending)
      else socket.destroy()
    }
    if (this.#proxies === undefined) onIdentified()
    else this.#readProxyHeader(pending, this.#proxies, onIdentified)
  }

  /** Reads the client endpoint that the proxy announces. */
  #readProxyHeader(pending: PendingConnection, proxies: net.BlockList, next: () => void): void {
    const { socket, client } = pending
    const refuse = (): void => {
      this.#context.limitCounters.hit('proxyHeader', client.address)
      socket.destroy()
    }
    if (!isTrusted(proxies, client.address)) {
      refuse()
      return
    }
    readProxyHeader(socket, read => {
      if (read === undefined) {
        refuse()
        return
      }
      const { header, rest } = read
      Object.assign(pending, { headerBytes: header.length, rest, client: header.client ?? client, announced: true })
      next()
    })
  }

  #secure(pending: PendingConnection): void {
    if (this.#tlsServer === undefined) {
      this.#upgrade(pending, pending.socket, null)
      return
    }
    const { socket } = pending
    if (pending.rest.length > 0) socket.unshift(pending.rest)
    pending.rest = Buffer.alloc(0)
    socket.once('close', () => {
      if (!pending.secured) this.#context.limitCounters.hit('tlsHandshake', pending.client.address)
    })
    this.#tlsServer.emit('connection', socket)
  }

  #makeTlsServer(certificates: SecureContextOptions): tls.Server {
    const { requireClientCertificate = false, identityAsUsername = false } = this.settings.tls ?? {}
    const server = tls.createServer({
      ...certificates,
      requestCert: requireClientCertificate,
      rejectUnauthorized: requireClientCertificate,
      // Later than the CONNECT deadline.
      handshakeTimeout: this.#context.connectTimeout + HANDSHAKE_GRACE_MS
    })
    server.on('secureConnection', socket => {
      const pending = this.#pending.get((socket as TLSSocket & { _parent?: Socket })._parent ?? socket)
      if (pending === undefined) {
        socket.destroy()
        return
      }
      pending.secured = true
      socket.on('error', () => socket.destroy())
      this.#upgrade(pending, socket, identityAsUsername ? commonNameOf(socket) : null)
    })
    server.on('tlsClientError', (error, socket) => {
      this.#context.log.debug({ reason: error.message }, 'TLS handshake failed.')
      socket.destroy()
    })
    return server
  }

  #makeHttpServer(): HttpServer {
    return upgradeServer(this.settings, this.#context.packetSize, {
      onUpgrade: (stream, request) => {
        const pending = this.#pending.get(request.socket)
        if (pending === undefined) {
          stream.destroy()
          return
        }
        stream.on('error', () => stream.destroy())
        this.#deliver(pending, stream, acceptedOf(request.socket)?.identity ?? null, request)
      },
      onRefused: (request, reason) => {
        const address = this.#pending.get(request.socket)?.client.address ?? ''
        this.#context.limitCounters.hit('webSocketHandshake', address)
        this.#context.log.debug({ address, reason }, 'WebSocket request refused.')
      }
    })
  }

  #upgrade(pending: PendingConnection, stream: Socket | TLSSocket, identity: string | null): void {
    if (this.#httpServer === undefined) {
      this.#deliver(pending, stream, identity)
      return
    }
    this.#pending.set(stream, pending)
    const { client, clearDeadline } = pending
    registerAccepted(stream, { listener: this.settings, client, identity, clearDeadline })
    if (pending.rest.length > 0) stream.unshift(pending.rest)
    pending.rest = Buffer.alloc(0)
    this.#httpServer.emit('connection', stream)
    stream.resume()
  }

  #deliver(pending: PendingConnection, stream: Duplex, identity: string | null, request?: IncomingMessage): void {
    const { client, announced, headerBytes, rest, clearDeadline } = pending
    if (announced) announce(stream, { client, headerBytes })
    registerAccepted(stream, { listener: this.settings, client, identity, clearDeadline })
    this.#handle(stream, request)
    // After the handler, so that observers of the stream see these bytes too.
    if (rest.length > 0 && !stream.destroyed) stream.push(rest)
  }
}
