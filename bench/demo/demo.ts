// npm run demo [-- --detector NAME]: a broker taps itself through a real sshd, learns a home, and throws out a flooder.

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

const LONGEST_MS = 120_000
const LEARN_SECONDS = 25
const LEARN_RECORDS = 1_000
const ATTACKER = '127.0.66.6'
const CALM_MS = 3_000

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

/** Detectors that learn in place. */
const DETECTORS = DETECTOR_KINDS.filter(kind => !catalogEntry(kind).supervised)
const { detector } = parseArgs({ options: { detector: { type: 'string', default: 'iforest' } } }).values

const say = (text: string): void => {
  process.stderr.write(`${text}\n`)
}
const folder = mkdtempSync(join(tmpdir(), 'artemis-demo-'))
const cleanUp: (() => unknown)[] = [
  () => {
    rmSync(folder, { recursive: true, force: true })
  }
]
const tooLong = setTimeout(() => {
  void end(2, `the demo took longer than ${LONGEST_MS / 1_000} s`)
}, LONGEST_MS)
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    void end(2, 'interrupted')
  })

async function run(): Promise<void> {
  if (!isDetectorKind(detector) || !DETECTORS.includes(detector))
    throw new Error(`--detector ${detector}: there are ${DETECTORS.join(', ')}`)
  const missing = ['tcpdump', 'sshd', 'ssh-keygen'].filter(program => findProgram(program) === program)
  if (missing.length > 0)
    throw new Error(`${missing.join(', ')} missing; on Debian: apt-get install tcpdump openssh-server openssh-client`)
  const sshd = await startSshd(folder)
  cleanUp.unshift(async () => {
    await sshd.stop()
  })
  const broker = await startBroker(sshd)
  const monitor = await connectAsync(`mqtt://127.0.0.1:${broker.port}`, { clientId: 'monitor', reconnectPeriod: 0 })
  cleanUp.unshift(() => monitor.end(true))
  const news = new News(monitor)
  await news.subscribe()
  const tapped = await news.until(({ tap }) => tap.state === 'up')
  say(
    `The broker listens on 127.0.0.1:${broker.port} and taps itself through ${tapped.tap.target}; ${detector} learns.`
  )

  const home = new Home(broker.port)
  await home.start()
  await learn(news)

  say(`\nAn attacker at ${ATTACKER} floods: random payloads, QoS 1, 200 in flight, a new topic for each message.`)
  const before = await news.now()
  const begun = performance.now()
  const attack = await runAttacker(broker.port)
  const alert = await Promise.race([news.clientAlert, sleep(CALM_MS)])
  if (alert !== undefined) process.stdout.write(`${alert}\n`)
  await sleep(CALM_MS)
  const last = await news.now()
  const seconds = (performance.now() - begun) / 1_000
  const figures = await home.stop()

  const joined = last.join.framesJoined
  const carrying = joined + last.join.framesUnjoined
  say('')
  say(
    attack.thrownOutAfterMs === null
      ? `The attacker was NOT thrown out; it sent ${attack.sent} messages.`
      : `The attacker was thrown out ${attack.thrownOutAfterMs.toFixed(0)} ms and ${attack.sent} packets after its first publish; its next attempt was ${attack.refusedAgain ? 'refused' : 'let in'}.`
  )
  say(
    `Others thrown out: ${figures.thrownOut.length === 0 ? 'none' : figures.thrownOut.join(', ')} (of ${figures.clients} clients; connections closed by the broker: ${last.response.expelled}).`
  )
  say(
    `Benign messages: ${figures.sent} sent, ${figures.received} received${figures.lostOn.length === 0 ? ', none lost' : `; lost on ${figures.lostOn.join(', ')}`}.`
  )
  say(
    `Join: ${joined} of ${carrying} frames with MQTT (${((100 * joined) / carrying).toFixed(2)} %), ${last.join.framesAfterClose} more that the broker never read, ${last.join.mismatches} mismatches.`
  )
  say(
    `Records: ${last.records.seen}; ${((last.records.seen - before.records.seen) / seconds).toFixed(0)} a second during and after the attack.`
  )

  const good =
    attack.thrownOutAfterMs !== null &&
    figures.thrownOut.length === 0 &&
    last.response.expelled === 1 &&
    figures.received >= figures.sent &&
    figures.lostOn.length === 0
  await end(good ? 0 : 1, good ? 'The attacker is out, nobody else is, nothing was lost.' : 'NOT as it should be.')
}

/** The program itself, with a configuration as a user would write it. */
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
      // The columns of single frames: what `behaviour` follows takes minutes of learning to settle.
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
      reject(new Error(`the broker ended with ${code} before it listened`))
    })
    createInterface({ input: child.stderr }).on('line', line => {
      const entry = parse(line)
      if (entry === undefined) say(line)
      else if (typeof entry.port === 'number') resolve(entry.port)
      else if (entry.level === 'error') say(`broker: ${String(entry.msg)}`)
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

/** What the broker publishes about itself. */
class News {
  /** The first alert that names a client, as it came. */
  readonly clientAlert: Promise<string>
  readonly #listeners = new Set<(status: Status) => void>()
  #alertCame: (line: string) => void = () => {}
  readonly #client: MqttClient

  constructor(client: MqttClient) {
    this.#client = client
    this.clientAlert = new Promise(resolve => {
      this.#alertCame = resolve
    })
    client.on('message', (topic, payload) => {
      const text = payload.toString()
      if (topic === TOPICS.alerts && isAboutClient(text)) this.#alertCame(text)
      else if (topic === TOPICS.status) for (const listener of this.#listeners) listener(JSON.parse(text) as Status)
    })
  }

  async subscribe(): Promise<void> {
    await this.#client.subscribeAsync(TOPICS.alerts)
  }

  /**
   * Resolves with the first status that satisfies, the present one included: a new subscription is given the retained
   * one.
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

/** Shows how the learning goes on. */
async function learn(news: News): Promise<void> {
  say(`Twelve clients go about their business; the broker learns from them for ${LEARN_SECONDS} s.`)
  const bar = new SingleBar(
    { stream: process.stderr, format: 'Learning {bar} {percentage} %', noTTYOutput: true, notTTYSchedule: 5_000 },
    Presets.shades_classic
  )
  bar.start(100, 0)
  await news.until(
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
      throw new Error(`the attacker ended with ${String(code)}`)
    })
  ])
  return figures
}

async function end(code: number, text: string): Promise<never> {
  clearTimeout(tooLong)
  for (const step of cleanUp.splice(0)) await step()
  say(text)
  process.exit(code)
}

try {
  await run()
} catch (error) {
  await end(2, error instanceof Error ? error.message : String(error))
}
