// Names of built-in object properties work as client ids and topics.

import type { MqttClient } from 'mqtt'
import t, { type Test } from 'tap'
import { connect, nextEvent, messages } from '../mqtt-client.js'
import { startBroker, type RunningBroker } from '../running-broker.js'

const NAMES = ['constructor', '__proto__', 'prototype', 'toString', 'hasOwnProperty', 'valueOf', '__defineGetter__']
const VERSIONS = [4, 5] as const

function connectAs(
  test: Test,
  { url }: RunningBroker,
  clientId: string,
  protocolVersion: 4 | 5,
  clean = true
): Promise<MqttClient> {
  const properties = protocolVersion === 5 && !clean ? { sessionExpiryInterval: 60 } : {}
  return connect(test, url, { clientId, protocolVersion, clean, properties })
}

for (const version of VERSIONS) {
  t.test(`version ${version}: such client ids connect, are taken over, disconnect and reconnect`, async t => {
    const broker = await startBroker(t, t.testdir({}))
    const observer = await connectAs(t, broker, 'observer', version)
    await observer.subscribeAsync('#')
    for (const name of NAMES) {
      for (const clean of [true, false]) {
        const first = await connectAs(t, broker, name, version, clean)
        await first.subscribeAsync('all', { qos: 1 })
        const cut = nextEvent(first, 'close')
        const second = await connectAs(t, broker, name, version, clean)
        await cut
        await second.subscribeAsync('all', { qos: 1 })
        const got = messages(second, 1)
        const seen = messages(observer, 1)
        await second.publishAsync('all', name, { qos: 1 })
        t.same(await got, [`all ${name}`])
        t.same(await seen, [`all ${name}`])
        await second.endAsync()
      }
    }
    t.match(await broker.stop(), { code: 0 })
  })

  t.test(`version ${version}: such topics are subscribed, one by one and together, and unsubscribed`, async t => {
    const broker = await startBroker(t, t.testdir({}))
    const client = await connectAs(t, broker, 'client', version, false)
    for (const name of NAMES) {
      const [grant] = await client.subscribeAsync(name, { qos: 1 })
      t.equal(grant.qos, 1, name)
      const got = messages(client, 1)
      await client.publishAsync(name, 'alone', { qos: 1 })
      t.same(await got, [`${name} alone`])
      await client.unsubscribeAsync(name)
    }
    const identifier = version === 5 ? { properties: { subscriptionIdentifier: 7 } } : {}
    const grants = await client.subscribeAsync(['first', ...NAMES, 'last'], { qos: 1, ...identifier })
    t.same(
      grants.map(({ qos }) => qos),
      [1, ...NAMES.map(() => 1), 1]
    )
    for (const name of ['first', ...NAMES, 'last']) {
      const got = messages(client, 1)
      await client.publishAsync(name, 'together', { qos: 1 })
      t.same(await got, [`${name} together`])
    }
    t.match(await broker.stop(), { code: 0 })
  })
}

t.test('such names of user properties of a retained message survive a restart', async t => {
  const folder = t.testdir({})
  const userProperties = Object.fromEntries(NAMES.filter(name => name !== '__proto__').map(name => [name, 'x']))
  const first = await startBroker(t, folder)
  const publisher = await connectAs(t, first, 'publisher', 5)
  await publisher.publishAsync('kept', 'x', { qos: 2, retain: true, properties: { userProperties } })
  t.match(await first.stop(), { code: 0 })

  const second = await startBroker(t, folder)
  const reader = await connectAs(t, second, 'reader', 5)
  const got = nextEvent(reader, 'message')
  await reader.subscribeAsync('kept')
  const [, , packet] = await got
  t.same({ ...packet.properties?.userProperties }, userProperties)
})
