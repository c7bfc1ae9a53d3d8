// SIGHUP and the detection: it goes on with the new settings, and clients notice nothing.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { TOPICS } from '../../src/index.js'
import { waitUntil } from '../support/wait-until.js'
import { connect } from './mqtt-client.js'
import { MAIN, startBroker } from './running-broker.js'

/** What the test looks at. */
interface Status {
  learning?: { minimumRecords: number; records: number }
  response?: { action: string }
  thread?: { restarts: number }
}

t.test(
  'the detection takes its settings anew, without a crash and without losing sight of who is connected',
  async t => {
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
      'the first settings are in force',
      () => status.learning?.minimumRecords === 1111 && status.response?.action === 'observe'
    )

    writeFileSync(file, 'tap: { target: none }\nlearn: { minimumRecords: 2222 }\nresponse: { action: ban }\n')
    broker.child.kill('SIGHUP')
    await waitUntil(
      'the second are',
      () => status.learning?.minimumRecords === 2222 && status.response?.action === 'ban'
    )
    for (let i = 0; i < 20; i++) await client.publishAsync('t', 'x', { qos: 1 })
    await waitUntil('what the client sends is seen', () => (status.learning?.records ?? 0) >= 20)
    t.equal(status.thread?.restarts, 0, 'it did not crash')
    t.equal(client.connected, true)

    writeFileSync(file, 'learn: { minimumRecords: none }\n')
    broker.child.kill('SIGHUP')
    await waitUntil('the mistake is told', () => broker.log().includes('stay as they were'))
    t.match(await broker.stop(), { code: 0, stderr: /artemis\.yaml:1: learn\.minimumRecords/ })
  }
)

t.test('one that comes while the broker starts waits until it has started', async t => {
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
    'the settings are read again',
    () => child.exitCode !== null || child.signalCode !== null || log.includes('read again for SIGHUP')
  )
  child.kill('SIGTERM')
  t.same(await exit, [0, null], log)
})
