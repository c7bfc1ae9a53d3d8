// The commands and the code in the README work as printed.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { connectClient, endClient } from './support/clients.js'
import { captureImpossible, waitUntil } from './tap/traffic.js'
import { runArtemis, startBroker } from './broker/running-broker.js'
import { freePort } from './support/free-port.js'

const README = readFileSync(fileURLToPath(new URL('../../README.md', import.meta.url)), 'utf8')
const DEFAULT_PORT = '1883'

/** Returns the code blocks of a language. */
function blocks(language: string): string[] {
  return [...README.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map(([, code]) => code)
}

const PROGRAM = 'npx artemis '
const READS_MQTT: readonly string[] = ['capture', 'extract', 'train', 'evaluate', 'replay']

t.test('the commands', { skip: captureImpossible() }, async t => {
  const folder = t.testdir({
    'artemis.yaml': 'learn: { duration: 0s, minimumRecords: 300 }\ntap: { target: "local:lo" }\n'
  })
  const broker = await startBroker(t, folder, ['--data', 'artemis-data'])
  const client = await connectClient({ port: broker.port }, { clientId: 'device' })
  t.teardown(async () => {
    await endClient(client)
  })
  const busy = setInterval(() => {
    client.publish('room/temperature', '21.5', { qos: 1 })
  }, 5)
  t.teardown(() => {
    clearInterval(busy)
  })
  await waitUntil('the broker to train its model', () => existsSync(join(folder, 'artemis-data/model.json')))
  for (const line of blocks('sh').flatMap(block => block.trim().split('\n'))) {
    if (!line.startsWith(PROGRAM)) {
      execFileSync('sh', ['-c', line], { cwd: folder })
      continue
    }
    const command = line.slice(PROGRAM.length).split(' ')
    // The broker of this test has its own port.
    const ports = READS_MQTT.includes(command[0]) ? ['--mqtt-port', String(broker.port)] : []
    const { code, stderr } = await runArtemis([...command, ...ports], folder)
    t.equal(code, 0, `${line}\n${stderr}`)
    const out = Math.max(command.indexOf('--out'), command.indexOf('--plot'))
    if (out > 0) t.ok(statSync(join(folder, command[out + 1])).size > 100, `${command[out + 1]} is not empty`)
  }
  t.match(readFileSync(join(folder, 'records.ndjson'), 'utf8'), /"mqtt_msg":"32312e35"/, 'the payload 21.5')
  t.equal((await broker.stop()).code, 0)
})

t.test('the plug-in in ten lines', async t => {
  const [code] = blocks('js')
  t.ok(code.trim().split('\n').length <= 10, 'ten lines at most')
  const port = await freePort()
  const folder = t.testdir({})
  writeFileSync(join(folder, 'broker.mjs'), code.replaceAll(DEFAULT_PORT, String(port)))
  const child = spawn(process.execPath, ['broker.mjs'], { cwd: folder, stdio: 'inherit' })
  t.teardown(async () => {
    const exited = once(child, 'exit')
    child.kill()
    await exited
  })
  let status = ''
  await waitUntil(
    'the broker to listen',
    async () =>
      await connectClient({ port })
        .then(endClient)
        .then(
          () => true,
          () => false
        )
  )
  const client = await connectClient({ port })
  client.on('message', (_topic, payload) => {
    status = payload.toString()
  })
  await client.subscribeAsync('$SYS/broker/artemis/status')
  await waitUntil('the status "learning"', () => status.includes('learning'))
  await endClient(client)
})
