// Cases of the comparison: read and write access to topics.

import type { ComparedBroker } from './compared-brokers.js'
import type { ComparedCase } from './cases.js'
import { MARK, Probe, type ProbeOptions } from './probe.js'

const RULES = `# Before the first user: for clients without a username.
topic ${MARK}
topic read open/#
topic deny open/secret

user reader
topic ${MARK}
topic #
topic read $SYS/#

user alice
topic ${MARK}
topic alice/#
topic deny alice/no/+
topic write only/in
topic read only/out
topic readwrite with a space

user bob

pattern write up/%c/#
pattern read down/%c
pattern own/%u/#
pattern deny own/%u/locked
`

const CONFIG = {
  conf: 'listener {port} 127.0.0.1\nallow_anonymous true\nacl_file {dir}/rules\n',
  files: { rules: RULES }
}

/** Returns the topics that a client may write to, as seen by a subscriber with full access. */
async function written(
  { port }: ComparedBroker,
  who: Partial<ProbeOptions>,
  topics: readonly string[]
): Promise<unknown> {
  const reader = await Probe.connect({ port, username: 'reader' })
  await reader.subscribe(['#', '$SYS/broker/connection/#'], 2)
  const writer = await Probe.connect({ port, ...who })
  const answers: Record<string, unknown> = {}
  for (const topic of topics) {
    for (const qos of [0, 1, 2] as const) {
      const answer = await writer.publish(topic, 'x', { qos })
      if (qos > 0) answers[topic] = [answers[topic] ?? [], answer].flat()
    }
  }
  const other = await Probe.connect({ port, username: 'reader' })
  await reader.caughtUpWith(other)
  const result = {
    answers,
    seen: topics.map(topic => reader.received.filter(line => line.startsWith(`${topic} x`)).length)
  }
  await Promise.all([reader.end(), writer.end(), other.end()])
  return result
}

const ALICES = [
  'alice/a',
  'alice/no/a',
  'alice/no/a/b',
  'other',
  'only/in',
  'only/out',
  'with a space',
  'up/al/x',
  'up/other/x',
  'own/alice/x',
  'own/alice/locked',
  'own/bob/x',
  '$SYS/x'
]
const ALICES_SEEN = [3, 0, 3, 0, 3, 0, 3, 3, 0, 3, 0, 0, 0]

export const TOPIC_CASES: readonly ComparedCase[] = [
  {
    name: 'a denied publish is not reported to MQTT 3.1.1 clients',
    config: CONFIG,
    run: broker => written(broker, { username: 'alice', clientId: 'al' }, ALICES),
    expected: { answers: Object.fromEntries(ALICES.map(topic => [topic, ['ok', 'ok']])), seen: ALICES_SEEN }
  },
  {
    name: 'a denied publish is reported to MQTT 5 clients',
    config: CONFIG,
    run: broker => written(broker, { username: 'alice', clientId: 'al', version: 5 }, ALICES),
    expected: {
      answers: Object.fromEntries(
        ALICES.map((topic, index) => [topic, ALICES_SEEN[index] === 0 ? [135, 135] : ['ok', 'ok']])
      ),
      seen: ALICES_SEEN
    }
  },
  {
    name: 'without a username, the rules before the first user and patterns with %c apply',
    config: CONFIG,
    run: broker =>
      written(broker, { clientId: 'an' }, ['open/a', 'alice/a', 'up/an/x', 'own/an/x', 'own//x', 'own/%u/x']),
    expected: {
      answers: {
        'open/a': ['ok', 'ok'],
        'alice/a': ['ok', 'ok'],
        'up/an/x': ['ok', 'ok'],
        'own/an/x': ['ok', 'ok'],
        'own//x': ['ok', 'ok'],
        'own/%u/x': ['ok', 'ok']
      },
      seen: [0, 0, 3, 0, 0, 0]
    }
  },
  {
    name: 'patterns do not apply to client ids with wildcards',
    config: CONFIG,
    run: async broker => {
      const seen: unknown[] = []
      for (const clientId of ['+', '#', 'a+b', 'a#'])
        seen.push(await written(broker, { username: 'bob', clientId, version: 5 }, ['up/a/x', 'own/bob/x']))
      return seen
    },
    expected: Array(4).fill({ answers: { 'up/a/x': [135, 135], 'own/bob/x': [135, 135] }, seen: [0, 0] })
  },
  {
    name: 'a client id with a level separator',
    config: CONFIG,
    run: broker => written(broker, { username: 'bob', clientId: 'a/b', version: 5 }, ['up/a/b/x']),
    expected: { answers: { 'up/a/b/x': ['ok', 'ok'] }, seen: [3] },
    ours: {
      expected: { answers: { 'up/a/b/x': [135, 135] }, seen: [0] },
      why: 'client a/b could write below the topics of client a'
    }
  },
  {
    name: 'subscriptions to any filter are accepted, but only readable messages are delivered, including retained ones',
    config: CONFIG,
    run: async ({ port }) => {
      const writer = await Probe.connect({ port, username: 'reader' })
      const topics = [
        'open/kept',
        'open/secret',
        'alice/kept',
        'only/in',
        'only/out',
        'down/al',
        'down/other',
        'own/alice/kept',
        'own/bob/kept',
        'elsewhere'
      ]
      for (const topic of topics) await writer.publish(topic, 'kept', { retain: true })
      const result: Record<string, unknown> = {}
      for (const [name, who] of Object.entries({
        alice: { username: 'alice', clientId: 'al' },
        nobody: { clientId: 'an' }
      })) {
        const client = await Probe.connect({ port, version: 5, ...who })
        const granted = await client.subscribe(['#', 'elsewhere', 'open/secret', '$SYS/#', '$CONTROL/#'], 1)
        for (const topic of topics) await writer.publish(topic, 'new')
        await client.caughtUpWith(writer)
        result[name] = {
          granted,
          got: [...new Set(client.received.map(line => line.replace(/ q\d/, '')))]
            .filter(line => !line.startsWith('$'))
            .sort()
        }
        await client.end()
      }
      for (const topic of topics) await writer.publish(topic, '', { retain: true })
      await writer.end()
      return result
    },
    expected: {
      alice: {
        granted: [1, 1, 1, 1, 1],
        got: [
          'alice/kept kept R',
          'alice/kept new',
          'down/al kept R',
          'down/al new',
          'only/out kept R',
          'only/out new',
          'own/alice/kept kept R',
          'own/alice/kept new'
        ]
      },
      nobody: { granted: [1, 1, 1, 1, 1], got: ['open/kept kept R', 'open/kept new'] }
    }
  },
  {
    name: 'a will on a topic that its client may not write to is not published',
    config: CONFIG,
    run: async ({ port }) => {
      const reader = await Probe.connect({ port, username: 'reader' })
      await reader.subscribe('#', 1)
      for (const topic of ['alice/will', 'other/will']) {
        const client = await Probe.connect({
          port,
          username: 'alice',
          clientId: 'al',
          will: { topic, payload: Buffer.from('gone'), qos: 1, retain: false }
        })
        await client.vanish()
      }
      const writer = await Probe.connect({
        port,
        username: 'alice',
        clientId: 'al',
        will: { topic: 'alice/last', payload: Buffer.from('gone'), qos: 1, retain: false }
      })
      await writer.vanish()
      // Wills arrive in the order in which their clients disconnected.
      while (!reader.received.some(line => line.startsWith('alice/last'))) await reader.caughtUpWith(reader)
      await reader.end()
      return reader.received
    },
    expected: ['alice/will gone q1', 'alice/last gone q1']
  },
  {
    name: 'SIGHUP changes the access rights of connected clients',
    config: CONFIG,
    run: async ({ port, rewrite, reload }) => {
      const reader = await Probe.connect({ port, username: 'reader' })
      const alice = await Probe.connect({ port, username: 'alice', version: 5 })
      await reader.subscribe('#')
      const before = await alice.publish('alice/a')
      rewrite('rules', RULES.replace('topic alice/#', 'topic alicia/#'))
      await reload()
      const after = [await alice.publish('alice/a'), await alice.publish('alicia/a')]
      await reader.caughtUpWith(alice)
      await Promise.all([reader.end(), alice.end()])
      return [before, ...after, ...reader.received]
    },
    expected: ['ok', 135, 'ok', 'alice/a x q0', 'alicia/a x q0']
  },
  {
    name: 'without rules, all topics except $SYS are writable',
    config: { conf: 'listener {port} 127.0.0.1\nallow_anonymous true\n' },
    run: async ({ port }) => {
      const result: unknown[] = []
      for (const version of [3, 4, 5] as const) {
        const client = await Probe.connect({ port, version })
        await client.subscribe(['#', '$other/#', '$SYS/forged/#'], 2)
        for (const topic of ['plain', '$other/x', '$SYS/forged/x'])
          result.push(await client.publish(topic, 'x', { qos: 2 }))
        result.push(await client.caughtUpWith(client), client.closed)
        await client.end()
      }
      return result
    },
    expected: [
      'ok',
      'ok',
      'ok',
      ['plain x q2', '$other/x x q2'],
      false,
      'ok',
      'ok',
      'ok',
      ['plain x q2', '$other/x x q2'],
      false,
      'ok',
      'ok',
      135,
      ['plain x q2', '$other/x x q2'],
      false
    ]
  }
]
