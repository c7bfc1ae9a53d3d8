// The tap fails during operation: no message is lost, the status reports it, scoring continues, the tap restarts.

import { chmodSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import t from 'tap'
import type { MqttClient } from 'mqtt'
import { connectClient, endClient } from '../support/clients.js'
import { findProgram, programMissing } from '../support/programs.js'
import { startWatchedBroker } from '../support/watched-broker.js'

/** A tcpdump that writes its process id to a file. */
const PID_TCPDUMP = `#!/bin/sh
echo $$ >"$(dirname "$0")/pid"
exec ${findProgram('tcpdump')} "$@"
`
const MESSAGES = 400

t.test('a killed tap', { skip: programMissing('tcpdump') }, async t => {
  const directory = t.testdir({ tcpdump: PID_TCPDUMP })
  chmodSync(join(directory, 'tcpdump'), 0o755)
  process.env.PATH = directory + delimiter + String(process.env.PATH)
  const broker = await startWatchedBroker({ tap: { target: 'local:lo' }, learn: { seconds: 0, minimumRecords: 600 } })
  t.teardown(async () => {
    await broker.close()
  })
  await broker.until(({ tap }) => tap.state === 'up', 'the tap')
  const [subscriber, publisher] = await Promise.all(
    ['subscriber', 'publisher'].map(
      async (clientId, i) => await connectClient({ port: broker.port, from: `127.0.7.${i + 1}` }, { clientId })
    )
  )
  await subscriber.subscribeAsync('room/#', { qos: 1 })

  const first = await publishAll(publisher, subscriber, MESSAGES)
  t.equal(first, MESSAGES, 'all messages arrive while the tap is up')
  const guarding = await broker.until(({ state }) => state === 'guarding', 'a model')
  t.ok((guarding.model?.rows.wire ?? 0) > 0, 'the model has wire experts')

  process.kill(Number(readFileSync(join(directory, 'pid'), 'utf8')), 'SIGKILL')
  const during = publishAll(publisher, subscriber, MESSAGES)
  const down = await broker.until(({ tap }) => tap.state === 'down', 'the tap to be down')
  t.match(down.tap.reason, /tcpdump|tap/i, 'the status contains the reason')
  t.equal(await during, MESSAGES, 'all messages arrive while the tap fails')
  const scoredBefore = (broker.ids.status() as typeof down).records.scored ?? 0
  t.equal(await publishAll(publisher, subscriber, MESSAGES), MESSAGES, 'all messages arrive without a tap')
  const without = await broker.until(
    ({ records }) => (records.scored ?? 0) >= scoredBefore + MESSAGES,
    'packets to be scored'
  )
  t.ok(without.join.packetsAlone >= MESSAGES, 'packets are scored without wire fields')

  const back = await broker.until(({ tap }) => tap.state === 'up' && tap.sessions === 2, 'the tap to restart')
  t.equal(back.tap.reason, undefined, 'the reason is cleared')
  const newcomer = await connectClient({ port: broker.port, from: '127.0.7.3' }, { clientId: 'newcomer' })
  const joinedBefore = back.join.framesJoined
  t.equal(await publishAll(newcomer, subscriber, MESSAGES), MESSAGES, 'all messages arrive after the restart')
  await broker.until(({ join }) => join.framesJoined >= joinedBefore + MESSAGES, 'frames to be joined again')
  await Promise.all([subscriber, publisher, newcomer].map(endClient))
})

/** Publishes messages in sequence and counts those that the subscriber receives. */
async function publishAll(publisher: MqttClient, subscriber: MqttClient, count: number): Promise<number> {
  let received = 0
  const all = new Promise<void>(resolve => {
    subscriber.on('message', onMessage)
    function onMessage(): void {
      if (++received < count) return
      subscriber.off('message', onMessage)
      resolve()
    }
  })
  for (let i = 0; i < count; i++) await publisher.publishAsync(`room/${i % 7}`, String(i), { qos: 1 })
  await all
  return received
}
