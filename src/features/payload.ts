// How usual a payload is: a byte bigram model with one score per payload.

import { DetectorError } from '../../models/index.js'
import { StateReader, toBase64 } from '../../models/state.js'

/** Payload bytes used, from the start: the broker's default capture length. */
export const PAYLOAD_CAP_BYTES = 1024

/** Imaginary bytes of mean likelihood added to every payload, so that two rare bytes carry little weight. */
const PRIOR_BYTES = 8

/** Bytes learned after which all counts are halved. This keeps counts small and lets old data decay. */
const HALVE_BYTES = 2 ** 30

const BYTES = 256
/** Context of the first byte. Contexts 0 to 255 are the previous byte. */
const START = 256
const CONTEXTS = 257

/** JSON form of a payload model: the counts that are not 0. */
export interface PayloadModelJson {
  /** 256 * context + byte, ascending; Uint32 as base64. */
  cells: string
  /** Count of each cell; Uint32 as base64. */
  counts: string
}

/**
 * A Markov model of payload bytes, each conditional on the previous byte: 257 x 256 counts of constant size.
 *
 * Probabilities are smoothed after Witten and Bell (1991): a context gives unseen bytes as much weight as it has seen
 * different bytes, distributed by the overall frequency of each byte.
 *
 * A score is the mean natural logarithm of the bytes' probabilities, together with {@link PRIOR_BYTES} imaginary bytes
 * of the training mean. `ON`, seen twice among long JSON documents, stays close to the mean, and an empty payload is
 * the mean itself.
 *
 * A training payload scores higher than an unseen one. `scoreHeldOut` therefore subtracts the payload's own counts
 * first: leave-one-out without a second model. It is exact, costs two passes over the payload, and works with few
 * payloads, unlike cross-validation folds.
 */
export class PayloadModel {
  // Signed: held-out scoring of a payload that was never learned temporarily goes below 0.
  readonly #counts = new Int32Array(CONTEXTS * BYTES)
  readonly #contextTotals = new Int32Array(CONTEXTS)
  readonly #contextKinds = new Int32Array(CONTEXTS)
  readonly #byteTotals = new Int32Array(BYTES)
  #total = 0
  #table: { logs: Float32Array; mean: number } | undefined

  /**
   * Restores a model saved by `toJSON`.
   *
   * @throws DetectorError `state` if it is not a valid model
   */
  static fromJSON(json: unknown): PayloadModel {
    const reader = new StateReader(json, 'payload')
    const cells = reader.array('cells', Uint32Array)
    const counts = reader.array('counts', Uint32Array, cells.length)
    const model = new PayloadModel()
    cells.forEach((cell, i) => {
      const ascending = i === 0 || cells[i - 1] < cell
      if (!ascending || cell >= CONTEXTS * BYTES || counts[i] === 0 || model.#total + counts[i] > HALVE_BYTES) {
        throw new DetectorError('state', `payload.cells: entry ${i} is not a valid byte pair count`)
      }
      model.#add(cell >>> 8, cell & 0xff, counts[i])
    })
    return model
  }

  /** Payload bytes learned (halved occasionally): 0 for an empty model. */
  get bytesLearnt(): number {
    return this.#total
  }

  /** Mean log-likelihood of a byte in training: the score of an empty or missing payload. */
  get neutral(): number {
    return this.#tabulate().mean
  }

  learn(payload: Uint8Array): void {
    this.#addAll(payload, 1)
    this.#table = undefined
    if (this.#total >= HALVE_BYTES) this.#halve()
  }

  /** Returns the mean log-likelihood per byte, negative; lower is more unusual. Accepts any bytes. */
  score(payload: Uint8Array): number {
    const { logs, mean } = this.#tabulate()
    const length = Math.min(payload.length, PAYLOAD_CAP_BYTES)
    let sum = PRIOR_BYTES * mean
    let context = START
    for (let i = 0; i < length; i++) {
      sum += logs[context * BYTES + payload[i]]
      context = payload[i]
    }
    return sum / (length + PRIOR_BYTES)
  }

  /** Returns the score that a training payload would have if it were not in the training data. */
  scoreHeldOut(payload: Uint8Array): number {
    const { mean } = this.#tabulate()
    const length = Math.min(payload.length, PAYLOAD_CAP_BYTES)
    this.#addAll(payload, -1)
    let sum = PRIOR_BYTES * mean
    let context = START
    for (let i = 0; i < length; i++) {
      sum += this.#logProbability(context, payload[i])
      context = payload[i]
    }
    this.#addAll(payload, 1)
    return sum / (length + PRIOR_BYTES)
  }

  toJSON(): PayloadModelJson {
    const cells = [...this.#counts.keys()].filter(cell => this.#counts[cell] > 0)
    return {
      cells: toBase64(Uint32Array.from(cells)),
      counts: toBase64(Uint32Array.from(cells, cell => this.#counts[cell]))
    }
  }

  #addAll(payload: Uint8Array, amount: 1 | -1): void {
    const length = Math.min(payload.length, PAYLOAD_CAP_BYTES)
    let context = START
    for (let i = 0; i < length; i++) {
      this.#add(context, payload[i], amount)
      context = payload[i]
    }
  }

  #add(context: number, byte: number, amount: number): void {
    const cell = context * BYTES + byte
    const before = this.#counts[cell]
    const after = before + amount
    this.#counts[cell] = after
    this.#contextTotals[context] += amount
    this.#contextKinds[context] += Number(after > 0) - Number(before > 0)
    this.#byteTotals[byte] += amount
    this.#total += amount
  }

  #logProbability(context: number, byte: number): number {
    const background = (Math.max(0, this.#byteTotals[byte]) + 1) / (Math.max(0, this.#total) + BYTES)
    const total = Math.max(0, this.#contextTotals[context])
    const kinds = this.#contextKinds[context]
    if (total + kinds === 0) return Math.log(background)
    return Math.log((Math.max(0, this.#counts[context * BYTES + byte]) + kinds * background) / (total + kinds))
  }

  #tabulate(): { logs: Float32Array; mean: number } {
    if (this.#table !== undefined) return this.#table
    const logs = new Float32Array(CONTEXTS * BYTES)
    let sum = 0
    for (let cell = 0; cell < logs.length; cell++) {
      logs[cell] = this.#logProbability(cell >>> 8, cell & 0xff)
      sum += this.#counts[cell] * logs[cell]
    }
    this.#table = { logs, mean: this.#total > 0 ? sum / this.#total : -Math.log(BYTES) }
    return this.#table
  }

  #halve(): void {
    const counts = this.#counts.slice()
    this.#counts.fill(0)
    this.#contextTotals.fill(0)
    this.#contextKinds.fill(0)
    this.#byteTotals.fill(0)
    this.#total = 0
    counts.forEach((count, cell) => this.#add(cell >>> 8, cell & 0xff, count >> 1))
  }
}
