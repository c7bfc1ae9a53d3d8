// npm run bench:arm64: runs start, store, tap, training and scoring on arm64 under qemu user emulation. Slow.

import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import mqtt, { type MqttClient } from 'mqtt'
import { freePort } from '../../test/support/free-port.js'
import { unpackDebian } from './debian.js'

const repository = fileURLToPath(new URL('../../../', import.meta.url))
const MAIN = path.join(repository, 'dist/broker/main.js')
const CAPTURE = path.join(repository, 'test/captures/mosquitto-311.pcap')
const QEMU = 'qemu-aarch64-static'
const START_LIMIT_MS = 400_000
const STEP_LIMIT_MS = 400_000

const { values } = parseArgs({
  options: {
    folder: { type: 'string', default: path.join(os.tmpdir(), 'artemis-arm64') },
    out: { type: 'string', default: path.join(repository, 'bench/results/arm64.md') }
  }
})

interface Status {
  state: string
  tap: { state: string; target: string; frames: number }
  join: Record<string, number>
  alerts: { raised: number }
  model?: { digest: string }
}

const lines: string[] = []
const root = unpackDebian(values.folder)
const node = [QEMU, '-L', root, path.join(root, 'usr/bin/node')] as const
const work = mkdtempSync(path.join(os.tmpdir(), 'artemis-arm64-run-'))

function addRow(what: string, outcome: string): void {
  lines.push(`| ${what} | ${outcome} |`)
  process.stderr.write(`${what}: ${outcome}\n`)
}

function onArm(...args: string[]): string {
  const [program, ...before] = node
  return execFileSync(program, [...before, ...args], {
    encoding: 'utf8',
    cwd: work,
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 2]
  })
}

function onHost(...args: string[]): string {
  return execFileSync(process.execPath, args, {
    encoding: 'utf8',
    cwd: work,
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 2]
  })
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(what)
}

async function startBroker(port: number): Promise<{ child: ChildProcess; seconds: number; stop: () => Promise<void> }> {
  const [program, ...before] = node
  const startedAt = performance.now()
  const child = spawn(program, [...before, MAIN, 'broker', '--port', String(port), '--data', 'data'], {
    cwd: work,
    stdio: ['ignore', 'ignore', 'pipe']
  })
  const ended = once(child, 'exit')
  // Kill the broker if the run fails.
  process.once('exit', () => {
    child.kill('SIGKILL')
  })
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text
  })
  while (!log.includes('Artemis is ready')) {
    if (child.exitCode !== null || performance.now() - startedAt > START_LIMIT_MS)
      throw new Error(`Broker did not start:\n${log}`)
    await pause(50)
  }
  return {
    child,
    seconds: (performance.now() - startedAt) / 1_000,
    stop: async () => {
      child.kill('SIGTERM')
      await ended
    }
  }
}

/** Resolves with the first status that satisfies the condition. */
async function until(client: MqttClient, what: string, satisfies: (status: Status) => boolean): Promise<Status> {
  return await new Promise((resolve, reject) => {
    let latest = ''
    const timer = setTimeout(() => {
      reject(new Error(`Timed out waiting for: ${what}. Last status: ${latest}`))
    }, STEP_LIMIT_MS)
    const onMessage = (topic: string, payload: Buffer): void => {
      if (!topic.endsWith('/status')) return
      latest = payload.toString()
      const status = JSON.parse(latest) as Status
      if (!satisfies(status)) return
      clearTimeout(timer)
      client.off('message', onMessage)
      resolve(status)
    }
    client.on('message', onMessage)
    client.subscribeAsync('$SYS/broker/artemis/status').catch(reject)
  })
}

/**
 * Returns the largest relative difference between two numbers in the trees; Infinity if the shapes differ. Compilers
 * round logarithms differently.
 */
function largestDifference(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number')
    return a === b ? 0 : Math.abs(a - b) / Math.max(Math.abs(a), Math.abs(b))
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b ? 0 : Infinity
  const keys = Object.keys(a)
  if (keys.join() !== Object.keys(b).join()) return Infinity
  return Math.max(
    0,
    ...keys.map(key => largestDifference((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]))
  )
}

async function offline(): Promise<string> {
  const version = onArm('-p', 'process.version + " " + process.arch').trim()
  check(version.endsWith('arm64'), `Node reports ${version}`)
  addRow('Node', version)
  const [there, here] = [onArm(MAIN, 'extract', CAPTURE), onHost(MAIN, 'extract', CAPTURE)]
  check(there === here && here.split('\n').length > 50, 'extract returns different columns than on the host')
  addRow('extract', `${here.trim().split('\n').length - 1} records, every column as on ${process.arch}`)
  const train = (file: string): string[] => [
    MAIN,
    'train',
    CAPTURE,
    '--detector',
    'iforest',
    '--out',
    path.join(work, file)
  ]
  onArm(...train('there.json'))
  onHost(...train('here.json'))
  // Ignore the training time.
  const expertsOf = (file: string): unknown =>
    (
      JSON.parse(readFileSync(path.join(work, file), 'utf8'), (key, value: unknown) =>
        key === 'seconds' ? 0 : value
      ) as { experts: unknown }
    ).experts
  const difference = largestDifference(expertsOf('there.json'), expertsOf('here.json'))
  check(difference < 1e-9, `training returns a different model than on the host: relative difference ${difference}`)
  addRow(
    'train',
    `same isolation forest as on ${process.arch}, ${difference === 0 ? 'bit for bit' : `relative difference at most ${difference.toExponential(0)}`}`
  )
  return version
}

async function live(): Promise<void> {
  writeFileSync(
    path.join(work, 'artemis.yaml'),
    'tap: { target: "local:lo" }\nlearn: { duration: 20s, minimumRecords: 400 }\n'
  )
  const port = await freePort()
  const url = `mqtt://127.0.0.1:${port}`
  const first = await startBroker(port)
  addRow('start', `ready after ${first.seconds.toFixed(1)} s of emulation`)
  const client = await mqtt.connectAsync(url, { clientId: 'sensor' })
  await client.publishAsync('home/kept', 'on', { qos: 1, retain: true })
  const up = await until(client, 'the tap is up', ({ tap }) => tap.state === 'up')
  const timer = setInterval(() => {
    client.publish('home/kitchen', JSON.stringify({ temperature: 20 + Math.random() * 3 }), { qos: 1 })
  }, 60)
  const guarding = await until(client, 'state is guarding', ({ state }) => state === 'guarding')
  clearInterval(timer)
  check(guarding.tap.frames > 100, 'the tap captured no frames')
  addRow(
    'tap',
    `${up.tap.target} with the host's tcpdump: ${guarding.tap.frames} frames; ${JSON.stringify(guarding.join)}`
  )
  addRow('learn', `guarding with model ${guarding.model?.digest.slice(0, 12)}`)
  const attacker = await mqtt.connectAsync(url, { clientId: 'attacker' })
  for (let i = 0; i < 3_000; i++) attacker.publish(`x/${i}/${'y'.repeat(80)}`, Buffer.alloc(900, i), { qos: 1 })
  const alerted = await until(client, 'the flood raises an alert', ({ alerts }) => alerts.raised > 0)
  attacker.end(true)
  addRow('score', `a flood of 3,000 messages raised ${alerted.alerts.raised} alert(s)`)
  await client.endAsync(true)
  await first.stop()
  const second = await startBroker(port)
  const reader = await mqtt.connectAsync(url)
  const kept = new Promise<string>(resolve => {
    reader.on('message', (topic, payload) => {
      if (topic === 'home/kept') resolve(payload.toString())
    })
  })
  await reader.subscribeAsync('home/kept')
  check((await kept) === 'on', 'the retained message is missing')
  const again = await until(reader, 'state is guarding after the restart', ({ state }) => state === 'guarding')
  check(again.model?.digest === guarding.model?.digest, 'the model changed after the restart')
  addRow('store', "the retained message and the model survived a restart (classic-level's linux-arm64 binary)")
  await reader.endAsync(true)
  await second.stop()
}

let failure: Error | undefined
let version = ''
try {
  version = await offline()
  await live()
} catch (error) {
  failure = error instanceof Error ? error : new Error(String(error))
  addRow('FAILED', failure.message.replace(/\s+/g, ' ').slice(0, 500))
}
const qemu = execFileSync(QEMU, ['--version'], { encoding: 'utf8' }).split('\n')[0]
writeFileSync(
  values.out,
  `# On arm64

${new Date().toISOString().slice(0, 10)}: Debian's Node ${version} under ${qemu} on an ${os.arch()} kernel (${os.release()}). \`npm run bench:arm64\`.
Emulation shows that it works. It does not show the speed on a Raspberry Pi. classic-level is the only required native dependency, and it
ships a linux-arm64 binary. ssh2's optional native part was not installed. tcpdump is the host's, because arm64 tcpdump requires
SIOCETHTOOL, which qemu does not emulate ("Function not implemented"). Captured frames are decoded, joined and scored on arm64.

| what | outcome |
|---|---|
${lines.join('\n')}
`
)
process.exit(failure === undefined ? 0 : 2)
