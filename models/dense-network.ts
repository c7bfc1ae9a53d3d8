// A trained network of dense layers as plain numbers: what scores where no tensor library is loaded.

import { DetectorError } from './detector.js'
import { toBase64, type StateReader } from './state.js'

/** The functions that a layer may put on its sums. */
export const ACTIVATIONS = ['linear', 'relu', 'sigmoid'] as const

/** One of {@link ACTIVATIONS}. */
export type Activation = typeof ACTIVATIONS[number]

/** One layer: activation(input * kernel + bias). */
export interface DenseLayer {
  /** Weight from input i to unit u at `i * units + u`. */
  readonly kernel: Float32Array
  /** One for each unit. */
  readonly bias: Float32Array
  readonly activation: Activation
}

/** Units computed together: their sums stay in registers. */
const PANEL = 4

interface PackedLayer {
  readonly inputs: number
  readonly panels: number
  /** Panel by panel; in a panel the {@link PANEL} weights of each input side by side, 0 past the last unit. */
  readonly kernel: Float32Array
  readonly bias: Float32Array
  readonly activation: Activation
  /** Room for the outputs of a row, whole panels. */
  readonly output: Float32Array
}

/** Dense layers one after another, computed row by row, so that no row depends on another. */
export class DenseNetwork {
  /** Width of a row. */
  readonly inputs: number
  /** Units of the last layer. */
  readonly outputs: number
  readonly #packed: readonly PackedLayer[]

  /** @param layers at least one; the inputs of each are the units of the one before */
  constructor (readonly layers: readonly DenseLayer[]) {
    this.inputs = inputsOf(layers[0])
    this.outputs = layers[layers.length - 1].bias.length
    this.#packed = layers.map(pack)
  }

  /** The network that `state` gave; throws `DetectorError` `state` where it is none. */
  static restore (reader: StateReader): DenseNetwork {
    const units = reader.array('units', Uint32Array)
    const activations = reader.strings('activations').map(checkActivation)
    if (activations.length === 0 || units.length !== activations.length + 1 || units.includes(0)) {
      throw new DetectorError('state', `a network of ${units.length} widths and ${activations.length} activations`)
    }
    const sizes = activations.map((_, l) => (units[l] + 1) * units[l + 1])
    const weights = reader.array('weights', Float32Array, sizes.reduce((sum, size) => sum + size))
    let start = 0
    return new DenseNetwork(activations.map((activation, l) => {
      const split = start + units[l] * units[l + 1]
      const end = start + sizes[l]
      const layer = { kernel: weights.slice(start, split), bias: weights.slice(split, end), activation }
      start = end
      return layer
    }))
  }

  /** The outputs for one row of `inputs` numbers; overwritten by the next call. */
  forward (row: Float32Array): Float32Array {
    let values = row
    for (const layer of this.#packed) {
      multiply(layer, values)
      values = layer.output
    }
    return values
  }

  /** What `restore` takes. */
  state (): Record<string, unknown> {
    const weights = this.layers.flatMap(({ kernel, bias }) => [...kernel, ...bias])
    return {
      units: toBase64(Uint32Array.of(this.inputs, ...this.layers.map(({ bias }) => bias.length))),
      activations: this.layers.map(({ activation }) => activation),
      weights: toBase64(Float32Array.from(weights))
    }
  }
}

function multiply ({ inputs, panels, kernel, bias, activation, output }: PackedLayer, row: Float32Array): void {
  let w = 0
  for (let u = 0; u < PANEL * panels; u += PANEL) {
    let sum0 = bias[u]
    let sum1 = bias[u + 1]
    let sum2 = bias[u + 2]
    let sum3 = bias[u + 3]
    for (let i = 0; i < inputs; i++) {
      const value = row[i]
      sum0 += value * kernel[w]
      sum1 += value * kernel[w + 1]
      sum2 += value * kernel[w + 2]
      sum3 += value * kernel[w + 3]
      w += PANEL
    }
    output[u] = sum0
    output[u + 1] = sum1
    output[u + 2] = sum2
    output[u + 3] = sum3
  }
  if (activation === 'linear') return
  for (let u = 0; u < output.length; u++) {
    if (activation === 'sigmoid') output[u] = sigmoid(output[u])
    else if (output[u] < 0) output[u] = 0
  }
}

/** The logistic function. */
function sigmoid (value: number): number {
  return 1 / (1 + Math.exp(-value))
}

function pack (layer: DenseLayer): PackedLayer {
  const inputs = inputsOf(layer)
  const units = layer.bias.length
  const panels = Math.ceil(units / PANEL)
  const kernel = new Float32Array(inputs * panels * PANEL)
  const bias = new Float32Array(panels * PANEL)
  bias.set(layer.bias)
  for (let i = 0; i < inputs; i++) {
    for (let u = 0; u < units; u++) {
      const panel = Math.floor(u / PANEL)
      kernel[(panel * inputs + i) * PANEL + u % PANEL] = layer.kernel[i * units + u]
    }
  }
  return { inputs, panels, kernel, bias, activation: layer.activation, output: new Float32Array(panels * PANEL) }
}

function inputsOf ({ kernel, bias }: DenseLayer): number {
  return kernel.length / bias.length
}

function checkActivation (name: string): Activation {
  const activation = ACTIVATIONS.find((known) => known === name)
  if (activation === undefined) throw new DetectorError('state', `there is no activation ${name}`)
  return activation
}
