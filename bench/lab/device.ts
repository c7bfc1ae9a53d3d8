// A device: one address, a client library as real ones use it, timers, and a source of chance of its own.

import { connect as connectTcp, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { createWebSocketStream, WebSocket } from 'ws'
import { MqttClient, type IClientOptions, type IClientPublishOptions } from 'mqtt'
import { Chance } from './chance.js'
import type { Home } from './home.js'
import type { Ledger } from './ledger.js'
import type { Party } from './plan.js'
import { assertLabTarget, type Target } from './target.js'

/** A kind of device. */
export interface DeviceKind {
  name: string
  /** What it does, for the list. */
  summary: string
  /** How many there are from the start. */
  residents: number
  /** Whether one may come anew during an attack. */
  ordinary: boolean
  /** Begins its life; it ends with {@link Device.stop}. */
  start(device: Device): void
}

/** How a device speaks to the broker. */
export type Transport = 'tcp' | 'tls' | 'websocket'

/** What a client is opened with, beyond what the library knows. */
export interface ClientOptions extends IClientOptions {
  transport?: Transport
  /** Whether small packets wait for acknowledgement of earlier ones (Nagle), as they do with many real clients. */
  gathers?: boolean
}

const RECONNECT_MS = 2_000
/** So long may a client take to end. */
const END_MS = 1_000
const KEEPALIVES_SECONDS = [10, 15, 15, 20, 30, 30, 60]

/** One machine of the household. */
export class Device {
  readonly chance: Chance
  readonly name: string
  /** The ids that its clients have had. */
  readonly clientIds = new Set<string>()
  readonly #clients = new Set<MqttClient>()
  /** The TCP connection below each client. */
  readonly #lines = new WeakMap<MqttClient, Socket>()
  readonly #sockets = new Set<Socket>()
  readonly #timers = new Set<NodeJS.Timeout>()
  #stopped = false
  readonly #ledger: Ledger
  readonly #pace: number

  /**
   * @param pace times are this many times as long: 1 as they are, less to see a life in short
   */
  constructor(
    readonly party: Party,
    readonly home: Home,
    readonly target: Target,
    ledger: Ledger,
    pace = 1
  ) {
    this.#ledger = ledger
    this.#pace = pace
    assertLabTarget(target)
    this.chance = new Chance(party.seed)
    this.name = home.nameOf(party)
  }

  /** Opens a client that comes back when its connection is lost. */
  open({ transport = 'tcp', gathers = this.chance.happens(0.3), ...options }: ClientOptions): MqttClient {
    const client: MqttClient = new MqttClient(
      () =>
        this.#stream(transport, !gathers, line => {
          this.#lines.set(client, line)
        }),
      {
        manualConnect: true,
        keepalive: this.chance.oneOf(KEEPALIVES_SECONDS),
        reconnectPeriod: RECONNECT_MS,
        reschedulePings: this.chance.happens(0.5),
        connectTimeout: 10_000,
        protocolVersion: 4,
        ...options
      }
    )
    if (options.clientId !== undefined) this.clientIds.add(options.clientId)
    // A lost connection is part of a device's life.
    client.on('error', () => {})
    this.#clients.add(client)
    client.connect()
    client.once('end', () => {
      // One that is ended before its connection stands would come back all the same.
      client.options.reconnectPeriod = 0
      this.#clients.delete(client)
    })
    return client
  }

  /** Writes a message down and publishes it; one of QoS 1 or 2 is kept while there is no connection. */
  publish(client: MqttClient, topic: string, payload: string | Buffer, options: IClientPublishOptions = {}): void {
    if (this.#stopped || client.disconnecting || !this.#clients.has(client)) return
    if (!client.connected && (options.qos ?? 0) === 0) return
    const { address, role } = this.party
    this.#ledger.note({ role, address, clientId: client.options.clientId ?? '' }, topic, payload)
    client.publish(topic, payload, options, () => {})
  }

  /** Writes down what the broker may publish in this device's name. */
  will(
    clientId: string,
    topic: string,
    payload: string,
    options: { qos?: 0 | 1 | 2; retain?: boolean } = {}
  ): NonNullable<IClientOptions['will']> {
    const { address, role } = this.party
    this.#ledger.note({ role, address, clientId }, topic, payload)
    return { topic, payload: Buffer.from(payload), qos: options.qos ?? 0, retain: options.retain ?? false }
  }

  /** Does something again and again, first after a part of the time, so that no two devices keep step. */
  every(meanMs: number, act: () => void, jitter = 0.1): void {
    const next = (waitMs: number): void => {
      this.after(waitMs, () => {
        act()
        next(meanMs * this.chance.between(1 - jitter, 1 + jitter))
      })
    }
    next(meanMs * this.chance.between(0.05, 1))
  }

  /** Does something at moments that know nothing of each other. */
  sometimes(meanMs: number, act: () => void): void {
    this.after(this.chance.waiting(meanMs), () => {
      act()
      this.sometimes(meanMs, act)
    })
  }

  after(waitMs: number, act: () => void): void {
    if (this.#stopped) return
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      act()
    }, waitMs * this.#pace)
    this.#timers.add(timer)
  }

  /** Loses the connection without a word, as when the power or the radio fails; by a reset or a FIN. */
  lose(client: MqttClient): void {
    const line = this.#lines.get(client)
    if (line === undefined || line.destroyed) return
    if (this.chance.happens(0.5)) line.resetAndDestroy()
    else line.destroy()
  }

  /** A connection of its own without MQTT. */
  socket(): Socket {
    const socket = connectTcp({ host: this.target.host, port: this.target.port, localAddress: this.party.address })
    socket.on('error', () => {})
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    return socket
  }

  /** Ends everything: the capture is over, so nobody sees how. */
  async stop(): Promise<void> {
    this.#stopped = true
    for (const timer of this.#timers) clearTimeout(timer)
    for (const socket of this.#sockets) socket.destroy()
    await Promise.all(
      [...this.#clients].map(async client => {
        // Neither coming back nor waiting for an acknowledgement that a lost connection will not bring.
        client.options.reconnectPeriod = 0
        const ended = client.endAsync(true).catch(() => {})
        await Promise.race([ended, pause(END_MS)])
        this.#lines.get(client)?.destroy()
      })
    )
  }

  /** @param onLine is given the TCP connection */
  #stream(transport: Transport, noDelay: boolean, onLine: (line: Socket) => void): MqttClient['stream'] {
    const { host, port, tlsPort, webSocketPort } = this.target
    const dial = (port: number): Socket => {
      const line = connectTcp({ host, port, localAddress: this.party.address, noDelay })
      onLine(line)
      return line
    }
    // A lab's certificate is nobody's: what matters is what it looks like on the wire.
    if (transport === 'tls' && tlsPort !== null) return connectTls({ socket: dial(tlsPort), rejectUnauthorized: false })
    if (transport === 'websocket' && webSocketPort !== null) {
      const url = `ws://${host}:${webSocketPort}/mqtt`
      const stream = createWebSocketStream(
        new WebSocket(url, ['mqtt'], { createConnection: () => dial(webSocketPort), perMessageDeflate: false })
      )
      stream.on('error', () => {})
      return stream
    }
    return dial(port)
  }
}
