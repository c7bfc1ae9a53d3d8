// Payload profiles of topics: unusual payloads stand out, rare short words do not.

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
  const profile = new PayloadProfile()
  for (const each of usual) profile.learnBytes(each)
  for (const each of usual) profile.learnTopic(each)
  return profile
}

const profile = learnt()

t.test('usual payloads are not surprising on their topic, including rare short words', async t => {
  for (const each of [usual[0], usual[2], sample('home/lamp/state', 'ON')])
    t.ok(profile.deviationOf(each, false).surprise < 3)
  t.ok(profile.deviationOf(sample('home/lamp/brightness', 'ON'), false).surprise < 3, 'on an unknown topic')
})

t.test('the same words on another topic, and unusual bytes on any topic, are surprising', async t => {
  t.ok(profile.deviationOf(sample('home/room1/climate', 'OFF'), false).lengthSurprise > 5)
  t.ok(
    profile.deviationOf(sample('home/room1/climate', `${random.integer(9)}${'f3a09b77c1d2e5f6'.repeat(3)}`), false)
      .surprise > 3
  )
  const binary = Uint8Array.from({ length: 40 }, () => random.integer(256))
  t.ok(profile.deviationOf(sample('somewhere/else', binary), false).likelihood < profile.model.neutral - 2)
})

t.test('JSON restores them', async t => {
  const loaded = PayloadProfile.fromJSON(JSON.parse(JSON.stringify(profile)))
  for (const each of usual.slice(0, 9)) t.same(loaded.deviationOf(each, false), profile.deviationOf(each, false))
  t.throws(() => PayloadProfile.fromJSON({ ...profile.toJSON(), topics: '' }), { code: 'state' })
})

t.test('the number of learned topics is capped, and the others are counted', async t => {
  const flooded = new PayloadProfile()
  const many = Array.from({ length: 6_000 }, (_, i) => sample(`flood/${i}`, '1'))
  for (const each of many) flooded.learnBytes(each)
  for (const each of many) flooded.learnTopic(each)
  t.ok(flooded.dropped > 1_500)
  t.ok(JSON.stringify(flooded).length < 600_000)
})
