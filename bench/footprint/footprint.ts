// npm run bench:footprint: measures memory, idle processor time, start time and installed size, and those of mosquitto.

import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import mqtt from 'mqtt'
import { DEFAULTS } from '../../src/settings.js'
import { freePort } from '../../test/support/free-port.js'
import { artemisKind, mosquittoKind, start, temporaryFolder, type BrokerKind, type RunningBroker } from './brokers.js'
import { connectHome } from './home.js'
import { installSize } from './install-size.js'
import { usageOf } from './process.js'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const CLIENTS = 100
const AIMS = { residentMb: 120, idlePercent: 1, startSeconds: 2, installMb: 40 }
/** Time for compilation and garbage collection after the start, before the idle state is measured. */
const SETTLING_MS = 20_000
const LEARN = { seconds: 30, records: 1_000 }

const { values } = parseArgs({
  options: {
    tap: { type: 'string', default: 'auto' },
    seconds: { type: 'string', default: '60' },
    starts: { type: 'string', default: '5' },
    out: { type: 'string', default: path.join(root, 'bench/results') }
  }
})
const seconds = Number(values.seconds)

interface Figures {
  broker: string
  startSeconds: number[]
  startCpuSeconds: number[]
  idle: { residentMb: number; cpuPercent: number }
  working: {
    clients: number
    messagesPerSecond: number
    residentMb: number
    peakResidentMb: number
    childrenMb: number
    cpuPercent: number
  }
  resting: { residentMb: number; cpuPercent: number }
}

function print(text: string): void {
  process.stderr.write(`${text}\n`)
}

/** Measures processor time in percent of one core, and the last and highest memory. */
async function observe(
  broker: RunningBroker,
  forSeconds: number
): Promise<{ cpuPercent: number; residentMb: number; peakResidentMb: number; childrenMb: number }> {
  const first = usageOf(broker.pid)
  const startedAt = performance.now()
  let peakResidentMb = 0
  while (performance.now() - startedAt < forSeconds * 1_000) {
    await pause(500)
    peakResidentMb = Math.max(peakResidentMb, usageOf(broker.pid).residentMb)
  }
  const last = usageOf(broker.pid)
  const cpuPercent = ((last.cpuSeconds - first.cpuSeconds) / ((performance.now() - startedAt) / 1_000)) * 100
  return { cpuPercent, residentMb: last.residentMb, peakResidentMb, childrenMb: last.childrenMb }
}

/** Resolves when the state is guarding. */
async function untilGuarding(url: string): Promise<void> {
  const client = await mqtt.connectAsync(url, { clientId: 'waiting' })
  const guarding = new Promise<void>(resolve => {
    client.on('message', (_topic, payload) => {
      if ((JSON.parse(payload.toString()) as { state: string }).state === 'guarding') resolve()
    })
  })
  await client.subscribeAsync('$SYS/broker/artemis/status')
  await guarding
  await client.endAsync()
}

async function measure(kind: BrokerKind): Promise<Figures> {
  const startSeconds: number[] = []
  const startCpuSeconds: number[] = []
  for (let i = 0; i < Number(values.starts); i++) {
    const broker = await start(kind, await freePort())
    startSeconds.push(broker.startSeconds)
    startCpuSeconds.push(broker.startCpuSeconds)
    await broker.stop()
  }
  print(`${kind.name}: started ${startSeconds.length} times; measuring`)
  const folder = temporaryFolder()
  let broker = await start(kind, await freePort(), folder)
  const url = (): string => `mqtt://127.0.0.1:${broker.port}`
  let peakWhileLearning = 0
  if (kind.name === 'artemis') {
    const home = await connectHome(url(), CLIENTS)
    const timer = setInterval(() => {
      peakWhileLearning = Math.max(peakWhileLearning, usageOf(broker.pid).residentMb)
    }, 500)
    await untilGuarding(url())
    clearInterval(timer)
    await home.disconnect()
    await broker.stop()
    // Measure as after any later start: with the model loaded from the file.
    broker = await start(kind, await freePort(), folder)
    await untilGuarding(url())
  }
  await pause(SETTLING_MS)
  const idle = await observe(broker, seconds / 2)
  const home = await connectHome(url(), CLIENTS)
  await pause(5_000)
  const before = home.sent()
  const working = await observe(broker, seconds)
  const messagesPerSecond = (home.sent() - before) / seconds
  home.stopPublishing()
  await pause(3_000)
  const resting = await observe(broker, seconds / 2)
  await home.disconnect()
  await broker.stop()
  return {
    broker: kind.name,
    startSeconds,
    startCpuSeconds,
    idle: { residentMb: idle.residentMb, cpuPercent: idle.cpuPercent },
    working: {
      clients: CLIENTS,
      messagesPerSecond,
      ...working,
      peakResidentMb: Math.max(working.peakResidentMb, peakWhileLearning)
    },
    resting: { residentMb: resting.residentMb, cpuPercent: resting.cpuPercent }
  }
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN
}

/** Returns the installed size of Debian packages, MB; null without dpkg or the packages. */
function debianSize(...packages: string[]): number | null {
  try {
    const sizes = execFileSync('dpkg-query', ['-W', '-f=${Installed-Size}\n', ...packages], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore']
    })
    return sizes
      .trim()
      .split('\n')
      .reduce((sum, kilobytes) => sum + (Number(kilobytes) * 1_024) / 1e6, 0)
  } catch {
    return null
  }
}

function versionOf(program: string, ...args: string[]): string {
  try {
    return (
      /[\d.]{3,}/.exec(execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }))?.[0] ??
      'unknown'
    )
  } catch (error) {
    // mosquitto -h exits with 3.
    return /version ([\d.]+)/.exec(String((error as { stdout?: string }).stdout))?.[1] ?? 'not installed'
  }
}

const artemisVersion = (JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { version: string })
  .version
const load = os.loadavg()[0] ?? 0
const ours = await measure(artemisKind(values.tap, LEARN))
const mosquitto = versionOf('mosquitto', '-h')
const theirs = mosquitto === 'not installed' ? undefined : await measure(mosquittoKind('mosquitto'))
const size = installSize(root)
const raw = {
  date: new Date().toISOString().slice(0, 10),
  command: `npm run bench:footprint -- ${process.argv.slice(2).join(' ')}`.trim(),
  machine: {
    cpu: os.cpus()[0]?.model ?? 'unknown',
    cores: os.cpus().length,
    memoryMb: Math.round(os.totalmem() / 1e6),
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    loadBefore: load
  },
  versions: { artemis: artemisVersion, node: process.versions.node, mosquitto },
  aims: AIMS,
  learn: LEARN,
  tap: values.tap,
  brokers: [ours, ...(theirs === undefined ? [] : [theirs])],
  install: { artemis: size, mosquittoMb: debianSize('mosquitto') }
}

const one = (value: number | undefined, digits = 1): string =>
  value === undefined || Number.isNaN(value) ? '-' : value.toFixed(digits)
const row = (what: string, pick: (figures: Figures) => number, aim: string, digits = 1): string =>
  `| ${what} | ${one(pick(ours), digits)} | ${one(theirs === undefined ? undefined : pick(theirs), digits)} | ${aim} |`
const page = `# Footprint

${raw.date}, ${raw.machine.cpu}, ${raw.machine.cores} cores, ${raw.machine.memoryMb} MB, ${raw.machine.system}; load ${one(load)} before the run.
Artemis ${artemisVersion} on Node ${raw.versions.node}, ${DEFAULTS.detector.kind}, tap ${values.tap}; mosquitto ${mosquitto}. \`${raw.command}\`. Raw figures:
[footprint.json](footprint.json).

${CLIENTS} clients: ${CLIENTS - 1} sensors, each with one message of about 100 bytes every five seconds (${one(ours.working.messagesPerSecond)} per second in total, a third at
QoS 1, a fifth retained), and a dashboard that subscribes to all. Memory is resident (VmRSS) in MB of 10^6 bytes, processor time in
percent of one core, children included. Artemis is guarding with a model trained earlier on the same clients.

| | Artemis | mosquitto | aim |
|---|---:|---:|---:|
${row('memory with 100 clients, MB', figures => figures.working.residentMb, `< ${AIMS.residentMb}`)}
${row('peak memory, learning included, MB', figures => figures.working.peakResidentMb, '')}
${row('tcpdump, MB', figures => figures.working.childrenMb, '')}
${row('memory without clients, MB', figures => figures.idle.residentMb, '')}
${row('processor with 100 clients, %', figures => figures.working.cpuPercent, '', 2)}
${row('processor with 100 silent clients, %', figures => figures.resting.cpuPercent, '', 2)}
${row('processor without clients, %', figures => figures.idle.cpuPercent, `< ${AIMS.idlePercent}`, 2)}
${row(`start to the first CONNACK, s (median of ${ours.startSeconds.length})`, figures => median(figures.startSeconds), `< ${AIMS.startSeconds}`, 2)}
${row('processor time until then, s', figures => median(figures.startCpuSeconds), '', 2)}
| installed, MB | ${one(size.totalMb)} | ${one(raw.install.mosquittoMb ?? undefined)} | < ${AIMS.installMb} |

Installed: ${size.packages} packages without development and optional ones (${one(size.dependenciesMb)} MB in disk blocks) and the compiled files
(${one(size.ownMb)} MB). Node itself and mosquitto's libraries are not counted.
`
mkdirSync(values.out, { recursive: true })
writeFileSync(path.join(values.out, 'footprint.json'), `${JSON.stringify(raw, null, 2)}\n`)
writeFileSync(path.join(values.out, 'footprint.md'), page)
process.stdout.write(page)
