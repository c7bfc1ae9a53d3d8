// Address translation between the tap and the broker: a warning and join none, no wrong join.

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { BrokerConfig } from '../../bench/join/broker-main.js'
import type { LoadConfig } from '../../bench/join/load-main.js'
import { Network, networkMissing, type Host } from '../../bench/lab/network.js'
import { findProgram, programMissing, skipReason } from '../support/programs.js'
import { waitUntil } from '../support/wait-until.js'

const PORT = 1883
const CLIENTS = '10.78.0.1'
const BROKER = '10.78.0.2'
const TRANSLATED = '10.78.0.99'
/** Source NAT behind the tap: the tap sees the client's own address, the broker a translated one. */
const RULES = `table ip nat {
  chain translated {
    type nat hook input priority 100
    tcp dport ${PORT} snat to ${TRANSLATED}
  }
}`
const TIMEOUT_MS = 60_000

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

/** A broker with a local tap in a namespace. */
class Broker {
  stderr = ''
  latest: Status | undefined
  readonly #child: ChildProcess

  constructor(
    host: Host,
    device: string,
    readonly records: string
  ) {
    const config: BrokerConfig = { carrier: 'tcp', port: PORT, tap: `local:${device}`, snapLength: 66, records }
    this.#child = start(host, 'broker-main.js', config)
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString()
    })
    this.#child.stdin?.on('error', () => {})
    createInterface({ input: this.#child.stdout as NodeJS.ReadableStream }).on('line', line => {
      this.latest = JSON.parse(line) as Status
    })
  }

  async until(satisfies: (status: Status) => boolean): Promise<Status> {
    const deadline = performance.now() + TIMEOUT_MS
    for (;;) {
      this.latest = undefined
      this.#child.stdin?.write('status\n')
      await waitUntil('the broker replies', () => this.latest !== undefined)
      const latest = this.latest as Status | undefined
      if (latest?.join !== undefined && satisfies(latest)) return latest
      if (performance.now() > deadline) throw new Error(`Broker still busy: ${JSON.stringify(latest)} ${this.stderr}`)
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

function start(host: Host, main: string, config: object): ChildProcess {
  return host.spawn(
    process.execPath,
    [fileURLToPath(new URL(`../../bench/join/${main}`, import.meta.url)), JSON.stringify(config)],
    { stdio: 'pipe' }
  )
}

async function load(host: Host): Promise<void> {
  const config: LoadConfig = {
    carrier: 'tcp',
    host: BROKER,
    port: PORT,
    rate: 400,
    seconds: 2,
    publishers: 4,
    subscribers: 2,
    seed: 3
  }
  const child = start(host, 'load-main.js', config)
  child.stdout?.resume()
  const [code] = (await once(child, 'exit')) as [number]
  if (code !== 0) throw new Error(`Load generator exited with ${code}`)
}

/** Creates two hosts, and a broker with a running tap on one of them. */
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

t.test('address translation between tap and broker', { skip }, async t => {
  const { broker, clients } = await watched(t, true)
  await load(clients)
  const { join } = await broker.until(({ join, records: { seen } }) => join.held === 0 && seen > 300)
  const rows = await broker.end()
  const [frames, packets] = [rows.filter(({ frame }) => frame !== null), rows.filter(({ frame }) => frame === null)]
  t.ok(
    frames.length > 100 && frames.every(({ src_ip, dst_ip }) => [src_ip, dst_ip].includes(CLIENTS)),
    `${frames.length} frames, with the addresses on the wire`
  )
  t.same(frames.filter(({ mqtt_header }) => mqtt_header !== null).slice(0, 3), [], 'no frame has a packet')
  t.ok(
    packets.length > 100 && packets.every(({ src_ip, dst_ip }) => [src_ip, dst_ip].includes(TRANSLATED)),
    `${packets.length} packets, with the addresses that the broker sees`
  )
  t.match(join, { framesJoined: 0, mismatches: 0, packetsUnknown: 0 })
  t.ok(join.connectionsUnseen >= 6, `${join.connectionsUnseen} connections missing at the tap`)
  t.match(broker.stderr, /scored packet by packet.*addresses are translated.*"reason":"unseen"/)
})

t.test('without address translation the same load is joined', { skip }, async t => {
  const { broker, clients } = await watched(t, false)
  await load(clients)
  const { join } = await broker.until(({ join, records: { seen } }) => join.held === 0 && seen > 300)
  await broker.end()
  t.ok(join.framesJoined > 200, `${join.framesJoined} frames joined`)
})
