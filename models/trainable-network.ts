// A network of dense layers while it is trained with TensorFlow.js.

import { DenseNetwork, type Activation, type DenseLayer } from './dense-network.js'
import type { Random } from './random.js'
import type { Tensor, Tf, Variable } from './tensor-types.js'

/** Returns the initial weights: `count` numbers for a layer with these inputs and units. */
export type Initializer = (count: number, inputs: number, units: number) => Float32Array

/** Plan of a layer. */
export interface LayerPlan {
  readonly units: number
  readonly activation: Activation
  readonly kernel: Initializer
  /** @default all 0 */
  readonly bias?: Initializer
  /** Batch normalisation (Ioffe and Szegedy 2015) between the sums and the activation, in place of the bias. */
  readonly batchNorm?: boolean
  /**
   * Share of outputs set to 0 in training.
   * @default 0
   */
  readonly dropout?: number
}

/** Running statistics of a layer's sums. The latest batch has weight {@link MOMENTUM}, as in PyTorch. */
interface Normalization {
  readonly gamma: Variable
  readonly beta: Variable
  readonly mean: Float64Array
  readonly variance: Float64Array
}

/** A layer in training. */
export interface TrainableLayer {
  readonly plan: LayerPlan
  readonly kernel: Variable
  readonly bias?: Variable
  readonly normalization?: Normalization
}

/** Added to the variance before the square root. */
export const EPSILON = 1e-5
const MOMENTUM = 0.1

/** The variables of the layers, the forward pass in training, and the resulting network. */
export class TrainableNetwork {
  readonly layers: readonly TrainableLayer[]
  readonly #tf: Tf
  readonly #random: Random
  readonly #product: (a: Tensor, b: Tensor) => Tensor

  /** @param random source of dropout */
  constructor(tf: Tf, inputs: number, plans: readonly LayerPlan[], random: Random) {
    this.#tf = tf
    this.#random = random
    this.#product = product(tf)
    this.layers = plans.map((plan, l) => createLayer(tf, l === 0 ? inputs : plans[l - 1].units, plan))
  }

  /** The variables to optimise. */
  get variables(): Variable[] {
    return this.layers.flatMap(({ kernel, bias, normalization }) => [
      kernel,
      ...(bias === undefined ? [] : [bias]),
      ...(normalization === undefined ? [] : [normalization.gamma, normalization.beta])
    ])
  }

  /** Returns the outputs of every layer, before dropout, for a batch of rows. Updates the running statistics. */
  forward(batch: Tensor): Tensor[] {
    const tf = this.#tf
    const outputs: Tensor[] = []
    let values = batch
    for (const layer of this.layers) {
      const { activation, dropout = 0 } = layer.plan
      const sums = this.#product(values, layer.kernel)
      const shifted =
        layer.normalization === undefined
          ? tf.add(sums, layer.bias as Variable)
          : this.#normalize(sums, layer.normalization)
      const output = activation === 'linear' ? shifted : tf[activation](shifted)
      outputs.push(output)
      values = dropout > 0 ? tf.mul(output, this.#mask(output.shape, dropout)) : output
    }
    return outputs
  }

  /** Returns the current network without dropout, with the normalisation folded into its weights. */
  freeze(): DenseNetwork {
    return new DenseNetwork(this.layers.map(freezeLayer))
  }

  /** Frees the variables. */
  dispose(): void {
    this.#tf.dispose(this.variables)
  }

  #normalize(sums: Tensor, { gamma, beta, mean, variance }: Normalization): Tensor {
    const tf = this.#tf
    const rows = sums.shape[0]
    const batch = tf.moments(sums, 0)
    updateRunning(mean, batch.mean.dataSync(), 1)
    // The running variance uses the unbiased estimate, the batch the biased one, as in PyTorch.
    updateRunning(variance, batch.variance.dataSync(), rows > 1 ? rows / (rows - 1) : 1)
    return tf.batchNorm(sums, batch.mean, batch.variance, beta, gamma, EPSILON)
  }

  #mask(shape: number[], dropout: number): Tensor {
    const limit = dropout * 2 ** 32
    const mask = new Float32Array(shape[0] * shape[1])
    for (let i = 0; i < mask.length; i++) mask[i] = this.#random.uint32() < limit ? 0 : 1 / (1 - dropout)
    return this.#tf.tensor(mask, shape)
  }
}

/** Returns the rows of a table of `width` columns at the given indices, as a tensor. */
export function gather(tf: Tf, table: Float32Array, width: number, indices: Uint32Array): Tensor {
  const values = new Float32Array(indices.length * width)
  for (let k = 0; k < indices.length; k++)
    values.set(table.subarray(indices[k] * width, (indices[k] + 1) * width), k * width)
  return tf.tensor(values, [indices.length, width])
}

/** Uniform in [-bound, bound). */
export function uniform(random: Random, bound: (inputs: number, units: number) => number): Initializer {
  return (count, inputs, units) =>
    Float32Array.from({ length: count }, () => bound(inputs, units) * (2 * random.uniform() - 1))
}

/** Normal with mean 0. */
export function normal(random: Random, deviation: (inputs: number) => number): Initializer {
  return (count, inputs) => Float32Array.from({ length: count }, () => deviation(inputs) * random.normal())
}

function createLayer(tf: Tf, inputs: number, plan: LayerPlan): TrainableLayer {
  const { units } = plan
  const variable = (values: Float32Array, shape: number[]): Variable =>
    tf.tidy(() => tf.variable(tf.tensor(values, shape)))
  const kernel = variable(plan.kernel(inputs * units, inputs, units), [inputs, units])
  if (plan.batchNorm !== true) {
    return { plan, kernel, bias: variable(plan.bias?.(units, inputs, units) ?? new Float32Array(units), [units]) }
  }
  return {
    plan,
    kernel,
    normalization: {
      gamma: variable(new Float32Array(units).fill(1), [units]),
      beta: variable(new Float32Array(units), [units]),
      mean: new Float64Array(units),
      variance: new Float64Array(units).fill(1)
    }
  }
}

/**
 * Returns a matrix product whose gradient transposes explicitly: the WebAssembly backend multiplies transposed operands
 * ten times slower.
 */
function product(tf: Tf): (a: Tensor, b: Tensor) => Tensor {
  return tf.customGrad((a, b, save) => {
    save([a, b])
    return {
      value: tf.matMul(a, b),
      gradFunc: (gradient, [left, right]) => [
        tf.matMul(gradient, tf.transpose(right)),
        tf.matMul(tf.transpose(left), gradient)
      ]
    }
  })
}

function updateRunning(running: Float64Array, batch: ArrayLike<number>, factor: number): void {
  for (let u = 0; u < running.length; u++) running[u] += MOMENTUM * (factor * batch[u] - running[u])
}

function freezeLayer({ plan, kernel, bias, normalization }: TrainableLayer): DenseLayer {
  const { activation, units } = plan
  const weights = Float32Array.from(kernel.dataSync())
  if (normalization === undefined)
    return { kernel: weights, bias: Float32Array.from((bias as Variable).dataSync()), activation }
  const { gamma, beta, mean, variance } = normalization
  const [gammas, betas] = [gamma.dataSync(), beta.dataSync()]
  const factors = mean.map((_, u) => gammas[u] / Math.sqrt(variance[u] + EPSILON))
  return {
    kernel: weights.map((weight, k) => weight * factors[k % units]),
    bias: Float32Array.from(mean, (value, u) => betas[u] - value * factors[u]),
    activation
  }
}
