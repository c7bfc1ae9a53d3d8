// Base of the network detectors: input, training, scoring and JSON.

import { DenseNetwork } from './dense-network.js'
import { DetectorError } from './detector.js'
import type { Matrix } from './matrix.js'
import { NetworkInput } from './network-input.js'
import { OutlierDetector, type Step } from './outlier-detector.js'
import type { DetectorOptions } from './parameters.js'
import type { StateReader } from './state.js'
import type { Tf } from './tensor-types.js'
import { loadTensorFlow } from './tensorflow.js'

/** A detector that trains a network with TensorFlow.js and scores with its plain weights. */
export abstract class NetworkDetector<T extends Required<DetectorOptions>> extends OutlierDetector<T> {
  #input: NetworkInput | undefined
  #network: DenseNetwork | undefined
  #row = new Float32Array(0)

  /** Number of passes over the training rows. */
  protected abstract get passes(): number

  /** Trains on rows of `width` columns, stored consecutively in `table`. */
  protected abstract train(tf: Tf, table: Float32Array, width: number, step: Step): Promise<DenseNetwork>

  /** Returns the number of outputs that the network must have for rows of `width` columns. */
  protected abstract outputsFor(width: number): number

  /** Returns the score of a row from the network's output. */
  protected abstract scoreOf(row: Float32Array, output: Float32Array): number

  protected async fitScores(data: Matrix, _labels: Uint8Array | undefined, step: Step): Promise<Float64Array> {
    const { tf } = await loadTensorFlow()
    const input = NetworkInput.fit(data)
    this.#use(input, await this.train(tf, input.table(data), input.width, step))
    return this.scoreInChunks(data, () => step(this.passes, this.passes))
  }

  protected score(data: Matrix): Float64Array {
    const input = this.#input as NetworkInput
    const network = this.#network as DenseNetwork
    const row = this.#row
    const scores = new Float64Array(data.rows)
    for (let i = 0; i < data.rows; i++) {
      input.write(data, i, row)
      scores[i] = this.scoreOf(row, network.forward(row))
    }
    return scores
  }

  protected state(): Record<string, unknown> {
    return { input: this.#input?.state(), network: this.#network?.state() }
  }

  protected restoreState(reader: StateReader, width: number): void {
    const input = NetworkInput.restore(reader.object('input'), width)
    const network = DenseNetwork.restore(reader.object('network'))
    if (network.inputs !== input.width || network.outputs !== this.outputsFor(input.width)) {
      throw new DetectorError(
        'state',
        `network has ${network.inputs} inputs and ${network.outputs} outputs, input has ${input.width} columns`
      )
    }
    this.#use(input, network)
  }

  #use(input: NetworkInput, network: DenseNetwork): void {
    this.#input = input
    this.#network = network
    this.#row = new Float32Array(input.width)
  }
}
