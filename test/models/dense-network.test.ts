// The plain forward pass, compared with manual calculations and with TensorFlow.js.

import t from 'tap'
import { DenseNetwork } from '../../models/dense-network.js'
import { Random } from '../../models/random.js'
import { StateReader } from '../../models/state.js'
import type { Tensor } from '../../models/tensor-types.js'
import {
  EPSILON,
  gather,
  normal,
  TrainableNetwork,
  uniform,
  type TrainableLayer
} from '../../models/trainable-network.js'
import { tensorflow, tensorflowMissing } from '../support/tensorflow.js'
import { largestDifference } from './reference.js'

/** The used part of TensorFlow.js layers. A string names the package, so that the compiler does not require it. */
interface Layers {
  sequential(): { add(layer: object): void; setWeights(weights: Tensor[]): void; predict(rows: Tensor): Tensor }
  layers: Record<'dense' | 'batchNormalization' | 'activation', (settings: object) => object>
}
const LAYERS: string = '@tensorflow/tfjs-layers'

t.test('layers, calculated manually', async t => {
  const network = new DenseNetwork([
    { kernel: Float32Array.of(1, -1, 0.5, 2, 1, 0), bias: Float32Array.of(0, 0.25, -8), activation: 'relu' },
    { kernel: Float32Array.of(1, 0, 2), bias: Float32Array.of(0.5), activation: 'linear' }
  ])
  t.equal(network.inputs, 2)
  t.equal(network.outputs, 1)
  // Hidden: 1 * 3 + 2 * 0.5 = 4; -1 * 3 + 1 * 0.5 + 0.25 < 0; 0.5 * 3 + 0 - 8 < 0.
  t.equal(network.forward(Float32Array.of(3, 0.5))[0], 4.5)
  t.equal(network.forward(Float32Array.of(-1, 0))[0], 0.5)
  const logistic = new DenseNetwork([{ kernel: Float32Array.of(2), bias: Float32Array.of(-1), activation: 'sigmoid' }])
  t.equal(logistic.forward(Float32Array.of(0.5))[0], 0.5)
})

t.test('networks of all widths are restored from JSON', async t => {
  const random = new Random(3)
  const values = (count: number) => Float32Array.from({ length: count }, () => random.normal())
  for (const [inputs, units] of [
    [1, 1],
    [3, 4],
    [7, 5],
    [4, 9]
  ]) {
    const network = new DenseNetwork([
      { kernel: values(inputs * units), bias: values(units), activation: 'relu' },
      { kernel: values(units * 2), bias: values(2), activation: 'sigmoid' }
    ])
    const restored = DenseNetwork.restore(new StateReader(JSON.parse(JSON.stringify(network.state())), 'network'))
    const row = values(inputs)
    t.same(restored.forward(row), network.forward(row), `${inputs} inputs, ${units} units`)
    t.same(restored.state(), network.state())
  }
})

t.test('an incomplete network is rejected', async t => {
  const state = new DenseNetwork([
    { kernel: Float32Array.of(1, 2), bias: Float32Array.of(3), activation: 'relu' }
  ]).state()
  const restore = (changes: object) => () => DenseNetwork.restore(new StateReader({ ...state, ...changes }, 'network'))
  t.doesNotThrow(restore({}))
  for (const changes of [
    { activations: [] },
    { activations: ['softmax'] },
    { activations: ['relu', 'relu'] },
    { activations: undefined },
    { weights: '' },
    { weights: undefined },
    { units: '' },
    { units: Buffer.alloc(8).toString('base64') }
  ])
    t.throws(restore(changes), { code: 'state' }, JSON.stringify(changes))
})

t.test('it equals TensorFlow.js, including normalisation', { skip: tensorflowMissing() }, async t => {
  if (tensorflow === undefined) throw new Error('skipped')
  const { tf } = tensorflow
  const layers = (await import(LAYERS)) as Layers
  const random = new Random(5)
  const kernel = uniform(random, inputs => Math.sqrt(6 / inputs))
  const bias = normal(random, () => 0.5)
  const trainable = new TrainableNetwork(
    tf,
    27,
    [
      { units: 64, activation: 'relu', kernel, batchNorm: true, dropout: 0.2 },
      { units: 33, activation: 'sigmoid', kernel, bias },
      { units: 27, activation: 'linear', kernel, bias }
    ],
    random
  )
  const count = 200
  const table = normal(random, () => 3)(27 * count, 27, 27)
  const rows = gather(
    tf,
    table,
    27,
    Uint32Array.from({ length: count }, (_, i) => i)
  )
  // Changes the running statistics from 0 and 1, and gamma and beta, as training would.
  for (let i = 0; i < 5; i++)
    tf.tidy(() => {
      trainable.forward(rows)
    })
  trainable.layers[0].normalization?.gamma.assign(tf.tensor(normal(random, () => 1)(64, 0, 64), [64]))
  trainable.layers[0].normalization?.beta.assign(tf.tensor(normal(random, () => 1)(64, 0, 64), [64]))

  const model = layers.sequential()
  for (const [l, layer] of trainable.layers.entries()) {
    const { units, activation } = layer.plan
    model.add(layers.layers.dense({ units, useBias: layer.bias !== undefined, ...(l === 0 && { inputShape: [27] }) }))
    if (layer.normalization !== undefined) model.add(layers.layers.batchNormalization({ epsilon: EPSILON }))
    model.add(layers.layers.activation({ activation }))
  }
  model.setWeights([...trainable.layers.flatMap(trainedOf), ...trainable.layers.flatMap(statisticsOf)])
  const theirs = model.predict(rows).dataSync()

  const network = trainable.freeze()
  const ours = Float64Array.from({ length: count * 27 })
  for (let i = 0; i < count; i++)
    ours.set(network.forward(table.subarray(27 * i, 27 * (i + 1))).subarray(0, 27), 27 * i)
  const difference = largestDifference(ours, theirs)
  t.ok(difference < 1e-5, `largest difference ${difference}`)
  t.ok(Math.max(...ours) - Math.min(...ours) > 1, 'the outputs vary')

  function trainedOf({ kernel, bias, normalization }: TrainableLayer) {
    return [
      kernel,
      ...(bias === undefined ? [] : [bias]),
      ...(normalization === undefined ? [] : [normalization.gamma, normalization.beta])
    ]
  }

  function statisticsOf({ normalization }: TrainableLayer) {
    return normalization === undefined
      ? []
      : [normalization.mean, normalization.variance].map(values =>
          tf.tensor(Float32Array.from(values), [values.length])
        )
  }
})
