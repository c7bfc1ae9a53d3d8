// One test over every way to a broker: each carrier with each version of MQTT, side by side.

import { mkdirSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { CARRIERS, startCarried, type BrokerSettings, type CarriedBroker, type Carrier } from './carriers.js'
import { SessionClient, type SessionOptions, type Version } from './session-client.js'

const VERSIONS: readonly Version[] = [4, 5]

/** How a client comes back to its session. */
export type Return = 'a lost connection' | 'a takeover' | 'a restart'

/** All of them. */
export const RETURNS: readonly Return[] = ['a lost connection', 'a takeover', 'a restart']

/** What a test may ask for. */
export interface WayOptions {
  /** Of the broker. */
  settings?: BrokerSettings
  /** How the broker ends where the test has it restarted. */
  signal?: Signal
  /** Whether each way has a broker to itself, which is then restarted at once. */
  alone?: boolean
  versions?: readonly Version[]
  carriers?: readonly Carrier[]
}

type Signal = 'SIGTERM' | 'SIGKILL'

const folders = t.testdir({})
/** By what is asked of them. */
const brokers = new Map<string, SharedBroker>()
let tests = 0

/**
 * Runs a test once for each carrier and version. All tests of a file that ask for the same share a broker and its
 * restarts, and run side by side.
 */
export function onEveryWay(name: string, run: (test: Test, way: Way) => Promise<void>, options: WayOptions = {}): void {
  const { versions = VERSIONS, carriers = CARRIERS } = options
  const prefix = `${++tests}`
  const ways = carriers.flatMap(carrier =>
    versions.map(version => {
      const name = `${prefix}/${carrier}-${version}`
      const shared = brokerFor(options, options.alone === true ? name : '')
      return { title: `${carrier}, MQTT ${version === 5 ? '5' : '3.1.1'}`, carrier, version, name, shared }
    })
  )
  t.jobs = tests
  void t.test(name, { buffered: true }, async t => {
    t.jobs = ways.length
    await Promise.all(
      ways.map(({ title, shared, carrier, version, name }) =>
        t.test(title, { buffered: true }, async t => {
          try {
            await shared.start()
            await run(t, new Way(t, shared, carrier, version, name))
          } finally {
            shared.leave()
          }
        })
      )
    )
  })
}

function brokerFor({ settings, signal = 'SIGKILL' }: WayOptions, whose: string): SharedBroker {
  const key = JSON.stringify([settings, signal, whose])
  const shared = brokers.get(key) ?? new SharedBroker(path.join(folders, String(brokers.size)), settings, signal)
  brokers.set(key, shared)
  shared.join()
  return shared
}

/** One way to the broker, with names of its own for clients and topics. */
export class Way {
  readonly #test: Test
  readonly #shared: SharedBroker
  readonly #prefix: string

  constructor(
    test: Test,
    shared: SharedBroker,
    readonly carrier: Carrier,
    readonly version: Version,
    prefix: string
  ) {
    this.#test = test
    this.#shared = shared
    this.#prefix = prefix
  }

  /** The broker that runs now. */
  get broker(): CarriedBroker {
    return this.#shared.broker
  }

  /** A name, also a topic, that no other way of any test has. */
  name(rest: string): string {
    return `${this.#prefix}/${rest}`
  }

  /** Connects, with this way's version unless told otherwise; it is gone when the test ends. */
  async connect(options: SessionOptions): Promise<SessionClient> {
    const stream = await this.open()
    return await SessionClient.connect(stream, { version: this.version, ...options })
  }

  /** Sends a CONNECT and waits for nothing. */
  async begin(options: SessionOptions): Promise<SessionClient> {
    return SessionClient.begin(await this.open(), { version: this.version, ...options })
  }

  /** Connects with a session of its own that ends with the connection. */
  async visitor(name = 'visitor', options: Partial<SessionOptions> = {}): Promise<SessionClient> {
    return await this.connect({ clientId: this.name(name), clean: true, acknowledges: true, ...options })
  }

  /** Comes back to a client's session. */
  async back(client: SessionClient, how: Return, options: Partial<SessionOptions> = {}): Promise<SessionClient> {
    return (await this.backAll([client], how, options))[0]
  }

  /** Comes back to the sessions of several clients. */
  async backAll(
    clients: readonly SessionClient[],
    how: Return,
    options: Partial<SessionOptions> = {}
  ): Promise<SessionClient[]> {
    if (how === 'a lost connection') await Promise.all(clients.map(client => client.vanish()))
    if (how === 'a restart') await this.restart()
    return await Promise.all(clients.map(client => this.connect({ ...client.options, ...options })))
  }

  /** Ends the broker once all that share it are there, and starts it anew. */
  async restart(): Promise<void> {
    await this.#shared.restart()
  }

  /** Opens a connection; nothing is sent yet. */
  async open(): ReturnType<CarriedBroker['open']> {
    const stream = await this.broker.open(this.carrier)
    this.#test.teardown(() => {
      stream.destroy()
    })
    return stream
  }
}

/** A broker that several share: it is restarted when all that are not through yet have asked for it. */
class SharedBroker {
  #running: CarriedBroker | undefined
  #starting: Promise<void> | undefined
  #restarting: Promise<void> | undefined
  #go = (): void => {}
  #sharers = 0
  #waiting = 0
  readonly #folder: string
  readonly #settings: BrokerSettings | undefined
  readonly #signal: Signal

  constructor(folder: string, settings: BrokerSettings | undefined, signal: Signal) {
    this.#folder = folder
    this.#settings = settings
    this.#signal = signal
  }

  get broker(): CarriedBroker {
    if (this.#running === undefined) throw new Error('no broker runs')
    return this.#running
  }

  join(): void {
    this.#sharers++
  }

  async start(): Promise<void> {
    this.#starting ??= this.#begin()
    await this.#starting
  }

  async restart(): Promise<void> {
    this.#restarting ??= new Promise<void>(resolve => {
      this.#go = resolve
    }).then(async () => {
      await this.#running?.stop(this.#signal)
      await this.#begin()
    })
    const done = this.#restarting
    this.#waiting++
    this.#goWhenAllWait()
    await done
  }

  leave(): void {
    this.#sharers--
    this.#goWhenAllWait()
  }

  async #begin(): Promise<void> {
    mkdirSync(this.#folder, { recursive: true })
    this.#running = await startCarried(t, this.#folder, this.#settings)
  }

  #goWhenAllWait(): void {
    if (this.#restarting === undefined || this.#waiting < this.#sharers) return
    this.#waiting = 0
    this.#restarting = undefined
    this.#go()
  }
}
