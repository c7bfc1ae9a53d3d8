// Industrial devices: binary payloads like Sparkplug B, and MQTT 5 features.

import type { RandomSource } from '../random-source.js'
import type { DeviceKind } from '../device.js'
import { Walk } from './walk.js'

const SECOND = 1_000

/** An edge node of a plant: binary metrics, birth and death certificates. */
export const plant: DeviceKind = {
  name: 'plant',
  summary:
    "a plant's edge nodes: binary metrics like Sparkplug B, birth and death certificates, subscriptions to commands at QoS 1",
  residents: 3,
  ordinary: true,
  start(device) {
    const { random, name } = device
    const node = `spBv1.0/Plant${random.integer(1, 9)}`
    const clientId = `edge-${random.hex(6)}`
    const client = device.open({
      clientId,
      keepalive: 30,
      will: device.will(clientId, `${node}/NDEATH/${name}`, metrics(random, 1, []).toString('latin1'), { qos: 1 })
    })
    const walks = Array.from(
      { length: random.integer(4, 12) },
      () => new Walk(random, 0, random.oneOf([10, 100, 1_000]), 2)
    )
    client.on('connect', () => {
      client.subscribe([`${node}/NCMD/${name}/#`, `${node}/DCMD/${name}/#`], { qos: 1 })
      device.publish(client, `${node}/NBIRTH/${name}`, metrics(random, 8, walks), { qos: 0 })
    })
    device.every(random.between(1.5, 5) * SECOND, () => {
      device.publish(
        client,
        `${node}/NDATA/${name}`,
        metrics(random, 0, walks.slice(0, random.integer(1, walks.length))),
        { qos: 0 }
      )
    })
  }
}

/** An MQTT 5 machine: properties, topic aliases, request and response. */
export const machine: DeviceKind = {
  name: 'machine',
  summary:
    'MQTT 5 machines: content type, expiry, user properties, topic aliases, requests with response topic and correlation data, QoS 2; one over TLS',
  residents: 4,
  ordinary: true,
  start(device) {
    const { random, home, name, party } = device
    const clientId = `m5-${random.hex(8)}`
    const topic = `${home.base}/machine/${name}`
    const client = device.open({
      clientId,
      protocolVersion: 5,
      transport: party.index === 0 ? 'tls' : 'tcp',
      clean: random.chance(0.5),
      keepalive: 20,
      autoAssignTopicAlias: random.chance(0.4),
      properties: { sessionExpiryInterval: 120, receiveMaximum: 40, topicAliasMaximum: 10 },
      will: device.will(clientId, `${topic}/state`, 'gone', { qos: 1, retain: true })
    })
    const speed = new Walk(random, 200, 1_500, 20)
    client.on('connect', () => {
      device.publish(client, `${topic}/state`, 'running', { qos: 1, retain: true })
      client.subscribe([`${topic}/response`, `${home.base}/machine/+/request`], { qos: 1 })
    })
    client.on('message', (_topic, _payload, { properties }) => {
      const answer = properties?.responseTopic
      if (answer === undefined || random.chance(0.5)) return
      device.publish(client, answer, JSON.stringify({ ok: true, machine: name }), {
        qos: 1,
        properties: { correlationData: properties?.correlationData }
      })
    })
    device.every(random.between(2, 6) * SECOND, () => {
      device.publish(
        client,
        `${topic}/telemetry`,
        JSON.stringify({
          rpm: speed.round(1),
          load: Number(random.between(0.2, 0.9).toFixed(3)),
          job: random.integer(1, 40)
        }),
        {
          qos: random.oneOf([0, 1]),
          properties: {
            contentType: 'application/json',
            messageExpiryInterval: 60,
            payloadFormatIndicator: true,
            userProperties: { line: 'A', unit: name }
          }
        }
      )
    })
    device.atRandomTimes(15 * SECOND, () => {
      device.publish(client, `${topic}/count`, String(random.integer(1, 9_999)), { qos: 2 })
    })
    device.atRandomTimes(20 * SECOND, () => {
      device.publish(
        client,
        `${topic}/request`,
        JSON.stringify({ method: random.oneOf(['status', 'program', 'tools']) }),
        { qos: 1, properties: { responseTopic: `${topic}/response`, correlationData: random.bytes(8) } }
      )
    })
  }
}

/** Encodes metrics as protocol buffer fields: time, then name, type and value of each. */
function metrics(random: RandomSource, names: number, walks: readonly Walk[]): Buffer {
  const parts: Buffer[] = [Buffer.from([0x08]), varint(Date.now())]
  for (const [i, walk] of walks.entries()) {
    const value = Buffer.alloc(5)
    value[0] = 0x65
    value.writeFloatLE(walk.next(), 1)
    const label =
      names > 0 ? Buffer.concat([Buffer.from([0x0a, 8]), Buffer.from(`Metric/${i % 10}`)]) : Buffer.from([0x10, i])
    const body = Buffer.concat([label, Buffer.from([0x18]), varint(Date.now()), Buffer.from([0x20, 9]), value])
    parts.push(Buffer.from([0x12, body.length]), body)
  }
  parts.push(Buffer.from([0x18, random.integer(0, 127)]))
  return Buffer.concat(parts)
}

function varint(value: number): Buffer {
  const bytes = []
  let rest = value
  do {
    bytes.push((rest % 128) | (rest >= 128 ? 128 : 0))
    rest = Math.floor(rest / 128)
  } while (rest > 0)
  return Buffer.from(bytes)
}
