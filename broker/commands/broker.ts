// artemis broker: runs the broker until it is told to stop.

import { closeSync, openSync } from 'node:fs'
import path from 'node:path'
import { Command } from 'commander'
import type { Logger } from 'pino'
import { artemis, type Alert, type Artemis, type ArtemisOptions } from '../../src/index.js'
import { OperatorError } from '../../src/errors.js'
import type { Settings } from '../config/schema.js'
import { readSettings, type EffectiveSettings, type Flags } from '../config/settings.js'
import { AccessControl } from '../auth/access-control.js'
import { clientOrigins, listenerAuthOf } from '../auth/listener-auth.js'
import { BAN_FILE, MODEL_FILE } from '../data-files.js'
import { Admission } from '../limits/admission.js'
import { limitLogins } from '../limits/logins.js'
import { LimitCounters } from '../limits/limit-counters.js'
import { Listeners } from '../listeners/listeners.js'
import { openLog, reopenLog } from '../process/log.js'
import type { Note } from '../mosquitto/note.js'
import { openBroker } from '../open-broker.js'
import { writePidFile } from '../process/pid-file.js'
import { ReloadSignal } from '../process/reload-signal.js'
import { aborted, stopSignal } from '../process/stop-signal.js'
import { SysTree } from '../sys/tree.js'
import { printable } from '../terminal/printable.js'
import { addSettingsOptions } from './settings-options.js'

/** What clients say is nobody else's business. */
const OWNER_ONLY = 0o600

/** The `broker` command. */
export function brokerCommand(): Command {
  const command = new Command('broker')
    .description('run the broker (the default command)')
    .action(async (flags: Flags) => {
      // Before anybody can know that we run: it would end the process.
      const hangUps = new ReloadSignal()
      const effective = readSettings(flags)
      const { settings, file, notes } = effective
      const log = openLog(settings.log)
      log.info({ file: file ?? 'none', mosquitto: settings.mosquitto ?? 'none' }, 'Artemis starts.')
      for (const note of notes) tell(note, log)
      checkReports(settings)
      await runBroker(effective, flags, log, { stop: stopSignal(['SIGINT', 'SIGTERM']), hangUps })
    })
  return addSettingsOptions(command)
}

/** What a running broker is told by signals. */
interface Signals {
  stop: AbortSignal
  hangUps: ReloadSignal
}

/** Runs a broker from its ports to its last word; resolves when it has stopped after `stop` was aborted. */
async function runBroker(
  effective: EffectiveSettings,
  flags: Flags,
  log: Logger,
  { stop, hangUps }: Signals
): Promise<void> {
  const closers: (() => unknown)[] = []
  try {
    const { settings } = effective
    const { limits } = settings
    const tally = new LimitCounters(log)
    const admission = new Admission(limits, tally)
    const listeners = await Listeners.open(settings.listeners, { ...limits, admission, tally, log })
    closers.push(() => listeners.destroy())
    closers.push(await writePidFile(settings.pidFile))
    const access = await AccessControl.open(
      listenerAuthOf(settings),
      clientOrigins(settings.listeners),
      log,
      limits.messageSize ?? undefined
    )
    const opened = await openBroker(settings, log, tally, {
      mayWait: (clientId, topic) => access.mayWait(clientId, topic)
    })
    const { broker } = opened
    closers.push(() => opened.close())
    const closeClients = async (): Promise<void> => {
      listeners.close()
      await opened.closeClients()
    }
    closers.push(closeClients)
    access.guardLogins(broker)
    limitLogins(broker, limits.loginAttempts, tally)
    const ports = listeners.addresses.map(({ port }) => port)
    const ids = artemis(broker, {
      ...optionsOf(effective, ports, log),
      control: { authorize: (_asker, client) => access.mayControl(client) }
    })
    access.guardTopics(broker)
    // The detection side sees the last packets too.
    closers.push(() => ids.close(), closeClients)
    ids.on('refused', (address, client) => {
      tally.hit('banned', address, { client })
    })
    ids.on('alert', (alert, event) => log.warn({ event }, sentenceOf(alert)))
    hangUps.answer(async () => {
      await reload(flags, { ids, listeners, ports, access, log })
    })
    closers.push(() => hangUps.close())
    if (settings.sysInterval > 0) {
      const sys = new SysTree(broker, tally)
      sys.start(settings.sysInterval)
      closers.push(() => sys.stop())
    }
    await broker.publishLeftWills()
    listeners.accept((stream, request) => broker.handle(stream, request))
    announce(settings, listeners, log)
    await aborted(stop)
    log.info({ reason: stop.reason as unknown }, 'Artemis stops.')
  } finally {
    await closeAll(closers)
  }
  log.info('Artemis has stopped.')
}

/** Closes in the opposite order of opening, all of them also where one fails, and then throws the first error. */
async function closeAll(closers: readonly (() => unknown)[]): Promise<void> {
  const errors: unknown[] = []
  for (const close of closers.toReversed()) {
    try {
      await close()
    } catch (error) {
      errors.push(error)
    }
  }
  if (errors.length > 0) throw errors[0]
}

/** What a reload reaches. */
interface Running {
  ids: Artemis
  listeners: Listeners
  /** Where they listen in fact. */
  ports: number[]
  access: AccessControl
  log: Logger
}

/** Reads the settings again, and the files that they name; where one of them is wrong, nothing changes. */
async function reload(flags: Flags, { ids, listeners, ports, access, log }: Running): Promise<void> {
  try {
    reopenLog()
    const effective = readSettings(flags)
    const { settings } = effective
    const admit = await access.reload(listenerAuthOf(settings))
    listeners.reloadCertificates()
    ids.use(optionsOf(effective, ports, log))
    const disconnected = admit()
    log.info(
      { model: modelPath(settings), disconnected },
      'The settings were read again for SIGHUP: users, access rules, certificates and what concerns the detection are new, other changes need a restart.'
    )
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error
    log.error({ remedy: error.remedy }, `The settings stay as they were: ${error.message}`)
  }
}

/** What in a mosquitto.conf does not do here what it does there. */
function tell({ place, name, support, text }: Note, log: Logger): void {
  log[support === 'not needed' ? 'info' : 'warn']({ place }, `${printable(name)}: ${support}. ${text}`)
}

/** Files that cannot be written should stop the start, and not be found missing when they are needed. */
function checkReports({ report }: Settings): void {
  for (const [key, file] of Object.entries(report)) {
    if (file === null) continue
    try {
      closeSync(openSync(file, 'a', OWNER_ONLY))
    } catch (cause) {
      throw new OperatorError(
        'report',
        `report.${key}: ${printable(String(cause instanceof Error ? cause.message : cause))}.`,
        'Name a file in a folder that exists and that this user may write to.',
        { cause }
      )
    }
  }
}

function modelPath({ detector, data }: Settings): string {
  return detector.model ?? path.join(data, MODEL_FILE)
}

/** An alert as a line of the log; a client may call itself anything. */
function sentenceOf({ state, rule, subject: { scope, address, clientId }, response }: Alert): string {
  const whom =
    scope === 'gateway'
      ? 'the broker as a whole'
      : `client ${printable(JSON.stringify(clientId ?? ''))} at ${address ?? 'no address'}`
  return `Alert ${state}: ${whom}, rule ${rule}, response ${response}.`
}

function announce(settings: Settings, listeners: Listeners, log: Logger): void {
  for (const { address, port, family, scheme } of listeners.addresses) {
    const host = family === 'IPv6' ? `[${address}]` : address
    log.info({ address, port }, `Listening for MQTT on ${scheme}://${host}:${port}.`)
  }
  log.info({ folder: settings.data }, 'Data folder.')
  log.info(`Artemis is ready; Ctrl-C or kill ${process.pid} stops it.`)
}

/** The settings as the plug-in takes them. */
function optionsOf({ settings, sources }: EffectiveSettings, ports: number[], logger: Logger): ArtemisOptions {
  const {
    tap,
    detector,
    learn,
    alert,
    response,
    report,
    caps: { holdTime, ring, ...caps }
  } = settings
  return {
    tap: {
      target: tap.target,
      identityFile: tap.identity ?? undefined,
      knownHostsFile: tap.knownHosts ?? undefined,
      hostKey: tap.hostKey ?? undefined,
      sudo: tap.sudo,
      snapLength: tap.snapLength
    },
    ports,
    payloadCapBytes: detector.payloadCap,
    detector: {
      // What nobody asked for is no reason to complain about the model.
      ...(sources.get('detector.kind') !== 'default' && { kind: detector.kind }),
      contamination: detector.contamination,
      seed: detector.seed,
      features: detector.features,
      model: modelPath(settings)
    },
    learn: { seconds: learn.duration / 1000, minimumRecords: learn.minimumRecords },
    alert: { weight: alert.weight, batchRecords: alert.batchRecords, batchMs: alert.batchDuration },
    response: {
      action: response.action,
      banSeconds: response.banDuration / 1000,
      allow: response.allow,
      file: path.join(settings.data, BAN_FILE)
    },
    // A ring's length is a power of two.
    caps: { ...caps, holdMs: holdTime, ringBytes: 2 ** Math.floor(Math.log2(ring)) },
    report: { records: report.records ?? undefined, eve: report.eve ?? undefined },
    logger
  }
}
