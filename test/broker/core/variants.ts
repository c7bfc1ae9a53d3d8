// Runs a test for each transport and MQTT version, in parallel.

import { mkdirSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import {
  TRANSPORTS,
  startOnAllTransports,
  type BrokerSettings,
  type TransportBroker,
  type Transport
} from './transports.js'
import { SessionClient, type SessionOptions, type Version } from './session-client.js'

const VERSIONS: readonly Version[] = [4, 5]

/** How a client reconnects to its session. */
export type Reconnect = 'a lost connection' | 'a takeover' | 'a restart'

/** All kinds of reconnects. */
export const RECONNECTS: readonly Reconnect[] = ['a lost connection', 'a takeover', 'a restart']

/** Options of a test. */
export interface VariantOptions {
  /** Broker settings. */
  settings?: BrokerSettings
  /** Signal for restarts. @default SIGKILL */
  signal?: Signal
  /** Whether each variant has its own broker, so that a restart need not wait for others. */
  alone?: boolean
  versions?: readonly Version[]
  transports?: readonly Transport[]
}

type Signal = 'SIGTERM' | 'SIGKILL'

const folders = t.testdir({})
/** Brokers by their options. */
const brokers = new Map<string, SharedBroker>()
let tests = 0

/**
 * Runs a test for each transport and version, in parallel. All tests of a file with the same options share a broker and
 * its restarts.
 */
export function onEachTransport(
  name: string,
  run: (test: Test, variant: Variant) => Promise<void>,
  options: VariantOptions = {}
): void {
  const { versions = VERSIONS, transports = TRANSPORTS } = options
  const prefix = `${++tests}`
  const variants = transports.flatMap(transport =>
    versions.map(version => {
      const name = `${prefix}/${transport}-${version}`
      const shared = brokerFor(options, options.alone === true ? name : '')
      return { title: `${transport}, MQTT ${version === 5 ? '5' : '3.1.1'}`, transport, version, name, shared }
    })
  )
  t.jobs = tests
  void t.test(name, { buffered: true }, async t => {
    t.jobs = variants.length
    await Promise.all(
      variants.map(({ title, shared, transport, version, name }) =>
        t.test(title, { buffered: true }, async t => {
          try {
            await shared.start()
            await run(t, new Variant(t, shared, transport, version, name))
          } finally {
            shared.leave()
          }
        })
      )
    )
  })
}

function brokerFor({ settings, signal = 'SIGKILL' }: VariantOptions, owner: string): SharedBroker {
  const key = JSON.stringify([settings, signal, owner])
  const shared = brokers.get(key) ?? new SharedBroker(path.join(folders, String(brokers.size)), settings, signal)
  brokers.set(key, shared)
  shared.join()
  return shared
}

/** A transport and MQTT version, with unique names for clients and topics. */
export class Variant {
  readonly #test: Test
  readonly #shared: SharedBroker
  readonly #prefix: string

  constructor(
    test: Test,
    shared: SharedBroker,
    readonly transport: Transport,
    readonly version: Version,
    prefix: string
  ) {
    this.#test = test
    this.#shared = shared
    this.#prefix = prefix
  }

  /** The running broker. */
  get broker(): TransportBroker {
    return this.#shared.broker
  }

  /** Returns a client id or topic that no other variant of any test uses. */
  name(rest: string): string {
    return `${this.#prefix}/${rest}`
  }

  /** Connects a client, by default with this variant's version; it is closed when the test ends. */
  async connect(options: SessionOptions): Promise<SessionClient> {
    const stream = await this.open()
    return await SessionClient.connect(stream, { version: this.version, ...options })
  }

  /** Sends a CONNECT without waiting for the CONNACK. */
  async startConnect(options: SessionOptions): Promise<SessionClient> {
    return SessionClient.startConnect(await this.open(), { version: this.version, ...options })
  }

  /** Connects a client whose session ends with the connection. */
  async connectClean(name = 'clean', options: Partial<SessionOptions> = {}): Promise<SessionClient> {
    return await this.connect({ clientId: this.name(name), clean: true, acknowledges: true, ...options })
  }

  /** Reconnects to a client's session. */
  async reconnect(
    client: SessionClient,
    how: Reconnect,
    options: Partial<SessionOptions> = {}
  ): Promise<SessionClient> {
    return (await this.reconnectAll([client], how, options))[0]
  }

  /** Reconnects to the sessions of several clients. */
  async reconnectAll(
    clients: readonly SessionClient[],
    how: Reconnect,
    options: Partial<SessionOptions> = {}
  ): Promise<SessionClient[]> {
    if (how === 'a lost connection') await Promise.all(clients.map(client => client.destroy()))
    if (how === 'a restart') await this.restart()
    return await Promise.all(clients.map(client => this.connect({ ...client.options, ...options })))
  }

  /** Restarts the broker once all tests that share it have requested it. */
  async restart(): Promise<void> {
    await this.#shared.restart()
  }

  /** Opens a connection. */
  async open(): ReturnType<TransportBroker['open']> {
    const stream = await this.broker.open(this.transport)
    this.#test.teardown(() => {
      stream.destroy()
    })
    return stream
  }
}

/** A broker shared by tests: it restarts once all unfinished tests have requested it. */
class SharedBroker {
  #running: TransportBroker | undefined
  #starting: Promise<void> | undefined
  #restarting: Promise<void> | undefined
  #startRestart = (): void => {}
  #users = 0
  #waiting = 0
  readonly #folder: string
  readonly #settings: BrokerSettings | undefined
  readonly #signal: Signal

  constructor(folder: string, settings: BrokerSettings | undefined, signal: Signal) {
    this.#folder = folder
    this.#settings = settings
    this.#signal = signal
  }

  get broker(): TransportBroker {
    if (this.#running === undefined) throw new Error('no broker is running')
    return this.#running
  }

  join(): void {
    this.#users++
  }

  async start(): Promise<void> {
    this.#starting ??= this.#launch()
    await this.#starting
  }

  async restart(): Promise<void> {
    this.#restarting ??= new Promise<void>(resolve => {
      this.#startRestart = resolve
    }).then(async () => {
      await this.#running?.stop(this.#signal)
      await this.#launch()
    })
    const done = this.#restarting
    this.#waiting++
    this.#restartWhenAllWait()
    await done
  }

  leave(): void {
    this.#users--
    this.#restartWhenAllWait()
  }

  async #launch(): Promise<void> {
    mkdirSync(this.#folder, { recursive: true })
    this.#running = await startOnAllTransports(t, this.#folder, this.#settings)
  }

  #restartWhenAllWait(): void {
    if (this.#restarting === undefined || this.#waiting < this.#users) return
    this.#waiting = 0
    this.#restarting = undefined
    this.#startRestart()
  }
}
