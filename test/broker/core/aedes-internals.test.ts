// All that the core takes from Aedes without being told of it is there, in the version that it was read in.

import { Duplex } from 'node:stream'
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { Aedes, type Client } from 'aedes'
import {
  AEDES_VERSION,
  brokerParts,
  holdWrites,
  partsOf,
  takeParser,
  watchBus
} from '../../../broker/core/aedes-internals.js'
import { RawClient } from '../../support/raw-client.js'
import { openBroker } from '../opened-broker.js'

const PACKAGE = new URL('../../../../package.json', import.meta.url)
/** Parts that the core calls, replaces or reads; those of a client have `client.` before them. */
const PARTS = [
  'registerClient',
  'unregisterClient',
  '_finishRegisterClient',
  'scheduleSessionExpiry',
  'scheduleWill',
  'clearDelayedWill',
  'publishWill',
  'clampSessionExpiry',
  'publish',
  'close',
  'handle',
  'clients',
  'brokers',
  'counter',
  'mq',
  'maxTopicLevels',
  'client.publish',
  'client.subscribe',
  'client.unsubscribe',
  'client.disconnect',
  'client.emptyOutgoingQueue',
  'client.close',
  'client.conn',
  'client.clean',
  'client.connected',
  'client.connackSent',
  'client.closed',
  'client.sessionExpiryInterval',
  'client._will',
  'client.will',
  'client._disconnected',
  'client._topicAliases',
  'client._keepaliveTimer',
  'client._parser',
  'client._parsingBatch',
  'client._nextBatch',
  'client.subscriptions',
  'client.duplicates'
]

/** An Aedes as it comes, and a client of it that has said nothing yet. */
async function plain(): Promise<{ aedes: Aedes; client: Client; connection: Duplex }> {
  const aedes = new Aedes()
  const connection = new Duplex({
    read() {},
    write(_chunk, _encoding, done) {
      done()
    }
  })
  const client = aedes.handle(connection, undefined)
  return { aedes, client, connection }
}

/** Those of PARTS that are not there. */
function missing(aedes: Aedes, client: Client): string[] {
  const wholes = {
    broker: aedes as unknown as Record<string, unknown>,
    client: client as unknown as Record<string, unknown>
  }
  return PARTS.filter(part => {
    const [whole, name] = part.startsWith('client.')
      ? (['client', part.slice('client.'.length)] as const)
      : (['broker', part] as const)
    return !(name in wholes[whole])
  })
}

t.test('nothing is missing of this Aedes, as it comes and within the core', async t => {
  const { aedes, client, connection } = await plain()
  t.same(missing(aedes, client), [])
  t.same(missing({} as Aedes, {} as Client), PARTS)
  connection.destroy()
  const { aedes: broker } = await openBroker(t)
  const raw = new RawClient(broker)
  t.same(missing(broker, (raw.far as unknown as { client: Client }).client), [])
  raw.stream.destroy()
})

t.test('the version is the one that is depended on, and that is there', t => {
  const { dependencies } = JSON.parse(readFileSync(PACKAGE, 'utf8')) as { dependencies: Record<string, string> }
  t.equal(dependencies.aedes, AEDES_VERSION, 'no range: other versions may be built differently')
  const installed = createRequire(import.meta.url).resolve('aedes')
  const { version } = JSON.parse(readFileSync(installed.replace(/aedes\.js$/, 'package.json'), 'utf8')) as {
    version: string
  }
  t.equal(version, AEDES_VERSION)
  t.end()
})

t.test('the parser of a client is taken over: Aedes reads nothing by itself any more', async t => {
  const { client, connection } = await plain()
  const { _parser: parser, _nextBatch: nextBatch } = partsOf(client)
  t.ok(connection.listeners('readable').includes(nextBatch))
  t.type(takeParser(client), 'function')
  t.same([parser.listenerCount('packet'), parser.listenerCount('error')], [0, 0])
  t.notOk(connection.listeners('readable').includes(nextBatch))
  t.throws(() => takeParser(client), /no packet listener/, 'an Aedes that has none is told')
  connection.destroy()
})

t.test('what Aedes writes is held until it is let go', async t => {
  const { connection } = await plain()
  const letGo = holdWrites(connection)
  t.equal(connection.write('x'), true)
  t.equal(connection.writableLength + connection.listenerCount('drain'), 0)
  letGo()
  t.notOk(Object.hasOwn(connection, 'write'))
  connection.destroy()
})

t.test('the bus is asked only where somebody has listened', async t => {
  const { aedes, connection } = await plain()
  const { mq } = brokerParts(aedes)
  const heard: string[] = []
  const { hasListeners } = watchBus(mq)
  t.equal(hasListeners('a'), false)
  t.equal(hasListeners('$SYS/x'), true)
  const listen = (topic: string): Promise<void> =>
    new Promise(resolve => {
      mq.on(
        topic,
        ({ topic: heardTopic }: { topic: string }, done: () => void) => {
          heard.push(heardTopic)
          done()
        },
        resolve
      )
    })
  await listen('$SYS/+/heartbeat')
  t.equal(hasListeners('a'), false, 'Aedes itself listens to that')
  await listen('a')
  t.equal(hasListeners('b'), true)
  await new Promise<void>(resolve => {
    mq.emit({ topic: 'a' }, () => {
      resolve()
    })
  })
  t.same(heard, ['a'])
  connection.destroy()
})
