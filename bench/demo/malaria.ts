// The attacker, in its own process: floods like mqtt-malaria until it is disconnected or reaches its limit.

import { connect } from 'node:net'
import { MqttClient } from 'mqtt'

/** Result that the attacker sends to the demo. */
export interface AttackFigures {
  /** PUBLISH packets written to the socket. */
  sent: number
  /** Time from the first PUBLISH to the end of the connection, ms; null if it was not disconnected. */
  disconnectedAfterMs: number | null
  /** Whether the reconnection was refused. */
  reconnectionRefused: boolean
}

const IN_FLIGHT = 200
const MEAN_BYTES = 500
const DEVIATION_BYTES = MEAN_BYTES / 20
const MAX_MESSAGES = 50_000
const TIMEOUT_MS = 15_000
const CLIENT_ID = 'malaria-1'
const HEX = '0123456789abcdef'

const [port, localAddress] = [Number(process.argv[2]), process.argv[3]]

function open(): MqttClient {
  const client = new MqttClient(() => connect({ host: '127.0.0.1', port, localAddress, noDelay: true }), {
    clientId: CLIENT_ID,
    reconnectPeriod: 0
  })
  client.on('error', () => {})
  return client
}

function gaussian(): number {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random())
}

function payload(): string {
  let text = ''
  for (let left = Math.max(1, Math.round(MEAN_BYTES + DEVIATION_BYTES * gaussian())); left > 0; left--)
    text += HEX[Math.floor(Math.random() * 16)]
  return text
}

async function flood(client: MqttClient): Promise<Pick<AttackFigures, 'sent' | 'disconnectedAfterMs'>> {
  const startedAt = performance.now()
  let sent = 0
  let inFlight = 0
  return await new Promise(resolve => {
    const timeout = setTimeout(() => {
      resolve({ sent, disconnectedAfterMs: null })
    }, TIMEOUT_MS)
    client.once('close', () => {
      clearTimeout(timeout)
      resolve({ sent, disconnectedAfterMs: performance.now() - startedAt })
    })
    const pump = (): void => {
      while (inFlight < IN_FLIGHT && sent < MAX_MESSAGES && client.connected) {
        inFlight++
        sent++
        client.publish(`mqtt-malaria/${CLIENT_ID}/data/${sent}/${MAX_MESSAGES}`, payload(), { qos: 1 }, () => {
          inFlight--
          setImmediate(pump)
        })
      }
    }
    pump()
  })
}

async function isReconnectionRefused(): Promise<boolean> {
  const client = open()
  const connected = await new Promise<boolean>(resolve => {
    client.once('connect', () => {
      resolve(true)
    })
    client.once('close', () => {
      resolve(false)
    })
  })
  client.end(true)
  return !connected
}

const client = open()
await new Promise<void>((resolve, reject) => {
  client.once('connect', () => {
    resolve()
  })
  client.once('close', () => {
    reject(new Error('Broker refused the first connection of the attacker'))
  })
})
const figures = await flood(client)
client.end(true)
const reconnectionRefused = figures.disconnectedAfterMs !== null && (await isReconnectionRefused())
process.send?.({ ...figures, reconnectionRefused } satisfies AttackFigures, () => {
  process.disconnect()
})
