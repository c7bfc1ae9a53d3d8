// artemis models: lists models and their training data.

import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { Command } from 'commander'
import { OperatorError } from '../../src/errors.js'
import { columnsOf, isMessageColumn, PRESETS, type Variant } from '../../src/features/columns.js'
import { loadModel, type LoadedModel } from '../../src/scoring/model-file.js'
import type { Panel } from '../../src/scoring/panel.js'
import { readSettings } from '../config/settings.js'
import { MAX_PATH_LENGTH, printable } from '../terminal/printable.js'
import { textTable } from '../terminal/text-table.js'

const HEAD = ['file', 'detector', 'features', 'frames', 'packets', 'ROC AUC', 'trained', 'digest', 'bytes']
const DIGEST_LENGTH = 12

/** The `models` command. */
export function modelsCommand(): Command {
  return new Command('models')
    .description('list models and their training data')
    .argument('[dir...]', 'folders or model files; default: the data folder')
    .option('--config <file>', 'settings file that names the data folder')
    .option('--data <dir>', 'the data folder')
    .addHelpText(
      'after',
      '\nframes and packets are the training rows of each panel. ROC AUC is measured on the training files, if labelled.'
    )
    .action(models)
}

async function models(places: string[], flags: { config?: string; data?: string }): Promise<void> {
  const files =
    places.length > 0
      ? (await Promise.all(places.map(filesIn))).flat()
      : await filesInData(readSettings(flags).settings.data)
  const rows: string[][] = []
  const errors: string[] = []
  const requestedErrors: string[] = []
  for (const file of files) {
    try {
      rows.push(await rowOf(file))
    } catch (error) {
      if (!(error instanceof OperatorError)) throw error
      const message = printable(error.message, MAX_PATH_LENGTH)
      if (places.includes(file)) requestedErrors.push(message)
      // A folder may contain JSON files of other programs.
      else if (error.code !== 'model-format') errors.push(message)
    }
  }
  if (rows.length > 0) process.stdout.write(textTable([HEAD, ...rows]))
  for (const message of errors) process.stdout.write(`${message}\n`)
  if (requestedErrors.length > 0)
    throw new OperatorError(
      'models-file',
      requestedErrors.join('\n'),
      'Train a model with "artemis train", or let a broker learn one in place.'
    )
  if (rows.length + errors.length === 0)
    process.stderr.write('No models found. Train one with "artemis train", or let a broker learn one in place.\n')
}

async function filesInData(folder: string): Promise<string[]> {
  // Before the first start the folder does not exist.
  const exists = await stat(folder).then(
    () => true,
    () => false
  )
  return exists ? await filesIn(folder) : []
}

async function filesIn(place: string): Promise<string[]> {
  try {
    if (!(await stat(place)).isDirectory()) return [place]
    const names = (await readdir(place)).filter(name => name.endsWith('.json')).sort()
    return names.map(name => path.join(place, name))
  } catch (error) {
    throw new OperatorError(
      'models-folder',
      `Cannot read ${printable(place, MAX_PATH_LENGTH)}: ${error instanceof Error ? error.message : String(error)}`,
      'Name a folder or a model file.',
      { cause: error }
    )
  }
}

async function rowOf(file: string): Promise<string[]> {
  const model = await loadModel(file)
  const { wire, broker } = model.experts
  return [
    printable(file, MAX_PATH_LENGTH),
    model.detector,
    featuresOf(wire ?? broker, wire === undefined ? 'broker' : 'wire'),
    String(wire?.rows ?? '-'),
    String(broker.rows),
    aucOf(model),
    printable(model.created),
    model.digest.slice(0, DIGEST_LENGTH),
    String((await stat(file)).size)
  ]
}

/** Returns the preset with these columns, or else their number. */
function featuresOf({ columns, dropped }: Panel, variant: Variant): string {
  const names = new Set([...columns, ...dropped])
  const preset = PRESETS.find(name => {
    const wanted = columnsOf(name, variant).filter(column => !isMessageColumn(column))
    return wanted.length === names.size && wanted.every(feature => names.has(feature))
  })
  return preset ?? `${names.size} columns`
}

function aucOf({ metrics }: LoadedModel): string {
  const auc = typeof metrics === 'object' && metrics !== null && 'rocAuc' in metrics ? metrics.rocAuc : undefined
  return typeof auc === 'number' ? auc.toFixed(4) : '-'
}
