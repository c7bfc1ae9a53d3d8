// artemis watch: the detection beside a broker that is not ours, from nothing but a tap.

import { access } from 'node:fs/promises'
import { Command, InvalidArgumentError, Option } from 'commander'
import type { DetectorKind } from '../../models/index.js'
import type { Alert } from '../../src/alert/alert.js'
import { canHoldModel, Detection } from '../../src/detection/detection.js'
import { OperatorError } from '../../src/errors.js'
import { DEFAULT_MQTT_PORTS } from '../../src/join/capture-records.js'
import { eveAlert } from '../../src/report/eve.js'
import { shownJson } from '../../src/report/json-line.js'
import { GuardModel } from '../../src/scoring/guard-model.js'
import { detectionSettings, DEFAULTS } from '../../src/settings.js'
import { parseTarget } from '../../src/tap/target.js'
import { AlertPublisher, DEFAULT_TOPIC_PREFIX } from '../client/alert-publisher.js'
import { parseDuration } from '../config/units.js'
import { openLog } from '../process/log.js'
import { parsePorts } from '../port-list.js'
import { MAX_PATH_LENGTH, printable } from '../terminal/printable.js'
import { Progress } from '../terminal/progress.js'
import { aborted, stopSignal } from '../process/stop-signal.js'

/** The flags, parsed. */
interface WatchFlags {
  model?: string
  learn: number
  learnRecords: number
  publish?: string
  topicPrefix: string
  mqttPort: number[]
  identity?: string
  knownHosts?: string
  hostKey?: string
  sudo?: boolean
}

/** What is said of the detection's state. */
interface Status {
  state: string
  failure?: string
  learning?: { phase: string; progress: number; records: number }
  tap: { target: string; state: string; reason?: string; sessions: number }
}

const TICK_INTERVAL_MS = 100
const STATUS_INTERVAL_MS = 10_000
/** Bytes kept of a payload; as of a broker of ours. */
const PAYLOAD_CAP_BYTES = DEFAULTS.payloadCapBytes
const TOPIC_CAP_BYTES = 256

/** The `watch` command. */
export function watchCommand(): Command {
  return new Command('watch')
    .description('watch a broker that is not ours by a tap; print alerts as EVE JSON lines')
    .argument('<tap>', 'ssh://user@host[:port]/interface, local:interface or auto')
    .option(
      '--model <file>',
      'the model that judges; where the file does not exist, it is learnt first and written there'
    )
    .addOption(
      new Option('--learn <time>', 'without a model: learn what is normal for at least so long')
        .argParser(duration)
        .default(DEFAULTS.learn.seconds * 1_000, `${DEFAULTS.learn.seconds / 60}m`)
    )
    .option('--learn-records <n>', 'and from at least so many records', count, DEFAULTS.learn.minimumRecords)
    .option('--publish <url>', 'also publish alerts and status to this broker: mqtt://[user:password@]host[:port]')
    .option(
      '--topic-prefix <topic>',
      'publish under this topic; most brokers let no client write under $SYS',
      topicPrefix,
      DEFAULT_TOPIC_PREFIX
    )
    .option('--mqtt-port <ports>', 'TCP ports that carry MQTT', parsePorts, [...DEFAULT_MQTT_PORTS])
    .option('--identity <file>', 'private key for ssh; default: the ssh agent and ~/.ssh/id_*')
    .option('--known-hosts <file>', 'known hosts for ssh; default: ~/.ssh/known_hosts')
    .option('--host-key <fingerprint>', 'SHA256:... of the ssh host key, instead of known hosts')
    .option('--sudo', 'run tcpdump by sudo -n')
    .action(watch)
}

async function watch(tap: string, flags: WatchFlags): Promise<void> {
  const { kind } = parseTarget(tap)
  if (kind === 'file' || kind === 'none') {
    throw new OperatorError(
      'tap-target',
      kind === 'file' ? 'A file cannot be watched.' : 'Without a tap there is nothing to watch.',
      'Name ssh://user@host/INTERFACE or local:INTERFACE; "artemis replay" reads files.'
    )
  }
  const stop = stopSignal()
  const log = openLog({ level: 'info', format: 'auto', file: null })
  // Before the tap: its own connection should be known when its frames are seen.
  const publisher =
    flags.publish === undefined
      ? undefined
      : await AlertPublisher.open(flags.publish, flags.topicPrefix, message => {
          log.warn(message)
        })
  const progress = new Progress()
  const detection: Detection = new Detection(
    settingsOf(tap, flags, await kindOf(flags.model)),
    null,
    {
      onAlert: alert => {
        report(alert, publisher)
      },
      onOffence: () => {},
      onLog: (level, message, details = {}) => {
        progress.stop()
        log[level](details, message)
      },
      onModel: () => {},
      onChange: () => {
        publisher?.status(detection.status())
      }
    },
    undefined,
    undefined,
    {
      topicCapBytes: TOPIC_CAP_BYTES,
      payloadCapBytes: PAYLOAD_CAP_BYTES,
      ownPrefix: `${flags.topicPrefix}/`,
      isOwn: ({ client }) => publisher?.isOwn(client) === true
    }
  )
  const inVain = new AbortController()
  const timers = [
    setInterval(() => {
      detection.tick()
      const status = detection.status() as Status
      show(status, progress)
      if (hasFailed(status)) inVain.abort()
    }, TICK_INTERVAL_MS),
    setInterval(() => {
      publisher?.status(detection.status())
    }, STATUS_INTERVAL_MS)
  ]
  try {
    await detection.start()
    refuseBlind(detection.status() as Status)
    await Promise.race([aborted(stop), aborted(inVain.signal)])
  } finally {
    for (const timer of timers) clearInterval(timer)
    progress.stop()
    await detection.stop()
    publisher?.status({ ...detection.status(), state: 'stopped' })
    await publisher?.close()
  }
  const { records, alerts, tap: ending } = detection.status() as { records: object; alerts: object; tap: object }
  log.info(
    { records, alerts, tap: ending, ...(publisher !== undefined && { unpublished: publisher.lost }) },
    'Artemis no longer watches.'
  )
  if (inVain.signal.aborted) {
    throw new OperatorError(
      'tap-unopened',
      'The tap could not be opened, so there is nothing to watch.',
      'The line that says why is above. A tap that was up once is opened again by itself.'
    )
  }
}

/**
 * What the model is of, where there is one: it is the one that was asked for.
 * @throws OperatorError `model-not-writable` where there is none and none can be
 */
async function kindOf(model: string | undefined): Promise<DetectorKind> {
  if (model === undefined) return DEFAULTS.detector.kind
  if (
    await access(model).then(
      () => true,
      () => false
    )
  )
    return (await GuardModel.load(model)).detector
  if (await canHoldModel(model)) return DEFAULTS.detector.kind
  throw new OperatorError(
    'model-not-writable',
    `--model ${printable(model, MAX_PATH_LENGTH)}: its folder is missing or may not be written to.`,
    'Name a model, or a file in a folder that exists and that this user may write to.'
  )
}

function settingsOf(tap: string, flags: WatchFlags, kind: DetectorKind): ReturnType<typeof detectionSettings> {
  const { model, learn, learnRecords, mqttPort, identity, knownHosts, hostKey, sudo } = flags
  return detectionSettings({
    // Whole frames: the tap is the only one who sees what is in them.
    tap: {
      target: tap,
      snapLength: 0,
      identityFile: identity,
      passphrase: process.env.ARTEMIS_SSH_PASSPHRASE,
      knownHostsFile: knownHosts,
      hostKey,
      sudo
    },
    ports: mqttPort,
    detector: { kind, ...(model !== undefined && { model }) },
    learn: { seconds: learn / 1_000, minimumRecords: learnRecords },
    response: { action: 'observe' }
  })
}

function report(alert: Alert, publisher: AlertPublisher | undefined): void {
  const event = eveAlert(alert)
  process.stdout.write(`${shownJson(JSON.stringify(event))}\n`)
  publisher?.alert(event)
}

function show({ learning }: Status, progress: Progress): void {
  if (learning === undefined) progress.stop()
  else progress.update('learning', learning.progress, 1, `${learning.records} records, ${learning.phase}`)
}

/** Whether the first attempt to open the tap came to nothing: a mistake in the command, more often than not. */
function hasFailed({ tap: { state, reason, sessions } }: Status): boolean {
  return state === 'down' && reason !== undefined && sessions === 0
}

/** `auto` that found no tap is fine for a broker, and useless here. */
function refuseBlind({ tap: { target } }: Status): void {
  if (target === 'none')
    throw new OperatorError(
      'tap-target',
      'Without a tap there is nothing to watch.',
      'The line above says what is in the way.'
    )
}

function duration(text: string): number {
  const milliseconds = parseDuration(text)
  if (Number.isNaN(milliseconds)) throw new InvalidArgumentError('Write a time with its unit, such as 90s or 10m.')
  return milliseconds
}

function count(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('Write a whole number.')
  return Number(text)
}

function topicPrefix(text: string): string {
  if (text === '' || /[#+\0]/.test(text) || text.length > 200)
    throw new InvalidArgumentError('Write a topic without wildcards.')
  return text.replace(/\/$/, '')
}
