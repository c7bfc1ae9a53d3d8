// Cases of the comparison: delivery, retention and limits of messages.

import { waitUntil } from '../../support/wait-until.js'
import type { ComparedBroker } from './compared-brokers.js'
import type { ComparedCase } from './cases.js'
import { MARK, Probe } from './probe.js'
import { SlowClient } from './slow-client.js'

const OPEN = 'listener {port} 127.0.0.1\nallow_anonymous true\n'

const FILTERS = ['a', 'a/b', 'a/+', 'a/#', '+', '+/+', '+/b', '#', '/+', '+/+/+', 'a/+/c', 'a//c', '/#', 'b/#']
const TOPICS = ['a', 'a/b', 'a/b/c', 'a//c', '/a', 'b', '$x/y']

/** Returns the topics that each filter matches. */
async function matching({ port }: ComparedBroker): Promise<unknown> {
  const writer = await Probe.connect({ port })
  const matched: Record<string, string[]> = {}
  for (const filter of FILTERS) {
    const client = await Probe.connect({ port })
    await client.subscribe([filter, MARK])
    for (const topic of TOPICS) await writer.publish(topic, 'x', { qos: 0 })
    matched[filter] = (await client.caughtUpWith(writer)).map(line => line.split(' ')[0] ?? '')
    await client.end()
  }
  await writer.end()
  return matched
}

export const MESSAGE_CASES: readonly ComparedCase[] = [
  {
    name: 'wildcards',
    config: { conf: OPEN },
    run: matching,
    expected: {
      a: ['a'],
      'a/b': ['a/b'],
      'a/+': ['a/b'],
      'a/#': ['a', 'a/b', 'a/b/c', 'a//c'],
      '+': ['a', 'b'],
      '+/+': ['a/b', '/a'],
      '+/b': ['a/b'],
      '#': ['a', 'a/b', 'a/b/c', 'a//c', '/a', 'b'],
      '/+': ['/a'],
      '+/+/+': ['a/b/c', 'a//c'],
      'a/+/c': ['a/b/c', 'a//c'],
      'a//c': ['a//c'],
      '/#': ['/a'],
      'b/#': ['b']
    }
  },
  {
    name: 'the lower QoS of publisher and subscriber, with each version',
    config: { conf: OPEN },
    run: async ({ port }) => {
      const got: string[] = []
      for (const version of [3, 4, 5] as const) {
        for (const qos of [0, 1, 2] as const) {
          const client = await Probe.connect({ port, version })
          got.push(String(await client.subscribe(['t', MARK], qos)))
          for (const sent of [0, 1, 2] as const) await client.publish('t', String(sent), { qos: sent })
          got.push(...(await client.caughtUpWith(client)))
          await client.end()
        }
      }
      return got
    },
    expected: Array(3)
      .fill([
        '0,0',
        't 0 q0',
        't 1 q0',
        't 2 q0',
        '1,1',
        't 0 q0',
        't 1 q1',
        't 2 q1',
        '2,2',
        't 0 q0',
        't 1 q1',
        't 2 q2'
      ])
      .flat()
  },
  {
    name: 'retained messages: sent to new subscribers, replaced, removed',
    config: { conf: OPEN },
    run: async ({ port }) => {
      const writer = await Probe.connect({ port })
      const early = await Probe.connect({ port })
      await early.subscribe(['k/#', MARK], 1)
      await writer.publish('k/1', 'one', { retain: true })
      await writer.publish('k/1', 'two', { retain: true })
      await writer.publish('k/2', 'gone', { retain: true })
      await writer.publish('k/2', '', { retain: true })
      await writer.publish('k/3', 'not kept')
      const live = [...(await early.caughtUpWith(writer))]
      const late = await Probe.connect({ port })
      await late.subscribe(['k/#', MARK], 1)
      const kept = await late.caughtUpWith(writer)
      await Promise.all([writer.end(), early.end(), late.end()])
      return { live, kept }
    },
    expected: {
      live: ['k/1 one q1', 'k/1 two q1', 'k/2 gone q1', 'k/2  q1', 'k/3 not kept q1'],
      kept: ['k/1 two q1 R']
    }
  },
  {
    name: 'a will is published on connection loss, and not on DISCONNECT',
    config: { conf: OPEN },
    run: async ({ port }) => {
      const reader = await Probe.connect({ port })
      await reader.subscribe(['will/#', MARK], 1)
      const will = (topic: string): object => ({ will: { topic, payload: Buffer.from('gone'), qos: 1, retain: true } })
      const polite = await Probe.connect({ port, ...will('will/polite') })
      await polite.end()
      const rude = await Probe.connect({ port, ...will('will/rude') })
      await rude.vanish()
      while (reader.received.length === 0) await reader.caughtUpWith(reader)
      const late = await Probe.connect({ port })
      await late.subscribe(['will/#', MARK], 1)
      const kept = await late.caughtUpWith(reader)
      await Promise.all([reader.end(), late.end()])
      return { live: reader.received, kept }
    },
    expected: { live: ['will/rude gone q1'], kept: ['will/rude gone q1 R'] }
  },
  {
    name: 'a persistent session gets the QoS 1 and 2 messages sent while its client was offline',
    config: { conf: OPEN },
    run: async ({ port }) => {
      const session = { port, clientId: 'lasting', clean: false }
      const first = await Probe.connect(session)
      await first.subscribe(['s/#', MARK], 2)
      await first.end()
      const writer = await Probe.connect({ port })
      for (const qos of [0, 1, 2] as const) await writer.publish('s/x', String(qos), { qos })
      const again = await Probe.connect(session)
      const got = await again.caughtUpWith(writer)
      await Promise.all([writer.end(), again.end()])
      return { before: first.connack.sessionPresent, after: again.connack.sessionPresent, got }
    },
    expected: { before: false, after: true, got: ['s/x 1 q1', 's/x 2 q2'] }
  },
  {
    name: 'max_queued_messages limits the queue of a client',
    config: { conf: `${OPEN}max_queued_messages 5\nmax_inflight_messages 3\n` },
    run: async ({ port }) => {
      const session = { port, clientId: 'lasting', clean: false }
      const first = await Probe.connect(session)
      await first.subscribe(['s/#', MARK], 1)
      await first.end()
      const writer = await Probe.connect({ port })
      for (let i = 0; i < 20; i++) await writer.publish('s/x', String(i))
      const again = await Probe.connect(session)
      // The mark would not fit into the full queue.
      await waitUntil('the queue is empty', () => again.received.length >= 5)
      const got = await again.caughtUpWith(writer)
      await Promise.all([writer.end(), again.end()])
      return got
    },
    expected: [0, 1, 2, 3, 4].map(i => `s/x ${i} q1`)
  },
  {
    name: 'max_inflight_messages and Receive Maximum limit the in-flight window',
    config: { conf: `${OPEN}max_inflight_messages 4\n` },
    run: async ({ port }) => {
      const writer = await Probe.connect({ port })
      const results: unknown[] = []
      for (const fields of [
        { level: 3 },
        { level: 4 },
        { level: 5 },
        { level: 5, receiveMaximum: 2 },
        { level: 5, receiveMaximum: 9 }
      ] as const) {
        const client = await SlowClient.connect(port, fields)
        await client.subscribe('t')
        for (let i = 0; i < 12; i++) await writer.publish('t', String(i))
        const unacknowledged = await client.halted()
        results.push([unacknowledged, (await client.take(12)).join(' ')])
        client.end()
      }
      const lasting = { clientId: 'slow', clean: false }
      const away = await SlowClient.connect(port, lasting)
      await away.subscribe('t')
      away.end()
      for (let i = 0; i < 12; i++) await writer.publish('t', String(i))
      const back = await SlowClient.connect(port, lasting)
      const unacknowledged = await back.halted()
      results.push([unacknowledged, (await back.take(12)).join(' ')])
      for (let i = 0; i < 12; i++) await writer.publish(`kept/${i}`, String(i), { retain: true })
      const late = await SlowClient.connect(port, {})
      await late.subscribe('kept/#')
      results.push([
        await late.halted(),
        [...(await late.take(12))]
          .map(Number)
          .sort((a, b) => a - b)
          .join(' ')
      ])
      await writer.end()
      back.end()
      late.end()
      return results
    },
    expected: [4, 4, 4, 2, 9, 4, 4].map(count => [count, '0 1 2 3 4 5 6 7 8 9 10 11']),
    ours: {
      expected: [4, 4, 4, 2, 4, 4, 4].map(count => [count, '0 1 2 3 4 5 6 7 8 9 10 11']),
      why: 'in mosquitto a Receive Maximum replaces the limit, here the smaller one applies: a client must not raise the limit of the broker'
    }
  },
  {
    name: 'max_packet_size: announced to MQTT 5 clients, larger packets disconnect the client',
    config: { conf: `max_packet_size 1000\n${OPEN}` },
    run: async ({ port }) => {
      const result: unknown[] = []
      for (const version of [4, 5] as const) {
        const client = await Probe.connect({ port, version })
        result.push(client.connack.properties?.maximumPacketSize, await client.publish('t', 'x'.repeat(900)))
        // MQTT.js itself would respect the announced limit.
        const other = await Probe.connect({ port, version: 4 })
        result.push(await other.publish('t', 'x'.repeat(1100)))
        await client.end()
      }
      return result
    },
    expected: [undefined, 'ok', 'closed', 1000, 'ok', 'closed']
  },
  {
    name: 'message_size_limit: larger messages are acknowledged and dropped',
    config: { conf: `message_size_limit 100\n${OPEN}` },
    run: async ({ port }) => {
      const client = await Probe.connect({ port })
      await client.subscribe(['t', MARK], 2)
      const answers = [
        await client.publish('t', 'x'.repeat(100)),
        await client.publish('t', 'y'.repeat(101)),
        await client.publish('t', 'z'.repeat(101), { qos: 2 })
      ]
      const got = await client.caughtUpWith(client)
      await client.end()
      return { answers, got }
    },
    expected: { answers: ['ok', 'ok', 'ok'], got: [`t ${'x'.repeat(40)} q1`] }
  },
  {
    name: 'max_keepalive: announced to MQTT 5 clients, older clients are accepted with more',
    config: { conf: `max_keepalive 30\n${OPEN}` },
    run: async ({ port }) => {
      const client = await Probe.connect({ port, version: 5, keepalive: 60 })
      await client.end()
      return {
        told: client.connack.properties?.serverKeepAlive,
        older: [
          await Probe.connack({ port, keepalive: 20 }),
          await Probe.connack({ port, keepalive: 60 }),
          await Probe.connack({ port, keepalive: 0 })
        ]
      }
    },
    expected: { told: 30, older: [0, 0, 0] },
    ours: {
      expected: { told: 30, older: [0, 2, 2] },
      why: 'they cannot be informed, and could keep a dead connection open indefinitely; later versions of mosquitto 2.0 refuse them too'
    }
  }
]
