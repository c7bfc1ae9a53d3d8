// One port: what a connection goes through there before it is MQTT.

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

/** So much later than ours comes the deadline of the TLS server itself. */
const HANDSHAKE_GRACE_MS = 1_000

/** Takes a connection that is ready for its CONNECT. */
export type Handler = (stream: Duplex, request?: IncomingMessage) => void

/** What all listeners share. */
export interface Reception {
  admission: Admission
  tally: LimitCounters
  /** From the connection to its CONNECT, ms. */
  connectTimeout: number
  /** Largest MQTT packet, bytes. */
  packetSize: number
  log: Logger
}

/** A connection on its way through the listener. */
interface Entrant {
  socket: Socket
  client: Endpoint
  /** Bytes of the PROXY header. */
  headerBytes: number
  /** Those that came with it, and are the client's own. */
  rest: Buffer
  announced: boolean
  /** The TLS handshake is done. */
  secured: boolean
  settle: () => void
}

/** One port. Connections come to `handle` as soon as `enter` is called for them. */
export class Listener {
  readonly #server: Server
  readonly #tlsServer: tls.Server | undefined
  readonly #httpServer: HttpServer | undefined
  readonly #proxies: net.BlockList | undefined
  /** Who is in the middle of a handshake, by the socket below. */
  readonly #entrants = new WeakMap<object, Entrant>()
  readonly #reception: Reception
  readonly #handle: Handler

  private constructor(
    readonly settings: ListenerSettings,
    reception: Reception,
    handle: Handler
  ) {
    this.#reception = reception
    this.#handle = handle
    // Nagle would hold acknowledgements back; keep-alive finds peers that went without a word.
    this.#server = net.createServer({ pauseOnConnect: true, noDelay: true, keepAlive: true })
    if (settings.proxy.length > 0) this.#proxies = trustedProxies(settings.proxy)
    if (settings.tls !== null) this.#tlsServer = this.#makeTlsServer(readCertificates(settings.tls))
    if (settings.protocol === 'websockets') this.#httpServer = this.#makeHttpServer()
  }

  /**
   * Takes the port; `onConnection` gets every connection, paused, to be passed to {@link enter} when the broker is
   * ready.
   * @throws OperatorError `listen` or `certificate`
   */
  static async open(
    settings: ListenerSettings,
    reception: Reception,
    handle: Handler,
    onConnection: (socket: Socket, listener: Listener) => void
  ): Promise<Listener> {
    const listener = new Listener(settings, reception, handle)
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
    server.on('error', error => reception.log.error({ err: error, host, port }, 'A connection could not be taken.'))
    return listener
  }

  /** Where it listens in fact. */
  get address(): AddressInfo {
    return this.#server.address() as AddressInfo
  }

  /** What an address of it begins with: mqtt, mqtts, ws or wss. */
  get scheme(): string {
    return (this.settings.protocol === 'websockets' ? 'ws' : 'mqtt') + (this.settings.tls === null ? '' : 's')
  }

  /** Puts certificates in force for connections from now on. */
  useCertificates(options: SecureContextOptions): void {
    this.#tlsServer?.setSecureContext(options)
  }

  /** Takes no more connections; those that are open stay. */
  close(): void {
    this.#server.close()
  }

  /** Lets a connection in that came while `onConnection` was called. */
  enter(socket: Socket): void {
    const { admission, tally, connectTimeout } = this.#reception
    const own: Endpoint = { address: normaliseAddress(socket.remoteAddress ?? ''), port: socket.remotePort ?? 0 }
    const place = admission.enter(this.settings, own.address)
    // Whoever leaves early is no fault of the broker.
    socket.on('error', () => socket.destroy())
    if (place === undefined || socket.destroyed) {
      place?.release()
      socket.destroy()
      return
    }
    const entrant: Entrant = {
      socket,
      client: own,
      headerBytes: 0,
      rest: Buffer.alloc(0),
      announced: false,
      secured: false,
      settle: () => {
        clearTimeout(deadline)
      }
    }
    const deadline = setTimeout(() => {
      tally.hit('connectTimeout', entrant.client.address)
      socket.destroy()
    }, connectTimeout)
    this.#entrants.set(socket, entrant)
    socket.once('close', () => {
      clearTimeout(deadline)
      place.release()
    })
    const identified = (): void => {
      if (place.identify(entrant.client.address)) this.#secure(entrant)
      else socket.destroy()
    }
    if (this.#proxies === undefined) identified()
    else this.#introduce(entrant, this.#proxies, identified)
  }

  /** Finds out for whom a proxy makes the connection. */
  #introduce(entrant: Entrant, proxies: net.BlockList, next: () => void): void {
    const { socket, client } = entrant
    const refuse = (): void => {
      this.#reception.tally.hit('proxyHeader', client.address)
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
      Object.assign(entrant, { headerBytes: header.length, rest, client: header.client ?? client, announced: true })
      next()
    })
  }

  #secure(entrant: Entrant): void {
    if (this.#tlsServer === undefined) {
      this.#upgrade(entrant, entrant.socket, null)
      return
    }
    const { socket } = entrant
    if (entrant.rest.length > 0) socket.unshift(entrant.rest)
    entrant.rest = Buffer.alloc(0)
    socket.once('close', () => {
      if (!entrant.secured) this.#reception.tally.hit('tlsHandshake', entrant.client.address)
    })
    this.#tlsServer.emit('connection', socket)
  }

  #makeTlsServer(certificates: SecureContextOptions): tls.Server {
    const { requireClientCertificate = false, identityAsUsername = false } = this.settings.tls ?? {}
    const server = tls.createServer({
      ...certificates,
      requestCert: requireClientCertificate,
      rejectUnauthorized: requireClientCertificate,
      // The deadline for the CONNECT is sooner.
      handshakeTimeout: this.#reception.connectTimeout + HANDSHAKE_GRACE_MS
    })
    server.on('secureConnection', socket => {
      const entrant = this.#entrants.get((socket as TLSSocket & { _parent?: Socket })._parent ?? socket)
      if (entrant === undefined) {
        socket.destroy()
        return
      }
      entrant.secured = true
      socket.on('error', () => socket.destroy())
      this.#upgrade(entrant, socket, identityAsUsername ? commonNameOf(socket) : null)
    })
    server.on('tlsClientError', (error, socket) => {
      this.#reception.log.debug({ reason: error.message }, 'A TLS handshake failed.')
      socket.destroy()
    })
    return server
  }

  #makeHttpServer(): HttpServer {
    return upgradeServer(this.settings, this.#reception.packetSize, {
      onUpgrade: (stream, request) => {
        const entrant = this.#entrants.get(request.socket)
        if (entrant === undefined) {
          stream.destroy()
          return
        }
        stream.on('error', () => stream.destroy())
        this.#deliver(entrant, stream, acceptedOf(request.socket)?.identity ?? null, request)
      },
      onRefused: (request, reason) => {
        const address = this.#entrants.get(request.socket)?.client.address ?? ''
        this.#reception.tally.hit('webSocketHandshake', address)
        this.#reception.log.debug({ address, reason }, 'A WebSocket was refused.')
      }
    })
  }

  #upgrade(entrant: Entrant, stream: Socket | TLSSocket, identity: string | null): void {
    if (this.#httpServer === undefined) {
      this.#deliver(entrant, stream, identity)
      return
    }
    this.#entrants.set(stream, entrant)
    registerAccepted(stream, { listener: this.settings, client: entrant.client, identity, settle: entrant.settle })
    if (entrant.rest.length > 0) stream.unshift(entrant.rest)
    entrant.rest = Buffer.alloc(0)
    this.#httpServer.emit('connection', stream)
    stream.resume()
  }

  #deliver(entrant: Entrant, stream: Duplex, identity: string | null, request?: IncomingMessage): void {
    const { client, announced, headerBytes, rest, settle } = entrant
    if (announced) announce(stream, { client, headerBytes })
    registerAccepted(stream, { listener: this.settings, client, identity, settle })
    this.#handle(stream, request)
    // Only now, so that whoever watches the stream sees these bytes too.
    if (rest.length > 0 && !stream.destroyed) stream.push(rest)
  }
}
