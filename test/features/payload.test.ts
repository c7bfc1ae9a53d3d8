// The payload model: usual payloads score high, unusual payloads low, and any bytes can be scored.

import t from 'tap'
import { PAYLOAD_CAP_BYTES, PayloadModel } from '../../src/features/payload.js'
import { Random } from '../../models/random.js'

const text = (words: string) => Buffer.from(words)

/** JSON documents of a sensor, all different. */
function documents(count: number, seed: number): Buffer[] {
  const random = new Random(seed)
  return Array.from({ length: count }, () =>
    text(
      JSON.stringify({
        device: `sensor-${random.integer(50)}`,
        temperature: 15 + random.integer(150) / 10,
        humidity: random.integer(100)
      })
    )
  )
}

function noise(bytes: number, seed: number): Uint8Array {
  const random = new Random(seed)
  return Uint8Array.from({ length: bytes }, () => random.integer(256))
}

function learnt(payloads: Iterable<Uint8Array>): PayloadModel {
  const model = new PayloadModel()
  for (const payload of payloads) model.learn(payload)
  return model
}

const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length

t.test('unusual payloads score lower than any usual one', async t => {
  const model = learnt(documents(300, 1))
  const usual = documents(100, 2).map(payload => model.score(payload))
  const strange = [...Array(20).keys()].map(seed => model.score(noise(60, seed)))
  strange.push(model.score(text('AAAAAAAAAAAAAAAAAAAAAAAA')), model.score(text('%n%n%n%n%s%s%s%s%x%x')))
  t.ok(Math.max(...strange) < Math.min(...usual), `${Math.max(...strange)} < ${Math.min(...usual)}`)
})

t.test('rare short strings score closer to usual payloads than long unusual ones', async t => {
  const model = learnt([...documents(1000, 1), text('ON'), text('ON'), text('OFF'), text('OFF')])
  const strange = model.score(noise(40, 3))
  for (const word of ['ON', 'OFF']) {
    const distance = model.neutral - model.scoreHeldOut(text(word))
    t.ok(
      distance > 0 && distance < (model.neutral - strange) / 3,
      `${word}: ${distance} below, noise ${model.neutral - strange}`
    )
  }
})

t.test('an empty payload is neutral, and an empty model scores all payloads as neutral', async t => {
  const model = learnt(documents(10, 1))
  t.equal(model.score(new Uint8Array()), model.neutral)
  t.equal(model.scoreHeldOut(new Uint8Array()), model.neutral)
  const empty = new PayloadModel()
  empty.learn(new Uint8Array())
  t.equal(empty.bytesLearnt, 0)
  t.equal(empty.neutral, -Math.log(256))
  t.ok(Math.abs(empty.score(noise(100, 1)) - empty.neutral) < 1e-6)
})

t.test('it accepts any bytes', async t => {
  const model = learnt(documents(10, 1))
  for (let byte = 0; byte < 256; byte++) {
    t.ok(
      Number.isFinite(model.score(Uint8Array.of(byte))) && model.score(Uint8Array.of(byte, byte)) < 0,
      `byte ${byte}`
    )
  }
})

t.test('bytes beyond the limit are ignored', async t => {
  const model = learnt([noise(PAYLOAD_CAP_BYTES, 1)])
  t.equal(model.bytesLearnt, PAYLOAD_CAP_BYTES)
  model.learn(noise(PAYLOAD_CAP_BYTES + 500, 2))
  t.equal(model.bytesLearnt, 2 * PAYLOAD_CAP_BYTES)
  const long = noise(PAYLOAD_CAP_BYTES + 500, 3)
  t.equal(model.score(long), model.score(long.subarray(0, PAYLOAD_CAP_BYTES)))
})

t.test('a held-out score equals that of a model without the payload', async t => {
  const payloads = documents(8, 1)
  const model = learnt(payloads)
  const before = JSON.stringify(model)
  payloads.forEach((payload, i) => {
    const without = learnt(payloads.toSpliced(i, 1))
    // Except for the training mean, which is that of the whole model.
    const sum = model.scoreHeldOut(payload) * (payload.length + 8) - 8 * model.neutral
    const wanted = without.score(payload) * (payload.length + 8) - 8 * without.neutral
    t.ok(Math.abs(sum - wanted) < 1e-3, `${sum} and ${wanted}`)
  })
  model.scoreHeldOut(noise(100, 1))
  t.equal(JSON.stringify(model), before, 'the model is unchanged, even after a payload that it never learned')
})

t.test('held-out scores of few training payloads match those of new ones; plain scores are too high', async t => {
  const payloads = Array.from({ length: 20 }, (_, i) => noise(40, i))
  const model = learnt(payloads)
  const fresh = mean(Array.from({ length: 20 }, (_, i) => model.score(noise(40, 100 + i))))
  const heldOut = mean(payloads.map(payload => model.scoreHeldOut(payload)))
  const plain = mean(payloads.map(payload => model.score(payload)))
  t.ok(Math.abs(heldOut - fresh) < 0.1, `held out ${heldOut}, fresh ${fresh}`)
  t.ok(plain - fresh > 0.5, `plain ${plain}`)
})

t.test('JSON restores it with identical scores, and it can learn more', async t => {
  const model = learnt(documents(50, 1))
  const loaded = PayloadModel.fromJSON(JSON.parse(JSON.stringify(model)))
  const probes = [...documents(5, 2), Buffer.from(noise(30, 1))]
  t.same(
    probes.map(payload => loaded.score(payload)),
    probes.map(payload => model.score(payload))
  )
  for (const probe of probes) {
    model.learn(probe)
    loaded.learn(probe)
  }
  t.equal(JSON.stringify(loaded), JSON.stringify(model))
})

t.test('invalid JSON is refused', async t => {
  const words = (...values: number[]) => Buffer.from(Uint32Array.from(values).buffer).toString('base64')
  for (const json of [
    null,
    {},
    { cells: words(1, 2), counts: words(1) },
    { cells: words(2, 1), counts: words(1, 1) },
    { cells: words(1, 1), counts: words(1, 1) },
    { cells: words(257 * 256), counts: words(1) },
    { cells: words(1), counts: words(0) },
    { cells: words(1, 2), counts: words(2 ** 31, 2 ** 31) }
  ])
    t.throws(() => PayloadModel.fromJSON(json), { code: 'state' })
})
