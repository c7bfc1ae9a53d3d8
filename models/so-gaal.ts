// SO_GAAL: a network that tells rows from what another network makes up scores them.

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
  /** Epochs after which the generator rests; the discriminator goes on for twice as many. 20 unless given. */
  stopEpochs?: number
  /** Learning rate of the discriminator; 0.01 unless given. */
  lrD?: number
  /** Learning rate of the generator; 0.0001 unless given. */
  lrG?: number
  /** Momentum of both; 0.9 unless given. */
  momentum?: number
  /**
   * `discriminator`: the score rises with D(x), as in PyOD; `complement`: with 1 - D(x), as in Liu et al.
   * `discriminator` unless given; see {@link SoGaal}.
   */
  sign?: (typeof SIGNS)[number]
}

/** The parameters' ranges and defaults. */
export const SO_GAAL_PARAMETERS: ParameterTable<SoGaalOptions> = {
  ...DETECTOR_PARAMETERS,
  stopEpochs: {
    about: 'epochs after which the generator rests; three times as many in all',
    default: 20,
    min: 1,
    max: 10_000,
    integer: true
  },
  lrD: { about: 'learning rate of the discriminator', default: 0.01, min: 1e-8, max: 1 },
  lrG: { about: 'learning rate of the generator', default: 1e-4, min: 1e-8, max: 1 },
  momentum: { about: 'momentum of both', default: 0.9, min: 0, max: 0.999 },
  sign: {
    about: "'discriminator': far from what was made up is abnormal; 'complement': near to it",
    default: 'discriminator',
    choices: SIGNS
  }
}

/** Rows of a training step at most, as in PyOD. */
const BATCH_ROWS = 500

/**
 * Steps of an epoch at least, and the fewest rows of a step: PyOD takes two steps for 800 rows, which trains too
 * little.
 */
const EPOCH_STEPS = 8
const FEWEST_ROWS = 32

/**
 * Single-objective generative adversarial active learning (Liu et al. 2019), after PyOD. A generator
 * makes up rows from noise; a discriminator D learns to give 1 to real rows and 0 to those.
 *
 * Which side is abnormal? Liu et al. score 1 - D(x): the generator should come to surround the data.
 * With these learning rates it does not: it stays where it began, near the middle of the standardised
 * rows, and what D takes for most real lies far out. So the score rises with D(x), as in PyOD, and
 * higher is more abnormal; `sign` turns it for who trains the generator longer.
 *
 * The score is the logit of D(x), its last sum before the logistic function: the order is the same, but
 * D is so sure of most rows that their values, and the probabilities with them, would all be next to 1.
 */
export class SoGaal extends NetworkDetector<Required<SoGaalOptions>> {
  readonly kind = 'so-gaal'

  constructor(options: SoGaalOptions = {}) {
    super(SO_GAAL_PARAMETERS, options)
  }

  /** The detector that `toJSON` saved; throws `DetectorError` where it is not one. */
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

  protected scoreOf(_row: Float32Array, opinion: Float32Array): number {
    return this.parameters.sign === 'discriminator' ? opinion[0] : -opinion[0]
  }
}

/** The discriminator alone goes on for twice as many as with the generator. */
function epochsOf({ stopEpochs }: Required<SoGaalOptions>): number {
  return 3 * stopEpochs
}

/** The discriminator, up to its last sum. */
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
  const size = Math.min(BATCH_ROWS, Math.max(FEWEST_ROWS, Math.ceil(order.length / EPOCH_STEPS)))
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
  /** Cross entropy of D's opinion that rows are real. */
  const costOfReal = (rows: Tensor): Tensor => tf.mean(tf.softplus(tf.neg(last(discriminator.forward(rows)))))
  const costOfMadeUp = (rows: Tensor): Tensor => tf.mean(tf.softplus(last(discriminator.forward(rows))))

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
          const madeUp = generate(noise)
          const cost = discriminatorOptimizer.minimize(
            () => tf.add(costOfReal(rows), costOfMadeUp(madeUp)),
            true,
            discriminator.variables
          )
          // One epoch more than its name says, as in PyOD.
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
      // TensorFlow.js 4.22 forgets the learning rate, which belongs to the class above.
      tf.SGDOptimizer.prototype.dispose.call(optimizer)
    }
  }
}

const identity: Initializer = (count, inputs) =>
  Float32Array.from({ length: count }, (_, k) => Number(Math.floor(k / inputs) === k % inputs))

function last<T>(items: readonly T[]): T {
  return items[items.length - 1]
}
