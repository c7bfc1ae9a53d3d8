// What a plug-in user imports: artemis(aedes) makes any Aedes watch itself.

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
import { eveAlert, eveBan, type EveAlert } from './report/eve.js'
import { EveLog } from './report/eve-log.js'
import { RecentAlerts } from './report/recent-alerts.js'
import { SysTopic } from './report/sys-topic.js'
import { ALLOW_FORM, AllowList, isAllowEntry } from './respond/allow-list.js'
import { BanFile } from './respond/ban-file.js'
import { BanList, type Ban, type BanEnding } from './respond/bans.js'
import { RESPONSES } from './respond/catalog.js'
import { Gate } from './respond/gate.js'
import type { Offender } from './respond/response.js'
import { DEFAULTS, detectionSettings, type ArtemisOptions } from './settings.js'

export { CONTROL_TOPICS, type Requester as Asker, type AuthorizeControl } from './control/control.js'
export { OperatorError } from './errors.js'
export { FEATURES, type FeatureColumn, type FeatureName, type FeatureValues } from './features/schema.js'
export { announce, type Announcement } from './observe/announced.js'
export { TOPICS } from './report/sys-topic.js'
export { DEFAULTS, type ArtemisOptions } from './settings.js'
export type { Alert } from './alert/alert.js'
export type { EveAlert } from './report/eve.js'
export type { Ban } from './respond/bans.js'

const TOPIC_CAP_BYTES = 256
/** While guarding, the status is published when it says something new, and at least so often. */
const STATUS_INTERVAL_MS = 10_000
/** How late the end of a ban is told at most. */
const BAN_CHECK_INTERVAL_MS = 1_000

/** What {@link Artemis} emits. */
export interface ArtemisEvents {
  /** An alert was raised, continues or is cleared; and the same as it is published. */
  alert: [Alert, EveAlert]
  /** A ban began, or ended for a reason; and the same as it is published. */
  ban: [Ban, BanEnding | undefined, EveAlert]
  /** A banned client was refused: its address, and its client id where it came as far as to say it. */
  refused: [address: string, clientId: string | null]
  /** The status, every second. */
  status: [object]
}

/** A detection attached to a broker. */
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
  /** Whom the latest offence was about, and whether anything was done about it. */
  #latestOffence = { key: '', isAllowed: false, isBlocked: false }
  #detectionStatus: object = { state: 'starting' }
  #published = { digest: '', atMs: -Infinity }
  readonly #options: ArtemisOptions

  constructor(aedes: Aedes, options: ArtemisOptions) {
    super()
    this.#options = options
    this.#responseName = options.response?.action ?? DEFAULTS.response.action
    this.#banSeconds = options.response?.banSeconds ?? DEFAULTS.response.banSeconds
    this.#thread = new DetectionThread(detectionSettings(options))
    this.#thread.on('message', message => {
      this.#hear(message)
    })
    this.#thread.on('crash', (error, retryMs, entries) => {
      this.#log('error', `the detection crashed and starts again; the broker goes on: ${error.message}`, {
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
        this.#log('error', `a control request failed: ${error.message}`, { stack: error.stack })
      })
    }
    this.#topic = new SysTopic(aedes, error => {
      this.#log('warn', `the detection could not publish: ${error.message}`)
    })
    const eve = options.report?.eve
    if (eve !== undefined)
      this.#eveLog = new EveLog(eve, error => {
        this.#log('error', `alerts are not written to ${eve}: ${error.message}`)
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
        this.#log('error', `bans and the allow-list in ${file}: ${error.message}`)
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

  /** What the detection is doing: the object that is published as the status. */
  status(): object {
    const { counters, bans, allow } = this.#gate
    return {
      ...this.#detectionStatus,
      response: { action: this.#responseName, ...counters, bans: bans.list().length, allowed: allow.list().length },
      ...(this.#control !== undefined && { control: { ...this.#control.counters } }),
      thread: { restarts: this.#thread.restarts },
      ...(this.#eveLog !== undefined && { eve: { lost: this.#eveLog.lost } })
    }
  }

  /** Takes back all bans of an address. */
  unban(address: string): void {
    for (const ban of this.#gate.bans.list())
      if (ban.address === normaliseAddress(address)) this.#gate.bans.lift(ban.address, ban.clientId)
  }

  /** Ends the detection: the tap is closed, what is left is judged, the hooks are given back. */
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
   * Goes on with other settings: of the tap, the detector, the learning, the alerts and the response. What else
   * there is stays until the end.
   *
   * @throws OperatorError where an option cannot be; then nothing changes
   */
  use(options: ArtemisOptions): void {
    checkOptions(options)
    this.#responseName = options.response?.action ?? DEFAULTS.response.action
    this.#banSeconds = options.response?.banSeconds ?? DEFAULTS.response.banSeconds
    const entries = this.#thread.use(detectionSettings(options))
    // Whoever changed the settings wants to see them in force, also where nothing else is new.
    this.#published.digest = ''
    if (entries !== undefined) this.#observer.redirect(entries)
    else if (options.detector?.model !== undefined) this.useModel(options.detector.model)
  }

  /**
   * Guards with the model of another file from now on; an unsound one is refused in the log, and the present one stays.
   */
  useModel(path: string): void {
    this.#thread.useModel(path)
  }

  /** Ends the detection thread as a crash would; it starts again by itself. */
  async restartDetection(): Promise<void> {
    await this.#thread.kill()
  }

  #hear(message: ForBroker): void {
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
        this.#log('error', `no detection: ${text}`, { code, ...(remedy !== undefined && { remedy }) })
        break
      }
    }
  }

  #alert(told: Alert): void {
    const { key, isAllowed, isBlocked } = this.#latestOffence
    // Told just before, where something was to be done; but at its end an alert stands for itself.
    const isAnswered = told.state !== 'cleared' && told.subject.scope === 'client' && key === offenceKey(told.subject)
    const alert: Alert = isAnswered && isAllowed ? { ...told, response: 'observe' } : told
    const event = eveAlert(alert, isAnswered && isBlocked)
    this.#recent.take(alert.id, alert.state, event)
    this.#publishEvent(event)
    this.emit('alert', alert, event)
  }

  #banChanged(ban: Ban, ending?: BanEnding): void {
    const event = eveBan(ban, this.#clock.now(), ending)
    this.#publishEvent(event)
    const { address, clientId, until } = ban
    this.#log('info', ending === undefined ? 'A ban began.' : `A ban ended: ${ending}.`, {
      address,
      clientId,
      until: new Date(until).toISOString()
    })
    this.emit('ban', ban, ending, event)
  }

  #publishEvent(event: EveAlert): void {
    this.#topic.alert(event)
    this.#eveLog?.write(event)
  }

  #respond(offender: Offender): void {
    const { address, clientId } = offender
    const isAllowed = this.#gate.allow.has(address, clientId)
    const bansBefore = this.#gate.bans.list().length
    const thrownOut = isAllowed
      ? 0
      : RESPONSES[this.#responseName].apply(offender, this.#gate, { banSeconds: this.#banSeconds })
    const isBlocked = thrownOut > 0 || this.#gate.bans.list().length > bansBefore
    this.#latestOffence = { key: offenceKey(offender), isAllowed, isBlocked }
    if (thrownOut === 0) return
    this.#log('warn', `${this.#responseName}: ${offender.address} was thrown out`, {
      address: offender.address,
      clientId: offender.clientId,
      connections: thrownOut
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
    const { state, tap, learning, alerts, response } = status as Record<string, object>
    const digest = JSON.stringify([state, tap, learning, alerts, response].map(summaryOf))
    const now = performance.now()
    const isNews = digest !== this.#published.digest || now - this.#published.atMs >= STATUS_INTERVAL_MS
    if (isNews) this.#published = { digest, atMs: now }
    this.#topic.status(status, isNews)
  }

  #log(level: 'info' | 'warn' | 'error', message: string, details: object = {}): void {
    this.#options.logger?.[level](details, message)
  }
}

function offenceKey({ address, clientId }: { address: string | null; clientId: string | null }): string {
  return JSON.stringify([address, clientId])
}

/** What of the status is worth a message of its own: everything but the figures that only count. */
function summaryOf(part: unknown): unknown {
  if (typeof part !== 'object' || part === null) return part
  const { state, phase, progress, open, raised, expelled, bans } = part as Record<string, unknown>
  return [state, phase, progress, open, raised, expelled, bans]
}

/**
 * Attaches the detection to an Aedes. Call it before the broker's listeners are made, and give them
 * `aedes.handle` afterwards: connections that come past it are not seen.
 *
 * @throws OperatorError where an option cannot be
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
    throw new OperatorError('option', `response.allow holds "${wrongEntry}"`, `Write ${ALLOW_FORM}.`)
  const weight = alert?.weight
  if (weight !== undefined && !(weight >= 0 && weight < 1)) {
    throw new OperatorError(
      'option',
      `alert.weight is ${weight}`,
      "W0 of equation 1 lies between 0 and 1: 0.4 is the paper's."
    )
  }
}
