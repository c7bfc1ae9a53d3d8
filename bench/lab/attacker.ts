// An attacker: one address, connections to the lab's broker and to nothing else, and an end that it cannot miss.

import { connect as connectTcp, type Socket } from 'node:net'
import { once, setMaxListeners } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { MqttClient, type IClientOptions } from 'mqtt'
import { MqttWalker } from '../../src/decode/mqtt.js'
import { Chance } from './chance.js'
import type { Home } from './home.js'
import type { Ledger } from './ledger.js'
import type { Party } from './plan.js'
import { assertLabTarget, type Target } from './target.js'

/** An attack. */
export interface Attack {
  name: string
  /** What it does, for the list. */
  summary: string
  /** Fewest and most attackers, each with an address of its own. */
  attackers: readonly [number, number]
  /** Set where it comes from addresses that nobody has. */
  isForged?: true
  /** What one of the attackers does; to resolve soon after {@link Attacker.over}. */
  run(attacker: Attacker): Promise<void>
}

/** What an attacker knows and may use. */
export interface AttackScene {
  target: Target
  home: Home
  ledger: Ledger
  /** Client ids of devices, as somebody who listened would know them. */
  victims: readonly string[]
  /** Sends a hand-made IPv4 packet to the broker as if it came over the link. */
  inject(packet: Buffer): void
}

/** Sockets that one attacker may have open at a time. */
const MOST_SOCKETS = 1_000
const CONNECT_MS = 5_000
const MOST_PAYLOAD = 16_777_216

/** One attacker. */
export class Attacker {
  readonly chance: Chance
  readonly #sockets = new Set<Socket>()
  readonly #ending = new AbortController()
  readonly #timer: NodeJS.Timeout

  /**
   * @param longestMs after which it is over at the latest
   */
  constructor(
    readonly party: Party,
    readonly scene: AttackScene,
    longestMs: number
  ) {
    assertLabTarget(scene.target)
    this.chance = new Chance(party.seed)
    // Hundreds of its connections wait for the end at a time.
    setMaxListeners(0, this.#ending.signal)
    this.#timer = setTimeout(() => {
      this.#ending.abort()
    }, longestMs)
  }

  get over(): boolean {
    return this.#ending.signal.aborted
  }

  get target(): Target {
    return this.scene.target
  }

  /** Waits; a shorter time where the end comes first. */
  async pause(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.#ending.signal }).catch(() => {})
  }

  /**
   * Opens a connection to the broker; null where it was refused or the end has come.
   *
   * @param port another than that of MQTT
   */
  async connect(
    port = this.target.port,
    options: { gathers?: boolean; timeoutMs?: number } = {}
  ): Promise<Socket | null> {
    if (this.over || this.#sockets.size >= MOST_SOCKETS) return null
    const socket = connectTcp({
      host: this.target.host,
      port,
      localAddress: this.party.address,
      noDelay: options.gathers !== true
    })
    this.#keep(socket)
    const timer = setTimeout(() => {
      socket.destroy()
    }, options.timeoutMs ?? CONNECT_MS)
    await Promise.race([once(socket, 'connect'), once(socket, 'close')]).catch(() => {})
    clearTimeout(timer)
    // What comes is not looked at, but taken.
    socket.resume()
    return socket.destroyed ? null : socket
  }

  /** Opens an MQTT client of the ordinary library; it does not come back by itself. */
  async client(options: IClientOptions & { clientId: string; gathers?: boolean }): Promise<MqttClient | null> {
    if (this.over || this.#sockets.size >= MOST_SOCKETS) return null
    const { gathers = false, ...rest } = options
    const client = new MqttClient(
      () => {
        const socket = connectTcp({
          host: this.target.host,
          port: this.target.port,
          localAddress: this.party.address,
          noDelay: !gathers
        })
        this.#keep(socket)
        return socket
      },
      { reconnectPeriod: 0, protocolVersion: 4, connectTimeout: CONNECT_MS, ...rest }
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

  /** Writes a message down; to be called before it is sent, wills included. */
  note(clientId: string, topic: string | Buffer, payload: string | Buffer): void {
    this.scene.ledger.note({ role: 'attacker', address: this.party.address, clientId }, topic, payload)
  }

  /** Writes down every message in bytes that may be damaged: whatever of it the broker takes, it has from here. */
  noteAll(clientId: string, bytes: Buffer): void {
    const walker = new MqttWalker({ topicCapBytes: 65_535, payloadCapBytes: MOST_PAYLOAD, session: { version: 0 } })
    walker.push(bytes, ({ topic, payload }) => {
      if (topic !== null && payload !== null) this.note(clientId, Buffer.from(topic), Buffer.from(payload))
    })
  }

  /** Whether the other end still takes bytes: waits where it is slow. */
  async send(socket: Socket, bytes: Buffer): Promise<boolean> {
    if (!this.#reaches(socket)) return false
    if (socket.write(bytes)) return true
    await Promise.race([once(socket, 'drain', { signal: this.#ending.signal }), once(socket, 'close')]).catch(() => {})
    return this.#reaches(socket)
  }

  /** Ends what is left. */
  stop(): void {
    clearTimeout(this.#timer)
    this.#ending.abort()
    for (const socket of this.#sockets) socket.destroy()
  }

  #reaches(socket: Socket): boolean {
    return !socket.destroyed && !this.over
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => this.#sockets.delete(socket))
  }
}
