// Entry point of the plug-in: artemis(aedes, options) attaches intrusion detection to any Aedes broker.

import { EventEmitter } from 'node:events'
import type { Aedes } from 'aedes'
import type { Alert } from './alert/alert.js'
import { STEADY_CLOCK, SystemClock } from './clock.js'
import type { Controlled } from './control/commands.js'
import { Control } from './control/control.js'
import { DetectionThread } from './detection/detection-thread.js'
import { OperatorError } from './errors.js'
import type { ForBroker } from './detection/thread-messages.js'
import { normaliseAddress } from './observe/address.js'
import { Observer } from './observe/observer.js'
import { eveAlert, eveBan, type EveAlert, type EveBan, type EveEvent } from './report/eve.js'
import { EveLog } from './report/eve-log.js'
import { RecentAlerts } from './report/recent-alerts.js'
import type { ArtemisStatus, DetectionStatus } from './report/status.js'
import { SysTopic } from './report/sys-topic.js'
import { ALLOW_FORM, AllowList, isAllowEntry } from './respond/allow-list.js'
import { BanFile } from './respond/ban-file.js'
import { BanList, type Ban, type BanEnding } from './respond/bans.js'
import { RESPONSES } from './respond/catalog.js'
import { banTarget } from './respond/ban-target.js'
import { Gate } from './respond/gate.js'
import type { Offender } from './respond/response.js'
import { DEFAULTS, detectionSettings, type ArtemisOptions } from './settings.js'

export type { AuthorizeControl, Requester } from './control/authorization.js'
export { CONTROL_TOPICS } from './control/control.js'
export { OperatorError } from './errors.js'
export { FEATURES, type FeatureColumn, type FeatureName, type FeatureValues } from './features/schema.js'
export { announce, type Announcement } from './observe/announced.js'
export { TOPICS } from './report/sys-topic.js'
export {
  DEFAULTS,
  type AlertOptions,
  type ArtemisOptions,
  type DetectorOptions,
  type LearnOptions,
  type Logger,
  type ReportOptions,
  type ResponseOptions,
  type TapOptions
} from './settings.js'
export type { Alert, AlertState, AlertSubject, Contribution } from './alert/alert.js'
export type { EveAlert, EveBan, EveEvent } from './report/eve.js'
export type { ArtemisStatus, DetectionStatus } from './report/status.js'
export type { Ban, BanEnding } from './respond/bans.js'

const TOPIC_CAP_BYTES = 256
/** The status is published when it changes, and at least at this interval. */
const STATUS_INTERVAL_MS = 10_000
/** Maximum delay of a ban's `end` event. */
const BAN_CHECK_INTERVAL_MS = 1_000

/** What {@link Artemis} emits. */
export interface ArtemisEvents {
  /** An alert was raised, continues or was cleared. */
  alert: [alert: Alert, event: EveAlert]
  /** A ban started (`ending` undefined) or ended. */
  ban: [ban: Ban, ending: BanEnding | undefined, event: EveBan]
  /** A banned client was refused. `clientId` is null if no CONNECT was read. */
  refused: [address: string, clientId: string | null]
  /** Every second. */
  status: [status: ArtemisStatus]
}

/** Whom {@link Artemis.ban} applies to; at least one of the two. */
export interface BanTarget {
  /** IPv4 or IPv6 address. */
  address?: string
  clientId?: string
}

/** Intrusion detection attached to an Aedes broker. Created by {@link artemis}. */
export class Artemis extends EventEmitter<ArtemisEvents> {
  readonly #gate: Gate
  readonly #topic: SysTopic
  readonly #thread: DetectionThread
  readonly #observer: Observer
  readonly #eveLog: EveLog | undefined
  #responseName: keyof typeof RESPONSES
  #banSeconds: number
  readonly #clock = new SystemClock()
  readonly #recent = new RecentAlerts()
  readonly #control: Control | undefined
  readonly #banFile: BanFile | undefined
  readonly #banCheck: NodeJS.Timeout
  /** Subject of the latest offence, and what was done about it. */
  #latestOffence = { key: '', isAllowed: false, isBlocked: false }
  #detectionStatus: DetectionStatus = { state: 'starting' }
  #published = { digest: '', atMs: -Infinity }
  readonly #options: ArtemisOptions

  constructor(aedes: Aedes, options: ArtemisOptions) {
    super()
    this.#options = options
    this.#responseName = options.response?.action ?? DEFAULTS.response.action
    this.#banSeconds = options.response?.banSeconds ?? DEFAULTS.response.banSeconds
    this.#thread = new DetectionThread(detectionSettings(options))
    this.#thread.on('message', message => {
      this.#handle(message)
    })
    this.#thread.on('crash', (error, retryMs, entries) => {
      this.#log('error', `Detection crashed and restarts; the broker keeps running: ${error.message}`, {
        retryMs,
        stack: error.stack
      })
      this.#observer.redirect(entries)
      this.#detectionStatus = { state: 'crashed', failure: error.message }
      this.#publishStatus()
    })
    const payloadCapBytes = options.payloadCapBytes ?? DEFAULTS.payloadCapBytes
    this.#observer = new Observer(
      this.#thread.start(),
      { topicCapBytes: TOPIC_CAP_BYTES, payloadCapBytes },
      this.#clock
    )
    const bans = new BanList(this.#clock, undefined, STEADY_CLOCK)
    this.#gate = new Gate(aedes, this.#observer, bans, new AllowList(options.response?.allow), (address, clientId) => {
      this.emit('refused', address, clientId)
    })
    const { control } = options
    if (control !== undefined) {
      this.#control = new Control(aedes, this.#observer, this.#controlled(), control.authorize, error => {
        this.#log('error', `Control request failed: ${error.message}`, { stack: error.stack })
      })
    }
    this.#topic = new SysTopic(aedes, error => {
      this.#log('warn', `Cannot publish to $SYS: ${error.message}`)
    })
    const eve = options.report?.eve
    if (eve !== undefined)
      this.#eveLog = new EveLog(eve, error => {
        this.#log('error', `Cannot write alerts to ${eve}: ${error.message}`)
      })
    bans.on('begin', ban => {
      this.#banChanged(ban)
    })
    bans.on('end', (ban, ending) => {
      this.#banChanged(ban, ending)
    })
    const file = options.response?.file
    if (file !== undefined) {
      const banFile = new BanFile(file, bans, this.#gate.allow, error => {
        this.#log('error', `Cannot read or write bans and the allow-list in ${file}: ${error.message}`)
      })
      this.#banFile = banFile
      banFile.load()
      bans.on('change', () => {
        banFile.touch()
      })
    }
    this.#banCheck = setInterval(() => {
      bans.expire()
    }, BAN_CHECK_INTERVAL_MS).unref()
  }

  /** Returns what is published to the status topic. */
  status(): ArtemisStatus {
    const { counters, bans, allow } = this.#gate
    return {
      ...this.#detectionStatus,
      response: { action: this.#responseName, ...counters, bans: bans.list().length, allowed: allow.list().length },
      ...(this.#control !== undefined && { control: { ...this.#control.counters } }),
      thread: { restarts: this.#thread.restarts },
      ...(this.#eveLog !== undefined && { eve: { lost: this.#eveLog.lost } })
    }
  }

  /**
   * Bans an address, a client id, or a client id at an address, and disconnects the clients concerned.
   *
   * @param seconds duration; `response.banSeconds` by default
   * @throws OperatorError `control-request` if neither is given, `control-allowed` if the target is on the allow-list
   */
  ban({ address, clientId }: BanTarget, seconds = this.#banSeconds): Ban {
    const target = { address: address === undefined ? null : normaliseAddress(address), clientId: clientId ?? null }
    return banTarget(target, seconds, this.#gate, this.#observer).ban
  }

  /** Returns the bans in force. */
  bans(): Ban[] {
    return this.#gate.bans.list()
  }

  /** Lifts all bans of an address, including those of single client ids at it. */
  unban(address: string): void {
    for (const ban of this.#gate.bans.list())
      if (ban.address === normaliseAddress(address)) this.#gate.bans.lift(ban.address, ban.clientId)
  }

  /** Returns the most recent alerts, the latest last, each with its latest state; at most 100. */
  alerts(): EveAlert[] {
    return this.#recent.list()
  }

  /** Stops the detection: closes the tap, scores the remaining records and removes the hooks. */
  async close(): Promise<void> {
    clearInterval(this.#banCheck)
    await this.#thread.stop()
    this.#control?.remove()
    this.#gate.remove()
    await this.#banFile?.flush()
    this.#topic.close()
    await this.#eveLog?.close()
  }

  /**
   * Applies new options for `tap`, `detector`, `learn`, `alert` and `response`. Other options keep their values.
   *
   * @throws OperatorError `option` if an option is invalid; nothing changes then
   */
  use(options: ArtemisOptions): void {
    checkOptions(options)
    this.#responseName = options.response?.action ?? DEFAULTS.response.action
    this.#banSeconds = options.response?.banSeconds ?? DEFAULTS.response.banSeconds
    const entries = this.#thread.use(detectionSettings(options))
    // Publish the status even if nothing else has changed.
    this.#published.digest = ''
    if (entries !== undefined) this.#observer.redirect(entries)
    else if (options.detector?.model !== undefined) this.useModel(options.detector.model)
  }

  /** Loads another model. If the file is invalid, logs an error and keeps the present model. */
  useModel(path: string): void {
    this.#thread.useModel(path)
  }

  /** Kills the detection thread; it restarts as after a crash. */
  async restartDetection(): Promise<void> {
    await this.#thread.kill()
  }

  #handle(message: ForBroker): void {
    switch (message.type) {
      case 'alert':
        this.#alert(message.alert)
        break
      case 'offence':
        this.#respond(message.offender)
        break
      case 'log':
        this.#log(message.level, message.message, message.details)
        break
      case 'report':
        this.#detectionStatus = message.status
        this.#publishStatus()
        this.#topic.scores(message.scores)
        break
      case 'refused': {
        const { code, message: text, remedy } = message
        this.#detectionStatus = { state: 'refused', failure: text, ...(remedy !== undefined && { remedy }) }
        this.#publishStatus()
        this.#log('error', `Detection is off: ${text}`, { code, ...(remedy !== undefined && { remedy }) })
        break
      }
    }
  }

  #alert(reported: Alert): void {
    const { key, isAllowed, isBlocked } = this.#latestOffence
    const { state, subject } = reported
    // The offence is reported just before its alert. A cleared alert has none.
    const hasOffence = state !== 'cleared' && subject.scope === 'client' && key === offenceKey(subject)
    const alert: Alert = hasOffence && isAllowed ? { ...reported, response: 'observe' } : reported
    const event = eveAlert(alert, hasOffence && isBlocked)
    this.#recent.add(alert.id, alert.state, event)
    this.#publishEvent(event)
    this.emit('alert', alert, event)
  }

  #banChanged(ban: Ban, ending?: BanEnding): void {
    const event = eveBan(ban, this.#clock.now(), ending)
    this.#publishEvent(event)
    const { address, clientId, until } = ban
    this.#log('info', ending === undefined ? 'Ban started.' : `Ban ended: ${ending}.`, {
      address,
      clientId,
      until: new Date(until).toISOString()
    })
    this.emit('ban', ban, ending, event)
  }

  #publishEvent(event: EveEvent): void {
    this.#topic.alert(event)
    this.#eveLog?.write(event)
  }

  #respond(offender: Offender): void {
    const { address, clientId } = offender
    const isAllowed = this.#gate.allow.has(address, clientId)
    const bansBefore = this.#gate.bans.list().length
    const disconnected = isAllowed
      ? 0
      : RESPONSES[this.#responseName].apply(offender, this.#gate, { banSeconds: this.#banSeconds })
    const isBlocked = disconnected > 0 || this.#gate.bans.list().length > bansBefore
    this.#latestOffence = { key: offenceKey(offender), isAllowed, isBlocked }
    if (disconnected === 0) return
    this.#log('warn', `${this.#responseName}: disconnected ${offender.address}`, {
      address: offender.address,
      clientId: offender.clientId,
      connections: disconnected
    })
  }

  #controlled(): Controlled {
    return {
      observer: this.#observer,
      gate: this.#gate,
      banSeconds: this.#banSeconds,
      alerts: () => this.#recent.list(),
      status: () => this.status(),
      ask: question => this.#thread.ask(question),
      allowChanged: () => {
        this.#banFile?.touch()
      },
      saved: async () => {
        await this.#banFile?.flush()
      }
    }
  }

  #publishStatus(): void {
    const status = this.status()
    this.emit('status', status)
    const { state, tap, learning, alerts, response } = status
    const digest = JSON.stringify([state, tap, learning, alerts, response].map(summaryOf))
    const now = performance.now()
    const isChanged = digest !== this.#published.digest || now - this.#published.atMs >= STATUS_INTERVAL_MS
    if (isChanged) this.#published = { digest, atMs: now }
    this.#topic.status(status, isChanged)
  }

  #log(level: 'info' | 'warn' | 'error', message: string, details: object = {}): void {
    this.#options.logger?.[level](details, message)
  }
}

function offenceKey({ address, clientId }: { address: string | null; clientId: string | null }): string {
  return JSON.stringify([address, clientId])
}

/** Parts of the status whose change is worth a message: everything but counters. */
function summaryOf(part: unknown): unknown {
  if (typeof part !== 'object' || part === null) return part
  const { state, phase, progress, open, raised, expelled, bans } = part as Record<string, unknown>
  return [state, phase, progress, open, raised, expelled, bans]
}

/**
 * Attaches intrusion detection to an Aedes broker. Call it before you create the listeners, because it replaces
 * `aedes.handle`: connections passed to the original function are not observed.
 *
 * @throws OperatorError `option` if an option is invalid
 */
export function artemis(aedes: Aedes, options: ArtemisOptions = {}): Artemis {
  checkOptions(options)
  return new Artemis(aedes, options)
}

function checkOptions(options: ArtemisOptions): void {
  const { response, alert } = options
  const action = response?.action
  if (action !== undefined && !Object.hasOwn(RESPONSES, action)) {
    throw new OperatorError(
      'option',
      `response.action is "${action}"`,
      `Choose one of ${Object.keys(RESPONSES).join(', ')}.`
    )
  }
  const wrongEntry = response?.allow?.find(entry => !isAllowEntry(entry))
  if (wrongEntry !== undefined)
    throw new OperatorError('option', `response.allow contains "${wrongEntry}"`, `Write ${ALLOW_FORM}.`)
  const weight = alert?.weight
  if (weight !== undefined && !(weight >= 0 && weight < 1)) {
    throw new OperatorError(
      'option',
      `alert.weight is ${weight}`,
      'W0 of equation 1 must be in [0, 1); the paper uses 0.4.'
    )
  }
}
