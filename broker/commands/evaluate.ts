// artemis evaluate: measures how well a model separates attacks from benign records.

import { Command, InvalidArgumentError, Option } from 'commander'
import { evaluate as figuresOf } from '../../models/index.js'
import { OperatorError } from '../../src/errors.js'
import { DEFAULT_MQTT_PORTS } from '../../src/join/capture-records.js'
import { printableJson } from '../../src/report/json-line.js'
import { GuardModel } from '../../src/scoring/guard-model.js'
import { SurpriseMemory } from '../../src/scoring/surprise-memory.js'
import { evaluationPlot } from '../evaluation/evaluation-plot.js'
import { evaluationTable } from '../evaluation/evaluation-table.js'
import { labelsOf, warnUnmatched, withLabelFlags, type LabelFlags } from '../labels/label-flags.js'
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

/** Rows scored by the model. */
interface ScoredRows {
  names: Label[]
  scores: number[]
  /** Rows not scored: frames without an MQTT packet, if the model has no frame expert. */
  unscored: number
}

/** The `evaluate` command. */
export function evaluateCommand(): Command {
  return withLabelFlags(
    new Command('evaluate')
      .description('measure how well a model separates attacks from benign records')
      .argument('<file...>', 'captures (pcap or pcapng, gzip or not) or CSVs from extract, - for standard input')
      .requiredOption('--model <file>', 'model to evaluate')
  )
    .addOption(new Option('--format <format>', 'output format').choices(['table', 'json']).default('table'))
    .option('--plot <file>', 'write ROC curve and score histogram as SVG', parseSvg)
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
      const rows = await scoreFiles(files, model, labels, {
        ports: flags.mqttPort,
        signal,
        needsContext: model.needsContext,
        onBytes: count => {
          progress.update('Scoring', (read += count), bytes)
        },
        onTruncated: error => {
          process.stderr.write(`${error.message}. Scoring the records before it.\n`)
        }
      })
      progress.stop()
      printWarnings(flags, labels, rows)
      const { names, scores } = rows
      const figures = figuresOf(names, scores, model.threshold)
      process.stdout.write(
        flags.format === 'json' ? `${printableJson(JSON.stringify(figures, undefined, 2))}\n` : evaluationTable(figures)
      )
      if (plot !== undefined) await write(plot, evaluationPlot(model.detector, names, scores, figures))
    } finally {
      progress.stop()
      await plot?.discard()
    }
  })
}

async function scoreFiles(
  files: readonly string[],
  model: GuardModel,
  labels: Labels | undefined,
  input: RecordInput
): Promise<ScoredRows> {
  const rows: ScoredRows = { names: [], scores: [], unscored: 0 }
  for (const file of files) {
    labels?.start(file)
    const memory = new SurpriseMemory()
    for await (const records of readRecordFile(file, input)) {
      const names = records.map(record => labels?.of(record) ?? null)
      const { scores } = model.score(records, memory)
      records.forEach(({ own }, i) => {
        // As in live operation, the detection's own messages are not scored.
        if (own) return
        if (Number.isNaN(scores[i])) {
          rows.unscored++
          return
        }
        rows.names.push(names[i])
        rows.scores.push(scores[i])
      })
    }
  }
  if (rows.scores.length === 0) {
    throw new OperatorError(
      'evaluation-data',
      rows.unscored > 0
        ? `the model scores packets only, and none of the ${rows.unscored} rows contains one`
        : 'there are no rows to score',
      'Check that the files contain MQTT traffic, and set its ports with --mqtt-port.'
    )
  }
  return rows
}

function printWarnings(flags: LabelFlags, labels: Labels | undefined, { unscored }: ScoredRows): void {
  warnUnmatched(flags, labels)
  if (labels === undefined) process.stderr.write('No labels: every row counts as benign.\n')
  if (unscored > 0)
    process.stderr.write(`Skipped ${unscored} rows without an MQTT packet: the model scores packets only.\n`)
}

async function write(output: OutputFile, text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    output.stream.once('error', reject).once('close', resolve).end(text)
  })
  await output.commit()
}

function parseSvg(path: string): string {
  if (!/\.svg$/i.test(path)) throw new InvalidArgumentError('The plot is SVG: give a file name that ends in .svg.')
  return path
}
