// artemis capture: what it writes, how it ends, and that nothing runs on after it.

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
  // A process group of its own, so that a test can do what Ctrl-C in a terminal does.
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

/** Traffic, and the command capturing it to `out`. */
async function capturing(t: Test, ...flags: string[]): Promise<Run & { out: string; traffic: Traffic }> {
  const traffic = await startTraffic()
  t.teardown(traffic.stop)
  const out = join(t.testdir(), 'out.pcap')
  const command = run(t, `local:${loopback()}`, '--out', out, '--mqtt-port', `${traffic.port},1`, ...flags)
  await waitUntil('it captures', () => command.stderr().includes('Capturing from'))
  return { ...command, out, traffic }
}

/** How many frames an independent reader finds in a capture. */
function framesIn(file: string): number {
  const text = execFileSync(findProgram('tcpdump'), ['-n', '-r', file], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore']
  })
  return text.split('\n').filter(line => line !== '').length
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  t.test(`${signal} ends it in order`, { skip }, async t => {
    const { pid, out, traffic, stderr, ended } = await capturing(t)
    await traffic.send('kept to the last frame')
    await waitUntil(
      'it is written',
      () => existsSync(`${out}.part`) && readFileSync(`${out}.part`, 'latin1').includes('kept to the last frame')
    )
    t.notOk(existsSync(out), 'the name appears when the file is complete')
    process.kill(-pid, signal)
    t.equal(await ended, 0)
    const frames = framesIn(out)
    t.ok(frames >= 8, 'a handshake, data both ways and an end')
    t.equal(statSync(out).mode & 0o777, 0o600, 'passwords may be in it')
    t.match(stderr(), new RegExp(`Captured ${frames} frames, ${readFileSync(out).length} bytes; the kernel dropped 0.`))
    t.same(readdirSync(t.testdirName), ['out.pcap'])
    t.same(tcpdumpsOn(traffic.port), [])
  })
}

t.test('--packets ends it at exactly that many', { skip }, async t => {
  const { out, traffic, ended } = await capturing(t, '--packets', '3')
  await traffic.send('more than three frames')
  t.equal(await ended, 0)
  t.equal(framesIn(out), 3)
  t.same(tcpdumpsOn(traffic.port), [])
})

t.test('--duration ends it, and --snaplen is passed on', { skip }, async t => {
  const { out, traffic, ended } = await capturing(t, '--duration', '300ms', '--snaplen', '66')
  t.equal(await ended, 0)
  t.equal(readFileSync(out).readUInt32LE(16), 66, 'a file header, which says so')
  t.same(tcpdumpsOn(traffic.port), [])
})

t.test(
  'a tap that dies leaves what it saw under another name',
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

t.test(
  'killed outright, it takes tcpdump with it',
  { skip: skip || (process.platform !== 'linux' && 'looks into /proc') },
  async t => {
    const { pid, traffic, ended } = await capturing(t)
    t.equal(tcpdumpsOn(traffic.port).length, 1)
    process.kill(pid, 'SIGKILL')
    t.equal(await ended, 'SIGKILL')
    await waitUntil('tcpdump is gone, without another frame', () => tcpdumpsOn(traffic.port).length === 0)
  }
)

t.test('what cannot be captured leaves no file', async t => {
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

t.test('a file is copied up to its last whole record', async t => {
  const header = Buffer.concat([Buffer.from('d4c3b2a1', 'hex'), Buffer.alloc(20)])
  const record = Buffer.from('00000000000000000400000004000000deadbeef', 'hex')
  const directory = t.testdir()
  writeFileSync(join(directory, 'cut.pcap'), Buffer.concat([header, record, record, record.subarray(0, 18)]))
  const { ended, stderr } = run(t, `file:${directory}/cut.pcap`, '--out', join(directory, 'out.pcap'))
  t.equal(await ended, 0)
  t.match(stderr(), 'Captured 2 frames, 64 bytes.')
  t.same(readFileSync(join(directory, 'out.pcap')), Buffer.concat([header, record, record]))
})

t.test('wrong flags', async t => {
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

t.test('a pipe is written to and stays a pipe', { skip }, async t => {
  const pipe = join(t.testdir(), 'pipe')
  execFileSync('mkfifo', [pipe])
  const reader = spawn('cat', [pipe], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => reader.kill('SIGKILL'))
  let bytes = 0
  reader.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  t.equal(await run(t, `local:${loopback()}`, '--out', pipe, '--duration', '200ms', '--mqtt-port', '1').ended, 0)
  await waitUntil('the header has come through', () => bytes >= 24)
  t.ok(statSync(pipe).isFIFO())
})

t.test('a folder is refused before anything is captured', { skip }, async t => {
  const command = run(t, `local:${loopback()}`, '--out', t.testdir(), '--duration', '200ms')
  t.equal(await command.ended, 1)
  t.notMatch(command.stderr(), /Capturing from/)
})
