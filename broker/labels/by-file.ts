// Labels by file: file,label, for data sets with one capture per attack.

import { basename } from 'node:path'
import { OperatorError } from '../../src/errors.js'
import type { CsvRow } from '../records/csv.js'
import { labelError, labelOf, shown, type Label, type LabelRows } from './label.js'

/** Labels all records of a file by its base name. */
export class FileLabels implements LabelRows {
  readonly #labels = new Map<string, Label>()
  readonly #matched = new Set<string>()
  #label: Label = null
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  add({ line }: CsvRow, fields: readonly string[]): void {
    const [file = '', name = ''] = fields
    if (fields.length !== 2) throw labelError(this.#path, line, `expected 2 fields, got ${fields.length}`)
    if (file === '' || basename(file) !== file)
      throw labelError(this.#path, line, `${shown(file)} is not a file name without folders`)
    if (name === '') throw labelError(this.#path, line, 'the label is empty')
    if (this.#labels.has(file)) throw labelError(this.#path, line, `${shown(file)} is labelled twice`)
    this.#labels.set(file, labelOf(name))
  }

  /** @throws OperatorError `labels-files` if the file has no row */
  start(file: string): void {
    const name = basename(file)
    const label = this.#labels.get(name)
    if (label === undefined) {
      throw new OperatorError(
        'labels-files',
        `${this.#path} has no row for ${shown(name)}`,
        `Add one: ${name},benign or ${name},NAME-OF-THE-ATTACK.`
      )
    }
    this.#matched.add(name)
    this.#label = label
  }

  of(): Label {
    return this.#label
  }

  unmatched(): string[] {
    return [...this.#labels.keys()].filter(name => !this.#matched.has(name))
  }
}
