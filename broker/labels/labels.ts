// Labels: which records are attacks, and which, by address and time, by frame, by file, or all alike.

import { createReadStream } from 'node:fs'
import { OperatorError } from '../../src/errors.js'
import { UNREADABLE } from '../records/capture-input.js'
import { readCsv, type CsvRow } from '../records/csv.js'
import { AddressLabels, isAddress } from './by-address.js'
import { FileLabels } from './by-file.js'
import { FrameLabels } from './by-frame.js'
import { LABEL_FORMS, labelMistake, shown, type Label, type LabelRows, type Labels } from './label.js'

const HEADERS = ['ip', 'frame', 'file']

/** The same label for every record. */
export function labelAll(label: Label): Labels {
  return { begin: () => {}, of: () => label, unmatched: () => [] }
}

/**
 * Reads a label file: the rows after a header, all of one form. Without a header the first row tells
 * an address from a frame; names of files need one.
 *
 * @param files the inputs that it labels: frames are told apart in one file only
 * @throws OperatorError `labels-unreadable`, `csv`, `labels-empty`, `labels-frames`
 */
export async function readLabels(path: string, files: readonly string[]): Promise<Labels> {
  let labels: LabelRows | undefined
  for await (const row of rowsOf(path)) {
    if (row.fields.length === 1 && row.fields[0] === '') continue
    const fields = row.fields.map(field => field.trim())
    if (labels === undefined) {
      labels = formOf(path, row, fields)
      if (labels instanceof FrameLabels && files.length > 1) {
        throw new OperatorError(
          'labels-frames',
          `${path} labels frames by number, and there are ${files.length} files`,
          'Name one file, or label by address or file.'
        )
      }
      if (HEADERS.includes(fields[0])) continue
    }
    labels.add(row, fields)
  }
  if (labels === undefined) throw new OperatorError('labels-empty', `${path}: there is no label in it`, LABEL_FORMS)
  return labels
}

async function* rowsOf(path: string): AsyncGenerator<CsvRow> {
  try {
    for await (const rows of readCsv(createReadStream(path), path)) yield* rows
  } catch (error) {
    if (error instanceof OperatorError || !(error instanceof Error && 'code' in error)) throw error
    throw new OperatorError(
      'labels-unreadable',
      `${path} cannot be read: ${UNREADABLE[String(error.code)] ?? error.message}`,
      'Check the name and the permissions.',
      { cause: error }
    )
  }
}

function formOf(path: string, { line }: CsvRow, fields: readonly string[]): LabelRows {
  const [first] = fields
  const header = fields.join()
  if (['ip,label', 'ip,label,from', 'ip,label,from,to'].includes(header) || isAddress(first))
    return new AddressLabels(path)
  if (header === 'frame,label' || /^\d+$/.test(first)) return new FrameLabels(path)
  if (header === 'file,label') return new FileLabels(path)
  throw labelMistake(path, line, `${shown(header)} begins no label file`)
}
