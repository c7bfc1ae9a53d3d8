// Free ports: distinct for all test processes, never ephemeral, and reclaimed from processes that were killed.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import path from 'node:path'
import t from 'tap'
import { freePort, portsBelowEphemeral, type PortRange } from './free-port.js'

const MODULE = new URL('./free-port.js', import.meta.url).href
const EPHEMERAL_RANGE_FILE = '/proc/sys/net/ipv4/ip_local_port_range'

/** Returns a range with only this port. */
function only(port: number): PortRange {
  return { first: port, last: port }
}

/** Asks for ports in a process of its own, which prints them and keeps them until its standard input ends. */
function startTaker(
  folder: string,
  range: PortRange,
  count: number
): { ports: Promise<number[]>; end: () => Promise<void> } {
  const code = `
    import { freePort } from ${JSON.stringify(MODULE)}
    const ports = []
    for (let i = 0; i < ${count}; i++) ports.push(await freePort(${JSON.stringify(range)}, ${JSON.stringify(folder)}))
    console.log(JSON.stringify(ports))
    process.stdin.resume()`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  return {
    ports: once(child.stdout, 'data').then(([line]) => JSON.parse(String(line)) as number[]),
    end: async () => {
      child.stdin.end()
      await exited
    }
  }
}

t.test('parallel processes get distinct ports, and release them when they exit', async t => {
  const folder = t.testdir({})
  const { first } = portsBelowEphemeral()
  const takers = Array.from({ length: 4 }, () => startTaker(folder, { first, last: first + 199 }, 20))
  const ports = (await Promise.all(takers.map(taker => taker.ports))).flat()
  t.equal(new Set(ports).size, 80)
  t.equal(readdirSync(folder).length, 80)
  await Promise.all(takers.map(taker => taker.end()))
  t.same(readdirSync(folder), [])
})

t.test('the reservation of a running process is respected, that of a killed one is reclaimed', async t => {
  const folder = t.testdir({})
  const port = await freePort()
  const other = spawn(process.execPath, ['--eval', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'inherit'] })
  const exited = once(other, 'exit')
  const reservation = path.join(folder, `${port}.${other.pid}`)
  writeFileSync(reservation, '')
  await t.rejects(freePort(only(port), folder), /No free port/)
  other.kill('SIGKILL')
  await exited
  t.equal(await freePort(only(port), folder), port)
  t.notOk(existsSync(reservation))
})

t.test('a port is handed out once, and not while a program listens on it', async t => {
  const folder = t.testdir({})
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await t.rejects(freePort(only(port), folder), /No free port/)
  t.same(readdirSync(folder), [], 'no reservation is left')
  server.close()
  await once(server, 'close')
  t.equal(await freePort(only(port), folder), port)
  await t.rejects(freePort(only(port), folder), /No free port/)
})

const ephemeralStart = existsSync(EPHEMERAL_RANGE_FILE)
  ? Number.parseInt(readFileSync(EPHEMERAL_RANGE_FILE, 'utf8'), 10)
  : 0

t.test(
  'no outgoing connection can take the port',
  { skip: ephemeralStart < 11_000 && 'the system has no ephemeral range, or almost all ports are ephemeral' },
  async t => {
    t.ok((await freePort()) < ephemeralStart)
  }
)
