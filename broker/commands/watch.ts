// artemis watch: runs the detection for another broker, using only a tap.

import { access } from 'node:fs/promises'
import { Command, InvalidArgumentError, Option } from 'commander'
import type { DetectorKind } from '../../models/index.js'
import type { Alert } from '../../src/alert/alert.js'
import { isModelWritable, Detection } from '../../src/detection/detection.js'
import { OperatorError } from '../../src/errors.js'
import { DEFAULT_MQTT_PORTS } from '../../src/join/capture-records.js'
import { eveAlert } from '../../src/report/eve.js'
import { printableJson } from '../../src/report/json-line.js'
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

/** The parts of the detection status that are used here. */
interface Status {
  state: string
  failure?: string
  learning?: { phase: string; progress: number; records: number }
  tap: { target: string; state: string; reason?: string; sessions: number }
}

const TICK_INTERVAL_MS = 100
const STATUS_INTERVAL_MS = 10_000
/** Bytes kept of a payload, as in the broker. */
const PAYLOAD_CAP_BYTES = DEFAULTS.payloadCapBytes
const TOPIC_CAP_BYTES = 256

/** The `watch` command. */
export function watchCommand(): Command {
  return new Command('watch')
    .description('run the detection for another broker over a tap; print alerts as EVE JSON lines')
    .argument('<tap>', 'ssh://user@host[:port]/interface, local:interface or auto')
    .option('--model <file>', 'model to score with; if the file does not exist, a model is learnt and saved there')
    .addOption(
      new Option('--learn <time>', 'without a model: minimum learning time')
        .argParser(duration)
        .default(DEFAULTS.learn.seconds * 1_000, `${DEFAULTS.learn.seconds / 60}m`)
    )
    .option(
      '--learn-records <n>',
      'without a model: minimum number of records to learn from',
      count,
      DEFAULTS.learn.minimumRecords
    )
    .option('--publish <url>', 'also publish alerts and status to this broker: mqtt://[user:password@]host[:port]')
    .option(
      '--topic-prefix <topic>',
      'topic prefix to publish under; most brokers deny clients to write under $SYS',
      topicPrefix,
      DEFAULT_TOPIC_PREFIX
    )
    .option('--mqtt-port <ports>', 'TCP ports that carry MQTT', parsePorts, [...DEFAULT_MQTT_PORTS])
    .option('--identity <file>', 'private key for ssh; default: the ssh agent and ~/.ssh/id_*')
    .option('--known-hosts <file>', 'known hosts for ssh; default: ~/.ssh/known_hosts')
    .option('--host-key <fingerprint>', 'ssh host key fingerprint (SHA256:...), instead of known hosts')
    .option('--sudo', 'run tcpdump with sudo -n')
    .action(watch)
}

async function watch(tap: string, flags: WatchFlags): Promise<void> {
  const { kind } = parseTarget(tap)
  if (kind === 'file' || kind === 'none') {
    throw new OperatorError(
      'tap-target',
      kind === 'file' ? 'Cannot watch a file.' : 'Cannot watch without a tap.',
      'Give ssh://user@host/INTERFACE or local:INTERFACE. To read a file, use "artemis replay".'
    )
  }
  const stop = stopSignal()
  const log = openLog({ level: 'info', format: 'auto', file: null })
  // Connect before opening the tap, so that the publisher's own frames are recognised.
  const publisher =
    flags.publish === undefined
      ? undefined
      : await AlertPublisher.open(flags.publish, flags.topicPrefix, message => {
          log.warn(message)
        })
  const progress = new Progress()
  const detection: Detection = new Detection(
    settingsOf(tap, flags, await detectorKindOf(flags.model)),
    null,
    {
      onAlert: alert => {
        writeAlert(alert, publisher)
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
  const tapFailed = new AbortController()
  const timers = [
    setInterval(() => {
      detection.tick()
      const status = detection.status() as Status
      showProgress(status, progress)
      if (hasFailed(status)) tapFailed.abort()
    }, TICK_INTERVAL_MS),
    setInterval(() => {
      publisher?.status(detection.status())
    }, STATUS_INTERVAL_MS)
  ]
  try {
    await detection.start()
    requireTap(detection.status() as Status)
    await Promise.race([aborted(stop), aborted(tapFailed.signal)])
  } finally {
    for (const timer of timers) clearInterval(timer)
    progress.stop()
    await detection.stop()
    publisher?.status({ ...detection.status(), state: 'stopped' })
    await publisher?.close()
  }
  const { records, alerts, tap: tapStatus } = detection.status() as { records: object; alerts: object; tap: object }
  log.info(
    { records, alerts, tap: tapStatus, ...(publisher !== undefined && { unpublished: publisher.lost }) },
    'Artemis stopped watching.'
  )
  if (tapFailed.signal.aborted) {
    throw new OperatorError(
      'tap-unopened',
      'Cannot open the tap.',
      'See the reason in the log above. Once a tap has been up, it is reopened automatically.'
    )
  }
}

/**
 * Returns the detector kind of the model file, or the default if there is no model yet.
 * @throws OperatorError `model-not-writable` if there is no model and the file cannot be created
 */
async function detectorKindOf(model: string | undefined): Promise<DetectorKind> {
  if (model === undefined) return DEFAULTS.detector.kind
  if (
    await access(model).then(
      () => true,
      () => false
    )
  )
    return (await GuardModel.load(model)).detector
  if (await isModelWritable(model)) return DEFAULTS.detector.kind
  throw new OperatorError(
    'model-not-writable',
    `--model ${printable(model, MAX_PATH_LENGTH)}: the folder is missing or not writable.`,
    'Give a model file, or a file in an existing folder that this user may write to.'
  )
}

function settingsOf(tap: string, flags: WatchFlags, kind: DetectorKind): ReturnType<typeof detectionSettings> {
  const { model, learn, learnRecords, mqttPort, identity, knownHosts, hostKey, sudo } = flags
  return detectionSettings({
    // Whole frames: the tap is the only source of packets.
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

function writeAlert(alert: Alert, publisher: AlertPublisher | undefined): void {
  const event = eveAlert(alert)
  process.stdout.write(`${printableJson(JSON.stringify(event))}\n`)
  publisher?.alert(event)
}

function showProgress({ learning }: Status, progress: Progress): void {
  if (learning === undefined) progress.stop()
  else progress.update('learning', learning.progress, 1, `${learning.records} records, ${learning.phase}`)
}

/** Whether the first attempt to open the tap failed, usually because of an error in the command line. */
function hasFailed({ tap: { state, reason, sessions } }: Status): boolean {
  return state === 'down' && reason !== undefined && sessions === 0
}

/** Refuses `auto` if it found no tap: the broker can run without one, `watch` cannot. */
function requireTap({ tap: { target } }: Status): void {
  if (target === 'none')
    throw new OperatorError('tap-target', 'Cannot watch without a tap.', 'See the reason in the log above.')
}

function duration(text: string): number {
  const milliseconds = parseDuration(text)
  if (Number.isNaN(milliseconds)) throw new InvalidArgumentError('Give a time with its unit, such as 90s or 10m.')
  return milliseconds
}

function count(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('Give a whole number, 1 or above.')
  return Number(text)
}

function topicPrefix(text: string): string {
  if (text === '' || /[#+\0]/.test(text) || text.length > 200)
    throw new InvalidArgumentError('Give a topic without wildcards.')
  return text.replace(/\/$/, '')
}
