// Addresses that the kernel translates between the tap and the broker: a warning and join none, never a guess.

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { BrokerOrder } from '../../bench/join/broker-main.js'
import type { LoadOrder } from '../../bench/join/load-main.js'
import { Network, networkMissing, type Host } from '../../bench/lab/network.js'
import { findProgram, programMissing, skipReason } from '../support/programs.js'
import { waitUntil } from '../support/wait-until.js'

const PORT = 1883
const CLIENTS = '10.78.0.1'
const BROKER = '10.78.0.2'
const TRANSLATED = '10.78.0.99'
/** As the tap sees it a client comes from its own address, as the broker does from another. */
const RULES = `table ip nat {
  chain translated {
    type nat hook input priority 100
    tcp dport ${PORT} snat to ${TRANSLATED}
  }
}`
const PATIENCE_MS = 60_000

interface Row {
  frame: number | null
  src_ip: string
  dst_ip: string
  mqtt_header: number | null
}
interface Status {
  tap: { state: string }
  join: Record<string, number>
  records: { seen: number }
}

const missing = networkMissing()
const skip =
  missing !== false
    ? skipReason(missing)
    : programMissing('tcpdump') || programMissing('ethtool') || programMissing('nft')

/** A broker that watches itself in a namespace. */
class Broker {
  said = ''
  latest: Status | undefined
  readonly #child: ChildProcess

  constructor(
    host: Host,
    device: string,
    readonly records: string
  ) {
    const order: BrokerOrder = { carrier: 'tcp', port: PORT, tap: `local:${device}`, snapLength: 66, records }
    this.#child = start(host, 'broker-main.js', order)
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.said += chunk.toString()
    })
    this.#child.stdin?.on('error', () => {})
    createInterface({ input: this.#child.stdout as NodeJS.ReadableStream }).on('line', line => {
      this.latest = JSON.parse(line) as Status
    })
  }

  async until(satisfies: (status: Status) => boolean): Promise<Status> {
    const deadline = performance.now() + PATIENCE_MS
    for (;;) {
      this.latest = undefined
      this.#child.stdin?.write('status\n')
      await waitUntil('the broker answers', () => this.latest !== undefined)
      const latest = this.latest as Status | undefined
      if (latest?.join !== undefined && satisfies(latest)) return latest
      if (performance.now() > deadline)
        throw new Error(`the broker does not come to rest: ${JSON.stringify(latest)} ${this.said}`)
      await new Promise(resolve => {
        setTimeout(resolve, 200)
      })
    }
  }

  async end(): Promise<Row[]> {
    this.#child.stdin?.end()
    if (this.#child.exitCode === null) await once(this.#child, 'exit')
    return readFileSync(this.records, 'utf8')
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line) as Row)
  }
}

function start(host: Host, main: string, order: object): ChildProcess {
  return host.spawn(
    process.execPath,
    [fileURLToPath(new URL(`../../bench/join/${main}`, import.meta.url)), JSON.stringify(order)],
    { stdio: 'pipe' }
  )
}

async function load(host: Host): Promise<void> {
  const order: LoadOrder = {
    carrier: 'tcp',
    host: BROKER,
    port: PORT,
    rate: 400,
    seconds: 2,
    publishers: 4,
    subscribers: 2,
    seed: 3
  }
  const child = start(host, 'load-main.js', order)
  child.stdout?.resume()
  const [code] = (await once(child, 'exit')) as [number]
  if (code !== 0) throw new Error(`the load ended with ${code}`)
}

/** Two hosts, and a broker on one of them whose tap is up. */
async function watched(t: Test, translate: boolean): Promise<{ broker: Broker; clients: Host }> {
  const network = new Network()
  t.teardown(async () => {
    await network.close()
  })
  const [clients, host] = [await network.addHost('clients'), await network.addHost('broker')]
  const device = await network.connect(host, clients, [`${BROKER}/24`], [`${CLIENTS}/24`])
  if (translate) await host.run(findProgram('nft'), [RULES])
  const broker = new Broker(host, device, join(t.testdir({}), 'records.ndjson'))
  await waitUntil('the broker listens', () => broker.latest !== undefined)
  await broker.until(({ tap }) => tap.state === 'up')
  return { broker, clients }
}

t.test('between the tap and the broker', { skip }, async t => {
  const { broker, clients } = await watched(t, true)
  await load(clients)
  const { join } = await broker.until(({ join, records: { seen } }) => join.held === 0 && seen > 300)
  const rows = await broker.end()
  const [frames, packets] = [rows.filter(({ frame }) => frame !== null), rows.filter(({ frame }) => frame === null)]
  t.ok(
    frames.length > 100 && frames.every(({ src_ip, dst_ip }) => [src_ip, dst_ip].includes(CLIENTS)),
    `${frames.length} frames, with the addresses on the wire`
  )
  t.same(frames.filter(({ mqtt_header }) => mqtt_header !== null).slice(0, 3), [], 'none carries what the broker said')
  t.ok(
    packets.length > 100 && packets.every(({ src_ip, dst_ip }) => [src_ip, dst_ip].includes(TRANSLATED)),
    `${packets.length} packets, with the addresses that the broker sees`
  )
  t.match(join, { framesJoined: 0, mismatches: 0, packetsUnknown: 0 })
  t.ok(join.connectionsUnseen >= 6, `${join.connectionsUnseen} connections that the tap does not see`)
  t.match(broker.said, /judged by its packets.*addresses are translated on the way.*"reason":"unseen"/)
})

t.test('on neither side of the tap: the same load is joined', { skip }, async t => {
  const { broker, clients } = await watched(t, false)
  await load(clients)
  const { join } = await broker.until(({ join, records: { seen } }) => join.held === 0 && seen > 300)
  await broker.end()
  t.ok(join.framesJoined > 200, `${join.framesJoined} frames joined`)
})
