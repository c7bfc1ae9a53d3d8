// Labels, and the errors of label files.

import type { TrafficRecord } from '../../src/record.js'
import { csvError, type CsvRow } from '../records/csv.js'
import type { OperatorError } from '../../src/errors.js'
import { printable } from '../terminal/printable.js'

/** The label of a record: the attack's name, or null if it is benign. */
export type Label = string | null

/** Assigns labels to records. */
export interface Labels {
  /** Starts a file, named as on the command line. The records that follow are from it. */
  start(file: string): void
  /** Returns the label of a record. Call it once for each record, in file order. */
  of(record: TrafficRecord): Label
  /** Returns the addresses, frames or files of the label file that matched no record so far. */
  unmatched(): string[]
}

/** Labels that come from the rows of a file. */
export interface LabelRows extends Labels {
  /**
   * Adds a row.
   * @throws OperatorError `csv`
   */
  add(row: CsvRow, fields: readonly string[]): void
}

/** The forms of a label file, for messages. */
export const LABEL_FORMS =
  'A label file is CSV: ip,label[,from,to] with epoch seconds, frame,label or file,label; the label 0 or benign is benign.'

const BENIGN = /^(0|benign)$/i

/** Converts a name to a label. */
export function labelOf(name: string): Label {
  return BENIGN.test(name) ? null : name
}

/** Creates an error for a row of a label file. */
export function labelError(path: string, line: number, what: string): OperatorError {
  return csvError(path, line, what, LABEL_FORMS)
}

/** Formats a field of a label file for messages. */
export function shown(text: string): string {
  return printable(JSON.stringify(text))
}
