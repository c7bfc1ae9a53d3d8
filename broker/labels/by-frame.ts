// Labels by the number of the frame in its capture: frame,label.

import { OperatorError } from '../../src/errors.js'
import type { TrafficRecord } from '../../src/record.js'
import type { CsvRow } from '../records/csv.js'
import { labelMistake, labelOf, shown, type Label, type LabelRows } from './label.js'

/** A record has the label of its frame; for one capture only. */
export class FrameLabels implements LabelRows {
  readonly #labels = new Map<number, Label>()
  readonly #met = new Set<number>()
  #last = 0
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  add({ line }: CsvRow, fields: readonly string[]): void {
    const [frame = '', name = ''] = fields
    if (fields.length !== 2) throw labelMistake(this.#path, line, `a row has 2 fields, and this one ${fields.length}`)
    if (!/^\d{1,15}$/.test(frame)) throw labelMistake(this.#path, line, `${shown(frame)} is no frame number`)
    if (name === '') throw labelMistake(this.#path, line, 'the label is empty')
    const number = Number(frame)
    if (this.#labels.has(number)) throw labelMistake(this.#path, line, `frame ${number} is labelled twice`)
    this.#labels.set(number, labelOf(name))
  }

  begin(): void {}

  of({ frame }: TrafficRecord): Label {
    const number = frame ?? 0
    if (number <= this.#last) {
      throw new OperatorError(
        'labels-frames',
        `${this.#path} labels frames by number, and frame ${number} comes after frame ${this.#last}: ` +
          'the records are of more than one capture',
        'Label one capture at a time, or label by address or file.'
      )
    }
    this.#last = number
    if (this.#labels.has(number)) this.#met.add(number)
    return this.#labels.get(number) ?? null
  }

  unmatched(): string[] {
    // Benign is what a frame without a row would have been anyhow.
    return [...this.#labels]
      .filter(([frame, label]) => label !== null && !this.#met.has(frame))
      .map(([frame]) => `frame ${frame}`)
  }
}
