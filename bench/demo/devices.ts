// Twelve clients of a home: numbers, JSON and switches, at all levels of QoS, some of it retained.

import { connect } from 'node:net'
import { MqttClient, type IClientOptions } from 'mqtt'

/** What a device publishes, and how often. */
interface Habit {
  topic: string
  qos: 0 | 1 | 2
  retain?: boolean
  /** Mean time between two messages, ms; the real one varies by half of it. */
  everyMs: number
  payload: () => string
}

/** A device and its habits. */
interface Device {
  clientId: string
  options?: IClientOptions
  habits: Habit[]
}

const degrees = (middle: number, spread: number): string => (middle + (Math.random() - 0.5) * spread).toFixed(1)
const whole = (from: number, to: number): number => Math.floor(from + Math.random() * (to - from))
const oneOf = (...values: string[]): string => values[whole(0, values.length)]

function thermometer(room: string): Device {
  return {
    clientId: `dht11-${room}`,
    habits: [
      { topic: `home/${room}/temperature`, qos: 0, everyMs: 400, payload: () => degrees(21, 3) },
      { topic: `home/${room}/humidity`, qos: 0, everyMs: 400, payload: () => String(whole(38, 55)) }
    ]
  }
}

function zigbee(name: string): Device {
  return {
    clientId: `zigbee2mqtt-${name}`,
    habits: [
      {
        topic: `home/zigbee2mqtt/${name}`,
        qos: 1,
        everyMs: 350,
        payload: () =>
          JSON.stringify({
            battery: whole(60, 100),
            contact: Math.random() < 0.5,
            linkquality: whole(40, 255),
            temperature: Number(degrees(20, 4)),
            voltage: whole(2900, 3100)
          })
      }
    ]
  }
}

function relay(name: string): Device {
  return {
    clientId: `switch-${name}`,
    options: { will: { topic: `home/${name}/availability`, payload: Buffer.from('offline'), qos: 1, retain: true } },
    habits: [{ topic: `home/${name}/state`, qos: 1, retain: true, everyMs: 600, payload: () => oneOf('ON', 'OFF') }]
  }
}

const METER: Device = {
  clientId: 'meter',
  habits: [
    { topic: 'home/meter/energy', qos: 2, everyMs: 500, payload: () => (1_200 + Math.random() * 800).toFixed(3) }
  ]
}

const TASMOTA: Device = {
  clientId: 'tasmota-plug',
  habits: [
    {
      topic: 'home/tele/plug/SENSOR',
      qos: 0,
      everyMs: 500,
      payload: () =>
        JSON.stringify({
          Time: new Date().toISOString().slice(0, 19),
          ENERGY: {
            Total: Number((3 + Math.random()).toFixed(3)),
            Power: whole(0, 2_000),
            Voltage: whole(225, 235),
            Current: Number(Math.random().toFixed(3))
          }
        })
    }
  ]
}

const DASHBOARD: Device = {
  clientId: 'dashboard',
  options: { protocolVersion: 5 },
  habits: [{ topic: 'home/lamp/set', qos: 2, everyMs: 900, payload: () => oneOf('ON', 'OFF', 'TOGGLE') }]
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

/** What became of the messages. */
export interface HomeFigures {
  clients: number
  sent: number
  received: number
  /** Topics on which the dashboard got fewer messages than were sent. */
  lostOn: string[]
  /** Clients whose connection was closed by the broker. */
  thrownOut: string[]
}

/** The home: every device connected from an address of its own, the dashboard subscribed to all of it. */
export class Home {
  readonly #clients: MqttClient[] = []
  readonly #timers = new Set<NodeJS.Timeout>()
  readonly #sent = new Map<string, number>()
  readonly #received = new Map<string, number>()
  readonly #thrownOut: string[] = []
  readonly #underway = new Set<Promise<unknown>>()
  #running = true
  readonly #port: number

  constructor(port: number) {
    this.#port = port
  }

  /** Connects everything and begins to publish. */
  async start(): Promise<void> {
    for (const [i, device] of DEVICES.entries()) {
      const client = await this.#connect(device, `127.0.20.${i + 1}`)
      if (device === DASHBOARD) {
        client.on('message', topic => {
          count(this.#received, topic)
        })
        await client.subscribeAsync('home/#', { qos: 2 })
      }
      for (const habit of device.habits) this.#repeat(client, habit)
    }
  }

  /** Publishes no more, waits until everything on its way has come, and disconnects. */
  async stop(): Promise<HomeFigures> {
    for (const timer of this.#timers) clearTimeout(timer)
    await Promise.all(this.#underway)
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
      lostOn: [...this.#sent]
        .filter(([topic, sent]) => (this.#received.get(topic) ?? 0) < sent)
        .map(([topic]) => topic),
      thrownOut: this.#thrownOut
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
      if (this.#running) this.#thrownOut.push(clientId)
    })
    this.#clients.push(client)
    return client
  }

  #repeat(client: MqttClient, habit: Habit): void {
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer)
        this.#publish(client, habit)
        this.#repeat(client, habit)
      },
      habit.everyMs * (0.75 + Math.random() / 2)
    )
    this.#timers.add(timer)
  }

  #publish(client: MqttClient, { topic, qos, retain = false, payload }: Habit): void {
    if (!client.connected) return
    count(this.#sent, topic)
    const done = client
      .publishAsync(topic, payload(), { qos, retain })
      .catch(() => {})
      .finally(() => this.#underway.delete(done))
    this.#underway.add(done)
  }
}

function count(counts: Map<string, number>, topic: string): void {
  counts.set(topic, (counts.get(topic) ?? 0) + 1)
}

function total(counts: Map<string, number>): number {
  return [...counts.values()].reduce((sum, value) => sum + value, 0)
}
