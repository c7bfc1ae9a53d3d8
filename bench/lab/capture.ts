// One capture from beginning to end: network, broker, tcpdump, devices, attackers, labels.

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
import { startCapture } from './capturing.js'
import { DEVICE_KINDS } from './devices/catalog.js'
import { Home } from './home.js'
import { LabNetwork } from './lab-network.js'
import { labelCapture, type LabelFigures } from './labels.js'
import { LEDGER_HEADER } from './ledger.js'
import { LINKS, makePlan, type Link, type Plan } from './plan.js'
import { labelRecords } from './record-labels.js'
import type { Cue, FromPlayer, ToPlayer } from './player.js'

/** What to capture. */
export interface CaptureOptions {
  /** What the files are called. */
  name: string
  attack: Attack | null
  seed: number
  durationMs: number
  /** Where the files go. */
  out: string
  /** Whether the broker writes its records, too. */
  records: boolean
  /** Ends the capture early. */
  signal: AbortSignal
  /** Called now and then with the share of the time that is over. */
  onProgress: (share: number) => void
}

/** What came of it. */
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
  /** Frames that tcpdump lost. */
  dropped: number
  /** Wall clock of all of it, seconds. */
  took: number
  /** When it was finished, ISO 8601. */
  made: string
}

const PROGRESS_MS = 500
const READY_MS = 60_000
const START_IN_MS = 300
const STOP_MS = 8_000
const NETWORK_TRIES = 3

/** Makes one capture. Throws where a part of it fails; nothing is left behind either way. */
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
  const begun = performance.now()
  const plan = makePlan({ seed, attack, durationMs, kinds: DEVICE_KINDS })
  const folder = mkdtempSync(join(tmpdir(), 'artemis-lab-'))
  const file = (suffix: string): string => join(folder, `${name}.${suffix}`)
  // What was opened is closed in the opposite order.
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
      throw new Error(`the broker ended in mid-capture (${String(code ?? by)})`)
    })
    // Looked at further down; it must not be unhandled before.
    brokerFailed.catch(() => {})
    closers.push(() => broker.stop())
    const capturing = await startCapture(network, file('pcap'))
    closers.push(() => capturing.stop())

    const players = new Players(network, plan, message => {
      if (message.kind === 'inject') network.inject(Buffer.from(message.packet, 'base64'))
    })
    closers.push(() => players.end())
    const troupes = attack === null ? (['devices'] as const) : (['devices', 'attack'] as const)
    const ledgerOf = (troupe: Troupe, link: Link): string => file(`${troupe}-${link}.csv`)
    for (const troupe of troupes) for (const link of LINKS) players.open(troupe, link)
    await players.ready(signal)
    const startsAt = Date.now() + START_IN_MS
    players.start((troupe, link) => ({
      kind: 'start',
      plan,
      target: broker.target,
      link,
      startsAt,
      ledger: ledgerOf(troupe, link)
    }))
    const wait = async (untilMs: number): Promise<void> => {
      while (Date.now() < startsAt + untilMs) {
        signal.throwIfAborted()
        players.check()
        onProgress(Math.max(0, Math.min(1, (Date.now() - startsAt) / durationMs)))
        await Promise.race([pause(Math.min(PROGRESS_MS, startsAt + untilMs - Date.now())), brokerFailed])
      }
    }
    if (attack !== null) {
      await wait(plan.attackFromMs)
      await players.tellVictims()
    }
    await wait(durationMs)
    const dropped = await capturing.stop()
    const messages = await players.stop()
    await broker.stop()

    const ledgers = LINKS.flatMap(link => troupes.map(troupe => ledgerOf(troupe, link)))
    const figures = await labelCapture({
      capture: file('pcap'),
      attack: attack?.name ?? null,
      parties: plan.parties,
      ledgers,
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
      `${LEDGER_HEADER}\n${ledgers.map(ledger => readFileSync(ledger, 'utf8')).join('')}`
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
      took: Math.round((performance.now() - begun) / 100) / 10,
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

/** The radio link needs ports that nobody else takes at the same moment: where somebody did, it is tried again. */
async function openNetwork(plan: Plan): Promise<LabNetwork> {
  for (let tries = 1; ; tries++) {
    try {
      return await LabNetwork.open(plan)
    } catch (error) {
      if (tries === NETWORK_TRIES) throw error
    }
  }
}

/** Also where the temporary folder is on another disk. */
function moveFile(from: string, to: string): void {
  try {
    renameSync(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error
    copyFileSync(from, to)
  }
}

type Troupe = 'devices' | 'attack'

interface Player {
  troupe: Troupe
  link: Link
  child: ChildProcess
  ready: Promise<void>
  exited: Promise<unknown>
}

/** The programs that play the parties. */
class Players {
  readonly #running: Player[] = []
  readonly #messages: Record<Troupe, number> = { devices: 0, attack: 0 }
  #failure: Error | undefined
  #stopping = false
  readonly #network: LabNetwork
  readonly #plan: Plan
  readonly #onMessage: (message: FromPlayer) => void

  constructor(network: LabNetwork, plan: Plan, onMessage: (message: FromPlayer) => void) {
    this.#network = network
    this.#plan = plan
    this.#onMessage = onMessage
  }

  open(troupe: Troupe, link: Link): void {
    const script = new URL(`./${troupe}-main.js`, import.meta.url).pathname
    const child = this.#network
      .hostOf(link)
      .spawn(process.execPath, [script], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    let isDone = false
    const ready = new Promise<void>(resolve => {
      child.on('message', (message: FromPlayer) => {
        if (message.kind === 'ready') resolve()
        if (message.kind === 'done') {
          this.#messages[troupe] += message.messages
          isDone = true
        }
        this.#onMessage(message)
      })
    })
    const exited = once(child, 'exit').then(([code, by]) => {
      if (!isDone && !this.#stopping)
        this.#failure = new Error(
          `the program of the ${troupe} (${link}) of seed ${this.#plan.seed} ended early: ${String(code ?? by)}`
        )
    })
    this.#running.push({ troupe, link, child, ready, exited })
  }

  /** Resolves when all of them can start at once. */
  async ready(signal: AbortSignal): Promise<void> {
    const allReady = Promise.all(this.#running.map(({ ready }) => ready)).then(() => true)
    const deadline = performance.now() + READY_MS
    while (!(await Promise.race([allReady, pause(20, false)]))) {
      signal.throwIfAborted()
      this.check()
      if (performance.now() > deadline) throw new Error('the programs of devices and attackers do not start')
    }
  }

  start(cueOf: (troupe: Troupe, link: Link) => Cue): void {
    for (const { troupe, link, child } of this.#running) say(child, cueOf(troupe, link))
  }

  /** Throws where one has ended that should not have. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Tells the attackers the client ids of the devices that are there. */
  async tellVictims(): Promise<void> {
    const asked = this.#running.filter(({ troupe, child }) => troupe === 'devices' && child.connected)
    const answers = await Promise.all(
      asked.map(async ({ child }) => {
        const answer = new Promise<string[]>(resolve => {
          child.on('message', (message: FromPlayer) => {
            if (message.kind === 'client-ids') resolve(message.ids)
          })
        })
        say(child, { kind: 'client-ids' })
        return await answer
      })
    )
    for (const { troupe, child } of this.#running)
      if (troupe === 'attack') say(child, { kind: 'victims', ids: answers.flat() })
  }

  /** Ends all of them; resolves with the messages they published. */
  async stop(): Promise<Record<Troupe, number>> {
    this.check()
    this.#stopping = true
    for (const { child } of this.#running) say(child, { kind: 'stop' })
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

  /** Ends them at once. */
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

function say(child: ChildProcess, message: ToPlayer): void {
  if (child.connected) child.send(message)
}
