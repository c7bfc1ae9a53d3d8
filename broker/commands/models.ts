// artemis models: which models there are, and what each was trained on.

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
    .description('which models there are, and what each was trained on')
    .argument('[dir...]', 'folders or model files; default: the data folder')
    .option('--config <file>', 'settings that name the data folder')
    .option('--data <dir>', 'the data folder')
    .addHelpText(
      'after',
      '\nframes and packets are the rows that each expert learnt from; ROC AUC is that on the training files, where they had labels.'
    )
    .action(models)
}

async function models(places: string[], flags: { config?: string; data?: string }): Promise<void> {
  const files =
    places.length > 0
      ? (await Promise.all(places.map(filesIn))).flat()
      : await filesInData(readSettings(flags).settings.data)
  const rows: string[][] = []
  const faults: string[] = []
  const named: string[] = []
  for (const file of files) {
    try {
      rows.push(await rowOf(file))
    } catch (error) {
      if (!(error instanceof OperatorError)) throw error
      const fault = printable(error.message, MAX_PATH_LENGTH)
      if (places.includes(file)) named.push(fault)
      // Other JSON in a folder is none of ours.
      else if (error.code !== 'model-format') faults.push(fault)
    }
  }
  if (rows.length > 0) process.stdout.write(textTable([HEAD, ...rows]))
  for (const fault of faults) process.stdout.write(`${fault}\n`)
  if (named.length > 0)
    throw new OperatorError(
      'models-file',
      named.join('\n'),
      '"artemis train" makes a model, and a broker learns one in place.'
    )
  if (rows.length + faults.length === 0)
    process.stderr.write('There are no models. "artemis train" makes one, and a broker learns one in place.\n')
}

async function filesInData(folder: string): Promise<string[]> {
  // Before the first start there is none.
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
      `${printable(place, MAX_PATH_LENGTH)} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
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

/** The preset's name, where the columns are those of one. */
function featuresOf({ columns, dropped }: Panel, variant: Variant): string {
  const names = new Set([...columns, ...dropped])
  const preset = PRESETS.find(name => {
    const wanted = columnsOf(name, variant).filter(column => !isMessageColumn(column))
    return wanted.length === names.size && wanted.every(feature => names.has(feature))
  })
  return preset ?? `${names.size} of its own`
}

function aucOf({ metrics }: LoadedModel): string {
  const auc = typeof metrics === 'object' && metrics !== null && 'rocAuc' in metrics ? metrics.rocAuc : undefined
  return typeof auc === 'number' ? auc.toFixed(4) : '-'
}
