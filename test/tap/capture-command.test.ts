// artemis capture: its output, how it ends, and that no process is left running.

import { execFileSync, spawn } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { captureCommand } from '../../broker/commands/capture.js'
import { findProgram } from '../support/programs.js'
import { captureImpossible, loopback, startTraffic, tcpdumpsOn, waitUntil, type Traffic } from './traffic.js'

const skip = captureImpossible()
const main = fileURLToPath(new URL('capture-main.js', import.meta.url))

/** A run of the command. */
interface Run {
  pid: number
  stderr(): string
  /** Exit code, or the signal that ended it. */
  ended: Promise<number | string | null>
}

function run(t: Test, ...args: string[]): Run {
  // Own process group, so that a test can simulate Ctrl-C in a terminal.
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'ignore', 'pipe'], detached: true })
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  const ended = new Promise<number | string | null>(resolve => {
    child.once('close', (code, signal) => resolve(code ?? signal))
  })
  t.teardown(() => {
    if (child.exitCode === null) child.kill('SIGKILL')
  })
  return { pid: child.pid ?? 0, stderr: () => stderr, ended }
}

/** Starts traffic, and the command that captures it to `out`. */
async function capturing(t: Test, ...flags: string[]): Promise<Run & { out: string; traffic: Traffic }> {
  const traffic = await startTraffic()
  t.teardown(traffic.stop)
  const out = join(t.testdir(), 'out.pcap')
  const command = run(t, `local:${loopback()}`, '--out', out, '--mqtt-port', `${traffic.port},1`, ...flags)
  await waitUntil('it captures', () => command.stderr().includes('Capturing from'))
  return { ...command, out, traffic }
}

/** Counts the frames of a capture with an independent reader. */
function framesIn(file: string): number {
  const text = execFileSync(findProgram('tcpdump'), ['-n', '-r', file], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore']
  })
  return text.split('\n').filter(line => line !== '').length
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  t.test(`${signal} ends it cleanly`, { skip }, async t => {
    const { pid, out, traffic, stderr, ended } = await capturing(t)
    await traffic.send('kept to the last frame')
    await waitUntil(
      'it is written',
      () => existsSync(`${out}.part`) && readFileSync(`${out}.part`, 'latin1').includes('kept to the last frame')
    )
    t.notOk(existsSync(out), 'the file gets its name when it is complete')
    process.kill(-pid, signal)
    t.equal(await ended, 0)
    const frames = framesIn(out)
    t.ok(frames >= 8, 'handshake, data both ways and close')
    t.equal(statSync(out).mode & 0o777, 0o600, 'it may contain passwords')
    t.match(stderr(), new RegExp(`Captured ${frames} frames, ${readFileSync(out).length} bytes; the kernel dropped 0.`))
    t.same(readdirSync(t.testdirName), ['out.pcap'])
    t.same(tcpdumpsOn(traffic.port), [])
  })
}

t.test('--packets stops after exactly that many frames', { skip }, async t => {
  const { out, traffic, ended } = await capturing(t, '--packets', '3')
  await traffic.send('more than three frames')
  t.equal(await ended, 0)
  t.equal(framesIn(out), 3)
  t.same(tcpdumpsOn(traffic.port), [])
})

t.test('--duration stops it, and --snaplen is applied', { skip }, async t => {
  const { out, traffic, ended } = await capturing(t, '--duration', '300ms', '--snaplen', '66')
  t.equal(await ended, 0)
  t.equal(readFileSync(out).readUInt32LE(16), 66, 'the snap length in the file header')
  t.same(tcpdumpsOn(traffic.port), [])
})

t.test(
  'keeps the frames of a failed tap under another name',
  { skip: skip || (process.platform !== 'linux' && 'looks into /proc') },
  async t => {
    const { out, traffic, stderr, ended } = await capturing(t)
    await traffic.send('seen before the end')
    await waitUntil('it is written', () => readFileSync(`${out}.part`, 'latin1').includes('seen before the end'))
    for (const pid of tcpdumpsOn(traffic.port)) process.kill(pid, 'SIGKILL')
    t.equal(await ended, 1)
    t.match(stderr(), 'tap-ended')
    t.match(stderr(), `${out}.part`)
    t.notOk(existsSync(out))
    t.ok(framesIn(`${out}.part`) >= 8)
  }
)

t.test('SIGKILL also ends tcpdump', { skip: skip || (process.platform !== 'linux' && 'looks into /proc') }, async t => {
  const { pid, traffic, ended } = await capturing(t)
  t.equal(tcpdumpsOn(traffic.port).length, 1)
  process.kill(pid, 'SIGKILL')
  t.equal(await ended, 'SIGKILL')
  await waitUntil('tcpdump has exited, without another frame', () => tcpdumpsOn(traffic.port).length === 0)
})

t.test('leaves no file if the capture fails', async t => {
  const directory = t.testdir({ 'text.pcap': 'this is no capture, but it is long enough to be read as one' })
  const out = join(directory, 'out.pcap')
  for (const [args, code] of [
    [['eth0', '--out', out], 'tap-target'],
    [['none', '--out', out], 'tap-target'],
    [['file:nowhere.pcap', '--out', out], 'tap-file'],
    [[`file:${directory}`, '--out', out], 'tap-file'],
    [[`file:${directory}/text.pcap`, '--out', out], 'capture-not-recognised'],
    [[`file:${directory}/text.pcap`, '--out', join(directory, 'no', 'such')], 'capture-out']
  ] as const) {
    await t.rejects(captureCommand().parseAsync(args, { from: 'user' }), { name: 'OperatorError', code })
  }
  t.same(readdirSync(directory), ['text.pcap'])
})

t.test('copies a file up to its last complete record', async t => {
  const header = Buffer.concat([Buffer.from('d4c3b2a1', 'hex'), Buffer.alloc(20)])
  const record = Buffer.from('00000000000000000400000004000000deadbeef', 'hex')
  const directory = t.testdir()
  writeFileSync(join(directory, 'cut.pcap'), Buffer.concat([header, record, record, record.subarray(0, 18)]))
  const { ended, stderr } = run(t, `file:${directory}/cut.pcap`, '--out', join(directory, 'out.pcap'))
  t.equal(await ended, 0)
  t.match(stderr(), 'Captured 2 frames, 64 bytes.')
  t.same(readFileSync(join(directory, 'out.pcap')), Buffer.concat([header, record, record]))
})

t.test('rejects invalid options', async t => {
  for (const flags of [
    ['--duration', '0s'],
    ['--duration', '5 days'],
    ['--packets', '0'],
    ['--packets', '1e3'],
    ['--mqtt-port', '1883,'],
    ['--mqtt-port', '65536'],
    ['--snaplen', '-1']
  ]) {
    const command = captureCommand()
      .exitOverride()
      .configureOutput({ writeErr: () => {} })
    await t.rejects(command.parseAsync(['auto', '--out', 'unused.pcap', ...flags], { from: 'user' }), {
      code: 'commander.invalidArgument',
      message: flags[0]
    })
  }
})

t.test('writes to a pipe without replacing it', { skip }, async t => {
  const pipe = join(t.testdir(), 'pipe')
  execFileSync('mkfifo', [pipe])
  const reader = spawn('cat', [pipe], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => reader.kill('SIGKILL'))
  let bytes = 0
  reader.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  t.equal(await run(t, `local:${loopback()}`, '--out', pipe, '--duration', '200ms', '--mqtt-port', '1').ended, 0)
  await waitUntil('the header arrived', () => bytes >= 24)
  t.ok(statSync(pipe).isFIFO())
})

t.test('rejects a directory before it captures', { skip }, async t => {
  const command = run(t, `local:${loopback()}`, '--out', t.testdir(), '--duration', '200ms')
  t.equal(await command.ended, 1)
  t.notMatch(command.stderr(), /Capturing from/)
})
