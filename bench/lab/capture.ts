// Makes one capture: network, broker, tcpdump, devices, attackers, labels.

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  copyFileSync,
  existsSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Attack } from './attacker.js'
import { startBroker } from './broker.js'
import { startCapture } from './packet-capture.js'
import { DEVICE_KINDS } from './devices/catalog.js'
import { Home } from './home.js'
import { LabNetwork } from './lab-network.js'
import { labelCapture, type LabelFigures } from './labels.js'
import { MESSAGE_LOG_HEADER } from './message-log.js'
import { LINKS, makePlan, type Link, type Plan } from './plan.js'
import { labelRecords } from './record-labels.js'
import type { StartMessage, FromProgram, ToProgram } from './program-messages.js'

export interface CaptureOptions {
  /** Base name of the files. */
  name: string
  attack: Attack | null
  seed: number
  durationMs: number
  /** Output folder. */
  out: string
  /** Whether the broker also writes its records. */
  records: boolean
  /** Aborts the capture. */
  signal: AbortSignal
  /** Called periodically with the elapsed share of the time. */
  onProgress: (share: number) => void
}

/** Figures of a capture. */
export interface CaptureFigures extends LabelFigures {
  name: string
  seed: number
  attackName: string | null
  seconds: number
  devices: number
  newcomers: number
  attackers: number
  /** Messages published by devices and newcomers, and by attackers. */
  messages: number
  attackMessages: number
  /** Frames dropped by tcpdump. */
  dropped: number
  /** Total wall-clock time, seconds. */
  took: number
  /** Completion time, ISO 8601. */
  made: string
}

const PROGRESS_MS = 500
const READY_MS = 60_000
const START_IN_MS = 300
const STOP_MS = 8_000
const NETWORK_TRIES = 3

/** Makes one capture. Throws if a part fails; cleans up in any case. */
export async function makeCapture({
  name,
  attack,
  seed,
  durationMs,
  out,
  records,
  signal,
  onProgress
}: CaptureOptions): Promise<CaptureFigures> {
  const startedAt = performance.now()
  const plan = makePlan({ seed, attack, durationMs, kinds: DEVICE_KINDS })
  const folder = mkdtempSync(join(tmpdir(), 'artemis-lab-'))
  const file = (suffix: string): string => join(folder, `${name}.${suffix}`)
  // Closed in reverse order.
  const closers: (() => unknown)[] = [
    () => {
      rmSync(folder, { recursive: true, force: true })
    }
  ]
  try {
    const network = await openNetwork(plan)
    closers.push(() => network.close())
    const broker = await startBroker(
      network,
      new Home(plan.seed, plan.parties),
      join(folder, 'broker'),
      records ? file('records.ndjson') : null
    )
    const brokerFailed = once(broker.process, 'exit').then(([code, by]) => {
      throw new Error(`Broker exited during the capture (${String(code ?? by)})`)
    })
    // Awaited below; avoid an unhandled rejection until then.
    brokerFailed.catch(() => {})
    closers.push(() => broker.stop())
    const packetCapture = await startCapture(network, file('pcap'))
    closers.push(() => packetCapture.stop())

    const programs = new LabPrograms(network, plan, message => {
      if (message.kind === 'inject') network.inject(Buffer.from(message.packet, 'base64'))
    })
    closers.push(() => programs.end())
    const kinds = attack === null ? (['devices'] as const) : (['devices', 'attack'] as const)
    const messageLogPath = (kind: ProgramKind, link: Link): string => file(`${kind}-${link}.csv`)
    for (const kind of kinds) for (const link of LINKS) programs.open(kind, link)
    await programs.ready(signal)
    const startsAt = Date.now() + START_IN_MS
    programs.start((kind, link) => ({
      kind: 'start',
      plan,
      target: broker.target,
      link,
      startsAt,
      messageLog: messageLogPath(kind, link)
    }))
    const wait = async (untilMs: number): Promise<void> => {
      while (Date.now() < startsAt + untilMs) {
        signal.throwIfAborted()
        programs.check()
        onProgress(Math.max(0, Math.min(1, (Date.now() - startsAt) / durationMs)))
        await Promise.race([pause(Math.min(PROGRESS_MS, startsAt + untilMs - Date.now())), brokerFailed])
      }
    }
    if (attack !== null) {
      await wait(plan.attackFromMs)
      await programs.sendVictims()
    }
    await wait(durationMs)
    const dropped = await packetCapture.stop()
    const messages = await programs.stop()
    await broker.stop()

    const messageLogs = LINKS.flatMap(link => kinds.map(kind => messageLogPath(kind, link)))
    const figures = await labelCapture({
      capture: file('pcap'),
      attack: attack?.name ?? null,
      parties: plan.parties,
      messageLogs,
      target: broker.target,
      labels: file('labels.csv'),
      byAddress: file('by-address.csv'),
      newcomers: file('newcomers.csv')
    })
    if (records)
      await labelRecords({
        capture: file('pcap'),
        labels: [file('labels.csv'), file('newcomers.csv')],
        records: file('records.ndjson'),
        target: broker.target,
        out: [file('records.labels.csv'), file('records.newcomers.csv')]
      })
    writeFileSync(
      file('messages.csv'),
      `${MESSAGE_LOG_HEADER}\n${messageLogs.map(messageLog => readFileSync(messageLog, 'utf8')).join('')}`
    )
    writeFileSync(
      file('parties.csv'),
      [
        'address,role,kind,link,arrive_s',
        ...plan.parties.map(({ address, role, kind, link, arriveMs }) =>
          [address, role, kind, link, (arriveMs / 1_000).toFixed(1)].join(',')
        )
      ].join('\n') + '\n'
    )
    const count = (role: string): number => plan.parties.filter(party => party.role === role).length
    const result: CaptureFigures = {
      name,
      seed,
      attackName: attack?.name ?? null,
      seconds: durationMs / 1_000,
      devices: count('device'),
      newcomers: count('newcomer'),
      attackers: count('attacker'),
      messages: messages.devices,
      attackMessages: messages.attack,
      dropped,
      ...figures,
      took: Math.round((performance.now() - startedAt) / 100) / 10,
      made: new Date().toISOString()
    }
    writeFileSync(file('json'), `${JSON.stringify(result, null, 2)}\n`)
    mkdirSync(out, { recursive: true })
    for (const suffix of [
      'pcap',
      'labels.csv',
      'by-address.csv',
      'newcomers.csv',
      'messages.csv',
      'parties.csv',
      'records.ndjson',
      'records.labels.csv',
      'records.newcomers.csv',
      'json'
    ]) {
      if (existsSync(file(suffix))) moveFile(file(suffix), join(out, `${name}.${suffix}`))
    }
    return result
  } finally {
    for (const close of closers.reverse()) await close()
  }
}

/** Retries if another process takes a port that the radio link needs. */
async function openNetwork(plan: Plan): Promise<LabNetwork> {
  for (let tries = 1; ; tries++) {
    try {
      return await LabNetwork.open(plan)
    } catch (error) {
      if (tries === NETWORK_TRIES) throw error
    }
  }
}

/** Moves a file, also between file systems. */
function moveFile(from: string, to: string): void {
  try {
    renameSync(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error
    copyFileSync(from, to)
  }
}

type ProgramKind = 'devices' | 'attack'

interface LabProgram {
  kind: ProgramKind
  link: Link
  child: ChildProcess
  ready: Promise<void>
  exited: Promise<unknown>
}

/** The programs that run the parties. */
class LabPrograms {
  readonly #running: LabProgram[] = []
  readonly #messages: Record<ProgramKind, number> = { devices: 0, attack: 0 }
  #failure: Error | undefined
  #stopping = false
  readonly #network: LabNetwork
  readonly #plan: Plan
  readonly #onMessage: (message: FromProgram) => void

  constructor(network: LabNetwork, plan: Plan, onMessage: (message: FromProgram) => void) {
    this.#network = network
    this.#plan = plan
    this.#onMessage = onMessage
  }

  open(kind: ProgramKind, link: Link): void {
    const script = new URL(`./${kind}-main.js`, import.meta.url).pathname
    const child = this.#network
      .hostOf(link)
      .spawn(process.execPath, [script], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    let isDone = false
    const ready = new Promise<void>(resolve => {
      child.on('message', (message: FromProgram) => {
        if (message.kind === 'ready') resolve()
        if (message.kind === 'done') {
          this.#messages[kind] += message.messages
          isDone = true
        }
        this.#onMessage(message)
      })
    })
    const exited = once(child, 'exit').then(([code, by]) => {
      if (!isDone && !this.#stopping)
        this.#failure = new Error(
          `Program for ${kind} (${link}) of seed ${this.#plan.seed} exited early: ${String(code ?? by)}`
        )
    })
    this.#running.push({ kind, link, child, ready, exited })
  }

  /** Resolves when all programs are ready to start. */
  async ready(signal: AbortSignal): Promise<void> {
    const allReady = Promise.all(this.#running.map(({ ready }) => ready)).then(() => true)
    const deadline = performance.now() + READY_MS
    while (!(await Promise.race([allReady, pause(20, false)]))) {
      signal.throwIfAborted()
      this.check()
      if (performance.now() > deadline) throw new Error('Programs for devices and attackers did not start in time')
    }
  }

  start(startMessageOf: (kind: ProgramKind, link: Link) => StartMessage): void {
    for (const { kind, link, child } of this.#running) print(child, startMessageOf(kind, link))
  }

  /** Throws if a program exited early. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Sends the attackers the client ids of connected devices. */
  async sendVictims(): Promise<void> {
    const asked = this.#running.filter(({ kind, child }) => kind === 'devices' && child.connected)
    const answers = await Promise.all(
      asked.map(async ({ child }) => {
        const answer = new Promise<string[]>(resolve => {
          child.on('message', (message: FromProgram) => {
            if (message.kind === 'client-ids') resolve(message.ids)
          })
        })
        print(child, { kind: 'client-ids' })
        return await answer
      })
    )
    for (const { kind, child } of this.#running)
      if (kind === 'attack') print(child, { kind: 'victims', ids: answers.flat() })
  }

  /** Stops all programs; resolves with the number of published messages. */
  async stop(): Promise<Record<ProgramKind, number>> {
    this.check()
    this.#stopping = true
    for (const { child } of this.#running) print(child, { kind: 'stop' })
    await Promise.race([
      Promise.all(
        this.#running.map(async ({ exited }) => {
          await exited
        })
      ),
      pause(STOP_MS, undefined, { ref: false })
    ])
    return this.#messages
  }

  /** Kills all programs. */
  async end(): Promise<void> {
    this.#stopping = true
    for (const { child } of this.#running) child.kill('SIGKILL')
    await Promise.all(
      this.#running.map(async ({ exited }) => {
        await exited
      })
    )
  }
}

function print(child: ChildProcess, message: ToProgram): void {
  if (child.connected) child.send(message)
}
