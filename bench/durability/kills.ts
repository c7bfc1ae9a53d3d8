// Kills a broker under load again and again, and counts what it had acknowledged and then lost.

import { setTimeout as sleep } from 'node:timers/promises'
import { connect as open, type IClientOptions, type MqttClient } from 'mqtt'
import type { Broker } from './brokers.js'

/** How often, and how much load. */
export interface KillPlan {
  kills: number
  /** Half of them publish with QoS 1, half with QoS 2. */
  publishers: number
  /** Messages under way of each publisher. */
  window: number
  /** Between connecting and the kill, ms; the real time varies from half of it to all. */
  longestMs: number
}

/** What came of it. */
export interface KillFigures {
  kills: number
  acknowledged: number
  /** Acknowledged, and not there after the restart. */
  lost: number
  /** Not acknowledged, and there all the same, which is allowed. */
  unacknowledged: number
}

const TOPIC = 'durability'
/** So long without a message, and nothing more will come. */
const QUIET_MS = 4_000

/** Runs the plan; `start` is called once for each kill and once more. */
export async function killAgainAndAgain (start: () => Promise<Broker>, plan: KillPlan, onRound: (figures: KillFigures) => void = () => {}): Promise<KillFigures> {
  const figures: KillFigures = { kills: 0, acknowledged: 0, lost: 0, unacknowledged: 0 }
  let broker = await start()
  try {
    // Away from now on: every message must be kept for it.
    const keeper = await connect(broker, { clientId: 'keeper', clean: false })
    await keeper.subscribeAsync(`${TOPIC}/#`, { qos: 2 })
    await keeper.endAsync()
    for (let round = 0; round < plan.kills; round++) {
      const acknowledged = await loadAndKill(broker, round, plan)
      broker = await start()
      const there = await collect(broker, acknowledged)
      figures.kills++
      figures.acknowledged += acknowledged.size
      for (const text of acknowledged) if (!there.has(text)) figures.lost++
      for (const text of there) if (!acknowledged.has(text)) figures.unacknowledged++
      onRound(figures)
    }
  } finally {
    await broker.kill()
  }
  return figures
}

/** Publishes until the kill; what was acknowledged by then. */
async function loadAndKill (broker: Broker, round: number, { publishers, window, longestMs }: KillPlan): Promise<Set<string>> {
  const acknowledged = new Set<string>()
  let isOver = false
  const clients = await Promise.all(Array.from({ length: publishers }, (_, i) => connect(broker, { clientId: `publisher-${i}` })))
  clients.forEach((client, i) => {
    let sent = 0
    const next = (): void => {
      if (isOver) return
      const text = `${round}/${i}/${sent++}`
      client.publish(`${TOPIC}/${i}`, text, { qos: i % 2 === 0 ? 1 : 2 }, error => {
        if (error) return
        acknowledged.add(text)
        setImmediate(next)
      })
    }
    for (let k = 0; k < window; k++) next()
  })
  await sleep(longestMs * (0.5 + Math.random() / 2))
  await broker.kill()
  isOver = true
  await Promise.all(clients.map(client => client.endAsync(true)))
  return acknowledged
}

/** Everything that is kept for the keeper. */
async function collect (broker: Broker, expected: ReadonlySet<string>): Promise<Set<string>> {
  const there = new Set<string>()
  let missing = expected.size
  let latest = performance.now()
  const keeper = await connect(broker, { clientId: 'keeper', clean: false }, client => {
    client.on('message', (_topic, payload) => {
      const text = payload.toString()
      latest = performance.now()
      if (there.has(text)) return
      there.add(text)
      if (expected.has(text)) missing--
    })
  })
  while (missing > 0 && performance.now() - latest < QUIET_MS) await sleep(20)
  await keeper.endAsync()
  return there
}

/** @param prepare listens before anything can come */
async function connect ({ port }: Broker, options: IClientOptions, prepare: (client: MqttClient) => void = () => {}): Promise<MqttClient> {
  const client = open(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 0, ...options })
  prepare(client)
  await new Promise<void>((resolve, reject) => {
    client.once('connect', () => { resolve() })
    client.once('error', reject)
  })
  client.on('error', () => {})
  return client
}
