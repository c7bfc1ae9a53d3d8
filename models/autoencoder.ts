// Autoencoder: rows that a narrow network cannot reconstruct are outliers.

import type { DenseNetwork } from './dense-network.js'
import type { DetectorJson } from './detector.js'
import { NetworkDetector } from './network-detector.js'
import { savedParameters, type Step } from './outlier-detector.js'
import { DETECTOR_PARAMETERS, type DetectorOptions, type ParameterTable } from './parameters.js'
import { Random } from './random.js'
import type { Tensor, Tf } from './tensor-types.js'
import { gather, TrainableNetwork, uniform, type LayerPlan } from './trainable-network.js'

const NETWORKS = ['pyod-2', 'pyod-1'] as const

/** Parameters of {@link Autoencoder}. */
export interface AutoencoderOptions extends DetectorOptions {
  /**
   * `pyod-2`: batch normalisation and a linear output, as in PyOD since 2.0. `pyod-1`: the older network with a sigmoid
   * output and an activation penalty, which the paper used with 100 epochs.
   * @default 'pyod-2'
   */
  network?: (typeof NETWORKS)[number]
  /**
   * Units of the first and last hidden layer.
   * @default 64
   */
  hiddenUnits?: number
  /**
   * Units of the middle layer.
   * @default 32
   */
  codeUnits?: number
  /**
   * Share of hidden outputs set to 0 in training.
   * @default 0.2
   */
  dropout?: number
  /**
   * Passes over the training rows.
   * @default 10
   */
  epochs?: number
  /**
   * Rows per training step.
   * @default 32
   */
  batchSize?: number
  /**
   * Step size of Adam (Kingma and Ba 2015).
   * @default 0.001
   */
  learningRate?: number
}

/** The parameters' ranges and defaults. */
export const AUTOENCODER_PARAMETERS: ParameterTable<AutoencoderOptions> = {
  ...DETECTOR_PARAMETERS,
  network: {
    about: "'pyod-2': batch normalisation, linear output; 'pyod-1': the paper's, sigmoid output, penalised activations",
    default: 'pyod-2',
    choices: NETWORKS
  },
  hiddenUnits: { about: 'units of the first and last hidden layer', default: 64, min: 1, max: 1024, integer: true },
  codeUnits: { about: 'units of the middle layer', default: 32, min: 1, max: 1024, integer: true },
  dropout: { about: 'share of hidden outputs set to 0 in training', default: 0.2, min: 0, max: 0.9 },
  epochs: { about: 'passes over the training rows', default: 10, min: 1, max: 10_000, integer: true },
  batchSize: { about: 'rows per training step', default: 32, min: 1, max: 100_000, integer: true },
  learningRate: { about: 'step size of the Adam optimiser', default: 1e-3, min: 1e-8, max: 1 }
}

/** Penalty on the squares of all activations in the network `pyod-1`. */
const ACTIVITY_PENALTY = 0.1

/**
 * PyOD's autoencoder: dense layers that narrow to a code and widen again, trained to reproduce their input. The score
 * is the Euclidean norm of the reconstruction error, in standard deviations. PyOD's weight decay of 1e-5 is omitted: it
 * changes no figure and would cost a third of the training time.
 */
export class Autoencoder extends NetworkDetector<Required<AutoencoderOptions>> {
  readonly kind = 'autoencoder'

  constructor(options: AutoencoderOptions = {}) {
    super(AUTOENCODER_PARAMETERS, options)
  }

  /** Restores a detector from the result of `toJSON`. Throws `DetectorError` if it is invalid. */
  static fromJSON(json: DetectorJson): Autoencoder {
    return new Autoencoder(savedParameters(json, 'autoencoder')).restore(json.state)
  }

  protected get passes(): number {
    return this.parameters.epochs
  }

  protected train(tf: Tf, table: Float32Array, width: number, step: Step): Promise<DenseNetwork> {
    return train(tf, table, width, this.parameters, step)
  }

  protected outputsFor(width: number): number {
    return width
  }

  protected scoreOf(row: Float32Array, rebuilt: Float32Array): number {
    let squares = 0
    for (let k = 0; k < row.length; k++) {
      const difference = row[k] - rebuilt[k]
      squares += difference * difference
    }
    return Math.sqrt(squares)
  }
}

async function train(
  tf: Tf,
  table: Float32Array,
  width: number,
  parameters: Required<AutoencoderOptions>,
  step: Step
): Promise<DenseNetwork> {
  const { seed, epochs, batchSize, learningRate } = parameters
  const random = new Random(seed)
  const order = Uint32Array.from({ length: table.length / width }, (_, i) => i)
  const size = Math.min(batchSize, order.length)
  // As in PyOD, leftover rows go to another epoch, because batch normalisation needs full batches.
  const batches = Math.floor(order.length / size)
  const network = new TrainableNetwork(tf, width, planOf(width, parameters, random), random)
  const optimizer = tf.train.adam(learningRate, 0.9, 0.999, 1e-8)
  try {
    for (let epoch = 0; epoch < epochs; epoch++) {
      random.shuffle(order)
      let loss = 0
      for (let b = 0; b < batches; b++) {
        loss += tf.tidy(() => {
          const rows = gather(tf, table, width, order.subarray(b * size, (b + 1) * size))
          const cost = optimizer.minimize(() => costOf(tf, network, rows, parameters), true, network.variables)
          return (cost as Tensor).dataSync()[0]
        })
        await step(epoch + (b + 1) / batches, epochs, loss / (b + 1))
      }
    }
    return network.freeze()
  } finally {
    network.dispose()
    optimizer.dispose()
  }
}

function costOf(
  tf: Tf,
  network: TrainableNetwork,
  rows: Tensor,
  { network: kind }: Required<AutoencoderOptions>
): Tensor {
  const outputs = network.forward(rows)
  const error = tf.mean(tf.squaredDifference(outputs[outputs.length - 1], rows))
  if (kind === 'pyod-2') return error
  const activity = tf.addN(outputs.map(output => tf.sum(tf.square(output))))
  return tf.add(error, tf.mul(activity, ACTIVITY_PENALTY / rows.shape[0]))
}

function planOf(width: number, parameters: Required<AutoencoderOptions>, random: Random): LayerPlan[] {
  const { network, hiddenUnits, codeUnits, dropout } = parameters
  const between = [hiddenUnits, codeUnits, hiddenUnits]
  if (network === 'pyod-2') {
    const kernel = uniform(random, inputs => Math.sqrt(6 / inputs))
    const last = uniform(random, inputs => 1 / Math.sqrt(inputs))
    return [
      ...between.map((units): LayerPlan => ({ units, activation: 'relu', kernel, batchNorm: true, dropout })),
      { units: width, activation: 'linear', kernel: last, bias: last }
    ]
  }
  const kernel = uniform(random, (inputs, units) => Math.sqrt(6 / (inputs + units)))
  // PyOD 1 started with two layers as wide as its input, and doubled the middle layer.
  return [
    ...[width, width, hiddenUnits, codeUnits, codeUnits, hiddenUnits].map((units): LayerPlan => ({
      units,
      activation: 'relu',
      kernel,
      dropout
    })),
    { units: width, activation: 'sigmoid', kernel }
  ]
}
