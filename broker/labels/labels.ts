// Reads labels by address and time, by frame or by file, or labels all records alike.

import { createReadStream } from 'node:fs'
import { OperatorError } from '../../src/errors.js'
import { UNREADABLE } from '../records/capture-input.js'
import { readCsv, type CsvRow } from '../records/csv.js'
import { AddressLabels, isAddress } from './by-address.js'
import { FileLabels } from './by-file.js'
import { FrameLabels } from './by-frame.js'
import { LABEL_FORMS, labelError, shown, type Label, type LabelRows, type Labels } from './label.js'

const HEADERS = ['ip', 'frame', 'file']

/** Labels all records alike. */
export function labelAll(label: Label): Labels {
  return { start: () => {}, of: () => label, unmatched: () => [] }
}

/**
 * Reads a label file: an optional header, then rows of one form. Without a header, the first row decides between
 * address and frame. Labels by file need the header.
 *
 * @param files the inputs to label; labels by frame allow only one
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
          `${path} has frame numbers, but there are ${files.length} files`,
          'Give one file, or label by address or file.'
        )
      }
      if (HEADERS.includes(fields[0])) continue
    }
    labels.add(row, fields)
  }
  if (labels === undefined) throw new OperatorError('labels-empty', `${path} contains no labels`, LABEL_FORMS)
  return labels
}

async function* rowsOf(path: string): AsyncGenerator<CsvRow> {
  try {
    for await (const rows of readCsv(createReadStream(path), path)) yield* rows
  } catch (error) {
    if (error instanceof OperatorError || !(error instanceof Error && 'code' in error)) throw error
    throw new OperatorError(
      'labels-unreadable',
      `Cannot read ${path}: ${UNREADABLE[String(error.code)] ?? error.message}`,
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
  throw labelError(path, line, `${shown(header)} is not a label header or row`)
}
