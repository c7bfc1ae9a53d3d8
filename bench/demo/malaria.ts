// The attacker, a process of its own: floods as mqtt-malaria does, until it is thrown out or has sent enough.

import { connect } from 'node:net'
import { MqttClient } from 'mqtt'

/** What the attacker tells at its end. */
export interface AttackFigures {
  /** PUBLISH packets handed to the socket. */
  sent: number
  /** From the first PUBLISH to the end of the connection, ms; null where it was not thrown out. */
  thrownOutAfterMs: number | null
  /** Whether a second attempt was refused. */
  refusedAgain: boolean
}

const IN_FLIGHT = 200
const MEAN_BYTES = 500
const DEVIATION_BYTES = MEAN_BYTES / 20
const MOST_MESSAGES = 50_000
const LONGEST_MS = 15_000
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

async function flood(client: MqttClient): Promise<Pick<AttackFigures, 'sent' | 'thrownOutAfterMs'>> {
  const begun = performance.now()
  let sent = 0
  let inFlight = 0
  return await new Promise(resolve => {
    const enough = setTimeout(() => {
      resolve({ sent, thrownOutAfterMs: null })
    }, LONGEST_MS)
    client.once('close', () => {
      clearTimeout(enough)
      resolve({ sent, thrownOutAfterMs: performance.now() - begun })
    })
    const pump = (): void => {
      while (inFlight < IN_FLIGHT && sent < MOST_MESSAGES && client.connected) {
        inFlight++
        sent++
        client.publish(`mqtt-malaria/${CLIENT_ID}/data/${sent}/${MOST_MESSAGES}`, payload(), { qos: 1 }, () => {
          inFlight--
          setImmediate(pump)
        })
      }
    }
    pump()
  })
}

async function tryAgain(): Promise<boolean> {
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
    reject(new Error('the broker does not let the attacker in'))
  })
})
const figures = await flood(client)
client.end(true)
const refusedAgain = figures.thrownOutAfterMs !== null && (await tryAgain())
process.send?.({ ...figures, refusedAgain } satisfies AttackFigures, () => {
  process.disconnect()
})
