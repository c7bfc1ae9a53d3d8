// Control over MQTT on both versions of Aedes: authorisation, commands, and responses that only the requester gets.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { ControlResponse } from '../../src/control/request.js'
import { CONTROL_TOPICS, type Requester } from '../../src/index.js'
import { publish, subscribe } from '../decode/craft-mqtt.js'
import { selfWatching, garbage, type SelfWatching } from '../plugin/watching-itself.js'
import { from } from '../respond/watched-broker.js'
import { BROKER_VERSIONS } from '../support/brokers.js'
import { connectBytes, RawClient, TYPE } from '../support/raw-client.js'
import { waitUntil } from '../support/wait-until.js'

const OPERATOR = '192.0.2.1'
const HERE = '192.0.2.7'

const control = { authorize: ({ client: { address } }: Requester) => address === OPERATOR }

async function operatorOf({ broker }: SelfWatching): Promise<RawClient> {
  return await RawClient.connect(broker, { clientId: 'operator' }, from(OPERATOR))
}

/** Sends commands and returns the next response. */
async function ask(client: RawClient, ...commands: object[]): Promise<ControlResponse[]> {
  return await send(client, JSON.stringify({ commands }))
}

async function send(client: RawClient, payload: string, qos = 0): Promise<ControlResponse[]> {
  const before = answersTo(client).length
  client.send(publish(CONTROL_TOPICS.request, payload, { qos }))
  await waitUntil('a response', () => answersTo(client).length > before)
  const answer = answersTo(client)[before]
  return (JSON.parse(answer.payload) as { responses: ControlResponse[] }).responses
}

function createdOf(status: object): string | undefined {
  return (status as { model?: { created: string } }).model?.created
}

function answersTo(client: RawClient): { payload: string }[] {
  return client.received.filter(({ type, topic }) => type === TYPE.publish && topic === CONTROL_TOPICS.response)
}

for (const version of BROKER_VERSIONS) {
  t.test(version.name, async t => {
    t.test('responses go to the requester only, requests to no client', async t => {
      const it = await selfWatching(t, version, { control })
      const spy = await RawClient.connect(it.broker, { clientId: 'spy' }, from(HERE))
      spy.send(subscribe(['$CONTROL/#', '#', CONTROL_TOPICS.request, CONTROL_TOPICS.response]))
      await spy.next(TYPE.suback)
      const operator = await operatorOf(it)
      for (const qos of [0, 1]) {
        const [response] = await send(
          operator,
          JSON.stringify({ commands: [{ command: 'clients', correlationData: 'a7' }] }),
          qos
        )
        t.match(response, { command: 'clients', correlationData: 'a7', data: { more: 0 } })
      }
      operator.send(publish('room', 'last'))
      await spy.next(TYPE.publish, ({ topic }) => topic === 'room')
      t.same(spy.topics, ['room'])
      t.match(it.ids.status(), { control: { requests: 2, refused: 0 } })
    })

    t.test('an unauthorised request gets an error and has no effect', async t => {
      const it = await selfWatching(t, version, { control })
      const other = await RawClient.connect(it.broker, { clientId: 'other' }, from(HERE))
      t.match(await ask(other, { command: 'ban', address: OPERATOR }), [{ error: /may not/, remedy: /.+/ }])
      t.same(await ask(await operatorOf(it), { command: 'bans' }), [{ command: 'bans', data: { bans: [] } }])
      t.match(it.ids.status(), { control: { requests: 1, refused: 1 } })
    })

    t.test("the broker's own authorisation is checked first", async t => {
      const it = await selfWatching(
        t,
        version,
        { control: { authorize: () => true } },
        {
          authorizePublish: (client, { topic }, callback) => {
            callback(topic.startsWith('$CONTROL/') && client?.id !== 'operator' ? new Error('no') : null)
          },
          authorizeForward: () => null
        }
      )
      const other = await RawClient.connect(it.broker, { clientId: 'other' }, from(OPERATOR))
      other.send(publish(CONTROL_TOPICS.request, '{"commands":[{"command":"bans"}]}'))
      await other.whenClosed()
      t.same(answersTo(other), [])
      t.match(
        await ask(await operatorOf(it), { command: 'bans' }),
        [{ data: { bans: [] } }],
        'a client with write access gets a response regardless of its read access'
      )
    })

    t.test('clients cannot publish responses', async t => {
      const it = await selfWatching(t, version, { control })
      const forger = await RawClient.connect(
        it.broker,
        { clientId: 'forger', will: { topic: CONTROL_TOPICS.response, payload: 'x' } },
        from(OPERATOR)
      )
      const operator = await operatorOf(it)
      operator.send(subscribe([CONTROL_TOPICS.response]))
      forger.send(publish(CONTROL_TOPICS.response, '{}'))
      await forger.whenClosed()
      const asking = await RawClient.connect(
        it.broker,
        { clientId: 'asking', will: { topic: CONTROL_TOPICS.request, payload: '{"commands":[]}' } },
        from(OPERATOR)
      )
      asking.stream.destroy()
      await asking.whenClosed()
      await ask(operator, { command: 'bans' })
      t.equal(answersTo(operator).length, 1)
    })

    t.test('invalid requests get an error and have no effect', async t => {
      const it = await selfWatching(t, version, { control })
      const operator = await operatorOf(it)
      for (const payload of [
        '',
        'null',
        '[]',
        '{}',
        '{"commands":{}}',
        '{"commands":[1]}',
        '{"commands":[{"command":7}]}',
        `{"commands":[${'{"command":"x"},'.repeat(200)}1]}`,
        'x'.repeat(70_000)
      ]) {
        t.match(await send(operator, payload), [{ error: /request/, remedy: /commands/ }], payload.slice(0, 30))
      }
      for (const command of [
        { command: 'toString' },
        { command: 'ban' },
        { command: 'ban', address: 'kitchen' },
        { command: 'ban', address: 7 },
        { command: 'ban', clientId: '' },
        { command: 'ban', address: HERE, seconds: 0 },
        { command: 'ban', address: HERE, seconds: 1e9 },
        { command: 'ban', address: HERE, seconds: 'x' },
        { command: 'unban' },
        { command: 'allow' },
        { command: 'allow', entry: '10.0.0.0/33' },
        { command: 'allow', entry: 'client:' },
        { command: 'disallow', entry: '10.0.0.1' },
        { command: 'ban', address: OPERATOR }
      ])
        t.match(await ask(operator, command), [{ error: /.+/, remedy: /.+/ }], JSON.stringify(command))
      t.match(
        await ask(operator, { command: 'ban', address: 'kitchen' }, { command: 'allow', entry: 'x' }),
        [{ error: 'address "kitchen" is not an IP address' }, { error: 'entry "x" is not a valid allow-list entry' }],
        'the message contains the value'
      )
      t.match(await ask(operator, { command: 'bans' }, { command: 'allowed' }), [
        { data: { bans: [] } },
        { data: { allow: [] } }
      ])
    })

    t.test('a ban disconnects and refuses clients, an unban admits them, and both are reported', async t => {
      const eve = join(t.testdir(), 'eve.json')
      const it = await selfWatching(t, version, { control, report: { eve } })
      const events: unknown[] = []
      it.ids.on('ban', ({ address, clientId }, ending) => events.push([address, clientId, ending]))
      const operator = await operatorOf(it)
      const first = await RawClient.connect(it.broker, { clientId: 'lamp' }, from(HERE))
      const second = await RawClient.connect(it.broker, { clientId: 'lamp-2' }, from('192.0.2.8'))
      t.match(await ask(operator, { command: 'ban', address: `::ffff:${HERE}`, seconds: 60 }), [
        { data: { thrownOut: 1, ban: { address: HERE, clientId: null, by: 'operator' } } }
      ])
      await first.whenClosed()
      t.match(await ask(operator, { command: 'ban', clientId: 'lamp-2' }), [{ data: { thrownOut: 1 } }])
      await second.whenClosed()
      for (const [address, clientId] of [
        [HERE, 'any'],
        ['192.0.2.9', 'lamp-2']
      ]) {
        const refused = new RawClient(it.broker, from(address, 50_009))
        refused.send(connectBytes({ clientId }))
        await refused.whenClosed()
        t.same(refused.received, [])
      }
      t.match(
        await ask(
          operator,
          { command: 'unban', address: HERE },
          { command: 'unban', clientId: 'lamp-2' },
          { command: 'unban', clientId: 'lamp-2' }
        ),
        [
          { data: { lifted: [{ address: HERE }] } },
          { data: { lifted: [{ clientId: 'lamp-2' }] } },
          { data: { lifted: [] } }
        ]
      )
      await RawClient.connect(it.broker, { clientId: 'lamp' }, from(HERE, 50_010))
      t.same(events, [
        [HERE, null, undefined],
        [null, 'lamp-2', undefined],
        [HERE, null, 'lifted'],
        [null, 'lamp-2', 'lifted']
      ])
      await it.ids.close()
      const lines = readFileSync(eve, 'utf8')
        .trim()
        .split('\n')
        .map(line => JSON.parse(line) as object)
      t.match(lines[0], {
        event_type: 'ban',
        src_ip: HERE,
        artemis: { state: 'begun', by: 'operator', client_id: null }
      })
      t.match(lines[3], { event_type: 'ban', artemis: { state: 'ended', reason: 'lifted', client_id: 'lamp-2' } })
    })

    t.test('the end of an expired ban is emitted without a request', async t => {
      const it = await selfWatching(t, version, { control })
      const endings: unknown[] = []
      it.ids.on('ban', (_ban, ending) => endings.push(ending))
      await ask(await operatorOf(it), { command: 'ban', address: HERE, seconds: 1 })
      await waitUntil('the end of the ban', () => endings.includes('expired'))
    })

    t.test('an allowed client is neither banned nor disconnected', async t => {
      const it = await selfWatching(t, version, { control, response: { action: 'ban', allow: ['192.0.2.64/26'] } })
      const operator = await operatorOf(it)
      t.match(await ask(operator, { command: 'ban', address: '192.0.2.66' }), [{ error: /allow-list/ }])
      t.match(await ask(operator, { command: 'disallow', entry: '192.0.2.64/26' }), [
        { error: /settings/, remedy: /response\.allow/ }
      ])
      t.match(await ask(operator, { command: 'allow', entry: 'client:hub' }), [
        {
          data: {
            allow: [
              { entry: '192.0.2.64/26', from: 'settings' },
              { entry: 'client:hub', from: 'command' }
            ]
          }
        }
      ])
      await ask(operator, { command: 'ban', address: HERE })
      const hub = await RawClient.connect(it.broker, { clientId: 'hub' }, from(HERE))
      const other = new RawClient(it.broker, from(HERE, 50_001))
      other.send(connectBytes({ clientId: 'other' }))
      await other.whenClosed()
      t.notOk(hub.closed)
      t.match(await ask(operator, { command: 'clients' }), [
        {
          data: {
            clients: [
              { clientId: 'operator', allowed: false },
              { clientId: 'hub', address: HERE, allowed: true }
            ]
          }
        }
      ])
    })

    t.test('bans and allow-list entries survive a restart, and a damaged file does not prevent it', async t => {
      const file = join(t.testdir(), 'bans.json')
      const first = await selfWatching(t, version, { control, response: { file } })
      const operator = await operatorOf(first)
      await ask(
        operator,
        { command: 'ban', address: HERE, seconds: 600 },
        { command: 'allow', entry: '10.0.0.0/8' },
        { command: 'ban', clientId: 'x', seconds: 1 }
      )
      await first.ids.close()
      const next = await selfWatching(t, version, { control, response: { file } })
      const after = await operatorOf(next)
      const [bans, allowed] = await ask(after, { command: 'bans' }, { command: 'allowed' })
      t.match((bans.data as { bans: object[] }).bans[0], { address: HERE, clientId: null, by: 'operator' })
      t.match(allowed.data, { allow: [{ entry: '10.0.0.0/8', from: 'command' }] })
      const refused = new RawClient(next.broker, from(HERE))
      await refused.whenClosed()
      await next.ids.close()

      writeFileSync(file, '{"bans":[{"address"')
      const last = await selfWatching(t, version, { control, response: { file } })
      t.match(last.lines.join('\n'), /error Cannot read or write bans and the allow-list in .*bans\.json/)
      t.match(await ask(await operatorOf(last), { command: 'bans' }), [{ data: { bans: [] } }])
      t.notOk(existsSync(`${file}.new`))
    })

    t.test('clients, alerts and learn return the current state', async t => {
      const it = await selfWatching(t, version, { control, response: { action: 'disconnect', allow: ['192.0.2.99'] } })
      const operator = await operatorOf(it)
      await it.until('learning', ({ state }) => state === 'learning')
      t.match(await ask(operator, { command: 'clients' }, { command: 'learn' }), [
        {
          data: {
            clients: [
              {
                clientId: 'operator',
                address: OPERATOR,
                port: 50_000,
                transport: 'tcp',
                protocol: '3.1.1',
                username: null,
                score: null
              }
            ]
          }
        },
        { data: { anew: false, status: { state: 'learning' } } }
      ])
      const sensors = await Promise.all(
        ['kitchen', 'cellar', 'attic'].map(
          async (clientId, i) => await RawClient.connect(it.broker, { clientId }, from(HERE, 50_000 + i))
        )
      )
      await it.learn(sensors)
      await it.until('guarding', ({ state }) => state === 'guarding')
      const allowed = await RawClient.connect(it.broker, { clientId: 'burst' }, from('192.0.2.99'))
      const attacker = await RawClient.connect(it.broker, { clientId: 'drill' }, from('192.0.2.98'))
      const alertsAbout = async (name: string): Promise<object[]> => {
        const [{ data }] = await ask(operator, { command: 'alerts' })
        return (data as { alerts: { artemis: { client_id: string } }[] }).alerts.filter(
          ({ artemis }) => artemis.client_id === name
        )
      }
      for (let i = 0; i < 400 || !attacker.brokerEnd.destroyed; i++) {
        allowed.send(garbage(i))
        attacker.send(garbage(i))
        if (i % 20 === 0) await new Promise(resolve => setImmediate(resolve))
        if (i === 20_000) throw new Error('the attacker is still connected')
      }
      await it.until('two alerts', ({ alerts }) => (alerts?.raised ?? 0) >= 2)
      await operator.settled()
      t.match(await alertsAbout('drill'), [
        { event_type: 'alert', alert: { action: 'blocked' }, artemis: { response: 'disconnect' } }
      ])
      t.match(await alertsAbout('burst'), [{ alert: { action: 'allowed' }, artemis: { response: 'observe' } }])
      t.notOk(allowed.brokerEnd.destroyed)
      const [{ data }] = await ask(operator, { command: 'clients' })
      const row = (data as { clients: { clientId: string }[] }).clients.find(({ clientId }) => clientId === 'burst')
      t.match(row, { allowed: true, score: { movAvg: Number, alert: true } })

      t.match(await ask(operator, { command: 'learn', anew: true }), [{ data: { anew: true } }])
      await it.until('learning while guarding', ({ state, learning }) => state === 'guarding' && learning !== undefined)
      const before = createdOf(it.status())
      for (let i = 0; it.status().learning !== undefined && i < 4_000; i++)
        sensors[i % 3].send(publish(`sensors/${i % 7}/state`, `{"temperature":${20 + (i % 50) / 10}}`))
      await it.until('a new model', ({ learning, model }) => learning === undefined && createdOf({ model }) !== before)
    })
  })
}
