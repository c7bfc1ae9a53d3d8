// What a label is, and what is said where a label file is none.

import type { TrafficRecord } from '../../src/record.js'
import { csvMistake, type CsvRow } from '../records/csv.js'
import type { OperatorError } from '../../src/errors.js'
import { printable } from '../terminal/printable.js'

/** What a record is called: the attack's name; null where it is benign. */
export type Label = string | null

/** Tells what records are. */
export interface Labels {
  /** The records that follow are of this file, by the name that the command line has. */
  begin(file: string): void
  /** To be called once for each record, in the order of its file. */
  of(record: TrafficRecord): Label
  /** Addresses, frames or files of the label file that nothing had so far. */
  unmatched(): string[]
}

/** Labels that come from the rows of a file. */
export interface LabelRows extends Labels {
  /**
   * Takes one row.
   * @throws OperatorError `csv`
   */
  add(row: CsvRow, fields: readonly string[]): void
}

/** What a label file may be, for messages. */
export const LABEL_FORMS =
  'A label file is CSV: ip,label[,from,to] with epoch seconds, frame,label or file,label; the label 0 or benign is benign.'

const BENIGN = /^(0|benign)$/i

/** What a name means as a label; the command line's `--label-all`. */
export function labelOf(name: string): Label {
  return BENIGN.test(name) ? null : name
}

/** What is wrong with a row of a label file. */
export function labelMistake(path: string, line: number, what: string): OperatorError {
  return csvMistake(path, line, what, LABEL_FORMS)
}

/** A field of a label file, for messages. */
export function shown(text: string): string {
  return printable(JSON.stringify(text))
}
