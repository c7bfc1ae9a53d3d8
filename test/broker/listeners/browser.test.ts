// MQTT.js over WebSocket in a real browser, from a local page and from a page of another site.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { findProgram, programMissing } from '../../support/programs.js'
import { waitUntil } from '../../support/wait-until.js'
import { startListening } from './listening.js'

const LIBRARY = readFileSync(
  path.resolve(path.dirname(fileURLToPath(import.meta.resolve('mqtt'))), '../dist/mqtt.min.js')
)
const LIMIT_MS = 60_000

/** A page that publishes a message to itself and posts the result: the message, or `refused`. */
const page = (url: string): string => `<!doctype html><script src="/mqtt.js"></script><script>
  const report = text => fetch('/result', { method: 'POST', body: text })
  const client = mqtt.connect(${JSON.stringify(url)}, { reconnectPeriod: 0, connectTimeout: 5000 })
  client.on('connect', () => { client.subscribe('page', { qos: 1 }, () => { client.publish('page', 'from a browser', { qos: 1 }) }) })
  client.on('message', (topic, payload) => { report(payload.toString()) })
  client.on('error', () => { report('refused') })
  client.on('close', () => { report('refused') })
</script>`

/** Opens the page in a new browser and returns its result. */
async function browse(folder: string, host: string, url: string): Promise<string> {
  let settle: (text: string) => void = () => {}
  const result = new Promise<string>(resolve => {
    settle = resolve
  })
  const server = createServer((request, response) => {
    if (request.url === '/mqtt.js') response.end(LIBRARY)
    else if (request.url === '/result')
      request
        .setEncoding('utf8')
        .once('data', (text: string) => {
          settle(text)
        })
        .once('end', () => {
          response.end()
        })
    else response.setHeader('content-type', 'text/html').end(page(url))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const browser = spawn(
    findProgram('chromium'),
    [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--disable-dev-shm-usage',
      `--user-data-dir=${folder}`,
      '--host-resolver-rules=MAP foreign.example 127.0.0.1',
      `http://${host}:${port}/`
    ],
    { stdio: 'ignore', detached: true }
  )
  const deadline = setTimeout(() => {
    settle('timeout')
  }, LIMIT_MS)
  try {
    return await result
  } finally {
    clearTimeout(deadline)
    server.closeAllConnections()
    server.close()
    await endGroup(browser.pid as number)
  }
}

/** Kills all processes of the browser and waits for their end, because they write to its folder. */
async function endGroup(leader: number): Promise<void> {
  await waitUntil('the end of the browser', () => {
    try {
      return !process.kill(-leader, 'SIGKILL')
    } catch {
      return true
    }
  })
}

t.test('a local page is allowed, a page of another site is refused', { skip: programMissing('chromium') }, async t => {
  const folder = t.testdir({ here: {}, there: {} })
  const {
    ports: [port]
  } = await startListening(t, folder, [['protocol: websockets']])
  const url = `ws://127.0.0.1:${port}`
  t.equal(await browse(path.join(folder, 'here'), '127.0.0.1', url), 'from a browser')
  t.equal(await browse(path.join(folder, 'there'), 'foreign.example', url), 'refused')
})
