// artemis evaluate: how well a model tells attacks from benign records.

import { Command, InvalidArgumentError, Option } from 'commander'
import { evaluate as figuresOf } from '../../models/index.js'
import { OperatorError } from '../../src/errors.js'
import { DEFAULT_MQTT_PORTS } from '../../src/join/capture-records.js'
import { shownJson } from '../../src/report/json-line.js'
import { GuardModel } from '../../src/scoring/guard-model.js'
import { SurpriseMemory } from '../../src/scoring/surprise-memory.js'
import { evaluationPlot } from '../evaluation/evaluation-plot.js'
import { evaluationTable } from '../evaluation/evaluation-table.js'
import { labelsOf, noteUnmatched, withLabelFlags, type LabelFlags } from '../labels/label-flags.js'
import type { Label, Labels } from '../labels/label.js'
import { openOutputFile, refuseInputAsOutput, type OutputFile } from '../process/output-file.js'
import { parsePorts } from '../port-list.js'
import { Progress, totalBytes } from '../terminal/progress.js'
import { readRecordFile, type RecordInput } from '../records/record-input.js'
import { untilStopped } from '../process/stop-signal.js'

interface EvaluateFlags extends LabelFlags {
  model: string
  format: 'table' | 'json'
  plot?: string
  mqttPort: number[]
}

/** Rows that the model judged. */
interface Judged {
  names: Label[]
  scores: number[]
  /** Rows that it could not judge: frames without an MQTT packet, where it knows no frames. */
  unjudged: number
}

/** The `evaluate` command. */
export function evaluateCommand(): Command {
  return withLabelFlags(
    new Command('evaluate')
      .description('how well a model tells attacks from benign records')
      .argument('<file...>', 'captures (pcap or pcapng, gzip or not) or CSVs that extract wrote, - for standard input')
      .requiredOption('--model <file>', 'the model that judges')
  )
    .addOption(new Option('--format <format>', 'form of the figures').choices(['table', 'json']).default('table'))
    .option('--plot <file>', 'draw ROC curve and score histogram, as SVG', parseSvg)
    .option('--mqtt-port <ports>', 'TCP ports that carry MQTT', parsePorts, [...DEFAULT_MQTT_PORTS])
    .action(evaluate)
}

async function evaluate(files: string[], flags: EvaluateFlags): Promise<void> {
  const model = await GuardModel.load(flags.model)
  if (flags.plot !== undefined) await refuseInputAsOutput(flags.plot, [...files, flags.model])
  const progress = new Progress()
  await untilStopped(async signal => {
    const plot = flags.plot === undefined ? undefined : await openOutputFile(flags.plot)
    try {
      const labels = await labelsOf(flags, files)
      const bytes = await totalBytes(files)
      let read = 0
      const judged = await judge(files, model, labels, {
        ports: flags.mqttPort,
        signal,
        needsContext: model.needsContext,
        onBytes: count => {
          progress.update('Judging', (read += count), bytes)
        },
        onCutShort: fault => {
          process.stderr.write(`${fault.message}. What is whole is judged.\n`)
        }
      })
      progress.stop()
      notes(flags, labels, judged)
      const { names, scores } = judged
      const figures = figuresOf(names, scores, model.threshold)
      process.stdout.write(
        flags.format === 'json' ? `${shownJson(JSON.stringify(figures, undefined, 2))}\n` : evaluationTable(figures)
      )
      if (plot !== undefined) await write(plot, evaluationPlot(model.detector, names, scores, figures))
    } finally {
      progress.stop()
      await plot?.discard()
    }
  })
}

async function judge(
  files: readonly string[],
  model: GuardModel,
  labels: Labels | undefined,
  input: RecordInput
): Promise<Judged> {
  const judged: Judged = { names: [], scores: [], unjudged: 0 }
  for (const file of files) {
    labels?.begin(file)
    const memory = new SurpriseMemory()
    for await (const records of readRecordFile(file, input)) {
      const names = records.map(record => labels?.of(record) ?? null)
      const { scores } = model.judge(records, memory)
      records.forEach(({ own }, i) => {
        // The detection's own messages are not scored live either.
        if (own) return
        if (Number.isNaN(scores[i])) {
          judged.unjudged++
          return
        }
        judged.names.push(names[i])
        judged.scores.push(scores[i])
      })
    }
  }
  if (judged.scores.length === 0) {
    throw new OperatorError(
      'evaluation-data',
      judged.unjudged > 0
        ? `the model knows packets only, and none of the ${judged.unjudged} rows carries one`
        : 'there are no rows to judge',
      'Check that the files hold MQTT traffic, and its ports with --mqtt-port.'
    )
  }
  return judged
}

function notes(flags: LabelFlags, labels: Labels | undefined, { unjudged }: Judged): void {
  noteUnmatched(flags, labels)
  if (labels === undefined) process.stderr.write('There are no labels: every row counts as benign.\n')
  if (unjudged > 0)
    process.stderr.write(
      `${unjudged} rows without an MQTT packet are left out: the model was learnt from packets alone.\n`
    )
}

async function write(output: OutputFile, text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    output.stream.once('error', reject).once('close', resolve).end(text)
  })
  await output.commit()
}

function parseSvg(path: string): string {
  if (!/\.svg$/i.test(path)) throw new InvalidArgumentError('The drawing is SVG: name a file that ends with .svg.')
  return path
}
