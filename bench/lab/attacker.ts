// An attacker: one address, connections only to the lab's broker, and a fixed end.

import { connect as connectTcp, type Socket } from 'node:net'
import { once, setMaxListeners } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { MqttClient, type IClientOptions } from 'mqtt'
import { MqttWalker } from '../../src/decode/mqtt.js'
import { RandomSource } from './random-source.js'
import type { Home } from './home.js'
import type { MessageLog } from './message-log.js'
import type { Party } from './plan.js'
import { assertLabTarget, type Target } from './target.js'

export interface Attack {
  name: string
  /** Description for --list. */
  summary: string
  /** Minimum and maximum number of attackers, each with its own address. */
  attackers: readonly [number, number]
  /** Set if it uses forged source addresses. */
  isForged?: true
  /** Runs one attacker; must resolve soon after {@link Attacker.over}. */
  run(attacker: Attacker): Promise<void>
}

/** What an attacker knows, and its means. */
export interface AttackScene {
  target: Target
  home: Home
  messageLog: MessageLog
  /** Client ids of devices, as an eavesdropper would know them. */
  victims: readonly string[]
  /** Sends a crafted IPv4 packet to the broker over the link. */
  inject(packet: Buffer): void
}

/** Maximum number of open sockets per attacker. */
const MAX_SOCKETS = 1_000
const CONNECT_TIMEOUT_MS = 5_000
const MAX_PAYLOAD = 16_777_216

export class Attacker {
  readonly random: RandomSource
  readonly #sockets = new Set<Socket>()
  readonly #abort = new AbortController()
  readonly #timer: NodeJS.Timeout

  /** @param maxMs time limit */
  constructor(
    readonly party: Party,
    readonly scene: AttackScene,
    maxMs: number
  ) {
    assertLabTarget(scene.target)
    this.random = new RandomSource(party.seed)
    // Hundreds of connections wait for the signal at the same time.
    setMaxListeners(0, this.#abort.signal)
    this.#timer = setTimeout(() => {
      this.#abort.abort()
    }, maxMs)
  }

  get over(): boolean {
    return this.#abort.signal.aborted
  }

  get target(): Target {
    return this.scene.target
  }

  /** Waits, or until the end of the attack. */
  async pause(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.#abort.signal }).catch(() => {})
  }

  /**
   * Opens a connection to the broker; null if it is refused or the attack is over.
   *
   * @param port if not the MQTT port
   */
  async connect(
    port = this.target.port,
    options: { nagle?: boolean; timeoutMs?: number } = {}
  ): Promise<Socket | null> {
    if (this.over || this.#sockets.size >= MAX_SOCKETS) return null
    const socket = connectTcp({
      host: this.target.host,
      port,
      localAddress: this.party.address,
      noDelay: options.nagle !== true
    })
    this.#track(socket)
    const timer = setTimeout(() => {
      socket.destroy()
    }, options.timeoutMs ?? CONNECT_TIMEOUT_MS)
    await Promise.race([once(socket, 'connect'), once(socket, 'close')]).catch(() => {})
    clearTimeout(timer)
    // Discard received data.
    socket.resume()
    return socket.destroyed ? null : socket
  }

  /** Opens an MQTT.js client without reconnection. */
  async client(options: IClientOptions & { clientId: string; nagle?: boolean }): Promise<MqttClient | null> {
    if (this.over || this.#sockets.size >= MAX_SOCKETS) return null
    const { nagle = false, ...rest } = options
    const client = new MqttClient(
      () => {
        const socket = connectTcp({
          host: this.target.host,
          port: this.target.port,
          localAddress: this.party.address,
          noDelay: !nagle
        })
        this.#track(socket)
        return socket
      },
      { reconnectPeriod: 0, protocolVersion: 4, connectTimeout: CONNECT_TIMEOUT_MS, ...rest }
    )
    client.on('error', () => {})
    await new Promise<void>(resolve => {
      client.once('connect', () => {
        resolve()
      })
      client.once('close', () => {
        resolve()
      })
    })
    return client.connected ? client : null
  }

  /** Logs a message; call it before sending, also for wills. */
  logMessage(clientId: string, topic: string | Buffer, payload: string | Buffer): void {
    this.scene.messageLog.logMessage({ role: 'attacker', address: this.party.address, clientId }, topic, payload)
  }

  /** Logs every message in bytes that may be damaged: the broker may accept part of them. */
  logMessages(clientId: string, bytes: Buffer): void {
    const walker = new MqttWalker({ topicCapBytes: 65_535, payloadCapBytes: MAX_PAYLOAD, session: { version: 0 } })
    walker.push(bytes, ({ topic, payload }) => {
      if (topic !== null && payload !== null) this.logMessage(clientId, Buffer.from(topic), Buffer.from(payload))
    })
  }

  /** Sends bytes and waits while the connection is congested; returns whether it is still open. */
  async send(socket: Socket, bytes: Buffer): Promise<boolean> {
    if (!this.#isOpen(socket)) return false
    if (socket.write(bytes)) return true
    await Promise.race([once(socket, 'drain', { signal: this.#abort.signal }), once(socket, 'close')]).catch(() => {})
    return this.#isOpen(socket)
  }

  /** Closes all connections. */
  stop(): void {
    clearTimeout(this.#timer)
    this.#abort.abort()
    for (const socket of this.#sockets) socket.destroy()
  }

  #isOpen(socket: Socket): boolean {
    return !socket.destroyed && !this.over
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => this.#sockets.delete(socket))
  }
}
