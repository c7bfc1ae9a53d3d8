// npm run demo [-- --detector NAME]: a broker taps itself through a real sshd, learns a home's traffic, and bans a
// flooder.

import { fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Presets, SingleBar } from 'cli-progress'
import { connectAsync, type MqttClient } from 'mqtt'
import { catalogEntry, DETECTOR_KINDS, isDetectorKind } from '../../models/index.js'
import { TOPICS } from '../../src/index.js'
import { findProgram } from '../../test/support/programs.js'
import { startSshd, type Sshd } from '../../test/support/sshd.js'
import { Home } from './devices.js'
import type { AttackFigures } from './malaria.js'

const TIMEOUT_MS = 120_000
const LEARN_SECONDS = 25
const LEARN_RECORDS = 1_000
const ATTACKER = '127.0.66.6'
const SETTLE_MS = 3_000

interface Status {
  state: string
  learning?: { progress: number; phase: string }
  tap: { state: string; target: string }
  join: { framesJoined: number; framesUnjoined: number; framesAfterClose: number; mismatches: number }
  records: { seen: number }
  response: { expelled: number }
}

interface RunningBroker {
  process: ChildProcess
  port: number
}

/** Detectors that support in-place training. */
const DETECTORS = DETECTOR_KINDS.filter(kind => !catalogEntry(kind).supervised)
const { detector } = parseArgs({ options: { detector: { type: 'string', default: 'iforest' } } }).values

const print = (text: string): void => {
  process.stderr.write(`${text}\n`)
}
const folder = mkdtempSync(join(tmpdir(), 'artemis-demo-'))
const cleanUp: (() => unknown)[] = [
  () => {
    rmSync(folder, { recursive: true, force: true })
  }
]
const timeout = setTimeout(() => {
  void end(2, `Demo timed out after ${TIMEOUT_MS / 1_000} s.`)
}, TIMEOUT_MS)
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    void end(2, 'interrupted')
  })

async function run(): Promise<void> {
  if (!isDetectorKind(detector) || !DETECTORS.includes(detector))
    throw new Error(`Invalid --detector ${detector}: use one of ${DETECTORS.join(', ')}.`)
  const missing = ['tcpdump', 'sshd', 'ssh-keygen'].filter(program => findProgram(program) === program)
  if (missing.length > 0)
    throw new Error(
      `Not found: ${missing.join(', ')}. On Debian, run: apt-get install tcpdump openssh-server openssh-client`
    )
  const sshd = await startSshd(folder)
  cleanUp.unshift(async () => {
    await sshd.stop()
  })
  const broker = await startBroker(sshd)
  const monitor = await connectAsync(`mqtt://127.0.0.1:${broker.port}`, { clientId: 'monitor', reconnectPeriod: 0 })
  cleanUp.unshift(() => monitor.end(true))
  const watcher = new StatusWatcher(monitor)
  await watcher.subscribe()
  const tapped = await watcher.until(({ tap }) => tap.state === 'up')
  print(`Broker listening on 127.0.0.1:${broker.port}, tap ${tapped.tap.target}, detector ${detector} learning.`)

  const home = new Home(broker.port)
  await home.start()
  await learn(watcher)

  print(`\nAttack: ${ATTACKER} floods with random payloads, QoS 1, 200 in flight, a new topic for each message.`)
  const before = await watcher.now()
  const startedAt = performance.now()
  const attack = await runAttacker(broker.port)
  const alert = await Promise.race([watcher.clientAlert, sleep(SETTLE_MS)])
  if (alert !== undefined) process.stdout.write(`${alert}\n`)
  await sleep(SETTLE_MS)
  const last = await watcher.now()
  const seconds = (performance.now() - startedAt) / 1_000
  const figures = await home.stop()

  const joined = last.join.framesJoined
  const mqttFrames = joined + last.join.framesUnjoined
  print('')
  print(
    attack.disconnectedAfterMs === null
      ? `Attacker NOT disconnected; it sent ${attack.sent} messages.`
      : `Attacker disconnected ${attack.disconnectedAfterMs.toFixed(0)} ms and ${attack.sent} packets after its first PUBLISH; reconnection ${attack.reconnectionRefused ? 'refused' : 'ACCEPTED'}.`
  )
  print(
    `Other clients disconnected: ${figures.disconnected.length === 0 ? 'none' : figures.disconnected.join(', ')} (of ${figures.clients} clients; connections closed by the broker: ${last.response.expelled}).`
  )
  print(
    `Benign messages: ${figures.sent} sent, ${figures.received} received${figures.incompleteTopics.length === 0 ? ', none lost' : `; lost on ${figures.incompleteTopics.join(', ')}`}.`
  )
  print(
    `Join: ${joined} of ${mqttFrames} MQTT frames (${((100 * joined) / mqttFrames).toFixed(2)} %), ${last.join.framesAfterClose} frames after close, ${last.join.mismatches} mismatches.`
  )
  print(
    `Records: ${last.records.seen}; ${((last.records.seen - before.records.seen) / seconds).toFixed(0)} per second during and after the attack.`
  )

  const passed =
    attack.disconnectedAfterMs !== null &&
    figures.disconnected.length === 0 &&
    last.response.expelled === 1 &&
    figures.received >= figures.sent &&
    figures.incompleteTopics.length === 0
  await end(
    passed ? 0 : 1,
    passed ? 'Demo passed: only the attacker was disconnected, no message was lost.' : 'Demo FAILED.'
  )
}

/** Starts the broker with a configuration as a user would write it. */
async function startBroker(sshd: Sshd): Promise<RunningBroker> {
  const config = join(folder, 'artemis.yaml')
  writeFileSync(
    config,
    [
      'listeners: [{ host: 127.0.0.1, port: 0 }]',
      `data: ${join(folder, 'data')}`,
      'log: { format: json }',
      'tap:',
      `  target: ssh://${sshd.user}@${sshd.host}:${sshd.port}/lo`,
      `  identity: ${sshd.identityFile}`,
      `  knownHosts: ${sshd.knownHostsFile}`,
      // Columns of single frames only: the windows of `behaviour` take minutes of learning to fill.
      `detector: { kind: ${detector}, features: table1-no-identity }`,
      `learn: { duration: ${LEARN_SECONDS}s, minimumRecords: ${LEARN_RECORDS} }`,
      'response: { action: ban, banDuration: 1m }',
      ''
    ].join('\n')
  )
  const main = new URL('../../broker/main.js', import.meta.url)
  const child = spawn(process.execPath, [main.pathname, 'broker', '--config', config], {
    stdio: ['ignore', 'ignore', 'pipe']
  })
  const exited = once(child, 'exit')
  cleanUp.unshift(async () => {
    child.kill('SIGTERM')
    await exited
  })
  const port = await new Promise<number>((resolve, reject) => {
    child.once('exit', code => {
      reject(new Error(`Broker exited with ${code} before it listened`))
    })
    createInterface({ input: child.stderr }).on('line', line => {
      const entry = parse(line)
      if (entry === undefined) print(line)
      else if (typeof entry.port === 'number') resolve(entry.port)
      else if (entry.level === 'error') print(`broker: ${String(entry.msg)}`)
    })
  })
  return { process: child, port }
}

function parse(line: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(line) as Record<string, unknown>
  } catch {
    return undefined
  }
}

/** Alerts and status that the broker publishes. */
class StatusWatcher {
  /** The first alert about a client, as received. */
  readonly clientAlert: Promise<string>
  readonly #listeners = new Set<(status: Status) => void>()
  #resolveAlert: (line: string) => void = () => {}
  readonly #client: MqttClient

  constructor(client: MqttClient) {
    this.#client = client
    this.clientAlert = new Promise(resolve => {
      this.#resolveAlert = resolve
    })
    client.on('message', (topic, payload) => {
      const text = payload.toString()
      if (topic === TOPICS.alerts && isAboutClient(text)) this.#resolveAlert(text)
      else if (topic === TOPICS.status) for (const listener of this.#listeners) listener(JSON.parse(text) as Status)
    })
  }

  async subscribe(): Promise<void> {
    await this.#client.subscribeAsync(TOPICS.alerts)
  }

  /**
   * Resolves with the first status that satisfies the condition, including the current one: a new subscription receives
   * the retained status.
   */
  async until(satisfies: (status: Status) => boolean, onStatus: (status: Status) => void = () => {}): Promise<Status> {
    return await new Promise((resolve, reject) => {
      const listener = (status: Status): void => {
        onStatus(status)
        if (!satisfies(status)) return
        this.#listeners.delete(listener)
        resolve(status)
      }
      this.#listeners.add(listener)
      this.#client.subscribeAsync(TOPICS.status).catch(reject)
    })
  }

  async now(): Promise<Status> {
    return await this.until(() => true)
  }
}

function isAboutClient(alert: string): boolean {
  return (JSON.parse(alert) as { artemis: { scope: string } }).artemis.scope === 'client'
}

/** Shows learning progress. */
async function learn(watcher: StatusWatcher): Promise<void> {
  print(`The broker learns for ${LEARN_SECONDS} s from twelve clients.`)
  const bar = new SingleBar(
    { stream: process.stderr, format: 'Learning {bar} {percentage} %', noTTYOutput: true, notTTYSchedule: 5_000 },
    Presets.shades_classic
  )
  bar.start(100, 0)
  await watcher.until(
    ({ state }) => state === 'guarding',
    ({ learning }) => {
      bar.update(Math.round(100 * (learning?.progress ?? 1)))
    }
  )
  bar.update(100)
  bar.stop()
}

async function runAttacker(port: number): Promise<AttackFigures> {
  const attacker = fork(new URL('./malaria.js', import.meta.url), [String(port), ATTACKER])
  cleanUp.unshift(() => attacker.kill())
  const figures = await Promise.race([
    once(attacker, 'message').then(([message]) => message as AttackFigures),
    once(attacker, 'exit').then(([code]) => {
      throw new Error(`Attacker process exited with ${String(code)}`)
    })
  ])
  return figures
}

async function end(code: number, text: string): Promise<never> {
  clearTimeout(timeout)
  for (const step of cleanUp.splice(0)) await step()
  print(text)
  process.exit(code)
}

try {
  await run()
} catch (error) {
  await end(2, error instanceof Error ? error.message : String(error))
}
