// artemis broker: runs the broker until a signal stops it.

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

/** Reports contain client data. */
const OWNER_ONLY = 0o600

/** The `broker` command. */
export function brokerCommand(): Command {
  const command = new Command('broker')
    .description('run the broker (the default command)')
    .action(async (flags: Flags) => {
      // First, because SIGHUP ends a process that has no handler.
      const reloadSignal = new ReloadSignal()
      const effective = readSettings(flags)
      const { settings, file, notes } = effective
      const log = openLog(settings.log)
      log.info({ file: file ?? 'none', mosquitto: settings.mosquitto ?? 'none' }, 'Starting Artemis.')
      for (const note of notes) logNote(note, log)
      checkReportFiles(settings)
      await runBroker(effective, flags, log, { stop: stopSignal(['SIGINT', 'SIGTERM']), reloadSignal })
    })
  return addSettingsOptions(command)
}

/** The signals that a running broker handles. */
interface Signals {
  stop: AbortSignal
  reloadSignal: ReloadSignal
}

/** Runs a broker; resolves when it has stopped after `stop` was aborted. */
async function runBroker(
  effective: EffectiveSettings,
  flags: Flags,
  log: Logger,
  { stop, reloadSignal }: Signals
): Promise<void> {
  const closers: (() => unknown)[] = []
  try {
    const { settings } = effective
    const { limits } = settings
    const counters = new LimitCounters(log)
    const admission = new Admission(limits, counters)
    const listeners = await Listeners.open(settings.listeners, { ...limits, admission, limitCounters: counters, log })
    closers.push(() => listeners.destroy())
    closers.push(await writePidFile(settings.pidFile))
    const access = await AccessControl.open(
      listenerAuthOf(settings),
      clientOrigins(settings.listeners),
      log,
      limits.messageSize ?? undefined
    )
    const opened = await openBroker(settings, log, counters, {
      mayWait: (clientId, topic) => access.mayReceive(clientId, topic)
    })
    const { broker } = opened
    closers.push(() => opened.close())
    const closeClients = async (): Promise<void> => {
      listeners.close()
      await opened.closeClients()
    }
    closers.push(closeClients)
    access.hookLogins(broker)
    limitLogins(broker, limits.loginAttempts, counters)
    const ports = listeners.addresses.map(({ port }) => port)
    const ids = artemis(broker, {
      ...optionsOf(effective, ports, log),
      control: { authorize: (_asker, client) => access.mayControl(client) }
    })
    access.hookTopics(broker)
    // Clients close first, so that the detection sees their last packets.
    closers.push(() => ids.close(), closeClients)
    ids.on('refused', (address, client) => {
      counters.hit('banned', address, { client })
    })
    ids.on('alert', (alert, event) => log.warn({ event }, alertMessage(alert)))
    reloadSignal.setHandler(async () => {
      await reload(flags, { ids, listeners, ports, access, log })
    })
    closers.push(() => reloadSignal.close())
    if (settings.sysInterval > 0) {
      const sys = new SysTree(broker, counters)
      sys.start(settings.sysInterval)
      closers.push(() => sys.stop())
    }
    await broker.publishLeftoverWills()
    listeners.accept((stream, request) => broker.handle(stream, request))
    logAddresses(settings, listeners, log)
    await aborted(stop)
    log.info({ reason: stop.reason as unknown }, 'Stopping Artemis.')
  } finally {
    await closeAll(closers)
  }
  log.info('Artemis stopped.')
}

/** Closes everything in reverse order of opening, even if a step fails, and then throws the first error. */
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

/** The parts of a running broker that a reload changes. */
interface Running {
  ids: Artemis
  listeners: Listeners
  /** The ports actually bound. */
  ports: number[]
  access: AccessControl
  log: Logger
}

/** Reloads the settings and the files that they name; changes nothing if any of them is invalid. */
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
      'Reloaded settings, users, access rules, certificates and detection on SIGHUP; other changes need a restart.'
    )
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error
    log.error({ remedy: error.remedy }, `Reload failed, settings unchanged: ${error.message}`)
  }
}

/** Logs a directive of mosquitto.conf that Artemis does not follow as mosquitto does. */
function logNote({ place, name, support, text }: Note, log: Logger): void {
  log[support === 'not needed' ? 'info' : 'warn']({ place }, `${printable(name)}: ${support}. ${text}`)
}

/** Fails the start if a report file cannot be written. */
function checkReportFiles({ report }: Settings): void {
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

/** An alert as a log message. Client ids are untrusted and escaped. */
function alertMessage({ state, rule, subject: { scope, address, clientId }, response }: Alert): string {
  const subject =
    scope === 'gateway'
      ? 'gateway'
      : `client ${printable(JSON.stringify(clientId ?? ''))} at ${address ?? 'unknown address'}`
  return `Alert ${state}: ${subject}, rule ${rule}, response ${response}.`
}

function logAddresses(settings: Settings, listeners: Listeners, log: Logger): void {
  for (const { address, port, family, scheme } of listeners.addresses) {
    const host = family === 'IPv6' ? `[${address}]` : address
    log.info({ address, port }, `Listening for MQTT on ${scheme}://${host}:${port}.`)
  }
  log.info({ folder: settings.data }, 'Data folder.')
  log.info(`Artemis is ready. To stop it, press Ctrl-C or run kill ${process.pid}.`)
}

/** Converts the settings to plug-in options. */
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
      // The default is left out, so that a model of another kind logs no warning.
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
    // The ring length must be a power of two.
    caps: { ...caps, holdMs: holdTime, ringBytes: 2 ** Math.floor(Math.log2(ring)) },
    report: { records: report.records ?? undefined, eve: report.eve ?? undefined },
    logger
  }
}
