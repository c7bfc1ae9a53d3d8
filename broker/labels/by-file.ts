// Labels by file: file,label; data sets come as one capture for each attack.

import { basename } from 'node:path'
import { OperatorError } from '../../src/errors.js'
import type { CsvRow } from '../records/csv.js'
import { labelMistake, labelOf, shown, type Label, type LabelRows } from './label.js'

/** All records of a file have its label; a file is known by its name without the folders. */
export class FileLabels implements LabelRows {
  readonly #labels = new Map<string, Label>()
  readonly #met = new Set<string>()
  #label: Label = null
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  add({ line }: CsvRow, fields: readonly string[]): void {
    const [file = '', name = ''] = fields
    if (fields.length !== 2) throw labelMistake(this.#path, line, `a row has 2 fields, and this one ${fields.length}`)
    if (file === '' || basename(file) !== file)
      throw labelMistake(this.#path, line, `${shown(file)} is no name of a file without folders`)
    if (name === '') throw labelMistake(this.#path, line, 'the label is empty')
    if (this.#labels.has(file)) throw labelMistake(this.#path, line, `${shown(file)} is labelled twice`)
    this.#labels.set(file, labelOf(name))
  }

  /** @throws OperatorError `labels-files` where the file has no row: that it were benign would be a guess */
  begin(file: string): void {
    const name = basename(file)
    const label = this.#labels.get(name)
    if (label === undefined) {
      throw new OperatorError(
        'labels-files',
        `${this.#path} has no row for ${shown(name)}`,
        `Add one: ${name},benign or ${name},NAME-OF-THE-ATTACK.`
      )
    }
    this.#met.add(name)
    this.#label = label
  }

  of(): Label {
    return this.#label
  }

  unmatched(): string[] {
    return [...this.#labels.keys()].filter(name => !this.#met.has(name))
  }
}
