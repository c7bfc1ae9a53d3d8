// A trained network of dense layers as plain numbers, for scoring without a tensor library.

import { DetectorError } from './detector.js'
import { KernelMemory } from './kernel-memory.js'
import { compiled, NARROW_PANEL, WIDE_PANEL } from './kernels.js'
import { toBase64, type StateReader } from './state.js'

/** Activation functions of a layer. */
export const ACTIVATIONS = ['linear', 'relu', 'sigmoid'] as const

/** One of {@link ACTIVATIONS}. */
export type Activation = (typeof ACTIVATIONS)[number]

/** One layer: activation(input * kernel + bias). */
export interface DenseLayer {
  /** Weight from input i to unit u at `i * units + u`. */
  readonly kernel: Float32Array
  /** One per unit. */
  readonly bias: Float32Array
  readonly activation: Activation
}

/** A layer in kernel memory; numbers are addresses. */
interface PlacedLayer {
  readonly kernel: 'wide' | 'wideRelu' | 'narrow' | 'narrowRelu'
  readonly weights: number
  readonly bias: number
  readonly inputs: number
  readonly panels: number
  readonly activation: Activation
  /** The outputs for a row, in full panels. */
  readonly output: Float32Array
}

/** Consecutive dense layers, computed row by row, so that rows are independent. */
export class DenseNetwork {
  /** Width of a row. */
  readonly inputs: number
  /** Units of the last layer. */
  readonly outputs: number
  readonly #memory: KernelMemory
  readonly #input: Float32Array
  readonly #placed: readonly PlacedLayer[]

  /** @param layers at least one; the inputs of each are the units of the one before */
  constructor(readonly layers: readonly DenseLayer[]) {
    this.inputs = inputsOf(layers[0])
    this.outputs = layers[layers.length - 1].bias.length
    this.#memory = new KernelMemory([4 * this.inputs, ...layers.flatMap(sizesOf)], compiled)
    this.#input = this.#memory.floats(this.inputs)
    this.#placed = layers.map(layer => place(this.#memory, layer))
  }

  /** Restores a network from the result of `state`. Throws `DetectorError` `state` if it is invalid. */
  static restore(reader: StateReader): DenseNetwork {
    const units = reader.array('units', Uint32Array)
    const activations = reader.strings('activations').map(checkActivation)
    if (activations.length === 0 || units.length !== activations.length + 1 || units.includes(0)) {
      throw new DetectorError('state', `invalid network: ${units.length} widths, ${activations.length} activations`)
    }
    const sizes = activations.map((_, l) => (units[l] + 1) * units[l + 1])
    const weights = reader.array(
      'weights',
      Float32Array,
      sizes.reduce((sum, size) => sum + size)
    )
    let start = 0
    return new DenseNetwork(
      activations.map((activation, l) => {
        const split = start + units[l] * units[l + 1]
        const end = start + sizes[l]
        const layer = { kernel: weights.slice(start, split), bias: weights.slice(split, end), activation }
        start = end
        return layer
      })
    )
  }

  /** Returns the outputs for a row of `inputs` numbers, possibly padded. The next call overwrites them. */
  forward(row: Float32Array): Float32Array {
    this.#input.set(row)
    let values = this.#input
    for (const { kernel, weights, bias, inputs, panels, activation, output } of this.#placed) {
      this.#memory.kernels[kernel](weights, bias, values.byteOffset, output.byteOffset, inputs, panels)
      if (activation === 'sigmoid') for (let u = 0; u < output.length; u++) output[u] = sigmoid(output[u])
      values = output
    }
    return values
  }

  /** Returns the state for `restore`. */
  state(): Record<string, unknown> {
    const weights = this.layers.flatMap(({ kernel, bias }) => [...kernel, ...bias])
    return {
      units: toBase64(Uint32Array.of(this.inputs, ...this.layers.map(({ bias }) => bias.length))),
      activations: this.layers.map(({ activation }) => activation),
      weights: toBase64(Float32Array.from(weights))
    }
  }
}

/** The logistic function. */
function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value))
}

/** Small layers use narrow panels: most of a wide panel would be unused. */
function panelOf({ bias }: DenseLayer): number {
  return bias.length <= NARROW_PANEL ? NARROW_PANEL : WIDE_PANEL
}

/** Returns the bytes of the blocks that `place` allocates. */
function sizesOf(layer: DenseLayer): number[] {
  const units = Math.ceil(layer.bias.length / panelOf(layer)) * panelOf(layer)
  return [4 * inputsOf(layer) * units, 4 * units, 4 * units]
}

function place(memory: KernelMemory, layer: DenseLayer): PlacedLayer {
  const inputs = inputsOf(layer)
  const units = layer.bias.length
  const panel = panelOf(layer)
  const panels = Math.ceil(units / panel)
  const weights = memory.floats(inputs * panels * panel)
  const bias = memory.floats(panels * panel)
  bias.set(layer.bias)
  for (let i = 0; i < inputs; i++) {
    for (let u = 0; u < units; u++) {
      weights[(Math.floor(u / panel) * inputs + i) * panel + (u % panel)] = layer.kernel[i * units + u]
    }
  }
  const width = panel === NARROW_PANEL ? 'narrow' : 'wide'
  return {
    kernel: layer.activation === 'relu' ? `${width}Relu` : width,
    weights: weights.byteOffset,
    bias: bias.byteOffset,
    inputs,
    panels,
    activation: layer.activation,
    output: memory.floats(panels * panel)
  }
}

function inputsOf({ kernel, bias }: DenseLayer): number {
  return kernel.length / bias.length
}

function checkActivation(name: string): Activation {
  const activation = ACTIVATIONS.find(known => known === name)
  if (activation === undefined) throw new DetectorError('state', `unknown activation ${name}`)
  return activation
}
