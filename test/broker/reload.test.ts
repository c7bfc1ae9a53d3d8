// SIGHUP applies new detection settings without affecting clients.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { TOPICS } from '../../src/index.js'
import { waitUntil } from '../support/wait-until.js'
import { connect } from './mqtt-client.js'
import { MAIN, startBroker } from './running-broker.js'

/** The parts of the status that the test checks. */
interface Status {
  learning?: { minimumRecords: number; records: number }
  response?: { action: string }
  thread?: { restarts: number }
}

t.test('reloads the detection settings without a restart of the thread and without losing connections', async t => {
  const folder = t.testdir({})
  const file = path.join(folder, 'artemis.yaml')
  writeFileSync(file, 'tap: { target: none }\nlearn: { minimumRecords: 1111 }\n')
  const broker = await startBroker(t, folder)
  const client = await connect(t, broker.url)
  let status: Status = {}
  client.on('message', (topic, payload) => {
    if (topic === TOPICS.status) status = JSON.parse(payload.toString()) as Status
  })
  await client.subscribeAsync(TOPICS.status)
  await waitUntil(
    'the first settings apply',
    () => status.learning?.minimumRecords === 1111 && status.response?.action === 'observe'
  )

  writeFileSync(file, 'tap: { target: none }\nlearn: { minimumRecords: 2222 }\nresponse: { action: ban }\n')
  broker.child.kill('SIGHUP')
  await waitUntil(
    'the second settings apply',
    () => status.learning?.minimumRecords === 2222 && status.response?.action === 'ban'
  )
  for (let i = 0; i < 20; i++) await client.publishAsync('t', 'x', { qos: 1 })
  await waitUntil('the messages of the client are counted', () => (status.learning?.records ?? 0) >= 20)
  t.equal(status.thread?.restarts, 0, 'the thread did not restart')
  t.equal(client.connected, true)

  writeFileSync(file, 'learn: { minimumRecords: none }\n')
  broker.child.kill('SIGHUP')
  await waitUntil('the error is logged', () => broker.log().includes('Reload failed'))
  t.match(await broker.stop(), { code: 0, stderr: /artemis\.yaml:1: learn\.minimumRecords/ })
})

t.test('SIGHUP during the start is deferred until the broker is ready', async t => {
  const folder = t.testdir({ 'artemis.yaml': 'tap: { target: none }\n' })
  const child = spawn(process.execPath, [MAIN, '--port', '0', '--data', 'data'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe']
  })
  const exit = once(child, 'exit')
  t.teardown(() => child.kill('SIGKILL'))
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text
  })
  await once(child.stderr, 'data')
  t.notMatch(log, 'Artemis is ready')
  child.kill('SIGHUP')
  await waitUntil(
    'the settings are reloaded',
    () => child.exitCode !== null || child.signalCode !== null || log.includes('Reloaded settings')
  )
  child.kill('SIGTERM')
  t.same(await exit, [0, null], log)
})
