// A network of dense layers while TensorFlow.js trains it.

import { DenseNetwork, type Activation, type DenseLayer } from './dense-network.js'
import type { Random } from './random.js'
import type { Tensor, Tf, Variable } from './tensor-types.js'

/** How weights begin: `count` numbers for a layer of so many inputs and units. */
export type Initializer = (count: number, inputs: number, units: number) => Float32Array

/** One layer to be. */
export interface LayerPlan {
  readonly units: number
  readonly activation: Activation
  readonly kernel: Initializer
  /** All 0 unless given. */
  readonly bias?: Initializer
  /** Batch normalisation (Ioffe and Szegedy 2015) between the sums and the activation, in place of the bias. */
  readonly batchNorm?: boolean
  /** Share of outputs set to 0 in training; 0 unless given. */
  readonly dropout?: number
}

/** Statistics of a layer's sums over the batches; the latest count {@link MOMENTUM}, as in PyTorch. */
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

/** Added to the variance before its root is taken. */
export const EPSILON = 1e-5
const MOMENTUM = 0.1

/** Variables for the layers, the pass forward in training, and the network that comes of it. */
export class TrainableNetwork {
  readonly layers: readonly TrainableLayer[]
  readonly #tf: Tf
  readonly #random: Random
  readonly #product: (a: Tensor, b: Tensor) => Tensor

  /** @param random where dropout comes from */
  constructor(tf: Tf, inputs: number, plans: readonly LayerPlan[], random: Random) {
    this.#tf = tf
    this.#random = random
    this.#product = product(tf)
    this.layers = plans.map((plan, l) => createLayer(tf, l === 0 ? inputs : plans[l - 1].units, plan))
  }

  /** What an optimiser may change. */
  get variables(): Variable[] {
    return this.layers.flatMap(({ kernel, bias, normalization }) => [
      kernel,
      ...(bias === undefined ? [] : [bias]),
      ...(normalization === undefined ? [] : [normalization.gamma, normalization.beta])
    ])
  }

  /** The outputs of every layer, before dropout, for a batch of rows; learns the batch's statistics. */
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

  /** The network as it stands, without dropout, and with the normalisation inside its weights. */
  freeze(): DenseNetwork {
    return new DenseNetwork(this.layers.map(freezeLayer))
  }

  /** Gives the variables' memory back. */
  dispose(): void {
    this.#tf.dispose(this.variables)
  }

  #normalize(sums: Tensor, { gamma, beta, mean, variance }: Normalization): Tensor {
    const tf = this.#tf
    const rows = sums.shape[0]
    const batch = tf.moments(sums, 0)
    follow(mean, batch.mean.dataSync(), 1)
    // The unbiased estimate for later, the biased one for now, as in PyTorch.
    follow(variance, batch.variance.dataSync(), rows > 1 ? rows / (rows - 1) : 1)
    return tf.batchNorm(sums, batch.mean, batch.variance, beta, gamma, EPSILON)
  }

  #mask(shape: number[], dropout: number): Tensor {
    const limit = dropout * 2 ** 32
    const mask = new Float32Array(shape[0] * shape[1])
    for (let i = 0; i < mask.length; i++) mask[i] = this.#random.uint32() < limit ? 0 : 1 / (1 - dropout)
    return this.#tf.tensor(mask, shape)
  }
}

/** Rows of a table of `width` columns, named by their indices, as a tensor. */
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

/** Normal, of mean 0. */
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
 * Matrix product whose gradient transposes first: the WebAssembly backend multiplies transposed operands ten times
 * slower.
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

function follow(running: Float64Array, batch: ArrayLike<number>, factor: number): void {
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
