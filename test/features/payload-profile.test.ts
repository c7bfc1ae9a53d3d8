// What payloads are like on each topic: a strange one stands out there, a rare short word does not.

import t from 'tap'
import { Random } from '../../models/random.js'
import { hashBytes } from '../../src/fnv.js'
import { PayloadProfile } from '../../src/features/payload-profile.js'
import type { PayloadSample } from '../../src/features/payload-sample.js'

const hash = (topic: string): number => hashBytes(Buffer.from(topic))
const sample = (topic: string, payload: string | Uint8Array): PayloadSample => ({
  topic: hash(topic),
  parent: hash(topic.split('/').slice(0, -1).join('/')),
  length: payload.length,
  payload: Buffer.from(payload)
})

const random = new Random(1)
const usual = Array.from({ length: 400 }, (_, i) => [
  sample(
    `home/room${i % 4}/climate`,
    `{"temperature":${15 + random.integer(100) / 10},"humidity":${30 + random.integer(40)}}`
  ),
  sample('home/lamp/state', i % 9 === 0 ? 'ON' : 'OFF'),
  sample('home/meter', (1_000 + random.uniform() * 500).toFixed(3))
]).flat()

function learnt(): PayloadProfile {
  const norms = new PayloadProfile()
  for (const each of usual) norms.learnBytes(each)
  for (const each of usual) norms.learnTopic(each)
  return norms
}

const norms = learnt()

t.test('usual payloads are no surprise where they are usual, short rare words included', async t => {
  for (const each of [usual[0], usual[2], sample('home/lamp/state', 'ON')])
    t.ok(norms.standings(each, false).surprise < 3)
  t.ok(norms.standings(sample('home/lamp/brightness', 'ON'), false).surprise < 3, 'on a topic nobody knows')
})

t.test('the same words elsewhere, and other bytes anywhere, are', async t => {
  t.ok(norms.standings(sample('home/room1/climate', 'OFF'), false).lengthSurprise > 5)
  t.ok(
    norms.standings(sample('home/room1/climate', `${random.integer(9)}${'f3a09b77c1d2e5f6'.repeat(3)}`), false)
      .surprise > 3
  )
  const binary = Uint8Array.from({ length: 40 }, () => random.integer(256))
  t.ok(norms.standings(sample('somewhere/else', binary), false).likelihood < norms.model.neutral - 2)
})

t.test('JSON brings them back', async t => {
  const loaded = PayloadProfile.fromJSON(JSON.parse(JSON.stringify(norms)))
  for (const each of usual.slice(0, 9)) t.same(loaded.standings(each, false), norms.standings(each, false))
  t.throws(() => PayloadProfile.fromJSON({ ...norms.toJSON(), topics: '' }), { code: 'state' })
})

t.test('topics without number are learnt up to a cap, and counted beyond', async t => {
  const flooded = new PayloadProfile()
  const many = Array.from({ length: 6_000 }, (_, i) => sample(`flood/${i}`, '1'))
  for (const each of many) flooded.learnBytes(each)
  for (const each of many) flooded.learnTopic(each)
  t.ok(flooded.dropped > 1_500)
  t.ok(JSON.stringify(flooded).length < 600_000)
})
