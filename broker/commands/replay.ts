// artemis replay: the alerts that a capture would have raised.

import { setTimeout as sleep } from 'node:timers/promises'
import { Command, Option } from 'commander'
import { DEFAULT_MQTT_PORTS } from '../../src/join/capture-records.js'
import { Pipeline } from '../../src/detection/pipeline.js'
import { timeOf, type TrafficRecord } from '../../src/record.js'
import { eveAlert } from '../../src/report/eve.js'
import { shownJson } from '../../src/report/json-line.js'
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
    .requiredOption('--model <file>', 'the model that judges, as a broker saved it')
    .addOption(
      new Option('--speed <speed>', 'max: as fast as it goes; 1: in the time it took')
        .choices(['max', '1'])
        .default('max')
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
  // The settings of a live broker: a replay judges alike.
  const pipeline = new Pipeline(model, detectionSettings({ response: { action: 'observe' } }), {
    onAlert: alert => {
      process.stdout.write(`${shownJson(JSON.stringify(eveAlert(alert)))}\n`)
    }
  })
  const pace = speed === '1' ? new Pace(signal) : undefined
  let last = 0
  for await (const records of readCapture(file, { ports, signal })) {
    for (const record of records) {
      await pace?.wait(record)
      last = timeOf(record)
      pipeline.push(record)
    }
  }
  pipeline.flush()
  const { scored, unscored } = pipeline.counters
  process.stderr.write(
    `${file}: ${scored} records judged, ${unscored} not, ${pipeline.alerts.raised} alerts; ends ${new Date(last * 1_000).toISOString()}\n`
  )
}

/** Holds records back until as much time has passed as between them and the first. */
class Pace {
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
