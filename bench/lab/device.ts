// A device: one address, MQTT clients, timers, and its own random source.

import { connect as connectTcp, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { createWebSocketStream, WebSocket } from 'ws'
import { MqttClient, type IClientOptions, type IClientPublishOptions } from 'mqtt'
import { RandomSource } from './random-source.js'
import type { Home } from './home.js'
import type { MessageLog } from './message-log.js'
import type { Party } from './plan.js'
import { assertLabTarget, type Target } from './target.js'

/** A kind of device. */
export interface DeviceKind {
  name: string
  /** Description for --list. */
  summary: string
  /** Number of devices present from the start. */
  residents: number
  /** Whether it may also arrive as a newcomer. */
  ordinary: boolean
  /** Starts the device, until {@link Device.stop}. */
  start(device: Device): void
}

/** Transport of a device's connection. */
export type Transport = 'tcp' | 'tls' | 'websocket'

/** MQTT.js options and our own. */
export interface ClientOptions extends IClientOptions {
  transport?: Transport
  /** Whether to use Nagle's algorithm, as many real clients do. */
  nagle?: boolean
}

const RECONNECT_MS = 2_000
/** Time limit to disconnect a client. */
const END_MS = 1_000
const KEEPALIVES_SECONDS = [10, 15, 15, 20, 30, 30, 60]

/** A device of the household. */
export class Device {
  readonly random: RandomSource
  readonly name: string
  /** Client ids that it has used. */
  readonly clientIds = new Set<string>()
  readonly #clients = new Set<MqttClient>()
  /** TCP connection of each client. */
  readonly #connections = new WeakMap<MqttClient, Socket>()
  readonly #sockets = new Set<Socket>()
  readonly #timers = new Set<NodeJS.Timeout>()
  #stopped = false
  readonly #ledger: MessageLog
  readonly #timeFactor: number

  /** @param timeFactor factor for all times: 1 for real time, less to speed up */
  constructor(
    readonly party: Party,
    readonly home: Home,
    readonly target: Target,
    messageLog: MessageLog,
    timeFactor = 1
  ) {
    this.#ledger = messageLog
    this.#timeFactor = timeFactor
    assertLabTarget(target)
    this.random = new RandomSource(party.seed)
    this.name = home.nameOf(party)
  }

  /** Opens a client that reconnects. */
  open({ transport = 'tcp', nagle = this.random.chance(0.3), ...options }: ClientOptions): MqttClient {
    const client: MqttClient = new MqttClient(
      () =>
        this.#stream(transport, !nagle, socket => {
          this.#connections.set(client, socket)
        }),
      {
        manualConnect: true,
        keepalive: this.random.oneOf(KEEPALIVES_SECONDS),
        reconnectPeriod: RECONNECT_MS,
        reschedulePings: this.random.chance(0.5),
        connectTimeout: 10_000,
        protocolVersion: 4,
        ...options
      }
    )
    if (options.clientId !== undefined) this.clientIds.add(options.clientId)
    // Lost connections are expected.
    client.on('error', () => {})
    this.#clients.add(client)
    client.connect()
    client.once('end', () => {
      // A client that is ended before it is connected would reconnect otherwise.
      client.options.reconnectPeriod = 0
      this.#clients.delete(client)
    })
    return client
  }

  /** Logs and publishes a message; QoS 1 and 2 are queued while disconnected. */
  publish(client: MqttClient, topic: string, payload: string | Buffer, options: IClientPublishOptions = {}): void {
    if (this.#stopped || client.disconnecting || !this.#clients.has(client)) return
    if (!client.connected && (options.qos ?? 0) === 0) return
    const { address, role } = this.party
    this.#ledger.logMessage({ role, address, clientId: client.options.clientId ?? '' }, topic, payload)
    client.publish(topic, payload, options, () => {})
  }

  /** Logs and returns a will. */
  will(
    clientId: string,
    topic: string,
    payload: string,
    options: { qos?: 0 | 1 | 2; retain?: boolean } = {}
  ): NonNullable<IClientOptions['will']> {
    const { address, role } = this.party
    this.#ledger.logMessage({ role, address, clientId }, topic, payload)
    return { topic, payload: Buffer.from(payload), qos: options.qos ?? 0, retain: options.retain ?? false }
  }

  /** Runs an action periodically, first after a random part of the interval, so that devices are not synchronised. */
  every(meanMs: number, action: () => void, jitter = 0.1): void {
    const next = (waitMs: number): void => {
      this.after(waitMs, () => {
        action()
        next(meanMs * this.random.between(1 - jitter, 1 + jitter))
      })
    }
    next(meanMs * this.random.between(0.05, 1))
  }

  /** Runs an action at independent random times. */
  atRandomTimes(meanMs: number, action: () => void): void {
    this.after(this.random.exponential(meanMs), () => {
      action()
      this.atRandomTimes(meanMs, action)
    })
  }

  after(waitMs: number, action: () => void): void {
    if (this.#stopped) return
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      action()
    }, waitMs * this.#timeFactor)
    this.#timers.add(timer)
  }

  /** Drops the connection as on power or radio failure, with a reset or a FIN. */
  lose(client: MqttClient): void {
    const socket = this.#connections.get(client)
    if (socket === undefined || socket.destroyed) return
    if (this.random.chance(0.5)) socket.resetAndDestroy()
    else socket.destroy()
  }

  /** Opens a bare TCP connection. */
  socket(): Socket {
    const socket = connectTcp({ host: this.target.host, port: this.target.port, localAddress: this.party.address })
    socket.on('error', () => {})
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    return socket
  }

  /** Closes everything, after the capture. */
  async stop(): Promise<void> {
    this.#stopped = true
    for (const timer of this.#timers) clearTimeout(timer)
    for (const socket of this.#sockets) socket.destroy()
    await Promise.all(
      [...this.#clients].map(async client => {
        // Do not reconnect or wait for acknowledgements of a lost connection.
        client.options.reconnectPeriod = 0
        const ended = client.endAsync(true).catch(() => {})
        await Promise.race([ended, pause(END_MS)])
        this.#connections.get(client)?.destroy()
      })
    )
  }

  /** @param onSocket called with the TCP connection */
  #stream(transport: Transport, noDelay: boolean, onSocket: (socket: Socket) => void): MqttClient['stream'] {
    const { host, port, tlsPort, webSocketPort } = this.target
    const open = (port: number): Socket => {
      const socket = connectTcp({ host, port, localAddress: this.party.address, noDelay })
      onSocket(socket)
      return socket
    }
    // The lab's certificate is self-signed; only its appearance on the wire matters.
    if (transport === 'tls' && tlsPort !== null) return connectTls({ socket: open(tlsPort), rejectUnauthorized: false })
    if (transport === 'websocket' && webSocketPort !== null) {
      const url = `ws://${host}:${webSocketPort}/mqtt`
      const stream = createWebSocketStream(
        new WebSocket(url, ['mqtt'], { createConnection: () => open(webSocketPort), perMessageDeflate: false })
      )
      stream.on('error', () => {})
      return stream
    }
    return open(port)
  }
}
