// SO_GAAL: scores rows by a network that distinguishes them from rows that another network generates.

import type { DenseNetwork } from './dense-network.js'
import type { DetectorJson } from './detector.js'
import { NetworkDetector } from './network-detector.js'
import { savedParameters, type Step } from './outlier-detector.js'
import { DETECTOR_PARAMETERS, type DetectorOptions, type ParameterTable } from './parameters.js'
import { Random } from './random.js'
import type { Tensor, Tf } from './tensor-types.js'
import { gather, normal, TrainableNetwork, type Initializer } from './trainable-network.js'

const SIGNS = ['discriminator', 'complement'] as const

/** Parameters of {@link SoGaal}; PyOD's names. */
export interface SoGaalOptions extends DetectorOptions {
  /**
   * Epochs after which the generator stops; the discriminator continues for twice as many.
   * @default 20
   */
  stopEpochs?: number
  /**
   * Learning rate of the discriminator.
   * @default 0.01
   */
  lrD?: number
  /**
   * Learning rate of the generator.
   * @default 0.0001
   */
  lrG?: number
  /**
   * Momentum of both.
   * @default 0.9
   */
  momentum?: number
  /**
   * `discriminator`: the score rises with D(x), as in PyOD. `complement`: it rises with 1 - D(x), as in Liu et al. See
   * {@link SoGaal}.
   * @default 'discriminator'
   */
  sign?: (typeof SIGNS)[number]
}

/** The parameters' ranges and defaults. */
export const SO_GAAL_PARAMETERS: ParameterTable<SoGaalOptions> = {
  ...DETECTOR_PARAMETERS,
  stopEpochs: {
    about: 'epochs after which the generator stops; three times as many in total',
    default: 20,
    min: 1,
    max: 10_000,
    integer: true
  },
  lrD: { about: 'learning rate of the discriminator', default: 0.01, min: 1e-8, max: 1 },
  lrG: { about: 'learning rate of the generator', default: 1e-4, min: 1e-8, max: 1 },
  momentum: { about: 'momentum of both', default: 0.9, min: 0, max: 0.999 },
  sign: {
    about: "'discriminator': rows unlike generated ones are abnormal; 'complement': rows like generated ones",
    default: 'discriminator',
    choices: SIGNS
  }
}

/** Maximum number of rows per training step, as in PyOD. */
const BATCH_ROWS = 500

/** Minimum steps per epoch and rows per step. PyOD takes two steps for 800 rows, which is too little training. */
const MINIMUM_STEPS = 8
const MINIMUM_ROWS = 32

/**
 * Single-objective generative adversarial active learning (Liu et al. 2019), after PyOD. A generator creates rows from
 * noise. A discriminator D learns to output 1 for real rows and 0 for generated ones.
 *
 * Liu et al. score 1 - D(x), expecting the generator to surround the data. With these learning rates it does not: it
 * stays at its start, near the middle of the standardised rows, and D is highest for outlying rows. So the score rises
 * with D(x), as in PyOD, and higher is more abnormal. Use `sign` to reverse it when training the generator longer.
 *
 * The score is the logit of D(x), its sum before the logistic function. The order is the same, but D(x) itself, and so
 * the probabilities, would be close to 1 for most rows.
 */
export class SoGaal extends NetworkDetector<Required<SoGaalOptions>> {
  readonly kind = 'so-gaal'

  constructor(options: SoGaalOptions = {}) {
    super(SO_GAAL_PARAMETERS, options)
  }

  /** Restores a detector from the result of `toJSON`. Throws `DetectorError` if it is invalid. */
  static fromJSON(json: DetectorJson): SoGaal {
    return new SoGaal(savedParameters(json, 'so-gaal')).restore(json.state)
  }

  protected get passes(): number {
    return epochsOf(this.parameters)
  }

  protected train(tf: Tf, table: Float32Array, width: number, step: Step): Promise<DenseNetwork> {
    return train(tf, table, width, this.parameters, step)
  }

  protected outputsFor(): number {
    return 1
  }

  protected scoreOf(_row: Float32Array, output: Float32Array): number {
    return this.parameters.sign === 'discriminator' ? output[0] : -output[0]
  }
}

/** After the generator stops, the discriminator trains for twice as many epochs. */
function epochsOf({ stopEpochs }: Required<SoGaalOptions>): number {
  return 3 * stopEpochs
}

/** Trains the discriminator and returns it without its logistic function. */
async function train(
  tf: Tf,
  table: Float32Array,
  width: number,
  parameters: Required<SoGaalOptions>,
  step: Step
): Promise<DenseNetwork> {
  const { seed, stopEpochs, lrD, lrG, momentum } = parameters
  const random = new Random(seed)
  const order = Uint32Array.from({ length: table.length / width }, (_, i) => i)
  const size = Math.min(BATCH_ROWS, Math.max(MINIMUM_ROWS, Math.ceil(order.length / MINIMUM_STEPS)))
  const batches = Math.ceil(order.length / size)
  const epochs = epochsOf(parameters)

  const generator = new TrainableNetwork(
    tf,
    width,
    [
      { units: width, activation: 'relu', kernel: identity },
      { units: width, activation: 'relu', kernel: identity }
    ],
    random
  )
  const discriminator = new TrainableNetwork(
    tf,
    width,
    [
      {
        units: Math.ceil(Math.sqrt(order.length)),
        activation: 'relu',
        kernel: normal(random, inputs => Math.sqrt(2 / inputs))
      },
      { units: 1, activation: 'linear', kernel: normal(random, inputs => Math.sqrt(1 / inputs)) }
    ],
    random
  )
  const generatorOptimizer = tf.train.momentum(lrG, momentum)
  const discriminatorOptimizer = tf.train.momentum(lrD, momentum)
  const generate = (noise: Tensor): Tensor => last(generator.forward(noise))
  /** Cross entropy of D for rows that should be taken as real. */
  const costOfReal = (rows: Tensor): Tensor => tf.mean(tf.softplus(tf.neg(last(discriminator.forward(rows)))))
  const costOfGenerated = (rows: Tensor): Tensor => tf.mean(tf.softplus(last(discriminator.forward(rows))))

  try {
    for (let epoch = 0; epoch < epochs; epoch++) {
      random.shuffle(order)
      let loss = 0
      for (let b = 0; b < batches; b++) {
        loss += tf.tidy(() => {
          const rows = gather(tf, table, width, order.subarray(b * size, (b + 1) * size))
          const noise = tf.tensor(
            Float32Array.from({ length: rows.size }, () => random.uniform()),
            rows.shape
          )
          const generated = generate(noise)
          const cost = discriminatorOptimizer.minimize(
            () => tf.add(costOfReal(rows), costOfGenerated(generated)),
            true,
            discriminator.variables
          )
          // One epoch more than the name says, as in PyOD.
          if (epoch <= stopEpochs)
            generatorOptimizer.minimize(() => costOfReal(generate(noise)), false, generator.variables)
          return (cost as Tensor).dataSync()[0]
        })
        await step(epoch + (b + 1) / batches, epochs, loss / (b + 1))
      }
    }
    return discriminator.freeze()
  } finally {
    for (const network of [generator, discriminator]) network.dispose()
    for (const optimizer of [generatorOptimizer, discriminatorOptimizer]) {
      optimizer.dispose()
      // TensorFlow.js 4.22 does not dispose of the learning rate, which belongs to the superclass.
      tf.SGDOptimizer.prototype.dispose.call(optimizer)
    }
  }
}

const identity: Initializer = (count, inputs) =>
  Float32Array.from({ length: count }, (_, k) => Number(Math.floor(k / inputs) === k % inputs))

function last<T>(items: readonly T[]): T {
  return items[items.length - 1]
}
