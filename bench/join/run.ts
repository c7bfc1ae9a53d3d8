// Runs one measurement: broker and load in network namespaces, a tap on headers, and a full capture in parallel.

import { execFileSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { certificate } from '../../test/support/encrypted.js'
import { Forwarder } from '../lab/forwarder.js'
import type { ImpairmentCounters, ImpairmentOptions } from '../lab/impairment.js'
import { Network, type Host } from '../lab/network.js'
import type { BrokerConfig } from './broker-main.js'
import type { Carrier } from './carriers.js'
import { compareRecords, type Comparison } from './compare.js'
import type { LoadConfig } from './load-main.js'
import { decodedRows, tsharkRows } from './reference.js'

export interface RunOptions {
  carrier: Carrier
  /**
   * Impairment in both directions.
   *
   * @default none
   */
  link?: ImpairmentOptions
  /** Whether to kill the tap half-way, so that the next one picks up every connection mid-stream. */
  interrupt: boolean
  ipv6?: boolean
  snapLength: number
  rate: number
  seconds: number
  publishers: number
  subscribers: number
  seed: number
  /** An empty directory for captures, keys and records. */
  directory: string
}

/** Result of a measurement. */
export interface RunResult extends Comparison {
  load: { published: number; received: number; seconds: number }
  /** Join counters of the plug-in. */
  join: Record<string, number>
  tap: { frames: number; sessions: number; droppedByKernel?: number }
  ringDropped: number
  /** Frames that the tcpdump of the full capture dropped. */
  captureDropped: number
  captureBytes: number
  forwarded?: Record<'a' | 'b', ImpairmentCounters>
}

const PORT = 1883
const DEVICE = 'link0'
const ADDRESSES = {
  v4: { clients: '10.77.0.1', broker: '10.77.0.2', prefix: 24 },
  v6: { clients: 'fd77::1', broker: 'fd77::2', prefix: 64 }
}

/** Runs broker, load and capture, and compares the results. Requires root, socat, tcpdump, tshark and openssl. */
export async function runJoin(options: RunOptions): Promise<RunResult> {
  const { directory, carrier, seconds } = options
  const network = new Network()
  let forwarder: Forwarder | undefined
  try {
    const clients = await network.addHost('clients')
    const host = await network.addHost('broker')
    const addresses = options.ipv6 === true ? ADDRESSES.v6 : ADDRESSES.v4
    const device = await connectHosts(network, clients, host, addresses, options)
    forwarder = device.forwarder
    const capture = join(directory, 'full.pcap')
    const full = host.spawn(
      'tcpdump',
      ['-i', device.name, '-n', '-s', '0', '-B', '131072', '-U', '-w', capture, `tcp port ${PORT}`],
      { stdio: ['ignore', 'ignore', 'pipe'] }
    )
    let stderr = ''
    full.stderr?.on('data', (chunk: Buffer) => {
      stderr += chunk.toString()
    })
    const tls = carrier.startsWith('tls') ? identity(directory) : undefined
    const records = join(directory, 'records.ndjson')
    const broker = new Broker(
      start(host, 'broker-main.js', {
        carrier,
        port: PORT,
        tap: `local:${device.name}`,
        snapLength: options.snapLength,
        records,
        ...(tls !== undefined && { tls })
      } satisfies BrokerConfig)
    )
    await broker.line()
    await broker.until(({ tap }) => tap.state === 'up')
    const load = start(clients, 'load-main.js', {
      carrier,
      host: addresses.broker,
      port: PORT,
      rate: options.rate,
      seconds,
      publishers: options.publishers,
      subscribers: options.subscribers,
      seed: options.seed
    } satisfies LoadConfig)
    const loadLines = lines(load)
    await loadLines.next()
    if (options.interrupt) {
      await pause(seconds * 500)
      killTap(host, full)
    }
    const last = await loadLines.next()
    if (last.done === true) throw new Error('Load generator exited early')
    const figures = JSON.parse(last.value) as RunResult['load']
    const status = await broker.until(
      ({ join: { held }, records: { seen } }, before) => held === 0 && seen === before?.records.seen
    )
    await broker.end()
    full.kill('SIGINT')
    if (full.exitCode === null) await once(full, 'exit')
    const reference =
      carrier === 'websocket'
        ? await decodedRows(capture, PORT, true)
        : await tsharkRows('tshark', capture, PORT, tls?.keyLog)
    const result = await compareRecords(records, reference)
    return {
      ...result,
      load: figures,
      join: status.join,
      tap: status.tap,
      ringDropped: status.ring.dropped,
      captureDropped: Number(/(\d+) packets? dropped by kernel/.exec(stderr)?.[1] ?? NaN),
      captureBytes: statSync(capture).size,
      ...(forwarder !== undefined && { forwarded: { a: forwarder.counters('a'), b: forwarder.counters('b') } })
    }
  } finally {
    await forwarder?.close()
    await network.close()
  }
}

async function connectHosts(
  network: Network,
  clients: Host,
  host: Host,
  { clients: near, broker: far, prefix }: typeof ADDRESSES.v4,
  { link, seed }: RunOptions
): Promise<{ name: string; forwarder?: Forwarder }> {
  const [a, b] = [`${near}/${prefix}`, `${far}/${prefix}`]
  if (link === undefined) return { name: await network.connect(host, clients, [b], [a]) }
  const forwarder = await Forwarder.open({
    a: { host: clients, addresses: [a] },
    b: { host, addresses: [b] },
    toA: link,
    toB: link,
    seed,
    device: DEVICE
  })
  return { name: DEVICE, forwarder }
}

function start(host: Host, main: string, config: object): ChildProcess {
  return host.spawn(process.execPath, [fileURLToPath(new URL(main, import.meta.url)), JSON.stringify(config)], {
    stdio: ['pipe', 'pipe', 'inherit']
  })
}

function lines(child: ChildProcess): AsyncIterator<string> {
  return createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]()
}

function identity(directory: string): NonNullable<BrokerConfig['tls']> {
  const files = { key: join(directory, 'key.pem'), cert: join(directory, 'cert.pem'), keyLog: join(directory, 'keys') }
  certificate(directory)
  writeFileSync(files.keyLog, '')
  return files
}

/** Kills the plug-in's tcpdump, which the plug-in restarts. */
function killTap(host: Host, excluded: ChildProcess): void {
  for (const pid of execFileSync('ip', ['netns', 'pids', host.namespace], { encoding: 'utf8' })
    .split('\n')
    .filter(pid => pid !== '')) {
    if (Number(pid) !== excluded.pid && commandOf(pid) === 'tcpdump') process.kill(Number(pid), 'SIGKILL')
  }
}

/** Returns the command name; empty if the process has exited. */
function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch {
    return ''
  }
}

interface BrokerStatus {
  tap: RunResult['tap'] & { state: string }
  join: Record<string, number> & { held: number }
  records: { seen: number }
  ring: { dropped: number }
}

const POLL_INTERVAL_MS = 500
const TIMEOUT_MS = 60_000

/** The broker process, queried line by line. */
class Broker {
  readonly #lines: AsyncIterator<string>
  readonly #child: ChildProcess

  constructor(child: ChildProcess) {
    this.#child = child
    this.#lines = lines(child)
  }

  async line(): Promise<unknown> {
    const next = await this.#lines.next()
    if (next.done === true) throw new Error('Broker exited')
    return JSON.parse(next.value)
  }

  async until(satisfies: (status: BrokerStatus, before: BrokerStatus | undefined) => boolean): Promise<BrokerStatus> {
    const deadline = performance.now() + TIMEOUT_MS
    for (let before: BrokerStatus | undefined; ;) {
      this.#child.stdin?.write('status\n')
      const status = (await this.line()) as BrokerStatus | { join?: undefined }
      if (status.join !== undefined) {
        if (satisfies(status, before)) return status
        before = status
      }
      if (performance.now() > deadline) throw new Error(`Broker still busy: ${JSON.stringify(status)}`)
      // The status is updated once a second.
      await pause(POLL_INTERVAL_MS * 3)
    }
  }

  async end(): Promise<void> {
    this.#child.stdin?.end()
    if (this.#child.exitCode === null) await once(this.#child, 'exit')
  }
}
