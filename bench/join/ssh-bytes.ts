// Measures the bytes sent over ssh with headers only and with whole frames: several taps through one sshd on the same
// traffic.

import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Aedes } from 'aedes'
import { openTap } from '../../src/tap/catalog.js'
import type { TapSession } from '../../src/types.js'
import { startSshd } from '../../test/support/sshd.js'
import type { LoadConfig } from './load-main.js'

const [seconds, rate] = process.argv.slice(2).map(Number)
const directory = mkdtempSync(join(tmpdir(), 'artemis-ssh-'))
const sshd = await startSshd(directory)
const aedes = await Aedes.createBroker()
aedes.on('clientError', () => {})
const server = createServer({ noDelay: true }, socket => {
  aedes.handle(socket)
}).listen(0, '127.0.0.1')
await once(server, 'listening')
const { port } = server.address() as AddressInfo

/** Opens a tap and counts its bytes. */
async function counted(snapLength: number): Promise<{ session: TapSession; bytes: () => number }> {
  const target = { kind: 'ssh', user: sshd.user, host: sshd.host, port: sshd.port, interface: 'lo' } as const
  const session = await openTap(
    target,
    { identityFile: sshd.identityFile, knownHostsFile: sshd.knownHostsFile },
    { ports: [port], snapLength }
  )
  let bytes = 0
  session.bytes.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  return { session, bytes: () => bytes }
}

const SNAP_LENGTHS = [66, 86, 0]
const taps = await Promise.all(SNAP_LENGTHS.map(counted))
const config: LoadConfig = {
  carrier: 'tcp',
  host: '127.0.0.1',
  port,
  rate: rate || 1_000,
  seconds: seconds || 20,
  publishers: 50,
  subscribers: 10,
  seed: 1
}
const load = spawn(
  process.execPath,
  [fileURLToPath(new URL('load-main.js', import.meta.url)), JSON.stringify(config)],
  {
    stdio: ['ignore', 'pipe', 'inherit']
  }
)
let stderr = ''
load.stdout.on('data', chunk => {
  stderr += String(chunk)
})
await once(load, 'close')
console.log(stderr.trim())
for (const [i, { session, bytes }] of taps.entries()) {
  const { captured, dropped } = await session.close()
  console.log(JSON.stringify({ snapLength: SNAP_LENGTHS[i], bytes: bytes(), captured, dropped }))
}
await sshd.stop()
rmSync(directory, { recursive: true, force: true })
process.exit()
