// npm run bench:overhead: the broker's processor time for a message, with held writes and without, by turns.

import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import net, { type Socket } from 'node:net'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { percentile } from '../../models/statistics.js'
import { connect, publish, subscribe } from '../../test/decode/craft-mqtt.js'
import { startSmall, type Broker } from '../durability/brokers.js'

const ROUNDS = 7
const PUBLISHERS = 20
const BURSTS = 250
/** Messages of each publisher every {@link EVERY_MS}. */
const BURST = 2
const EVERY_MS = 10
const PAYLOAD = Buffer.alloc(64, 'x')
/** Type, length, length of the topic and `load` come before the packet identifier. */
const ID_OFFSET = 8

async function open ({ port }: Broker, clientId: string): Promise<Socket> {
  // Nagle would put messages together that real devices send apart.
  const socket = net.connect({ host: '127.0.0.1', port, noDelay: true })
  socket.write(connect(4, clientId))
  await once(socket, 'data')
  return socket
}

/** Microseconds of the broker's processor time for each message that goes from a publisher to the one subscriber. */
async function measure (broker: Broker, qos: 0 | 1): Promise<number> {
  const subscriber = await open(broker, 'subscriber')
  subscriber.write(subscribe(['load']))
  await once(subscriber, 'data')
  const message = publish('load', PAYLOAD, { qos })
  let received = 0
  let begun = Buffer.alloc(0)
  subscriber.on('data', (chunk: Buffer) => {
    received += chunk.length
    if (qos === 0) return
    // Without acknowledgements the broker would send no more than fit its window.
    begun = Buffer.concat([begun, chunk])
    const whole = Math.floor(begun.length / message.length)
    const ids = Array.from({ length: whole }, (_, i) => begun.subarray(i * message.length + ID_OFFSET, i * message.length + ID_OFFSET + 2))
    subscriber.write(Buffer.concat(ids.map(id => Buffer.from([0x40, 2, ...id]))))
    begun = begun.subarray(whole * message.length)
  })
  const publishers = await Promise.all(Array.from({ length: PUBLISHERS }, (_, i) => open(broker, `publisher-${i}`)))
  for (const publisher of publishers) publisher.resume()
  const before = await cpu(broker)
  for (let burst = 0; burst < BURSTS; burst++) {
    for (const publisher of publishers) {
      for (let k = 0; k < BURST; k++) {
        publisher.write(message)
      }
    }
    await sleep(EVERY_MS)
  }
  const sent = PUBLISHERS * BURSTS * BURST
  // What comes out is as long as what went in.
  while (received < sent * message.length) await sleep(EVERY_MS)
  const after = await cpu(broker)
  for (const socket of [subscriber, ...publishers]) socket.destroy()
  return (after - before) / sent
}

async function cpu ({ child }: Broker): Promise<number> {
  child.send('cpu')
  const [{ user, system }] = await once(child, 'message') as [NodeJS.CpuUsage]
  return user + system
}

const folders = ['held', 'direct'].map(() => mkdtempSync(join(tmpdir(), 'artemis-overhead-')))
const brokers = { held: await startSmall(folders[0], 'held'), direct: await startSmall(folders[1], 'direct') }
try {
  console.log('| QoS | direct, us | held, us | held / direct | each round, direct : held |')
  console.log('|---:|---:|---:|---:|---|')
  for (const qos of [0, 1] as const) {
    await measure(brokers.direct, qos)
    await measure(brokers.held, qos)
    const rounds: { direct: number, held: number }[] = []
    for (let round = 0; round < ROUNDS; round++) rounds.push({ direct: await measure(brokers.direct, qos), held: await measure(brokers.held, qos) })
    const median = (values: number[]): number => percentile(values, 50)
    console.log(`| ${qos} | ${median(rounds.map(({ direct }) => direct)).toFixed(1)} | ${median(rounds.map(({ held }) => held)).toFixed(1)} | ${
      median(rounds.map(({ direct, held }) => held / direct)).toFixed(2)} | ${rounds.map(({ direct, held }) => `${direct.toFixed(1)} : ${held.toFixed(1)}`).join(', ')} |`)
  }
  console.log(`\nNode ${process.version.slice(1)}, load ${loadavg().map(value => value.toFixed(2)).join(', ')}.`)
} finally {
  await Promise.all(Object.values(brokers).map(broker => broker.kill()))
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
}
