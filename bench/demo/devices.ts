// Twelve clients of a home: numbers, JSON and switches at every QoS, partly retained.

import { connect } from 'node:net'
import { MqttClient, type IClientOptions } from 'mqtt'

/** A message that a device publishes periodically. */
interface Publication {
  topic: string
  qos: 0 | 1 | 2
  retain?: boolean
  /** Mean interval, ms; the actual interval varies by 25 % either way. */
  meanIntervalMs: number
  payload: () => string
}

interface Device {
  clientId: string
  options?: IClientOptions
  publications: Publication[]
}

const degrees = (middle: number, spread: number): string => (middle + (Math.random() - 0.5) * spread).toFixed(1)
const randomInteger = (from: number, to: number): number => Math.floor(from + Math.random() * (to - from))
const pick = (...values: string[]): string => values[randomInteger(0, values.length)]

function thermometer(room: string): Device {
  return {
    clientId: `dht11-${room}`,
    publications: [
      { topic: `home/${room}/temperature`, qos: 0, meanIntervalMs: 400, payload: () => degrees(21, 3) },
      { topic: `home/${room}/humidity`, qos: 0, meanIntervalMs: 400, payload: () => String(randomInteger(38, 55)) }
    ]
  }
}

function zigbee(name: string): Device {
  return {
    clientId: `zigbee2mqtt-${name}`,
    publications: [
      {
        topic: `home/zigbee2mqtt/${name}`,
        qos: 1,
        meanIntervalMs: 350,
        payload: () =>
          JSON.stringify({
            battery: randomInteger(60, 100),
            contact: Math.random() < 0.5,
            linkquality: randomInteger(40, 255),
            temperature: Number(degrees(20, 4)),
            voltage: randomInteger(2900, 3100)
          })
      }
    ]
  }
}

function relay(name: string): Device {
  return {
    clientId: `switch-${name}`,
    options: { will: { topic: `home/${name}/availability`, payload: Buffer.from('offline'), qos: 1, retain: true } },
    publications: [
      { topic: `home/${name}/state`, qos: 1, retain: true, meanIntervalMs: 600, payload: () => pick('ON', 'OFF') }
    ]
  }
}

const METER: Device = {
  clientId: 'meter',
  publications: [
    { topic: 'home/meter/energy', qos: 2, meanIntervalMs: 500, payload: () => (1_200 + Math.random() * 800).toFixed(3) }
  ]
}

const TASMOTA: Device = {
  clientId: 'tasmota-plug',
  publications: [
    {
      topic: 'home/tele/plug/SENSOR',
      qos: 0,
      meanIntervalMs: 500,
      payload: () =>
        JSON.stringify({
          Time: new Date().toISOString().slice(0, 19),
          ENERGY: {
            Total: Number((3 + Math.random()).toFixed(3)),
            Power: randomInteger(0, 2_000),
            Voltage: randomInteger(225, 235),
            Current: Number(Math.random().toFixed(3))
          }
        })
    }
  ]
}

const DASHBOARD: Device = {
  clientId: 'dashboard',
  options: { protocolVersion: 5 },
  publications: [{ topic: 'home/lamp/set', qos: 2, meanIntervalMs: 900, payload: () => pick('ON', 'OFF', 'TOGGLE') }]
}

const DEVICES: readonly Device[] = [
  DASHBOARD,
  thermometer('kitchen'),
  thermometer('bath'),
  thermometer('cellar'),
  zigbee('door'),
  zigbee('window'),
  zigbee('motion'),
  relay('lamp'),
  relay('pump'),
  relay('fan'),
  METER,
  TASMOTA
]

/** Message counts of the home. */
export interface HomeFigures {
  clients: number
  sent: number
  received: number
  /** Topics on which the dashboard received fewer messages than were sent. */
  incompleteTopics: string[]
  /** Clients that the broker disconnected. */
  disconnected: string[]
}

/** The home: every device connects from its own address; the dashboard subscribes to everything. */
export class Home {
  readonly #clients: MqttClient[] = []
  readonly #timers = new Set<NodeJS.Timeout>()
  readonly #sent = new Map<string, number>()
  readonly #received = new Map<string, number>()
  readonly #disconnected: string[] = []
  readonly #pending = new Set<Promise<unknown>>()
  #running = true
  readonly #port: number

  constructor(port: number) {
    this.#port = port
  }

  /** Connects all devices and starts publishing. */
  async start(): Promise<void> {
    for (const [i, device] of DEVICES.entries()) {
      const client = await this.#connect(device, `127.0.20.${i + 1}`)
      if (device === DASHBOARD) {
        client.on('message', topic => {
          count(this.#received, topic)
        })
        await client.subscribeAsync('home/#', { qos: 2 })
      }
      for (const publication of device.publications) this.#repeat(client, publication)
    }
  }

  /** Stops publishing, waits for messages in flight, and disconnects. */
  async stop(): Promise<HomeFigures> {
    for (const timer of this.#timers) clearTimeout(timer)
    await Promise.all(this.#pending)
    const deadline = performance.now() + 5_000
    while (total(this.#received) < total(this.#sent) && performance.now() < deadline)
      await new Promise(resolve => setImmediate(resolve))
    this.#running = false
    await Promise.all(
      this.#clients.map(async client => {
        if (client.connected) await client.endAsync()
      })
    )
    return {
      clients: DEVICES.length,
      sent: total(this.#sent),
      received: total(this.#received),
      incompleteTopics: [...this.#sent]
        .filter(([topic, sent]) => (this.#received.get(topic) ?? 0) < sent)
        .map(([topic]) => topic),
      disconnected: this.#disconnected
    }
  }

  async #connect({ clientId, options }: Device, localAddress: string): Promise<MqttClient> {
    const client = new MqttClient(() => connect({ host: '127.0.0.1', port: this.#port, localAddress, noDelay: true }), {
      clientId,
      reconnectPeriod: 0,
      keepalive: 15,
      ...options
    })
    await new Promise<void>((resolve, reject) => {
      client.once('connect', () => {
        resolve()
      })
      client.once('error', reject)
    })
    client.on('error', () => {})
    client.on('close', () => {
      if (this.#running) this.#disconnected.push(clientId)
    })
    this.#clients.push(client)
    return client
  }

  #repeat(client: MqttClient, publication: Publication): void {
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer)
        this.#publish(client, publication)
        this.#repeat(client, publication)
      },
      publication.meanIntervalMs * (0.75 + Math.random() / 2)
    )
    this.#timers.add(timer)
  }

  #publish(client: MqttClient, { topic, qos, retain = false, payload }: Publication): void {
    if (!client.connected) return
    count(this.#sent, topic)
    const done = client
      .publishAsync(topic, payload(), { qos, retain })
      .catch(() => {})
      .finally(() => this.#pending.delete(done))
    this.#pending.add(done)
  }
}

function count(counts: Map<string, number>, topic: string): void {
  counts.set(topic, (counts.get(topic) ?? 0) + 1)
}

function total(counts: Map<string, number>): number {
  return [...counts.values()].reduce((sum, value) => sum + value, 0)
}
