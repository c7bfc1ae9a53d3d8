// npm run bench:arm64: starts, stores, taps, learns and scores on arm64, under qemu's user emulation; slow.

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

function done(what: string, outcome: string): void {
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
  const began = performance.now()
  const child = spawn(program, [...before, MAIN, 'broker', '--port', String(port), '--data', 'data'], {
    cwd: work,
    stdio: ['ignore', 'ignore', 'pipe']
  })
  const ended = once(child, 'exit')
  // A run that fails leaves none behind.
  process.once('exit', () => {
    child.kill('SIGKILL')
  })
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text
  })
  while (!log.includes('Artemis is ready')) {
    if (child.exitCode !== null || performance.now() - began > START_LIMIT_MS)
      throw new Error(`the broker did not start:\n${log}`)
    await pause(50)
  }
  return {
    child,
    seconds: (performance.now() - began) / 1_000,
    stop: async () => {
      child.kill('SIGTERM')
      await ended
    }
  }
}

/** Follows the status until it satisfies. */
async function until(client: MqttClient, what: string, satisfies: (status: Status) => boolean): Promise<Status> {
  return await new Promise((resolve, reject) => {
    let latest = ''
    const timer = setTimeout(() => {
      reject(new Error(`not in time: ${what}; the status was ${latest}`))
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
 * By how much of itself a number differs at most; infinite where the shapes do. Compilers round logarithms differently.
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
  check(version.endsWith('arm64'), `Node says ${version}`)
  done('Node', version)
  const [there, here] = [onArm(MAIN, 'extract', CAPTURE), onHost(MAIN, 'extract', CAPTURE)]
  check(there === here && here.split('\n').length > 50, 'extract gives other columns than here')
  done('extract', `${here.trim().split('\n').length - 1} records, every column as on ${process.arch}`)
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
  // Without how long it took.
  const expertsOf = (file: string): unknown =>
    (
      JSON.parse(readFileSync(path.join(work, file), 'utf8'), (key, value: unknown) =>
        key === 'seconds' ? 0 : value
      ) as { experts: unknown }
    ).experts
  const difference = largestDifference(expertsOf('there.json'), expertsOf('here.json'))
  check(difference < 1e-9, `training gives another model than here: a number differs by ${difference} of itself`)
  done(
    'train',
    `the same isolation forest as on ${process.arch}, ${difference === 0 ? 'to the last bit' : `but for ${difference.toExponential(0)} of a number at most`}`
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
  done('start', `ready after ${first.seconds.toFixed(1)} s of emulation`)
  const client = await mqtt.connectAsync(url, { clientId: 'sensor' })
  await client.publishAsync('home/kept', 'on', { qos: 1, retain: true })
  const up = await until(client, 'the tap is up', ({ tap }) => tap.state === 'up')
  const timer = setInterval(() => {
    client.publish('home/kitchen', JSON.stringify({ temperature: 20 + Math.random() * 3 }), { qos: 1 })
  }, 60)
  const guarding = await until(client, 'it guards', ({ state }) => state === 'guarding')
  clearInterval(timer)
  check(guarding.tap.frames > 100, 'the tap saw nothing')
  done(
    'tap',
    `${up.tap.target} by this machine's own tcpdump: ${guarding.tap.frames} frames; ${JSON.stringify(guarding.join)}`
  )
  done('learn', `guards with model ${guarding.model?.digest.slice(0, 12)}`)
  const attacker = await mqtt.connectAsync(url, { clientId: 'attacker' })
  for (let i = 0; i < 3_000; i++) attacker.publish(`x/${i}/${'y'.repeat(80)}`, Buffer.alloc(900, i), { qos: 1 })
  const alerted = await until(client, 'the flood raises an alert', ({ alerts }) => alerts.raised > 0)
  attacker.end(true)
  done('score', `a flood of 3,000 messages raised ${alerted.alerts.raised} alert(s)`)
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
  check((await kept) === 'on', 'the retained message is gone')
  const again = await until(reader, 'it guards again', ({ state }) => state === 'guarding')
  check(again.model?.digest === guarding.model?.digest, 'another model')
  done('store', "a retained message and the model were there after a restart (classic-level's own linux-arm64 binary)")
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
  done('FAILED', failure.message.replace(/\s+/g, ' ').slice(0, 500))
}
const qemu = execFileSync(QEMU, ['--version'], { encoding: 'utf8' }).split('\n')[0]
writeFileSync(
  values.out,
  `# On arm64

${new Date().toISOString().slice(0, 10)}: Debian's Node ${version}, run by ${qemu}, on a kernel of ${os.arch()} (${os.release()}). \`npm run bench:arm64\`.
Emulation tells whether it works, not how fast it is on a Raspberry Pi. Of the dependencies only classic-level is native, and it
brings a binary for linux-arm64; ssh2's native part is optional, and was not there. tcpdump is this machine's own: arm64's asks for
SIOCETHTOOL, which qemu does not emulate ("Function not implemented"). What it captures is decoded, joined and scored on arm64.

| what | outcome |
|---|---|
${lines.join('\n')}
`
)
process.exit(failure === undefined ? 0 : 2)
