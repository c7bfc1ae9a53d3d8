// Test networks: connectivity, link impairment, and cleanup.

import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { Forwarder } from '../../bench/lab/forwarder.js'
import { Network, networkMissing, type Host } from '../../bench/lab/network.js'
import { programMissing, skipReason } from '../support/programs.js'
import { waitUntil } from '../support/wait-until.js'

const NODE = process.execPath
/** Echo server; prints its port. */
const ECHO = 'require("net").createServer(s=>s.pipe(s)).listen(0,"::",function(){console.log(this.address().port)})'
/** Sends bytes to the echo server and prints how many came back. */
const SEND =
  'let n=0;const [h,p,b]=process.argv.slice(1);const s=require("net").connect(p,h,()=>{s.end(Buffer.alloc(+b))});' +
  's.on("data",d=>{n+=d.length}).on("end",()=>{console.log(n)})'
/** Prints the content and sender of the first datagram to port 7777. */
const LISTEN =
  'require("dgram").createSocket("udp4").bind(7777,()=>console.log("bound")).once("message",(m,from)=>{console.log(m+" "+from.address);process.exit()})'

async function network(t: Test): Promise<Network> {
  const created = new Network()
  t.teardown(async () => {
    await created.close()
  })
  return created
}

async function firstLine(child: ChildProcess): Promise<string> {
  const [chunk] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
  return chunk.toString().trim()
}

async function echoBytes(from: Host, to: Host, address: string, bytes: number): Promise<number> {
  const port = await firstLine(to.spawn(NODE, ['-e', ECHO], { stdio: ['ignore', 'pipe', 'inherit'] }))
  return Number(await from.run(NODE, ['-e', SEND, address, port, String(bytes)]))
}

const missing = networkMissing()
const skip = missing === false ? programMissing('socat') || programMissing('ethtool') : skipReason(missing)

t.test(
  'hosts on a switch reach each other, over IPv4 and IPv6, in frames within the MTU',
  { skip: skip || programMissing('tcpdump') },
  async t => {
    const net = await network(t)
    const lan = await net.addSwitch('lan')
    const one = await net.addHost('one')
    const two = await net.addHost('two')
    const device = await net.connect(one, lan, ['10.77.0.1/24', 'fd77::1/64'])
    await net.connect(two, lan, ['10.77.0.2/24', 'fd77::2/64'])
    const capture = one.spawn('tcpdump', ['-i', device, '-nn', '-e', 'tcp'], { stdio: ['ignore', 'pipe', 'pipe'] })
    const lines = text(capture.stdout as NodeJS.ReadableStream)
    await once(capture.stderr as NodeJS.ReadableStream, 'data')
    t.equal(await echoBytes(one, two, '10.77.0.2', 500_000), 500_000)
    t.equal(await echoBytes(two, one, 'fd77::1', 500_000), 500_000)
    capture.kill('SIGINT')
    const lengths = [...(await lines).matchAll(/ethertype IPv[46] \(0x[0-9a-f]+\), length (\d+)/g)].map(match =>
      Number(match[1])
    )
    t.ok(lengths.length > 1_000, `${lengths.length} frames captured`)
    t.equal(Math.max(...lengths), 1_514)
  }
)

t.test('an impaired link drops, duplicates and reorders, and TCP still works', { skip }, async t => {
  const net = await network(t)
  const [a, b] = [await net.addHost('c'), await net.addHost('d')]
  const bad = { loss: 0.02, duplication: 0.02, reordering: 0.05 }
  const link = await Forwarder.open({
    a: { host: a, addresses: ['10.77.1.1/24'] },
    b: { host: b, addresses: ['10.77.1.2/24'] },
    toA: bad,
    toB: bad,
    seed: 3
  })
  t.equal(await echoBytes(a, b, '10.77.1.2', 2_000_000), 2_000_000)
  for (const counters of [link.counters('a'), link.counters('b')]) {
    t.ok(counters.lost > 0 && counters.duplicated > 0 && counters.reordered > 0, JSON.stringify(counters))
    t.ok(counters.given <= counters.taken - counters.lost - counters.overflowed + counters.duplicated)
  }
  await link.close()
})

t.test('an injected packet arrives as if sent over the link', { skip }, async t => {
  const net = await network(t)
  const [a, b] = [await net.addHost('e'), await net.addHost('f')]
  const link = await Forwarder.open({
    a: { host: a, addresses: ['10.77.2.1/24'] },
    b: { host: b, addresses: ['10.77.2.2/24'] }
  })
  const listener = b.spawn(NODE, ['-e', LISTEN], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.equal(await firstLine(listener), 'bound')
  const received = firstLine(listener)
  link.inject('b', datagram([10, 77, 2, 99], [10, 77, 2, 2], 'injected'))
  t.equal(await received, 'injected 10.77.2.99')
  await link.close()
})

t.test('an interrupted process cleans up', { skip }, async t => {
  const main = fileURLToPath(new URL('network-main.js', import.meta.url))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const child = spawn(NODE, [main], { stdio: ['ignore', 'pipe', 'inherit'] })
    t.equal(await firstLine(child), 'ready')
    const pid = child.pid as number
    const socats = (): string =>
      execFileSync('sh', ['-c', `ps -eo args | grep '[t]un-name=art${pid.toString(36)}' || true`], { encoding: 'utf8' })
    t.not(socats(), '')
    child.kill(signal)
    t.same(await once(child, 'exit'), [null, signal])
    t.same(
      readdirSync('/run/netns').filter(name => name.startsWith(`artemis-${pid}-`)),
      []
    )
    await waitUntil('the link is removed', () => socats() === '')
  }
})

t.test('leftovers of a killed process are removed by the next one', { skip }, async t => {
  const main = fileURLToPath(new URL('network-main.js', import.meta.url))
  const child = spawn(NODE, [main], { stdio: ['ignore', 'pipe', 'inherit'] })
  await firstLine(child)
  child.kill('SIGKILL')
  await once(child, 'exit')
  const left = (): string[] => readdirSync('/run/netns').filter(name => name.startsWith(`artemis-${child.pid}-`))
  t.equal(left().length, 2)
  await network(t)
  t.same(left(), [])
})

/** Returns an IPv4 packet with a UDP datagram to port 7777. */
function datagram(source: number[], destination: number[], message: string): Buffer {
  const body = Buffer.from(message)
  const packet = Buffer.alloc(28 + body.length)
  packet.set([0x45, 0, 0, packet.length, 0, 0, 0, 0, 64, 17, 0, 0, ...source, ...destination])
  let sum = 0
  for (let i = 0; i < 20; i += 2) sum += packet.readUInt16BE(i)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16)
  packet.writeUInt16BE(~sum & 0xffff, 10)
  packet.writeUInt16BE(5555, 20)
  packet.writeUInt16BE(7777, 22)
  packet.writeUInt16BE(8 + body.length, 24)
  packet.set(body, 28)
  return packet
}
