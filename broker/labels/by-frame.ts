// Labels by frame number in the capture: frame,label.

import { OperatorError } from '../../src/errors.js'
import type { TrafficRecord } from '../../src/record.js'
import type { CsvRow } from '../records/csv.js'
import { labelError, labelOf, shown, type Label, type LabelRows } from './label.js'

/** Labels a record by its frame number; for one capture only. */
export class FrameLabels implements LabelRows {
  readonly #labels = new Map<number, Label>()
  readonly #matched = new Set<number>()
  #last = 0
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  add({ line }: CsvRow, fields: readonly string[]): void {
    const [frame = '', name = ''] = fields
    if (fields.length !== 2) throw labelError(this.#path, line, `expected 2 fields, got ${fields.length}`)
    if (!/^\d{1,15}$/.test(frame)) throw labelError(this.#path, line, `${shown(frame)} is not a frame number`)
    if (name === '') throw labelError(this.#path, line, 'the label is empty')
    const number = Number(frame)
    if (this.#labels.has(number)) throw labelError(this.#path, line, `frame ${number} is labelled twice`)
    this.#labels.set(number, labelOf(name))
  }

  start(): void {}

  of({ frame }: TrafficRecord): Label {
    const number = frame ?? 0
    if (number <= this.#last) {
      throw new OperatorError(
        'labels-frames',
        `${this.#path} has frame numbers, but frame ${number} follows frame ${this.#last}: ` +
          'the records are from more than one capture',
        'Label one capture at a time, or label by address or file.'
      )
    }
    this.#last = number
    if (this.#labels.has(number)) this.#matched.add(number)
    return this.#labels.get(number) ?? null
  }

  unmatched(): string[] {
    // Frames without a row are benign, so unmatched benign labels make no difference.
    return [...this.#labels]
      .filter(([frame, label]) => label !== null && !this.#matched.has(frame))
      .map(([frame]) => `frame ${frame}`)
  }
}
