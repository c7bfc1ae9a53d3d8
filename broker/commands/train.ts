// artemis train: trains a detector on captures or records and saves it as a model.

import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import path from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import { catalogEntry, DETECTOR_KINDS, DetectorError, type DetectorKind } from '../../models/index.js'
import { OperatorError } from '../../src/errors.js'
import { columnsOf, needsContext, PRESETS } from '../../src/features/columns.js'
import { DEFAULT_MQTT_PORTS } from '../../src/join/capture-records.js'
import { trainModel, type TrainingPlan } from '../../src/training/offline-training.js'
import type { Panel } from '../../src/scoring/panel.js'
import type { GuardModel } from '../../src/scoring/guard-model.js'
import { NAMED_SETTINGS, parametersHelp, planOf, type DetectorFlags } from '../training/detector-choice.js'
import { labelsOf, warnUnmatched, withLabelFlags, type LabelFlags } from '../labels/label-flags.js'
import { refuseInputAsOutput } from '../process/output-file.js'
import { parsePorts } from '../port-list.js'
import { Progress, totalBytes } from '../terminal/progress.js'
import { untilStopped } from '../process/stop-signal.js'
import { readTrainingData, type TrainingData } from '../records/training-data.js'

interface TrainFlags extends DetectorFlags, LabelFlags {
  mqttPort: number[]
  out: string
}

/** The `train` command. */
export function trainCommand(): Command {
  return withLabelFlags(
    new Command('train')
      .description('train a model on captures or records')
      .argument('<file...>', 'captures (pcap or pcapng, gzip or not) or CSVs from extract, - for standard input')
      .requiredOption('--detector <name>', `${DETECTOR_KINDS.join(', ')} or default (the broker's default detector)`)
      .requiredOption('--out <model>', 'model file to write')
  )
    .addOption(
      new Option('--preset <name>', 'named settings of the detector; other options override them').choices(
        NAMED_SETTINGS
      )
    )
    .option('--features <preset|list>', `${PRESETS.join(', ')}, or comma-separated feature names`)
    .option('--param <name=value>', 'parameter of the detector; repeatable', collect)
    .option('--seed <n>', 'random seed', parseSeed)
    .option('--contamination <x>', 'expected share of outliers in the training data, in (0, 0.5]', parseShare)
    .option('--contaminated', 'train on attacks as well, without using their labels')
    .option('--mqtt-port <ports>', 'TCP ports that carry MQTT', parsePorts, [...DEFAULT_MQTT_PORTS])
    .addHelpText('after', parametersHelp())
    .action(train)
}

async function train(files: string[], flags: TrainFlags): Promise<void> {
  const plan = planOf(flags)
  const { kind } = plan.detector
  if (catalogEntry(kind).supervised && flags.labels === undefined && flags.labelAll === undefined) {
    throw new OperatorError(
      'training-labels',
      `${kind} needs labelled attacks and benign records`,
      'Give a label file with --labels, or choose a detector that needs no labels.'
    )
  }
  await checkOutput(flags, files)
  const prepared = await prepare(kind)
  if (prepared !== undefined) process.stderr.write(`${prepared}\n`)
  const progress = new Progress()
  await untilStopped(async signal => {
    try {
      const labels = await labelsOf(flags, files)
      const bytes = await totalBytes(files)
      let read = 0
      const data = await readTrainingData(
        files,
        {
          ports: flags.mqttPort,
          signal,
          needsContext: needsContext(columnsOf(plan.detector.features, 'wire')),
          onBytes: count => {
            progress.update('Reading', (read += count), bytes)
          },
          onTruncated: error => {
            say(progress, `${error.message}. Using the records before it.`)
          }
        },
        labels,
        plan.detector.seed
      )
      progress.stop()
      warnUnmatched(flags, labels)
      const start = performance.now()
      const model = await trainModel(data.records, data.labels, plan, {
        signal,
        onProgress: ({ done, total, loss }, variant) => {
          // Detectors with a loss report progress in epochs.
          const detail = loss === undefined ? '' : `epoch ${Math.ceil(done)} of ${total}, loss ${figure(loss)}`
          progress.update(`Training ${variant === 'wire' ? 'frames ' : 'packets'}`, done, total, detail)
        }
      })
      const saved = await model.save(flags.out)
      progress.stop()
      process.stderr.write(await summary(saved, data, plan, flags.out, (performance.now() - start) / 1_000))
    } finally {
      progress.stop()
    }
  })
}

/** Loads the libraries that the training needs. Returns a line that names them. */
async function prepare(kind: DetectorKind): Promise<string | undefined> {
  try {
    return await catalogEntry(kind).prepare?.()
  } catch (error) {
    if (!(error instanceof DetectorError)) throw error
    throw new OperatorError(
      `training-${error.code}`,
      `${kind}: ${error.message}`,
      'Or choose a detector that trains without it.',
      { cause: error }
    )
  }
}

/** Fails before the training if the output cannot be written. */
async function checkOutput({ out, labels }: TrainFlags, files: readonly string[]): Promise<void> {
  await refuseInputAsOutput(out, labels === undefined ? files : [...files, labels])
  const isFolder = (await stat(out).catch(() => null))?.isDirectory() === true
  const isWritable = await access(path.dirname(out), constants.W_OK).then(
    () => true,
    () => false
  )
  if (isWritable && !isFolder) return
  throw new OperatorError(
    'model-not-writable',
    `--out ${out}: ${isFolder ? 'is a folder' : 'the folder is missing or not writable'}`,
    'Give a file in an existing folder that this user may write to.'
  )
}

async function summary(
  model: GuardModel,
  data: TrainingData,
  plan: TrainingPlan,
  out: string,
  seconds: number
): Promise<string> {
  const { wire, broker } = model.experts
  const { size } = await stat(out)
  const lines = [
    `${model.detector}: ${rowsLine(data, plan, (wire ?? broker).rows)}, in ${seconds.toFixed(1)} s`,
    ...(wire === undefined
      ? ['  frames   too few to train on: the model scores packets only']
      : [`  frames   ${expertLine(wire)}`]),
    `  packets  ${expertLine(broker)}`,
    ...aucLine(model),
    ...limitsNote(data, plan),
    `  digest   ${model.digest}`,
    `  file     ${out}, ${size} bytes`
  ]
  return `${lines.join('\n')}\n`
}

function rowsLine({ records, labels, seen }: TrainingData, plan: TrainingPlan, rows: number): string {
  const attacks = labels?.filter(label => label !== null).length ?? 0
  const sample = seen > records.length ? `, a sample of ${seen}` : ''
  if (attacks === 0) return `${rows} rows${sample}`
  return plan.contaminated || catalogEntry(plan.detector.kind).supervised
    ? `${rows} rows, ${attacks} of them attacks${sample}`
    : `${rows} benign rows; ${attacks} attack rows skipped${sample}`
}

function expertLine({ rows, columns, dropped, experts }: Panel): string {
  const unused = dropped.length === 0 ? '' : `; constant, dropped: ${dropped.join(', ')}`
  return `${rows} rows, ${columns.length} columns, threshold ${experts.map(({ detector }) => figure(detector.threshold)).join(' ')}${unused}`
}

function aucLine({ metrics }: GuardModel): string[] {
  const auc = typeof metrics === 'object' && metrics !== null && 'rocAuc' in metrics ? metrics.rocAuc : undefined
  return typeof auc === 'number' ? [`  ROC AUC  ${auc.toFixed(4)} on these files`] : []
}

function limitsNote({ labels }: TrainingData, { contaminated }: TrainingPlan): string[] {
  return contaminated && labels === undefined
    ? ['  limits   the alert limits include attacks, because there are no labels']
    : []
}

function figure(value: number): string {
  return String(Number(value.toPrecision(4)))
}

function say(progress: Progress, text: string): void {
  progress.stop()
  process.stderr.write(`${text}\n`)
}

function collect(value: string, earlier: string[] = []): string[] {
  return [...earlier, value]
}

function parseSeed(text: string): number {
  const seed = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(seed))
    throw new InvalidArgumentError('Give a whole number, 0 or above.')
  return seed
}

function parseShare(text: string): number {
  const share = Number(text)
  if (text.trim() === '' || !(share >= 1e-6 && share <= 0.5))
    throw new InvalidArgumentError('Give a share above 0 and up to 0.5, such as 0.01.')
  return share
}
