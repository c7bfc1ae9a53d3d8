// artemis replay: prints the alerts that a capture would have raised.

import { setTimeout as sleep } from 'node:timers/promises'
import { Command, Option } from 'commander'
import { DEFAULT_MQTT_PORTS } from '../../src/join/capture-records.js'
import { Pipeline } from '../../src/detection/pipeline.js'
import { timeOf, type TrafficRecord } from '../../src/record.js'
import { eveAlert } from '../../src/report/eve.js'
import { printableJson } from '../../src/report/json-line.js'
import { GuardModel } from '../../src/scoring/guard-model.js'
import { detectionSettings } from '../../src/settings.js'
import { readCapture } from '../records/capture-input.js'
import { parsePorts } from '../port-list.js'
import { untilStopped } from '../process/stop-signal.js'

interface ReplayOptions {
  model: string
  speed: 'max' | '1'
  mqttPort: number[]
}

/** The `replay` command. */
export function replayCommand(): Command {
  return new Command('replay')
    .description('print the alerts that captures would have raised, as EVE JSON lines')
    .argument('<file...>', 'captures, - for standard input')
    .requiredOption('--model <file>', 'model to score with, as saved by a broker')
    .addOption(
      new Option('--speed <speed>', 'max: as fast as possible; 1: in real time').choices(['max', '1']).default('max')
    )
    .option('--mqtt-port <ports>', 'TCP ports that carry MQTT', parsePorts, [...DEFAULT_MQTT_PORTS])
    .action(replay)
}

async function replay(files: string[], options: ReplayOptions): Promise<void> {
  const model = await GuardModel.load(options.model)
  await untilStopped(async signal => {
    for (const file of files) await replayFile(file, model, options, signal)
  })
}

async function replayFile(
  file: string,
  model: GuardModel,
  { speed, mqttPort: ports }: ReplayOptions,
  signal: AbortSignal
): Promise<void> {
  // The default settings of a live broker, so that a replay gives the same alerts.
  const pipeline = new Pipeline(model, detectionSettings({ response: { action: 'observe' } }), {
    onAlert: alert => {
      process.stdout.write(`${printableJson(JSON.stringify(eveAlert(alert)))}\n`)
    }
  })
  const pacer = speed === '1' ? new Pacer(signal) : undefined
  let last = 0
  for await (const records of readCapture(file, { ports, signal })) {
    for (const record of records) {
      await pacer?.wait(record)
      last = timeOf(record)
      pipeline.push(record)
    }
  }
  pipeline.flush()
  const { scored, unscored } = pipeline.counters
  process.stderr.write(
    `${file}: ${scored} records scored, ${unscored} not scored, ${pipeline.alerts.raised} alerts; last record ${new Date(last * 1_000).toISOString()}\n`
  )
}

/** Delays each record until its time offset from the first record has passed. */
class Pacer {
  #first: { time: number; at: number } | undefined
  readonly #signal: AbortSignal

  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  async wait(record: TrafficRecord): Promise<void> {
    const time = timeOf(record)
    const now = performance.now()
    this.#first ??= { time, at: now }
    const dueMs = this.#first.at + (time - this.#first.time) * 1_000 - now
    if (dueMs > 1) await sleep(dueMs, undefined, { signal: this.#signal })
  }
}
